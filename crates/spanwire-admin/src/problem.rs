//! Errors of the API as problem details (RFC 9457).
//!
//! **Invariant:** a text repeats at most 80 characters of what was sent, without control characters, and no secret.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use spanwire_config::EditError;
use spanwire_config::store::ConfigStoreError;
use spanwire_protocol::admin::{FieldProblem, Problem};

use crate::Failure;

/// An error with its status and what to do.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldProblem>,
    cid: Option<String>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), cid: None }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn precondition(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    pub(crate) fn unauthorized() -> Self {
        let detail = "send the content of admin.token as a bearer token: Authorization: Bearer …";
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// What a body says is wrong; there is at least one mistake.
    pub(crate) fn invalid(errors: Vec<FieldProblem>) -> Self {
        let detail = match errors.as_slice() {
            [only] => only.to_string(),
            [first, rest @ ..] => format!("{first}; and {} more mistakes", rest.len()),
            [] => String::new(),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// One field of a body is wrong.
    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![field_problem(field, message)])
    }

    /// Something of ours failed; the log says more.
    pub(crate) fn internal(detail: &'static str) -> Self {
        tracing::error!(detail, "the admin API failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }
}

/// A mistake in one field of a body.
pub(crate) fn field_problem(field: &str, message: impl Into<String>) -> FieldProblem {
    let (field, message) = (Some(field.to_owned()), message.into());
    FieldProblem { field, message, ..FieldProblem::default() }
}

impl From<EditError> for ApiError {
    fn from(error: EditError) -> Self {
        let status = match &error {
            EditError::NotFound { .. } | EditError::NoVersion(_) => StatusCode::NOT_FOUND,
            EditError::Exists { .. }
            | EditError::InUse(_)
            | EditError::ChangedSince { .. }
            | EditError::Store(ConfigStoreError::Conflict) => StatusCode::CONFLICT,
            EditError::Version { .. } => StatusCode::PRECONDITION_FAILED,
            EditError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            EditError::Secret => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        if status.is_server_error() {
            tracing::error!(%error, "the configuration cannot be read or changed");
        }
        match error {
            EditError::Invalid(problems) => Self::invalid(field_problems(problems)),
            EditError::InUse(problems) => {
                let detail = "it is in use, so nothing was deleted";
                Self { errors: field_problems(problems), ..Self::new(status, detail) }
            }
            EditError::NotFound { kind, name } => {
                Self::new(status, format!("there is no {kind} '{}'", shown(&name)))
            }
            EditError::Exists { kind, name } => {
                let name = shown(&name);
                let advice = "edit that one, or choose another name";
                Self::new(status, format!("there is a {kind} '{name}' already: {advice}"))
            }
            EditError::Version { kind, name, expected, actual } => {
                let name = shown(&name);
                let detail = format!(
                    "{kind} '{name}' has version {actual}, not {expected}: look at it again \
                     before changing it"
                );
                Self::new(status, detail)
            }
            EditError::ChangedSince { revision, kind, name } => {
                let name = shown(&name);
                let detail = format!(
                    "{kind} '{name}' was changed after revision {revision}: go back to one of its \
                     versions instead"
                );
                Self::new(status, detail)
            }
            EditError::NoVersion(what) => {
                Self::new(status, format!("there is no {}: see the history", shown(&what)))
            }
            other => Self::new(status, other.to_string()),
        }
    }
}

/// Mistakes as the API tells them.
pub(crate) fn field_problems(problems: Vec<spanwire_config::Problem>) -> Vec<FieldProblem> {
    let one = |problem: spanwire_config::Problem| FieldProblem {
        file: problem.file,
        line: problem.line,
        kind: problem.kind.map(|kind| kind.as_str().to_owned()),
        name: problem.name,
        field: problem.field,
        message: problem.message,
    };
    problems.into_iter().map(one).collect()
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let Failure { status, message, cid } = failure;
        let is_error = |status: &StatusCode| status.is_client_error() || status.is_server_error();
        let status = StatusCode::from_u16(status).ok().filter(is_error);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { cid, ..Self::new(status, message) }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error").to_owned();
        let Self { status, detail, mut errors, cid } = self;
        let detail = plain(detail);
        for FieldProblem { file, kind, name, field, message, .. } in &mut errors {
            for text in [file, kind, name, field].into_iter().flatten().chain([message]) {
                *text = plain(std::mem::take(text));
            }
        }
        let problem = Problem { title, status: status.as_u16(), detail, errors, cid };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A text of whatever made it, of which a reader's terminal and log are sure.
fn plain(text: String) -> String {
    let is_plain = !text.contains(char::is_control) && text.len() <= MAX_TEXT;
    if is_plain {
        return text;
    }
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut plain: String = text.chars().take(MAX_TEXT).map(clean).collect();
    if text.chars().nth(MAX_TEXT).is_some() {
        plain.push('…');
    }
    plain
}

/// A piece of what was sent as it may be shown: no control characters, not too long.
pub(crate) fn shown(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut shown: String = text.chars().take(MAX_SHOWN).map(clean).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

const MAX_SHOWN: usize = 80;
/// The longest text, in characters: paths of files are among them.
const MAX_TEXT: usize = 4_000;
