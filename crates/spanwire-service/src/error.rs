//! Failures of services: what the caller is told, and what only the log is told.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use spanwire_protocol::{PayloadError, Status};

/// A failure with a status and a text for the caller.
///
/// The statuses are those of outconn-and-platform 5.5: 400, 401, 403, 404, 405, 409, 422, 429, 500, 502, 503, 504. The
/// `source` goes to the log and never to the caller.
#[derive(Debug)]
pub struct ServiceError {
    status: Status,
    message: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ServiceError {
    /// A failure whose text the caller may read.
    #[must_use]
    pub fn new(status: Status, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), source: None }
    }

    /// 400: the input is wrong, and how.
    #[must_use]
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::BAD_REQUEST, message)
    }

    /// 403: the caller may not do this.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::new(Status::FORBIDDEN, Status::FORBIDDEN.default_text())
    }

    /// 404: there is no such thing, and which.
    #[must_use]
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::NOT_FOUND, message)
    }

    /// 500: something failed that is not the caller's business. The caller reads a fixed text.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Status::INTERNAL, Status::INTERNAL.default_text()).with_source(source)
    }

    /// 504: the deadline passed.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::new(Status::TIMEOUT, Status::TIMEOUT.default_text())
    }

    /// 400 with the fixed text of wsx-protocol 2.6: declared input is missing or of the wrong type.
    #[must_use]
    pub fn input(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Status::BAD_REQUEST, spanwire_protocol::status::IO_PROCESSING_ERROR)
            .with_source(source)
    }

    /// With a cause for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The status the caller sees.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The text the caller sees.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Gives the text away.
    #[must_use]
    pub fn into_message(self) -> String {
        self.message.into_owned()
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.message)
    }
}

impl Error for ServiceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl From<PayloadError> for ServiceError {
    fn from(error: PayloadError) -> Self {
        Self::input(error)
    }
}
