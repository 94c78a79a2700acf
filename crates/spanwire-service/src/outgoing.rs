//! The port to outgoing connections: what a service author calls on [`Context::out`].
//!
//! ```
//! use serde_json::{Value, json};
//! use spanwire_service::{Context, Registry};
//!
//! let registry = Registry::new();
//! registry.register_fn("crm.find", |ctx: Context, name: String| async move {
//!     let found: Value = ctx.out().wsx("cluster-b")?.invoke("customer.find", &json!({"name": name})).await?;
//!     Ok(found)
//! });
//! ```
//!
//! Elsewhere a service behind a connection has the name `connection:service`. HTTP servers are called by the name of their
//! connection, too:
//!
//! ```
//! # use serde_json::{Value, json};
//! # use spanwire_service::{Context, Registry};
//! # let registry = Registry::new();
//! registry.register_fn("crm.rename", |ctx: Context, name: String| async move {
//!     let answer = ctx.out().rest("crm")?.param("id", &7).json(&json!({"name": name})).send().await?;
//!     Ok(answer.json::<Value>()?)
//! });
//! ```

mod adapter;
mod rest;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use spanwire_protocol::{Codec, Payload, Status};
use thiserror::Error;

pub use self::adapter::{Adapter, CloseEvent, Conn, ConnectEvent, MessageEvent, WsxAdapter};
pub use self::rest::{OutgoingRest, Rest, RestAnswer, RestRequest};

use crate::context::Context;
use crate::error::ServiceError;
use crate::service::{BoxFuture, PayloadService};

/// The outgoing connections of a host. The host implements it.
pub trait OutgoingConnections: Send + Sync + 'static {
    /// The WebSocket connection of this name.
    fn wsx(&self, name: &str) -> Option<Arc<dyn OutgoingWsx>>;

    /// The HTTP server of this name.
    fn rest(&self, name: &str) -> Option<Arc<dyn OutgoingRest>>;
}

/// A WebSocket connection to another server.
pub trait OutgoingWsx: Send + Sync + 'static {
    /// Calls the service that is mounted on the peer's channel, and waits for the reply.
    fn call(&self, call: RemoteCall) -> BoxFuture<'_, Result<Payload, OutgoingError>>;

    /// Sends a message to a peer that does not answer.
    fn send(&self, message: OutgoingMessage) -> BoxFuture<'_, Result<(), OutgoingError>>;
}

/// A call that goes to another server.
#[derive(Clone, Debug)]
pub struct RemoteCall {
    /// The input of the service that is mounted there; for a gateway `{"service": …, "request": …}`.
    pub data: Payload,
    /// How long it may take.
    pub timeout: Duration,
    /// W3C Trace Context; sent to peers that know it.
    pub traceparent: Option<Arc<str>>,
    /// How many calls of services by services led to this one; sent to peers that know it, so that servers that call
    /// each other in a circle come to an end.
    pub hops: u8,
}

/// A message for a peer that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutgoingMessage {
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

/// Why nothing came of a call to another server.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OutgoingError {
    /// There is no connection of this name.
    #[error("there is no outgoing connection '{0}'")]
    Unknown(String),
    /// It is not connected: connecting, refused, or switched off. Nothing was sent.
    #[error("{0}")]
    NotConnected(String),
    /// No reply in time, or the other server said that. The call may have been carried out.
    #[error("no reply in time")]
    TimedOut,
    /// The connection ended before there was a reply. The call may have been carried out.
    #[error("the connection ended before there was a reply")]
    Closed,
    /// The other server refused the call.
    #[error("the other server answered {status}: {message}")]
    Refused {
        /// As HTTP.
        status: Status,
        /// For people.
        message: String,
    },
    /// The peer is not of the kind that this can be done with, and why.
    #[error("{0}")]
    Unsuitable(String),
}

impl From<OutgoingError> for ServiceError {
    fn from(error: OutgoingError) -> Self {
        match error {
            OutgoingError::Unknown(_) => Self::not_found(error.to_string()),
            OutgoingError::NotConnected(_) => Self::new(Status::UNAVAILABLE, error.to_string()),
            OutgoingError::TimedOut => Self::timed_out().with_source(error),
            OutgoingError::Closed => Self::new(Status::BAD_GATEWAY, error.to_string()),
            OutgoingError::Refused { status, message } => Self::new(status, message),
            OutgoingError::Unsuitable(_) => Self::bad_request(error.to_string()),
        }
    }
}

/// Outgoing connections, as a service sees them.
#[derive(Debug)]
pub struct Out<'a>(pub(crate) &'a Context);

impl<'a> Out<'a> {
    /// The WebSocket connection of this name.
    ///
    /// # Errors
    /// [`OutgoingError::Unknown`].
    pub fn wsx(&self, name: &str) -> Result<Wsx<'a>, OutgoingError> {
        let found = self.0.ports.outgoing().and_then(|all| all.wsx(name));
        let connection = found.ok_or_else(|| OutgoingError::Unknown(name.to_owned()))?;
        Ok(Wsx { ctx: self.0, connection, timeout: None })
    }

    /// A request to the HTTP server of this name.
    ///
    /// # Errors
    /// [`OutgoingError::Unknown`].
    pub fn rest(&self, name: &str) -> Result<Rest<'a>, OutgoingError> {
        let found = self.0.ports.outgoing().and_then(|all| all.rest(name));
        let connection = found.ok_or_else(|| OutgoingError::Unknown(name.to_owned()))?;
        Ok(Rest::new(self.0, connection))
    }
}

