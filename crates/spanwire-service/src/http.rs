//! Services that are an HTTP endpoint elsewhere (DESIGN 7).
//!
//! The endpoint gets the request as a JSON body and the `X-Spanwire-*` headers and `traceparent`. A 2xx answer's JSON
//! body is the reply, an empty one is null. 400, 401, 403, 404, 405, 409, 422 and 429 pass through with the body's
//! `error`, `details` or `message` as text; any other answer is 502, no connection 503, past the deadline 504.

mod client;
mod headers;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::uri::InvalidUri;
use hyper::{Method, Request, Uri};
use serde::Deserialize;
use spanwire_crypto::Secret;
use spanwire_protocol::{Codec, Payload, Status};
use thiserror::Error;

pub use client::HttpClient;

use crate::context::Context;
use crate::error::ServiceError;
use crate::service::{BoxFuture, PayloadService};

/// How a service authenticates itself to its endpoint.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// HTTP Basic Auth (RFC 7617).
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A key in a header of its own.
    ApiKey {
        /// The header's name.
        header: String,
        /// The key.
        key: Secret,
    },
}

impl Credentials {
    /// The header that presents them; `None` when they cannot be sent in one.
    #[must_use]
    pub fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        headers::authorization(self)
    }
}

/// Where a service is, and how it is called.
#[derive(Clone, Debug)]
pub struct HttpService {
    client: HttpClient,
    url: Uri,
    method: Method,
    timeout: Duration,
    credentials: Option<Credentials>,
}

/// Why the definition of an HTTP-backed service is unusable.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpServiceError {
    /// Not an absolute `http://` or `https://` URL.
    #[error("the URL must be absolute and start with http:// or https://")]
    Url(#[source] Option<InvalidUri>),
    /// Not an HTTP method.
    #[error("`{0}` is no HTTP method; use POST, PUT, PATCH, GET or DELETE")]
    Method(String),
    /// A file of certificates could not be used.
    #[error("the file of CA certificates {path} cannot be used: {problem}")]
    CaFile {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The name or the key of an API key cannot be sent in a header.
    #[error(
        "the header of an API key must be a valid header name, and the key must be printable ASCII"
    )]
    Header,
}

impl HttpService {
    /// A service at `url`, called with `method` for at most `timeout` (and never past the caller's deadline).
    ///
    /// # Errors
    /// When the URL is not absolute or the method is none.
    pub fn new(
        client: HttpClient,
        url: &str,
        method: &str,
        timeout: Duration,
        credentials: Option<Credentials>,
    ) -> Result<Self, HttpServiceError> {
        let url: Uri = url.parse().map_err(|e| HttpServiceError::Url(Some(e)))?;
        if !matches!(url.scheme_str(), Some("http" | "https"))
            || url.host().is_none_or(str::is_empty)
        {
            return Err(HttpServiceError::Url(None));
        }
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| HttpServiceError::Method(method.to_owned()))?;
        if let Some(credentials) = &credentials {
            headers::authorization(credentials).ok_or(HttpServiceError::Header)?;
        }
        Ok(Self { client, url, method, timeout, credentials })
    }

    async fn forward(&self, ctx: Context, input: Payload) -> Result<Payload, ServiceError> {
        let codec = input.codec();
        let body = input.into_codec(Codec::Json)?;
        let timeout = self.timeout.min(ctx.remaining());
        let mut request = Request::builder().method(self.method.clone()).uri(self.url.clone());
        if let Some(headers) = request.headers_mut() {
            headers::describe(headers, &ctx, timeout);
            if let Some((name, value)) = self.credentials.as_ref().and_then(headers::authorization)
            {
                headers.insert(name, value);
            }
        }
        let request = request.body(body.bytes().clone()).map_err(ServiceError::internal)?;
        let answer = tokio::time::timeout(timeout, self.client.send(request)).await;
        let (status, body) = answer.map_err(|_| ServiceError::timed_out())??;
        if status.is_success() {
            read_reply(body)?.into_codec(codec).map_err(ServiceError::internal)
        } else {
            Err(refusal(Status(status.as_u16()), &body))
        }
    }
}

impl PayloadService for HttpService {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        Box::pin(self.forward(ctx, input))
    }
}

fn read_reply(body: Bytes) -> Result<Payload, ServiceError> {
    if body.trim_ascii().is_empty() {
        return Ok(Payload::null(Codec::Json));
    }
    Payload::from_json(body).map_err(|e| bad_gateway().with_source(e))
}

fn refusal(status: Status, body: &[u8]) -> ServiceError {
    match status.0 {
        400 | 401 | 403 | 404 | 405 | 409 | 422 | 429 => match reason(body) {
            Some(text) => ServiceError::new(status, text),
            None => ServiceError::new(status, status.default_text()),
        },
        other => bad_gateway().with_source(format!("the endpoint answered {other}")),
    }
}

/// The text a refusing endpoint gave, cut to what is worth passing on.
fn reason(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: Option<serde_json::Value>,
        details: Option<serde_json::Value>,
        message: Option<serde_json::Value>,
    }
    let Refusal { error, details, message } = serde_json::from_slice(body).ok()?;
    let text = [error, details, message].into_iter().flatten().find_map(|value| match value {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    })?;
    Some(text.chars().take(MAX_REASON).collect())
}

pub(crate) fn bad_gateway() -> ServiceError {
    ServiceError::new(Status::BAD_GATEWAY, Status::BAD_GATEWAY.default_text())
}

/// How many characters of an endpoint's explanation are passed on.
const MAX_REASON: usize = 1000;
