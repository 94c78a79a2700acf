//! Subscriptions with their queues as they stand.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use spanwire_protocol::admin::pubsub::{Cleared, QueueInfo, Requeued};

use super::{known_queue, no_queue, object_or_none, port};
use crate::app::Shared;
use crate::extract::{Call, Fields, Segment};
use crate::page::Page;
use crate::problem::ApiError;

pub(crate) async fn queues(State(app): Shared, call: Call) -> Result<Response, ApiError> {
    let params = &call.params;
    let known = ["topic_name", "endpoint_name", "with_dead", REVEAL, "limit", "offset"];
    params.only(&known)?;
    let page = Page::read(params)?;
    let (with_dead, reveal) = (params.flag("with_dead")?, params.flag(REVEAL)?);
    let mut queues = port(&app)?.queues(params.text("topic_name"));
    if let Some(name) = params.text("endpoint_name") {
        queues.retain(|queue| queue.endpoint_name == name);
    }
    if with_dead {
        queues.retain(|queue| queue.dead > 0);
    }
    Ok(page.answer(queues, |queue| shown(queue, reveal), "/api/v1/pubsub/queues", params))
}

pub(crate) async fn queue(
    State(app): Shared,
    Segment(id): Segment,
    call: Call,
) -> Result<Json<QueueInfo>, ApiError> {
    call.params.only(&[REVEAL])?;
    let reveal = call.params.flag(REVEAL)?;
    let port = port(&app)?;
    let found = port.queue(known_queue(port, &id)?).ok_or_else(|| no_queue(&id))?;
    Ok(Json(shown(found, reveal)))
}

pub(crate) async fn remove_queue(
    State(app): Shared,
    Segment(id): Segment,
    call: Call,
) -> Result<StatusCode, ApiError> {
    call.params.only(&[])?;
    let port = port(&app)?;
    port.remove_queue(known_queue(port, &id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn clear_queue(
    State(app): Shared,
    Segment(id): Segment,
    call: Call,
) -> Result<Json<Cleared>, ApiError> {
    call.params.only(&[])?;
    let port = port(&app)?;
    Ok(Json(Cleared { cleared: port.clear_queue(known_queue(port, &id)?).await? }))
}

pub(crate) async fn requeue(
    State(app): Shared,
    Segment(id): Segment,
    call: Call,
    body: Body,
) -> Result<Json<Requeued>, ApiError> {
    call.params.only(&[])?;
    let mut fields = Fields::new(object_or_none(&call, body).await?);
    let message = fields.name("msg_id");
    fields.finish()?;
    let port = port(&app)?;
    Ok(Json(Requeued { requeued: port.requeue(known_queue(port, &id)?, message).await? }))
}

fn shown(queue: QueueInfo, reveal: bool) -> QueueInfo {
    if reveal { queue } else { queue.masked() }
}

/// Shows keys of subscriptions in full.
const REVEAL: &str = "reveal_secrets";
