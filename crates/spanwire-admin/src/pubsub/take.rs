//! Messages are taken from queues, and acknowledged.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde_json::Value;
use spanwire_protocol::admin::pubsub::{
    Acknowledged, MAX_CONSUMED, MAX_LEASE, MAX_WAIT, MessageInfo,
};

use super::{MAX_BODY, known_queue, object_or_none, port};
use crate::Take;
use crate::app::Shared;
use crate::extract::{self, Call, Fields, JSON, Segment};
use crate::problem::ApiError;

pub(crate) async fn consume(
    State(app): Shared,
    Segment(id): Segment,
    call: Call,
    body: Body,
) -> Result<Json<Vec<MessageInfo>>, ApiError> {
    call.params.only(&[])?;
    let mut fields = Fields::new(object_or_none(&call, body).await?);
    let most = i64::try_from(MAX_CONSUMED).unwrap_or(i64::MAX);
    let limit = fields.number("limit", 1..=most).and_then(|limit| usize::try_from(limit).ok());
    let lease = fields.read("lease", "a number of seconds above 0, at most 86400", true, |value| {
        seconds(&value, MAX_LEASE).filter(|time| !time.is_zero())
    });
    let wait = fields
        .read("wait", "a number of seconds from 0 to 60", true, |value| seconds(&value, MAX_WAIT));
    fields.finish()?;
    let port = port(&app)?;
    let id = known_queue(port, &id)?;
    let take = Take { limit, lease, wait: wait.unwrap_or_default() };
    let stopping = app.backend.stopping();
    // What was taken is given back when the server stops first.
    tokio::select! {
        taken = port.consume(id, take) => Ok(Json(taken?)),
        () = stopping.cancelled() => Ok(Json(Vec::new())),
    }
}

pub(crate) async fn acknowledge(
    State(app): Shared,
    Segment(id): Segment,
    call: Call,
    body: Body,
) -> Result<Json<Acknowledged>, ApiError> {
    call.params.only(&[])?;
    let body = extract::object(&call.headers, body, MAX_BODY, &[JSON]).await?;
    let mut fields = Fields::new(body);
    let ids = fields.read("msg_ids", "1 to 10000 ids of messages", true, ids);
    if ids.is_none() && !fields.is_wrong("msg_ids") {
        fields.wrong("msg_ids", "is missing: add it");
    }
    fields.finish()?;
    let port = port(&app)?;
    let acknowledged = port.acknowledge(known_queue(port, &id)?, ids.unwrap_or_default()).await?;
    Ok(Json(Acknowledged { acknowledged }))
}

fn seconds(value: &Value, most: f64) -> Option<Duration> {
    let seconds = value.as_f64().filter(|seconds| *seconds <= most)?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn ids(value: Value) -> Option<Vec<String>> {
    let Value::Array(items) = value else { return None };
    let is_few = !items.is_empty() && u64::try_from(items.len()).is_ok_and(|it| it <= MAX_CONSUMED);
    let text = |item| match item {
        Value::String(text) => Some(text),
        _ => None,
    };
    items.into_iter().map(text).collect::<Option<_>>().filter(|_| is_few)
}
