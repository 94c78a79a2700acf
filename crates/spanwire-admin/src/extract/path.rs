//! Segments of paths, percent-decoded one by one: `%2Fa%2Fb` is the name `/a/b`, and `..` is a name like any other.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use spanwire_config::Kind;

use crate::problem::{ApiError, shown};

/// The only variable segment of a path.
pub(crate) struct Segment(pub(crate) String);

/// Both variable segments of a path.
pub(crate) struct Segments(pub(crate) String, pub(crate) String);

/// The kind in `/objects/{kind}`.
pub(crate) struct OfKind(pub(crate) Kind);

/// The object in `/objects/{kind}/{name}`.
pub(crate) struct Named {
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(Self(segments(parts, state).await?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let (one, other) = segments(parts, state).await?;
        Ok(Self(one, other))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfKind {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let kind: String = segments(parts, state).await?;
        Ok(Self(known(&kind)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let (kind, name): (String, String) = segments(parts, state).await?;
        Ok(Self { kind: known(&kind)?, name })
    }
}

async fn segments<S, T>(parts: &mut Parts, state: &S) -> Result<T, ApiError>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    let path = Path::<T>::from_request_parts(parts, state).await;
    let Path(segments) = path.map_err(|_| ApiError::bad_request("the path is not UTF-8"))?;
    Ok(segments)
}

/// The kind of a word; older words of files are none here.
///
/// # Errors
/// 404, naming the kinds.
fn known(word: &str) -> Result<Kind, ApiError> {
    kind(word).ok_or_else(|| {
        let kinds = Kind::ALL.map(Kind::as_str).join(", ");
        ApiError::not_found(format!("there is no kind '{}': known are {kinds}", shown(word)))
    })
}

/// The kind of a word; older words of files are none here.
pub(crate) fn kind(word: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
}

/// A name as a segment of a path or as a part of a query.
pub(crate) fn encode(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, SEGMENT)
}

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
