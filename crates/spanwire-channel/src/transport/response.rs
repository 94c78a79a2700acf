//! Small HTTP responses.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

/// The body of every response of this crate: whole, in memory.
pub type Body = Full<Bytes>;

/// A response with a JSON body.
#[must_use]
pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    typed(status, "application/json", body)
}

/// A response with a text body.
#[must_use]
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    typed(status, "text/plain; charset=utf-8", body)
}

/// A response without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    response
}

/// `{"error": …}`, the shape of handshake refusals (wsx-protocol 1.2).
#[must_use]
pub fn error(status: StatusCode, text: &str) -> Response<Body> {
    json(status, serde_json::json!({ "error": text }).to_string())
}

/// The same, and the connection ends with it.
#[must_use]
pub fn last(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = error(status, text);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
