//! REST channels (outconn-and-platform 4.1, 4.2): a path, a method, a service.

mod cors;
mod credentials;
mod handler;
mod input;
mod path;

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use spanwire_protocol::limits::DEFAULT_MAX_MESSAGE_SIZE;

pub use cors::CorsPolicy;
pub use credentials::Credentials;
pub(crate) use handler::handle;
pub use path::{PathPattern, PathPatternError};

/// One REST channel.
#[derive(Clone, Debug)]
pub struct RestChannel {
    /// Its name.
    pub name: Arc<str>,
    /// The paths it answers, with `{parameters}`.
    pub path: PathPattern,
    /// The method it answers; `None` is any.
    pub method: Option<Method>,
    /// The service it calls.
    pub service: Arc<str>,
    /// How bodies are read and written.
    pub data_format: DataFormat,
    /// How errors are written.
    pub errors: ErrorBody,
    /// How callers authenticate themselves.
    pub security: Security,
    /// The security definition they are checked against; none without security.
    pub security_name: Option<Arc<str>>,
    /// Whether parameters of the path and the query become input fields; yes.
    pub merge_params: bool,
    /// Whether a parameter of the path wins over one of the query; no.
    pub path_over_query: bool,
    /// Whether a field of the message wins over a parameter; no.
    pub message_over_params: bool,
    /// How long a call may take; 30 s.
    pub timeout: Duration,
    /// How long a body may take to arrive; 30 s.
    pub body_timeout: Duration,
    /// The greatest body, in bytes; 16 MiB.
    pub max_body_size: usize,
    /// Which browsers of other origins may call.
    pub cors: CorsPolicy,
    /// Whether the channel serves; an inactive one answers 404.
    pub is_active: bool,
}

impl RestChannel {
    /// A JSON channel for any method, without security.
    #[must_use]
    pub fn new(name: &str, path: PathPattern, service: &str) -> Self {
        Self {
            name: name.into(),
            path,
            method: None,
            service: service.into(),
            data_format: DataFormat::Json,
            errors: ErrorBody::Flat,
            security: Security::None,
            security_name: None,
            merge_params: true,
            path_over_query: false,
            message_over_params: false,
            timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            max_body_size: DEFAULT_MAX_MESSAGE_SIZE,
            cors: CorsPolicy::default(),
            is_active: true,
        }
    }
}

/// How bodies are read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataFormat {
    /// JSON in, JSON out, JSON errors.
    #[default]
    Json,
    /// The body is a text, handed on as a JSON string; a result that is a string is answered as text.
    Raw,
}

/// The body of errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorBody {
    /// `{"result": "Error", "cid": …, "details": …}`.
    #[default]
    Flat,
    /// `{"zato_env": {"result": "ZATO_ERROR", "cid": …, "details": …}}`, as clients of release 3.0 expect it.
    ZatoEnv,
}

/// How callers authenticate themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    #[default]
    None,
    /// HTTP Basic Auth (RFC 7617).
    Basic {
        /// Shown by browsers.
        realm: String,
    },
    /// HTTP Basic Auth with whatever credentials the host knows; the service decides what they are good for. A refusal
    /// is 403 and says nothing more.
    AnyBasic,
    /// A key in a header.
    ApiKey {
        /// The header's name.
        header: String,
    },
}
