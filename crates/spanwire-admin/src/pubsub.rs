//! Publish/subscribe: what topics and queues hold, and what an operator does with it.
//!
//! **Invariant:** the key of a subscription leaves in full only for whoever subscribed just now, or asked for secrets.

mod messages;
mod queues;
mod take;
mod topics;
mod wishes;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value};
use spanwire_protocol::admin::pubsub::{CleanUp, Cleaned, Compacted, PubSubInfo};

pub(crate) use self::messages::{
    DEFAULT_LIMIT, MAX_LIMIT, delete_from_queue, delete_from_topic, edit, queue_message,
    queue_messages, topic_message, topic_messages,
};
pub(crate) use self::queues::{clear_queue, queue, queues, remove_queue, requeue};
pub(crate) use self::take::{acknowledge, consume};
pub(crate) use self::topics::{clear_topic, topic, topics};
pub(crate) use self::wishes::{publish, subscribe};
use crate::app::{App, Shared};
use crate::extract::{self, Call, Fields, JSON};
use crate::problem::{ApiError, shown};
use crate::{Place, PubSubBackend};

pub(crate) async fn totals(State(app): Shared, call: Call) -> Result<Json<PubSubInfo>, ApiError> {
    call.params.only(&[])?;
    Ok(Json(port(&app)?.totals()))
}

pub(crate) async fn compact(State(app): Shared, call: Call) -> Result<Json<Compacted>, ApiError> {
    call.params.only(&[])?;
    Ok(Json(Compacted { disk_bytes: port(&app)?.compact().await? }))
}

pub(crate) async fn clean_up(
    State(app): Shared,
    call: Call,
    body: Body,
) -> Result<Json<Cleaned>, ApiError> {
    call.params.only(&[])?;
    let mut fields = Fields::new(object_or_none(&call, body).await?);
    let mut wanted = |key| {
        let read = |value: Value| value.as_bool();
        fields.read(key, "true or false", false, read).unwrap_or(true)
    };
    let what = CleanUp { messages: wanted("messages"), subscriptions: wanted("subscriptions") };
    fields.finish()?;
    Ok(Json(port(&app)?.clean_up(what).await?))
}

/// An object, which may be left out.
async fn object_or_none(call: &Call, body: Body) -> Result<Map<String, Value>, ApiError> {
    let body = extract::bytes(&call.headers, body, MAX_BODY, &[JSON]).await?;
    if extract::is_empty(&body) { Ok(Map::new()) } else { extract::fields(&body) }
}

/// Publish/subscribe of the server.
///
/// # Errors
/// 503 when it has none.
fn port(app: &App) -> Result<&dyn PubSubBackend, ApiError> {
    app.backend.pubsub().ok_or_else(|| {
        let detail = "publish/subscribe does not run on this server";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })
}

/// The number of a queue, which must be there.
///
/// # Errors
/// 404 when it is not.
fn known_queue(port: &dyn PubSubBackend, text: &str) -> Result<u64, ApiError> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = text.parse().ok().filter(|_| is_plain);
    id.filter(|id| port.queue(*id).is_some()).ok_or_else(|| no_queue(text))
}

fn no_queue(text: &str) -> ApiError {
    let text = shown(text);
    ApiError::not_found(format!("there is no queue {text}; see /api/v1/pubsub/queues"))
}

fn no_topic(name: &str) -> ApiError {
    let name = shown(name);
    ApiError::not_found(format!("there is no topic '{name}'; see /api/v1/pubsub/topics"))
}

/// The topic, which must be there.
///
/// # Errors
/// 404 when it is not.
fn known_topic(port: &dyn PubSubBackend, name: String) -> Result<Place, ApiError> {
    match port.topic(&name) {
        Some(_) => Ok(Place::Topic(name)),
        None => Err(no_topic(&name)),
    }
}

/// The largest body without contents of messages.
const MAX_BODY: usize = 1024 * 1024;
/// The largest body with contents of messages, as on channels.
const MAX_CONTENT: usize = 16 * 1024 * 1024;
