//! Outgoing REST: HTTP servers that services call, by the name of a connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use spanwire_protocol::{Codec, Payload, Status};

use super::OutgoingError;
use crate::context::Context;
use crate::service::BoxFuture;

/// An HTTP server, as it is configured.
pub trait OutgoingRest: Send + Sync + 'static {
    /// Makes a request, and again where nothing can have come of it. Whatever the server answers is `Ok`.
    fn request(&self, request: RestRequest) -> BoxFuture<'_, Result<RestAnswer, OutgoingError>>;
}

/// A request to an HTTP server.
#[derive(Clone, Debug)]
pub struct RestRequest {
    /// The method; that of the connection if `None`.
    pub method: Option<String>,
    /// What stands for `{name}` in the path of the connection; the rest becomes the query.
    pub params: Vec<(String, String)>,
    /// The body and its type; the type is that of the connection if `None`.
    pub body: Option<(Option<String>, Bytes)>,
    /// How long it may take, with all attempts.
    pub timeout: Duration,
    /// W3C Trace Context.
    pub traceparent: Option<Arc<str>>,
}

/// What an HTTP server answered.
#[derive(Clone, Debug)]
pub struct RestAnswer {
    /// The status.
    pub status: u16,
    /// The type of the body; empty when the server did not say.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
}

impl RestAnswer {
    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON; an empty one is null.
    ///
    /// # Errors
    /// 502 when it is of another form.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, OutgoingError> {
        let body: &[u8] = if self.body.trim_ascii().is_empty() { b"null" } else { &self.body };
        serde_json::from_slice(body).map_err(|error| OutgoingError::Refused {
            status: Status::BAD_GATEWAY,
            message: format!("the answer is of another form: {error}"),
        })
    }
}

/// A request that a service is about to make.
#[must_use = "nothing is sent before `send`"]
pub struct Rest<'a> {
    pub(super) ctx: &'a Context,
    pub(super) connection: Arc<dyn OutgoingRest>,
    pub(super) request: RestRequest,
    pub(super) problem: Option<OutgoingError>,
}

impl<'a> Rest<'a> {
    pub(super) fn new(ctx: &'a Context, connection: Arc<dyn OutgoingRest>) -> Self {
        let request = RestRequest {
            method: None,
            params: Vec::new(),
            body: None,
            timeout: ctx.remaining(),
            traceparent: ctx.traceparent.clone(),
        };
        Self { ctx, connection, request, problem: None }
    }

    /// With another method than that of the connection.
    pub fn method(mut self, method: &str) -> Self {
        self.request.method = Some(method.to_owned());
        self
    }

    /// With a parameter: of the path, where it has one of this name, otherwise of the query.
    pub fn param(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.request.params.push((name.to_owned(), value.to_string()));
        self
    }

    /// It takes this long at most. It never takes longer than the call that this service answers.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout = timeout.min(self.ctx.remaining());
        self
    }

    /// With a value as JSON.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match Payload::from_serialize(Codec::Json, value) {
            Ok(payload) => {
                let kind = Some("application/json".to_owned());
                self.request.body = Some((kind, payload.bytes().clone()));
            }
            Err(error) => {
                let text = format!("the body has no form in JSON: {error}");
                self.problem = Some(OutgoingError::Unsuitable(text));
            }
        }
        self
    }

    /// With a body as it is, of the type that the connection says.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.request.body = Some((None, body.into()));
        self
    }

    /// Makes the request. Whatever the server answers is `Ok`.
    ///
    /// # Errors
    /// [`OutgoingError::NotConnected`] when nothing was sent, [`OutgoingError::TimedOut`] and [`OutgoingError::Closed`]
    /// when it may have been received, [`OutgoingError::Unsuitable`] when it cannot be sent like this.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the request may have been received.
    pub async fn send(self) -> Result<RestAnswer, OutgoingError> {
        match self.problem {
            Some(problem) => Err(problem),
            None => self.connection.request(self.request).await,
        }
    }
}

impl std::fmt::Debug for Rest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rest").field("method", &self.request.method).finish_non_exhaustive()
    }
}
