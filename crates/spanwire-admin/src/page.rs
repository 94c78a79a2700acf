//! Lists in pages: `limit` and `offset`, with `X-Total-Count` and a `Link` to the next page.

use std::fmt::Write as _;

use axum::Json;
use axum::http::header::{HeaderMap, HeaderName, HeaderValue, LINK};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::extract::{Params, encode};
use crate::problem::ApiError;

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    limit: usize,
    offset: usize,
}

impl Page {
    /// Reads `limit` and `offset`.
    ///
    /// # Errors
    /// 400 when one is out of its bounds.
    pub(crate) fn read(params: &Params) -> Result<Self, ApiError> {
        let limit = params.number("limit", 1..=MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
        let offset = params.number("offset", 0..=MAX_OFFSET)?.unwrap_or_default();
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Self { limit: size(limit), offset: size(offset) })
    }

    /// Answers with this page of `all`, made by `show`; `path` is that of the list.
    pub(crate) fn answer<T, U: Serialize>(
        self,
        all: Vec<T>,
        show: impl FnMut(T) -> U,
        path: &str,
        params: &Params,
    ) -> Response {
        let total = all.len();
        let shown: Vec<_> = all.into_iter().skip(self.offset).take(self.limit).map(show).collect();
        let mut headers = HeaderMap::new();
        headers.insert(TOTAL, HeaderValue::from(total));
        let next = self.offset.saturating_add(shown.len());
        if next < total && !shown.is_empty() {
            headers.extend(link(path, params, "offset", &next.to_string()));
        }
        (headers, Json(shown)).into_response()
    }
}

/// A link to the next page, where `key` has another value.
pub(crate) fn link(
    path: &str,
    params: &Params,
    key: &str,
    value: &str,
) -> Option<(HeaderName, HeaderValue)> {
    let mut link = format!("<{path}?");
    for (known, value) in params.iter().filter(|(known, _)| *known != key) {
        let _ = write!(link, "{}={}&", encode(known), encode(value));
    }
    let _ = write!(link, "{key}={value}>; rel=\"next\"");
    Some((LINK, HeaderValue::try_from(link).ok()?))
}

/// How many there are on all pages.
const TOTAL: HeaderName = HeaderName::from_static("x-total-count");
/// How many items a page has when nobody says otherwise.
pub(crate) const DEFAULT_LIMIT: u64 = 1_000;
/// How many items a page has at most.
pub(crate) const MAX_LIMIT: u64 = 10_000;
/// The greatest offset.
pub(crate) const MAX_OFFSET: u64 = 1_000_000_000;