/// A WebSocket connection to another server, as a service sees it.
pub struct Wsx<'a> {
    ctx: &'a Context,
    connection: Arc<dyn OutgoingWsx>,
    timeout: Option<Duration>,
}

impl Wsx<'_> {
    /// Calls take this long at most. They never take longer than the call that this service answers.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Calls a service behind the gateway of the peer's channel with a typed value.
    ///
    /// # Errors
    /// [`OutgoingError`]: it says whether the call may have been carried out.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the reply; the call may be carried out.
    pub async fn invoke<I, O>(&self, service: &str, input: &I) -> Result<O, OutgoingError>
    where
        I: Serialize + Sync + ?Sized,
        O: DeserializeOwned,
    {
        let input = Payload::from_serialize(Codec::Json, input).map_err(|error| {
            OutgoingError::Unsuitable(format!("the input has no form in JSON: {error}"))
        })?;
        let reply = self.invoke_payload(service, input).await?;
        reply.parse().map_err(|error| OutgoingError::Refused {
            status: Status::BAD_GATEWAY,
            message: format!("the reply is of another form: {error}"),
        })
    }

    /// Calls a service behind the gateway of the peer's channel with an unparsed value.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke).
    ///
    /// # Cancel safety
    /// As [`invoke`](Self::invoke).
    pub async fn invoke_payload(
        &self,
        service: &str,
        input: Payload,
    ) -> Result<Payload, OutgoingError> {
        self.call(Payload::for_gateway(service, &input)).await
    }

    /// Calls the service that is mounted on the peer's channel, which may be no gateway. To a plain peer there are no
    /// calls.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke).
    ///
    /// # Cancel safety
    /// As [`invoke`](Self::invoke).
    pub async fn call(&self, data: Payload) -> Result<Payload, OutgoingError> {
        let codec = data.codec();
        let unsuitable = |error: spanwire_protocol::PayloadError| {
            OutgoingError::Unsuitable(format!("the input has no form in JSON: {error}"))
        };
        let data = data.into_codec(Codec::Json).map_err(unsuitable)?;
        let remaining = self.ctx.remaining();
        let timeout = self.timeout.map_or(remaining, |timeout| timeout.min(remaining));
        let traceparent = self.ctx.traceparent.clone();
        let hops = self.ctx.depth.saturating_add(1);
        let reply = self.connection.call(RemoteCall { data, timeout, traceparent, hops }).await?;
        reply.into_codec(codec).map_err(|error| OutgoingError::Refused {
            status: Status::BAD_GATEWAY,
            message: format!("the reply is of another form: {error}"),
        })
    }

    /// Sends. A server that speaks the client protocol gets it as the input of the service that is mounted on its
    /// channel, and its reply is what this returns; a plain peer gets a text as it is and everything else as JSON, and
    /// answers nothing: null.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke). `Ok` from a plain peer does not say that it has arrived.
    ///
    /// # Cancel safety
    /// As [`invoke`](Self::invoke).
    pub async fn send<I: Serialize + Sync + ?Sized>(
        &self,
        data: &I,
    ) -> Result<Payload, OutgoingError> {
        let data = Payload::from_serialize(Codec::Json, data).map_err(|error| {
            OutgoingError::Unsuitable(format!("it has no form in JSON: {error}"))
        })?;
        self.send_payload(data).await
    }

    /// Sends an unparsed value. See [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn send_payload(&self, data: Payload) -> Result<Payload, OutgoingError> {
        match self.call(data.clone()).await {
            Err(OutgoingError::Unsuitable(_)) => {}
            reply => return reply,
        }
        let text = match data.parse::<String>() {
            Ok(text) => text,
            Err(_) => String::from_utf8_lossy(data.bytes()).into_owned(),
        };
        self.connection.send(OutgoingMessage::Text(text)).await?;
        Ok(Payload::null(data.codec()))
    }

    /// Sends bytes to a plain peer.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing.
    pub async fn send_bytes(&self, bytes: Vec<u8>) -> Result<(), OutgoingError> {
        self.connection.send(OutgoingMessage::Binary(bytes)).await
    }
}

impl std::fmt::Debug for Wsx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wsx").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// A service behind a connection, as if it were here: `connection:service`.
pub(crate) struct Remote {
    connection: Box<str>,
    service: Box<str>,
}

impl Remote {
    /// What a name means that is no service's here.
    pub(crate) fn of(name: &str, outgoing: &dyn OutgoingConnections) -> Option<Self> {
        let (connection, service) = name.split_once(':')?;
        outgoing.wsx(connection).filter(|_| !service.is_empty())?;
        Some(Self { connection: connection.into(), service: service.into() })
    }

    /// The name of the connection.
    pub(crate) fn connection(&self) -> &str {
        &self.connection
    }
}

impl PayloadService for Remote {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        Box::pin(async move {
            let reply = ctx.out().wsx(&self.connection)?.invoke_payload(&self.service, input).await;
            Ok(reply?)
        })
    }
}
