//! What a service is told about its call, and what it can do from there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use spanwire_crypto::Secret;
use spanwire_protocol::{Codec, ConnectionId, CorrelationId, Payload};
use tokio_util::sync::CancellationToken;

use crate::cancellation::Cancellation;
use crate::connections::Connections;
use crate::error::ServiceError;
use crate::invoke::{Call, Ports};
use crate::outgoing::Out;

/// The type of the channel a call came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelType {
    /// A WebSocket channel.
    WebSocket,
    /// A REST channel.
    Rest,
    /// The admin API, and with it the command line.
    Admin,
    /// Another service.
    Invoke,
    /// The platform itself: hooks, timers, embedders.
    Internal,
}

impl ChannelType {
    /// The name as services know it (outconn-and-platform 5.1).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "web-socket",
            Self::Rest => "rest",
            Self::Admin => "admin",
            Self::Invoke => "invoke",
            Self::Internal => "internal",
        }
    }
}

/// Who calls, and through what. The host builds it after it has checked credentials.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The name of the channel; empty for [`ChannelType::Internal`].
    pub channel_name: Arc<str>,
    /// The type of the channel.
    pub channel_type: ChannelType,
    /// The security definition the caller proved to know; empty when the channel has none.
    pub security_name: Arc<str>,
    /// The user name in that definition; empty when there is none.
    pub username: Arc<str>,
    /// Address and port of the peer; empty when there is no peer.
    pub peer_address: Arc<str>,
    /// The media type of the request's body, as the caller gave it; of REST requests only.
    pub content_type: Option<Arc<str>>,
    /// The WebSocket client, if the call came from one.
    pub client: Option<ClientOrigin>,
    /// The HTTP request, if the call came through a REST channel.
    pub http: Option<Arc<HttpOrigin>>,
    /// The user of single sign-on who calls, if the channel knows users.
    pub user: Option<Arc<UserOrigin>>,
}

/// The WebSocket client behind a call.
#[derive(Clone, Debug)]
pub struct ClientOrigin {
    /// The id of its connection.
    pub connection_id: ConnectionId,
    /// The id it chose; empty when it chose none.
    pub client_id: Arc<str>,
    /// The name it chose.
    pub client_name: Arc<str>,
    /// Its host name; `(Unknown)` as long as nobody found it out.
    pub peer_fqdn: Arc<str>,
}

impl Origin {
    /// The platform itself.
    #[must_use]
    pub fn internal() -> Arc<Self> {
        Arc::new(Self {
            channel_name: "".into(),
            channel_type: ChannelType::Internal,
            security_name: "".into(),
            username: "".into(),
            peer_address: "".into(),
            content_type: None,
            client: None,
            http: None,
            user: None,
        })
    }
}

/// The HTTP request behind a call, and what its answer has beside the body.
#[derive(Debug, Default)]
pub struct HttpOrigin {
    /// The method, in capitals.
    pub method: String,
    /// The header `User-Agent`; empty when there is none.
    pub user_agent: String,
    /// The token of `Authorization: Bearer`, on channels without credentials of their own.
    pub bearer: Option<Secret>,
    answer: Mutex<HttpAnswer>,
}

/// What a service said of the HTTP answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status; 200 if `None`.
    pub status: Option<u16>,
    /// Headers beside those that every answer has.
    pub headers: Vec<(String, String)>,
}

impl HttpOrigin {
    /// A request.
    #[must_use]
    pub fn new(method: String, user_agent: String, bearer: Option<Secret>) -> Self {
        Self { method, user_agent, bearer, answer: Mutex::default() }
    }

    /// Changes what the answer has.
    pub fn answer<T>(&self, change: impl FnOnce(&mut HttpAnswer) -> T) -> T {
        change(&mut self.answer.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A user of single sign-on, behind a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserOrigin {
    /// The id, `zusr…`.
    pub user_id: String,
    /// The user name.
    pub username: String,
    /// Whether everything is allowed.
    pub is_super_user: bool,
    /// Stands for the session.
    pub session: String,
}

/// One call, as its service sees it. Cloning is cheap.
#[derive(Clone)]
pub struct Context {
    pub(crate) cid: CorrelationId,
    pub(crate) service: Arc<str>,
    pub(crate) origin: Arc<Origin>,
    pub(crate) channel_type: ChannelType,
    pub(crate) deadline: Instant,
    pub(crate) cancellation: Arc<Cancellation>,
    pub(crate) traceparent: Option<Arc<str>>,
    pub(crate) depth: u8,
    pub(crate) ports: Ports,
}

impl Context {
    /// The correlation id of the call: in the reply, in every line of the log, the same for calls made from here.
    #[must_use]
    pub fn cid(&self) -> CorrelationId {
        self.cid
    }

    /// The name this service was called by.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The name of the channel the call came through.
    #[must_use]
    pub fn channel_name(&self) -> &str {
        &self.origin.channel_name
    }

    /// The type of the channel; [`ChannelType::Invoke`] when another service calls.
    #[must_use]
    pub fn channel_type(&self) -> ChannelType {
        self.channel_type
    }

    /// The security definition of the caller; empty when it needed none.
    #[must_use]
    pub fn security_name(&self) -> &str {
        &self.origin.security_name
    }

    /// The user name of the caller; empty when it needed none.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.origin.username
    }

    /// The connection of the WebSocket client that calls.
    #[must_use]
    pub fn connection_id(&self) -> Option<&ConnectionId> {
        self.origin.client.as_ref().map(|client| &client.connection_id)
    }

    /// The id the WebSocket client chose.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.origin.client.as_ref().map(|client| &*client.client_id)
    }

    /// The media type of the body of the REST request, with its parameters, as the caller gave it. It says
    /// nothing of the input, which was read already.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.origin.content_type.as_deref()
    }

