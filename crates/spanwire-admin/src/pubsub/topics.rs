//! Topics as they stand.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use spanwire_protocol::admin::pubsub::{Cleared, TopicInfo};

use super::{known_topic, no_topic, port};
use crate::app::Shared;
use crate::extract::{Call, Segment};
use crate::page::Page;
use crate::problem::ApiError;

pub(crate) async fn topics(State(app): Shared, call: Call) -> Result<Response, ApiError> {
    call.params.only(&["q", "limit", "offset"])?;
    let page = Page::read(&call.params)?;
    let mut topics = port(&app)?.topics();
    if let Some(part) = call.params.text("q") {
        let part = part.to_lowercase();
        topics.retain(|topic| topic.name.to_lowercase().contains(&part));
    }
    Ok(page.answer(topics, |topic| topic, "/api/v1/pubsub/topics", &call.params))
}

pub(crate) async fn topic(
    State(app): Shared,
    Segment(name): Segment,
    call: Call,
) -> Result<Json<TopicInfo>, ApiError> {
    call.params.only(&[])?;
    port(&app)?.topic(&name).map(Json).ok_or_else(|| no_topic(&name))
}

pub(crate) async fn clear_topic(
    State(app): Shared,
    Segment(name): Segment,
    call: Call,
) -> Result<Json<Cleared>, ApiError> {
    call.params.only(&[])?;
    let port = port(&app)?;
    known_topic(port, name.clone())?;
    Ok(Json(Cleared { cleared: port.clear_topic(name).await? }))
}
