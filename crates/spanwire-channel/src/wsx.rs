//! WSX sessions on WebSocket connections: one [`Session`](spanwire_session::Session) driven per connection.

mod conversation;
mod delivery;
mod entropy;
mod handle;
mod mailbox;

use std::sync::Arc;
use std::time::Duration;

use spanwire_session::SessionConfig;

use crate::websocket::{OriginPolicy, SocketLimits};

pub(crate) use conversation::WsxConversation;
pub use delivery::{DeliveryStream, Push};
pub use entropy::{SystemEntropy, correlation_id};
pub use handle::{ConnectionHandle, Names};

/// One WebSocket channel.
#[derive(Clone, Debug, PartialEq)]
pub struct WsxChannel {
    /// The number that stays when it is renamed; 0 where nobody renames channels.
    pub id: u64,
    /// Its name.
    pub name: Arc<str>,
    /// The path it is served on, percent-decoded; compared exactly.
    pub path: String,
    /// The mounted service.
    pub service: Arc<str>,
    /// The security definition clients log in with; `None` lets everybody in, who must still create a session.
    pub security_name: Option<Arc<str>>,
    /// How long a call may take; 30 s.
    pub service_timeout: Duration,
    /// A service told of each client that logged in.
    pub on_connect: Option<Arc<str>>,
    /// A service told of each logged-in client that went away.
    pub on_disconnect: Option<Arc<str>>,
    /// Times and limits of its sessions.
    pub session: SessionConfig,
    /// Limits of its connections.
    pub socket: SocketLimits,
    /// Which browsers may connect.
    pub origins: OriginPolicy,
    /// Whether the channel serves; an inactive one answers 404.
    pub is_active: bool,
}

impl WsxChannel {
    /// A channel with default times and limits.
    #[must_use]
    pub fn new(name: &str, path: &str, service: &str) -> Self {
        Self {
            id: 0,
            name: name.into(),
            path: path.to_owned(),
            service: service.into(),
            security_name: None,
            service_timeout: Duration::from_secs(30),
            on_connect: None,
            on_disconnect: None,
            session: SessionConfig::default(),
            socket: SocketLimits::default(),
            origins: OriginPolicy::default(),
            is_active: true,
        }
    }
}
