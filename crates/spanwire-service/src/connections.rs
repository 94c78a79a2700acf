//! The port to the live WebSocket connections of a server (wsx-protocol 4.6, outconn-and-platform section 3).

use std::time::Duration;

use serde::Deserialize;
use spanwire_protocol::admin::ConnectionInfo;
use spanwire_protocol::{CloseFrame, ConnectionId, Payload, Status};
use thiserror::Error;

use crate::error::ServiceError;
use crate::service::BoxFuture;

/// How long an answer of a client may take when nobody says otherwise.
pub const DEFAULT_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Which connections are meant: those for which *every* given attribute matches exactly.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionFilter {
    /// The channel's name.
    pub channel_name: Option<String>,
    /// The connection's id.
    pub pub_client_id: Option<String>,
    /// The id the client chose.
    pub ext_client_id: Option<String>,
    /// The name the client chose.
    pub ext_client_name: Option<String>,
    /// The address of the client, with or without its port.
    pub peer_address: Option<String>,
    /// The host name of the client.
    pub peer_fqdn: Option<String>,
    /// The security definition it logged in with.
    pub security_name: Option<String>,
    /// The user name it logged in with.
    pub username: Option<String>,
    /// What the client said about itself; values compare by their text.
    pub attrs: std::collections::BTreeMap<String, serde_json::Value>,
}

impl ConnectionFilter {
    /// Whether nothing is asked for, so that every connection matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a connection is meant. An empty filter means all.
    #[must_use]
    pub fn matches(&self, connection: &ConnectionInfo) -> bool {
        let is = |wanted: &Option<String>, actual: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == actual)
        };
        let peer = &*connection.peer_address;
        is(&self.channel_name, &connection.channel_name)
            && is(&self.pub_client_id, connection.pub_client_id.as_str())
            && is(&self.ext_client_id, &connection.ext_client_id)
            && is(&self.ext_client_name, &connection.ext_client_name)
            && is(&self.peer_fqdn, &connection.peer_fqdn)
            && is(&self.security_name, &connection.security_name)
            && is(&self.username, &connection.username)
            && (is(&self.peer_address, peer)
                || peer.rsplit_once(':').is_some_and(|(ip, _)| is(&self.peer_address, ip)))
            && self.attrs.iter().all(|(key, wanted)| {
                connection
                    .client_attrs
                    .get(key)
                    .is_some_and(|actual| as_text(actual) == as_text(wanted))
            })
    }
}

fn as_text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The live connections of this server.
pub trait Connections: Send + Sync {
    /// Those that the filter means, newest first.
    fn list(&self, filter: &ConnectionFilter) -> Vec<ConnectionInfo>;

    /// Asks a client and waits for its answer.
    ///
    /// # Cancel safety
    /// Dropping the future gives the answer up; the client was asked all the same.
    fn invoke(
        &self,
        connection: &ConnectionId,
        request: Payload,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Payload, ConnectionError>>;

    /// Sends a request to all that the filter means, without waiting for answers; tells how many that were.
    fn broadcast(&self, filter: &ConnectionFilter, request: &Payload) -> usize;

    /// Closes a connection with this frame.
    ///
    /// # Errors
    /// When there is no such connection.
    fn disconnect(
        &self,
        connection: &ConnectionId,
        frame: CloseFrame,
    ) -> Result<(), ConnectionError>;
}

/// Why a connection could not be asked or closed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// There is no such connection, at least not any more.
    #[error("No such WebSocket connection `{0}`")]
    Unknown(ConnectionId),
    /// The client gave no answer. The connection stays open: some clients never answer.
    #[error("no reply within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The connection ended before the answer came.
    #[error("WSX client disconnected")]
    Disconnected,
    /// Too many requests wait for answers, or too many bytes wait to be sent to this client.
    #[error("too many requests to the client are unanswered")]
    Busy,
}

impl From<ConnectionError> for ServiceError {
    fn from(error: ConnectionError) -> Self {
        let status = match error {
            ConnectionError::Unknown(_) => Status::NOT_FOUND,
            ConnectionError::TimedOut(_) => Status::TIMEOUT,
            ConnectionError::Disconnected => Status::UNAVAILABLE,
            ConnectionError::Busy => Status::TOO_MANY_REQUESTS,
        };
        Self::new(status, error.to_string())
    }
}

/// For hosts without WebSocket channels.
pub(crate) struct NoConnections;

impl Connections for NoConnections {
    fn list(&self, _: &ConnectionFilter) -> Vec<ConnectionInfo> {
        Vec::new()
    }

    fn invoke(
        &self,
        connection: &ConnectionId,
        _: Payload,
        _: Duration,
    ) -> BoxFuture<'_, Result<Payload, ConnectionError>> {
        let error = ConnectionError::Unknown(connection.clone());
        Box::pin(std::future::ready(Err(error)))
    }

    fn broadcast(&self, _: &ConnectionFilter, _: &Payload) -> usize {
        0
    }

    fn disconnect(&self, connection: &ConnectionId, _: CloseFrame) -> Result<(), ConnectionError> {
        Err(ConnectionError::Unknown(connection.clone()))
    }
}
