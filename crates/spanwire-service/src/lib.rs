//! What a service author implements, and how a host calls it.
//!
//! A service has one name and never knows its channel: the same one answers WebSocket, REST, the command line and other
//! services.
//!
//! ```
//! use spanwire_service::{Call, Context, Origin, Ports, Registry, ServiceError};
//! use spanwire_protocol::{Codec, Payload};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let registry = Registry::new();
//! registry.register_fn("greet", |_: Context, name: String| async move {
//!     if name.is_empty() { return Err(ServiceError::bad_request("the name is empty")) }
//!     Ok(format!("Hello {name}"))
//! });
//! let ports = Ports::new(registry.into());
//! let call = Call::new("greet", Payload::from_serialize(Codec::Json, "Anna")?);
//! let reply = ports.invoke(call, Origin::internal()).await?;
//! assert_eq!(reply.parse::<String>()?, "Hello Anna");
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?; Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`service`] | the traits to implement |
//! | [`context`] | what a service is told and can do |
//! | [`registry`] | services by name |
//! | [`invoke`] | one call: deadline, cancellation, panics |
//! | [`connections`] | the port to live WebSocket connections |
//! | [`messages`] | publish/subscribe for services |
//! | [`outgoing`] | outgoing connections for services, and services behind them |
//! | [`sso`] | users, for services |
//! | [`error`] | statuses and texts of failures |
//! | `http` | services behind HTTP (feature `http`, on by default) |
//!
//! What it does not do: listening, permission checks, finding out who calls. The host does that and says the result in
//! an [`Origin`].

mod cancellation;
pub mod connections;
pub mod context;
pub mod error;
#[cfg(feature = "http")]
pub mod http;
pub mod invoke;
pub mod messages;
pub mod outgoing;
pub mod registry;
pub mod service;
pub mod sso;

pub use connections::{ConnectionError, ConnectionFilter, Connections};
pub use context::{ChannelType, ClientOrigin, Context, HttpAnswer, HttpOrigin, Origin, UserOrigin};
pub use error::ServiceError;
pub use invoke::{Call, CallObserver, Ports, ServiceObserver};
pub use messages::{GetMessages, Message, Publish, SubscriptionKey};
pub use outgoing::{
    OutgoingConnections, OutgoingError, OutgoingMessage, OutgoingRest, OutgoingWsx, RemoteCall,
    RestAnswer, RestRequest,
};
pub use registry::{Registry, Source};
pub use service::{BoxFuture, PayloadService, Service};
