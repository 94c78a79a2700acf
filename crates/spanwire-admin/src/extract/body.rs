//! Bodies: their size, their type, and JSON objects from them.

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::json;
use crate::problem::ApiError;

/// The content type of JSON.
pub(crate) const JSON: &str = "application/json";
/// The content type of a JSON merge patch (RFC 7396).
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";

/// Reads a body of at most `limit` bytes and of one of these types. An empty body needs no type.
///
/// # Errors
/// 413 when it is larger, 415 when it is of another type, 400 when it breaks off.
pub(crate) async fn bytes(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    types: &[&str],
) -> Result<Bytes, ApiError> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse::<usize>().ok()).is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let is_coded = headers.get_all(CONTENT_ENCODING).iter().any(|value| value != "identity");
    // HTTP takes chunks apart and knows no other coding.
    let mut transfer = headers.get_all(TRANSFER_ENCODING).iter();
    if is_coded || transfer.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        let detail = "send the body as it is, without Content-Encoding";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let mut read = BytesMut::new();
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| ApiError::bad_request("the body breaks off"))?;
        if chunk.len() > limit - read.len() {
            return Err(too_large(limit));
        }
        read.extend_from_slice(&chunk);
    }
    if !is_empty(&read) && !is_one_of(headers, types) {
        let detail = format!("send the body as {}, in UTF-8", types.join(" or "));
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    Ok(read.freeze())
}

/// Whether a body says nothing.
pub(crate) fn is_empty(body: &[u8]) -> bool {
    body.iter().all(u8::is_ascii_whitespace)
}

/// Reads a JSON object of at most `limit` bytes.
///
/// # Errors
/// As [`bytes()`]; 400 when it is empty or not JSON, 422 when it is not an object.
pub(crate) async fn object(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    types: &[&str],
) -> Result<Map<String, Value>, ApiError> {
    fields(&bytes(headers, body, limit, types).await?)
}

/// Reads a JSON object.
///
/// # Errors
/// As [`object`].
pub(crate) fn fields(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if is_empty(body) {
        return Err(ApiError::bad_request("the body is empty: send a JSON object"));
    }
    match value(body)? {
        Value::Object(map) => Ok(map),
        _ => Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the body must be a JSON object, with keys and values",
        )),
    }
}

/// Reads once more what was found right, to take parts of it as they are written.
///
/// # Errors
/// 400 when it is not of that form.
pub(crate) fn again<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let read = serde_json::from_slice(body);
    read.map_err(|_| ApiError::bad_request("the body has another form than it should have"))
}

/// Reads JSON that says nothing twice.
///
/// # Errors
/// 400 when it is none; the text repeats no value.
pub(crate) fn value(body: &[u8]) -> Result<Value, ApiError> {
    let value = json::parse(body);
    value.map_err(|why| ApiError::bad_request(format!("the body is not JSON: {why}")))
}

fn too_large(limit: usize) -> ApiError {
    let detail = format!("the body is larger than {limit} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

fn is_one_of(headers: &HeaderMap, types: &[&str]) -> bool {
    let mut given = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return false };
    let Ok(value) = value.to_str() else { return false };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let is_utf8 = parts.filter(|part| !part.is_empty()).all(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        !name.eq_ignore_ascii_case("charset")
            || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    is_utf8 && types.iter().any(|known| essence.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_compared_without_their_parameters() {
        for (value, right) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json;charset=\"utf-8\"; x=y;", true),
            ("application/json; charset=latin1", false),
            ("application/jsonx", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, value.parse().unwrap());
            assert_eq!(is_one_of(&headers, &[JSON]), right, "{value}");
            headers.append(CONTENT_TYPE, "application/json".parse().unwrap());
            assert!(!is_one_of(&headers, &[JSON]), "twice");
        }
        assert!(!is_one_of(&HeaderMap::new(), &[JSON]));
    }
}
