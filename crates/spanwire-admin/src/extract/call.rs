//! What every handler wants to know of a request.

use std::net::SocketAddr;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use spanwire_config::Author;

use super::query::Params;
use crate::Caller;
use crate::author::author;
use crate::problem::ApiError;

/// A request without its path and body.
pub(crate) struct Call {
    pub(crate) params: Params,
    pub(crate) headers: HeaderMap,
    caller: Caller,
    peer: Option<SocketAddr>,
}

impl Call {
    /// Who calls.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Who wants a change, and why.
    ///
    /// # Errors
    /// 400 when the reason is not one.
    pub(crate) fn author(&self) -> Result<Author, ApiError> {
        author(&self.caller, self.peer, &self.headers, self.params.text("reason"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // The middleware put it there.
        let caller = parts.extensions.get::<Caller>().cloned();
        Ok(Self {
            params: Params::parse(parts.uri.query().unwrap_or_default())?,
            headers: parts.headers.clone(),
            caller: caller.ok_or_else(ApiError::unauthorized)?,
            peer: parts.extensions.get().copied(),
        })
    }
}
