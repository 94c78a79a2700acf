//! Which browsers of other origins may call a channel (the Fetch standard, CORS).

use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use hyper::{HeaderMap, Method, Response, StatusCode};

use crate::transport::{Body, response};

/// An allow-list of origins. Without entries no header is ever sent, and browsers keep other origins out.
#[derive(Clone, Debug, Default)]
pub struct CorsPolicy {
    origins: Vec<String>,
}

impl CorsPolicy {
    /// Allows these origins, such as `https://app.example.com`. `*` allows all, and then without credentials.
    #[must_use]
    pub fn new(origins: impl IntoIterator<Item = String>) -> Self {
        Self { origins: origins.into_iter().map(|origin| origin.to_ascii_lowercase()).collect() }
    }

    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        let text = origin.to_str().ok()?.to_ascii_lowercase();
        if self.origins.contains(&text) {
            Some(origin.clone())
        } else {
            self.origins.iter().any(|o| o == "*").then(|| HeaderValue::from_static("*"))
        }
    }

    /// Adds to a response what lets the page that asked read it.
    pub(super) fn apply(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        answer.append(VARY, HeaderValue::from_static("Origin"));
        let Some(allowed) = self.allowed(request) else { return };
        if allowed != "*" {
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("X-Zato-CID"));
    }

    /// Answers a preflight for a channel of this method; `None` when the page may not call.
    pub(super) fn preflight(
        &self,
        request: &HeaderMap,
        method: Option<&Method>,
    ) -> Option<Response<Body>> {
        self.allowed(request)?;
        let asked = request.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        if method.is_some_and(|method| method.as_str().as_bytes() != asked.as_bytes()) {
            return None;
        }
        let mut answer = response::empty(StatusCode::NO_CONTENT);
        let headers = answer.headers_mut();
        self.apply(request, headers);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, asked.clone());
        if let Some(asked) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Some(answer)
    }
}

/// Whether a request only asks what it may do.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