    /// The name the WebSocket client chose.
    #[must_use]
    pub fn client_name(&self) -> Option<&str> {
        self.origin.client.as_ref().map(|client| &*client.client_name)
    }

    /// The user of single sign-on who calls, on channels that know users.
    #[must_use]
    pub fn user(&self) -> Option<&UserOrigin> {
        self.origin.user.as_deref()
    }

    /// Has the HTTP answer of a REST channel carry this status instead of 200, with what the service returns as its
    /// body. Without an effect for services that were called in another way: there the result says it all.
    pub fn set_http_status(&self, status: u16) {
        if let Some(http) = self.own_http() {
            http.answer(|answer| answer.status = Some(status));
        }
    }

    /// Adds a header to the HTTP answer of a REST channel. Without an effect as above, and for what is no header.
    pub fn add_http_header(&self, name: &str, value: &str) {
        if let Some(http) = self.own_http() {
            http.answer(|answer| answer.headers.push((name.to_owned(), value.to_owned())));
        }
    }

    /// The HTTP request, unless another service is in between.
    #[must_use]
    pub fn own_http(&self) -> Option<&HttpOrigin> {
        self.origin.http.as_deref().filter(|_| self.channel_type == ChannelType::Rest)
    }

    /// Address and port of the caller; empty when there is none.
    #[must_use]
    pub fn peer_address(&self) -> &str {
        &self.origin.peer_address
    }

    /// The host name of the caller; `(Unknown)` as long as nobody found it out.
    #[must_use]
    pub fn peer_fqdn(&self) -> &str {
        self.origin
            .client
            .as_ref()
            .map_or(spanwire_protocol::admin::UNKNOWN, |client| &client.peer_fqdn)
    }

    /// Everything the host knows about the caller.
    #[must_use]
    pub fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// When the call is given up.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How long the call may still take.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(tokio::time::Instant::now().into_std())
    }

    /// Fires when nobody waits for the result any more. The service's own future is dropped at that moment; tasks it
    /// started learn of it here.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        self.cancellation.token()
    }

    /// W3C Trace Context of the caller, if it sent any.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// The live WebSocket connections of this server.
    #[must_use]
    pub fn connections(&self) -> &dyn Connections {
        self.ports.connections()
    }

    /// Outgoing connections to other servers.
    #[must_use]
    pub fn out(&self) -> Out<'_> {
        Out(self)
    }

    /// Whether there is a service of this name, here or behind an outgoing connection.
    #[must_use]
    pub fn has_service(&self, name: &str) -> bool {
        self.ports.has_service(name)
    }

    /// Calls another service with a typed value, under this call's deadline and correlation id.
    ///
    /// # Errors
    /// Those of the service; 500 when there is none of this name, or when services call each other in a circle.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the other service.
    pub async fn call<I, O>(&self, service: &str, input: &I) -> Result<O, ServiceError>
    where
        I: Serialize + Sync + ?Sized,
        O: DeserializeOwned,
    {
        let input = Payload::from_serialize(Codec::Json, input).map_err(ServiceError::internal)?;
        let output = self.call_payload(service, input).await?;
        output.parse().map_err(ServiceError::internal)
    }

    /// Calls another service with an unparsed value. See [`call`](Self::call).
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    pub async fn call_payload(
        &self,
        service: &str,
        input: Payload,
    ) -> Result<Payload, ServiceError> {
        self.call_as(Arc::clone(&self.origin), service, input).await
    }

    /// Calls another service as the platform itself, whoever called this one.
    pub(crate) async fn call_payload_as_server(
        &self,
        service: &str,
        input: Payload,
    ) -> Result<Payload, ServiceError> {
        self.call_as(Origin::internal(), service, input).await
    }

    async fn call_as(
        &self,
        origin: Arc<Origin>,
        service: &str,
        input: Payload,
    ) -> Result<Payload, ServiceError> {
        let call = Call {
            service: service.into(),
            input,
            cid: Some(self.cid),
            timeout: self.remaining(),
            traceparent: self.traceparent.clone(),
            hops: 0,
        };
        self.ports.invoke_from(call, origin, Some(self)).await
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("cid", &self.cid)
            .field("service", &self.service)
            .field("channel", &self.origin.channel_name)
            .finish_non_exhaustive()
    }
}
