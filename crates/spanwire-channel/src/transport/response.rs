//! Small HTTP responses.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as BodyTrait, Frame, SizeHint};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

/// The body of a response.
#[derive(Debug)]
pub struct Body(Content);

enum Content {
    Whole(Full<Bytes>),
    Stream(Pin<Box<dyn BodyTrait<Data = Bytes, Error = Broken> + Send>>),
}

/// A streamed body ended before its end; the connection ends with it.
#[derive(Debug, thiserror::Error)]
#[error("the body ended before its end")]
pub struct Broken;

impl Body {
    /// A body that is in memory.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(Content::Whole(Full::new(bytes.into())))
    }

    /// A body that is sent as it comes into being.
    #[must_use]
    pub fn stream<B>(body: B) -> Self
    where
        B: BodyTrait<Data = Bytes> + Send + 'static,
    {
        Self(Content::Stream(Box::pin(body.map_err(|_| Broken))))
    }
}

impl Default for Body {
    /// No body.
    fn default() -> Self {
        Self::new(Bytes::new())
    }
}

impl BodyTrait for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.get_mut().0 {
            Content::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Content::Stream(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Whole(body) => body.is_end_stream(),
            Content::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole(body) => body.size_hint(),
            Content::Stream(body) => body.size_hint(),
        }
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Stream(_) => "Stream",
        })
    }
}

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
