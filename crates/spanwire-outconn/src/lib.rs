//! Outgoing WebSocket connections.
//!
//! | Type | What it is |
//! |---|---|
//! | [`Client`] | a session with one server: call services, answer it, publish, subscribe; as long as its connection lives |
//! | [`ClientOptions`], [`Address`], [`TlsOptions`] | where, as whom, how patiently |
//! | [`Handler`] | what the server asks and delivers |
//! | [`PlainSocket`] | a connection to a server that does not speak the client protocol |
//! | [`Link`] | a connection of either kind that is kept: pool, reconnecting, subscriptions, states |
//!
//! ```no_run
//! use spanwire_outconn::{Client, ClientOptions, NoHandler};
//! use spanwire_crypto::Secret;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options = ClientOptions {
//!     username: "app1".to_owned(),
//!     password: Secret::new("…".to_owned()),
//!     client_id: "billing.1".to_owned(),
//!     ..ClientOptions::new("wss://example.com/ws/app1".parse()?)
//! };
//! let client = Client::connect(&options, NoHandler).await?;
//! let reply = client.ask("zato.ping", &serde_json::json!({})).await?;
//! println!("{}", reply.parse::<serde_json::Value>()?);
//! # Ok(())
//! # }
//! ```
//!
//! It does not know what services are: the runtime joins it with them. Sockets and clocks are the runtime's (tokio).

mod address;
mod client;
mod clock;
mod connect;
mod link;
mod plain;
mod socket;
mod tls;

pub use address::{Address, AddressError};
pub use client::{
    Client, ClientOptions, Delivery, Handler, HandlerError, NoHandler, Publication, Request,
    Subscribed,
};
pub use connect::ConnectError;
pub use link::{Link, LinkError, LinkEvents, LinkOptions, LinkState, LinkStatus, SocketStatus};
pub use plain::{PlainClosed, PlainHandler, PlainMessage, PlainSocket};
pub use socket::{Closed, Side};
pub use spanwire_session::{CallError, CallOptions};
pub use tls::{TlsOptions, TlsOptionsError};
