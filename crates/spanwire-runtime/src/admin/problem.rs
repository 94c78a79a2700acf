//! Errors of the admin API as problem details (RFC 9457).

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use spanwire_protocol::admin::Problem;
use spanwire_service::{ConnectionError, ServiceError};

/// An error with its status and what to do.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    detail: String,
    cid: Option<String>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), cid: None }
    }

    pub(super) fn unauthorized() -> Self {
        let detail = "send the content of admin.token as a bearer token: Authorization: Bearer …";
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// A service failed; its correlation id finds it in the log.
    pub(super) fn service(error: ServiceError, cid: Option<String>) -> Self {
        let status =
            StatusCode::from_u16(error.status().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, detail: error.into_message(), cid }
    }
}

impl From<ConnectionError> for ApiError {
    fn from(error: ConnectionError) -> Self {
        Self::service(error.into(), None)
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error").to_owned();
        let problem = Problem {
            title,
            status: self.status.as_u16(),
            detail: self.detail,
            cid: self.cid,
            ..Problem::default()
        };
        let mut response = (self.status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
