//! Statuses and the fixed texts that go with them (wsx-protocol 2.6).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A status with HTTP's meaning, as in `meta.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Status(pub u16);

impl Status {
    /// 200: done. Existing clients take exactly this value as success.
    pub const OK: Self = Self(200);
    /// 400: the input is wrong.
    pub const BAD_REQUEST: Self = Self(400);
    /// 401: no valid credentials.
    pub const UNAUTHORIZED: Self = Self(401);
    /// 403: not allowed.
    pub const FORBIDDEN: Self = Self(403);
    /// 404: there is no such thing.
    pub const NOT_FOUND: Self = Self(404);
    /// 405: not with this method.
    pub const METHOD_NOT_ALLOWED: Self = Self(405);
    /// 409: in conflict with the current state.
    pub const CONFLICT: Self = Self(409);
    /// 413: larger than the limit.
    pub const PAYLOAD_TOO_LARGE: Self = Self(413);
    /// 422: understood and still not acceptable.
    pub const UNPROCESSABLE: Self = Self(422);
    /// 429: too many requests.
    pub const TOO_MANY_REQUESTS: Self = Self(429);
    /// 500: a defect on the server's side.
    pub const INTERNAL: Self = Self(500);
    /// 502: a system behind the server answered wrongly.
    pub const BAD_GATEWAY: Self = Self(502);
    /// 503: not at this moment.
    pub const UNAVAILABLE: Self = Self(503);
    /// 504: the deadline passed.
    pub const TIMEOUT: Self = Self(504);

    /// The text a status has when nobody gave a better one.
    #[must_use]
    pub fn default_text(self) -> &'static str {
        match self.0 {
            200 => "OK",
            400 => BAD_REQUEST,
            401 => "You are not authenticated",
            403 => NOT_ALLOWED,
            404 => "Not found",
            405 => "Method not allowed",
            409 => "Conflict",
            413 => "Payload too large",
            422 => "Unprocessable input",
            429 => "Too many requests",
            502 => "Bad gateway",
            503 => "Service unavailable",
            504 => "The service did not answer in time",
            _ => INTERNAL_ERROR,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `data` of a session-level refusal.
pub const FORBIDDEN_DATA: &str = "You are not authorized to access this resource";
/// `error_message` of a refused call.
pub const NOT_ALLOWED: &str = "You are not allowed to access this resource";
/// `error_message` of a message that cannot be processed.
pub const BAD_REQUEST: &str = "Bad request";
/// `error_message` of any failure that is not the caller's business.
pub const INTERNAL_ERROR: &str = "Internal server error";
/// `error_message` of missing or invalid declared input.
pub const IO_PROCESSING_ERROR: &str = "I/O processing error";
