//! The services every spanwire server has, one implementation each, callable through any channel.
//!
//! ```
//! use spanwire_service::{Call, Origin, Ports, Registry};
//! use spanwire_protocol::{Codec, Payload};
//!
//! let registry = Registry::new();
//! spanwire_builtins::register(&registry);
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let call = Call::new("zato.ping", Payload::empty(Codec::Json));
//! let reply = Ports::new(registry.into()).invoke(call, Origin::internal()).await.unwrap();
//! assert_eq!(reply.parse::<serde_json::Value>().unwrap(), serde_json::json!({"pong": "zato"}));
//! # });
//! ```
//!
//! What it does not do: deciding who may call. Channels and gateways do.

mod connections;
pub mod gateway;
mod helpers;
mod outconns;
pub mod pubsub;
pub mod sso;

use std::sync::Arc;

use spanwire_service::{PayloadService, Registry, Source};

pub use gateway::Gateway;

/// Registers every built-in service.
pub fn register(registry: &Registry) {
    let services: [(&str, Arc<dyn PayloadService>); 12] = [
        ("zato.ping", Arc::new(helpers::Ping)),
        ("zato.ping2", Arc::new(helpers::Ping)),
        ("pub.zato.ping", Arc::new(helpers::Ping)),
        ("zato.helpers.echo", Arc::new(helpers::Echo)),
        ("zato.helpers.input-logger", Arc::new(helpers::InputLogger)),
        ("pub.helpers.input-logger", Arc::new(helpers::InputLogger)),
        (gateway::DEFAULT_GATEWAY, Arc::new(Gateway::default())),
        ("zato.channel.web-socket.get-connection-list", Arc::new(connections::List)),
        ("zato.channel.web-socket.invoke-wsx", Arc::new(connections::Invoke)),
        ("zato.channel.web-socket.broadcast", Arc::new(connections::Broadcast)),
        ("spanwire.outconn.invoke", Arc::new(outconns::Invoke)),
        ("spanwire.outconn.send", Arc::new(outconns::Send)),
    ];
    for (name, service) in services {
        registry.insert(name, Source::Builtin, service);
    }
    let disconnect = Arc::new(connections::Disconnect);
    registry.insert("zato.channel.web-socket.disconnect-connection", Source::Builtin, disconnect);
}
