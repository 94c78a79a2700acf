//! The ports to whoever hosts the channels: checking credentials, calling services, keeping connections.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::{HeaderMap, Method};
use spanwire_protocol::{CorrelationId, Payload};
use spanwire_session::{Call, CallFailure, Login};

use crate::rest::{Credentials, RestChannel};
use crate::transport::Peer;
use crate::websocket::Ending;
use crate::wsx::ConnectionHandle;

/// A future that can be sent between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Who proved to be who.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The security definition; empty on a channel without one.
    pub security_name: Arc<str>,
    /// The user name in it; empty when it has none.
    pub username: Arc<str>,
    /// Which state of the credentials that was: another number once they are others.
    pub credentials: u64,
    /// The user, where the host knows users.
    pub user: Option<Arc<PrincipalUser>>,
}

/// A user of the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalUser {
    /// The id.
    pub user_id: String,
    /// The user name.
    pub username: String,
    /// Whether everything is allowed.
    pub is_super_user: bool,
    /// Stands for the session that let the user in.
    pub session: String,
}

impl Principal {
    /// Nobody in particular, on a channel without credentials.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { security_name: "".into(), username: "".into(), credentials: 0, user: None }
    }
}

/// The host of all channels.
pub trait Backend: Send + Sync + 'static {
    /// A client connected; everything further about it goes to the returned value.
    fn connect(&self, connection: ConnectionHandle) -> Box<dyn WsxPeer>;

    /// Checks the credentials of a REST call; never asked for channels without security.
    fn authenticate(
        &self,
        channel: &Arc<RestChannel>,
        peer: &Peer,
        credentials: Option<Credentials>,
    ) -> BoxFuture<Result<Principal, Unauthenticated>>;

    /// Calls the service of a REST channel.
    fn call(&self, call: RestCall) -> BoxFuture<Result<RestReply, CallFailure>>;

    /// Whether a probe is well.
    ///
    /// # Errors
    /// Why it is not, for people.
    fn health(&self, probe: Probe) -> Result<(), String>;

    /// A request was refused; `reason` is one of a few fixed words.
    fn refused(&self, reason: &'static str);
}

/// One connected client, as its host sees it.
pub trait WsxPeer: Send {
    /// Checks the credentials of a login or of a renewal.
    fn login(&mut self, login: Login) -> BoxFuture<Option<Principal>>;

    /// The client is logged in.
    fn opened(&mut self);

    /// Calls the mounted service. Dropping the future cancels the call.
    fn invoke(&mut self, call: Call) -> BoxFuture<Result<Payload, CallFailure>>;

    /// Messages came and went. Told now and then, not for each.
    fn moved(&mut self, traffic: Traffic);

    /// The connection is over, logged in or not.
    fn ended(&mut self, ending: &Ending);
}

/// Messages and their bytes, since the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages that came.
    pub messages_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Messages that go.
    pub messages_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
}

/// What a REST call is answered with.
#[derive(Clone, Debug)]
pub struct RestReply {
    /// The result of the service.
    pub payload: Payload,
    /// The status, if the service wants another than 200.
    pub status: Option<u16>,
    /// Headers beside those that every answer has.
    pub headers: Vec<(String, String)>,
}

impl From<Payload> for RestReply {
    fn from(payload: Payload) -> Self {
        Self { payload, status: None, headers: Vec::new() }
    }
}

/// One REST call, ready to be made.
#[derive(Clone, Debug)]
pub struct RestCall {
    /// The channel it came through.
    pub channel: Arc<RestChannel>,
    /// Who calls.
    pub principal: Principal,
    /// From where.
    pub peer: Peer,
    /// The correlation id, which the answer carries too.
    pub cid: CorrelationId,
    /// The merged input.
    pub input: Payload,
    /// W3C Trace Context, if the caller sent it.
    pub traceparent: Option<String>,
    /// The header `Content-Type`, if the caller sent it and it is text.
    pub content_type: Option<String>,
    /// The method.
    pub method: Method,
    /// The headers of the request. Credentials are among them.
    pub headers: HeaderMap,
}

/// Why credentials were not accepted. Says nothing about which part of them was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthenticated {
    /// Missing or wrong.
    Wrong,
    /// Too many wrong ones; try again later.
    Throttled,
}

/// What a health endpoint asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// `/livez`: the process works.
    Live,
    /// `/readyz`: requests can be served.
    Ready,
    /// `/readyz/ws`: WebSocket connections can be made.
    ReadyForWebSockets,
}
