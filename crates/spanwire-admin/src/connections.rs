//! Live connections: list, show, ask, disconnect; and the ones that ended.

mod filter;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use spanwire_protocol::admin::{ConnectionInfo, Disconnected, Invoked};
use spanwire_protocol::{CloseCode, ConnectionId};

pub(crate) use self::filter::ATTRIBUTES;
use self::filter::{is_attribute, is_client_attribute};
use crate::app::{App, Shared};
use crate::extract::{self, Call, Fields, Segment, TIMEOUT, timeout};
use crate::page::Page;
use crate::problem::{ApiError, shown};

pub(crate) async fn list(State(app): Shared, call: Call) -> Result<Response, ApiError> {
    let known: Vec<_> = ATTRIBUTES.into_iter().chain(["attr.KEY", "limit", "offset"]).collect();
    call.params.only_if(&known, is_client_attribute)?;
    let page = Page::read(&call.params)?;
    let is_filter = |(key, _): &(&str, &str)| !matches!(*key, "limit" | "offset");
    let filter = call.params.iter().filter(is_filter);
    let filter = filter.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut found = app.backend.connections();
    filter::keep(&mut found, &filter);
    Ok(page.answer(found, |connection| connection, "/api/v1/connections", &call.params))
}

pub(crate) async fn show(
    State(app): Shared,
    Segment(id): Segment,
    call: Call,
) -> Result<Json<ConnectionInfo>, ApiError> {
    call.params.only(&[])?;
    find(&app, &id).map(Json)
}

pub(crate) async fn invoke(
    State(app): Shared,
    Segment(id): Segment,
    call: Call,
    body: Body,
) -> Result<Json<Invoked>, ApiError> {
    call.params.only(&[])?;
    let body = extract::object(&call.headers, body, MAX_REQUEST, &[extract::JSON]).await?;
    let mut fields = Fields::new(body);
    let request = fields.any("request").unwrap_or_default();
    let wait = fields.read("timeout", TIMEOUT, true, |value| timeout(value.as_f64()?));
    fields.finish()?;
    find(&app, &id)?;
    let (id, wait) = (ConnectionId::from_text(id), wait.unwrap_or(DEFAULT_TIMEOUT));
    Ok(Json(app.backend.invoke_connection(id, request, wait).await?))
}

pub(crate) async fn disconnect(
    State(app): Shared,
    Segment(id): Segment,
    call: Call,
) -> Result<StatusCode, ApiError> {
    call.params.only(&["code", "reason"])?;
    let code = call.params.number("code", 1_000..=4_999)?.and_then(close_code);
    if call.params.text("code").is_some() && code.is_none() {
        return Err(ApiError::bad_request(format!("query key 'code': expected {CODE}")));
    }
    let reason = call.params.text("reason").unwrap_or_default();
    if !is_close_reason(reason) {
        return Err(ApiError::bad_request(format!("query key 'reason': expected {REASON}")));
    }
    app.backend.disconnect(&ConnectionId::from_text(id), code, reason)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn disconnect_all(
    State(app): Shared,
    call: Call,
    body: Body,
) -> Result<Json<Disconnected>, ApiError> {
    call.params.only(&[])?;
    let body = extract::object(&call.headers, body, MAX_REQUEST, &[extract::JSON]).await?;
    let mut fields = Fields::new(body);
    let filter = fields.read("filter", "attributes with texts", false, texts).unwrap_or_default();
    if let Some(key) = filter.keys().find(|key| !is_attribute(key)) {
        fields.wrong("filter", unknown(key));
    }
    let all = fields.flag("all");
    if filter.is_empty() && !all && !fields.is_wrong("filter") {
        fields.wrong("filter", "is empty, which means every connection: then set all to true");
    }
    let dry_run = fields.flag("dry_run");
    let code = fields.read("code", CODE, true, |value| close_code(value.as_u64()?));
    let reason = fields.text("reason").unwrap_or_default();
    if !is_close_reason(&reason) {
        fields.wrong("reason", format!("expected {REASON}"));
    }
    fields.finish()?;

    let mut found = app.backend.connections();
    filter::keep(&mut found, &filter);
    let mut ids: Vec<_> = found.into_iter().map(|connection| connection.pub_client_id).collect();
    if !dry_run {
        // What ended by itself meanwhile is not counted.
        ids.retain(|id| app.backend.disconnect(id, code, &reason).is_ok());
    }
    let count = ids.len();
    ids.truncate(MAX_TOLD);
    Ok(Json(Disconnected { dry_run, count, connections: ids }))
}

pub(crate) async fn closed(State(app): Shared, call: Call) -> Result<Response, ApiError> {
    call.params.only(&["ext_client_id", "limit", "offset"])?;
    let page = Page::read(&call.params)?;
    let mut closed = app.backend.closed_connections();
    if let Some(id) = call.params.text("ext_client_id") {
        closed.retain(|connection| connection.ext_client_id == id);
    }
    Ok(page.answer(closed, |connection| connection, "/api/v1/connection-history", &call.params))
}

fn find(app: &App, id: &str) -> Result<ConnectionInfo, ApiError> {
    app.backend.connection(&ConnectionId::from_text(id)).ok_or_else(|| {
        let id = shown(id);
        ApiError::not_found(format!("there is no connection '{id}'; see /api/v1/connections"))
    })
}

fn texts(value: Value) -> Option<BTreeMap<String, String>> {
    let Value::Object(map) = value else { return None };
    let text = |(key, value)| match value {
        Value::String(text) => Some((key, text)),
        _ => None,
    };
    map.into_iter().map(text).collect()
}

fn close_code(code: u64) -> Option<u16> {
    u16::try_from(code).ok().filter(|code| CloseCode(*code).is_sendable())
}

fn is_close_reason(reason: &str) -> bool {
    reason.len() <= MAX_REASON && !reason.contains(char::is_control)
}

fn unknown(key: &str) -> String {
    let known = ATTRIBUTES.join(", ");
    format!("unknown attribute '{}': known are {known}, attr.KEY", shown(key))
}

const CODE: &str = "1000 to 1003, 1007 to 1013 or 3000 to 4999";
const REASON: &str = "at most 123 bytes without control characters";
/// The longest close reason, in bytes.
pub(crate) const MAX_REASON: usize = 123;
const MAX_REQUEST: usize = 1024 * 1024;
const MAX_TOLD: usize = 1_000;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
