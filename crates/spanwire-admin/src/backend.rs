//! The port to the server that is administered.

mod pubsub;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use spanwire_config::{Author, Configuration, Edit, EditError, Kind, Outcome};
use spanwire_protocol::admin::sso::SsoCommand;
use spanwire_protocol::admin::{
    ClosedConnection, ConnectionInfo, Event, Invoked, KeyRotated, ObjectState, OutconnInfo, Pinged,
    Reloaded, ServerInfo, ServiceInfo, SettingInfo,
};
use spanwire_protocol::{ConnectionId, Timestamp};
use thiserror::Error;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use self::pubsub::{Place, PubSubBackend, Take};

/// A future that can be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The server, as the admin API sees it. Methods that return no future must not block.
pub trait Backend: Send + Sync + 'static {
    /// Whom a bearer token stands for; `None` refuses it. Compares in constant time, and counts refusals.
    fn authenticate(&self, token: &str) -> BoxFuture<'_, Option<Caller>>;

    /// The time.
    fn now(&self) -> Timestamp;

    /// What the server says about itself.
    fn server(&self) -> ServerInfo;

    /// Metrics as Prometheus reads them.
    fn metrics(&self) -> String;

    /// Whether requests can be served.
    ///
    /// # Errors
    /// Why not, for people.
    fn ready(&self) -> Result<(), String>;

    /// All services, by name.
    fn services(&self) -> Vec<ServiceInfo>;

    /// Calls a service; no input is an empty one.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    fn invoke_service(
        &self,
        name: String,
        input: Bytes,
        timeout: Option<Duration>,
    ) -> BoxFuture<'_, Result<Invoked, Failure>>;

    /// Does something about users, in the name of an operator.
    ///
    /// # Cancel safety
    /// Dropping the future does not undo it: it is done to its end.
    fn sso(&self, operator: String, command: SsoCommand) -> BoxFuture<'_, Result<Value, Failure>>;

    /// The configuration and its history. Reading a snapshot is cheap; history blocks, so use a blocking task.
    fn configuration(&self) -> &Arc<Configuration>;

    /// Whether something exists without being stored, such as a service that is compiled in.
    fn is_built_in(&self, kind: Kind, name: &str) -> bool;

    /// Makes a change and puts it to work, or with `dry_run` only says what it would be.
    ///
    /// # Cancel safety
    /// Dropping the future does not undo a change: it is made and put to work to its end.
    fn change(
        &self,
        edits: Vec<Edit>,
        author: Author,
        dry_run: bool,
    ) -> BoxFuture<'_, Result<Applied, EditError>>;

    /// How the running server stands to an object.
    fn status(&self, id: u64) -> ObjectStatus;

    /// The live connections, newest first.
    fn connections(&self) -> Vec<ConnectionInfo>;

    /// One live connection.
    fn connection(&self, id: &ConnectionId) -> Option<ConnectionInfo>;

    /// Asks a client and waits for its answer.
    fn invoke_connection(
        &self,
        id: ConnectionId,
        request: Value,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Invoked, Failure>>;

    /// Closes a connection.
    ///
    /// # Errors
    /// 404 when there is no such connection, 400 when the code is not one that may be sent.
    fn disconnect(&self, id: &ConnectionId, code: Option<u16>, reason: &str)
    -> Result<(), Failure>;

    /// Connections that ended, newest first.
    fn closed_connections(&self) -> Vec<ClosedConnection>;

    /// Outgoing WebSocket connections, by name.
    fn outconns(&self) -> Vec<OutconnInfo>;

    /// Asks whether the peer of an outgoing WebSocket connection is there; `None` when there is no such connection.
    fn ping_outconn(&self, name: String) -> BoxFuture<'_, Option<Pinged>>;

    /// Every setting with its value and where it comes from.
    fn settings(&self) -> Vec<SettingInfo>;

    /// Reads the settings again and puts to work what can be without a restart.
    fn reload_settings(&self) -> BoxFuture<'_, Result<Reloaded, Vec<String>>>;

    /// Adds a key to the ring and encrypts stored secrets with it.
    fn rotate_key(&self) -> BoxFuture<'_, Result<KeyRotated, Failure>>;

    /// Publish/subscribe; a server without it has none.
    fn pubsub(&self) -> Option<&dyn PubSubBackend> {
        None
    }

    /// What happens from now on. A reader that is too slow loses the oldest events.
    fn events(&self) -> broadcast::Receiver<Arc<Event>>;

    /// Ends when the server stops: streams end then.
    fn stopping(&self) -> CancellationToken;
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// As the history names them.
    pub name: String,
}

/// What came of a change.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The change.
    pub outcome: Outcome,
    /// How many connections were closed, because they would not be let in any more.
    pub closed_connections: usize,
}

/// How the running server stands to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectStatus {
    /// The state.
    pub state: ObjectState,
    /// Why it is [`ObjectState::Failed`].
    pub error: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// Why something was not done, with an HTTP status.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Failure {
    /// 400 to 599.
    pub status: u16,
    /// What is wrong and what to do.
    pub message: String,
    /// The correlation id to look for in the log.
    pub cid: Option<String>,
}
