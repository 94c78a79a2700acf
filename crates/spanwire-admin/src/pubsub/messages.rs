//! Messages of topics and queues: looked at, corrected, deleted.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use spanwire_protocol::admin::pubsub::{
    EditMessage, MAX_EXPIRATION, MAX_LABEL, MAX_PRIORITY, MessageInfo, QueueState,
};

use super::{MAX_CONTENT, known_queue, known_topic, port};
use crate::app::Shared;
use crate::extract::{self, Call, Fields, JSON, Params, Segment, Segments, encode};
use crate::page::link;
use crate::problem::ApiError;
use crate::{Place, PubSubBackend};

pub(crate) async fn topic_messages(
    State(app): Shared,
    Segment(name): Segment,
    call: Call,
) -> Result<Response, ApiError> {
    call.params.only(&["q", "after", "limit"])?;
    let port = port(&app)?;
    let path = format!("/api/v1/pubsub/topics/{}/messages", encode(&name));
    list(port, known_topic(port, name)?, &path, &call.params).await
}

pub(crate) async fn queue_messages(
    State(app): Shared,
    Segment(id): Segment,
    call: Call,
) -> Result<Response, ApiError> {
    let params = &call.params;
    params.only(&["state", "q", "after", "limit"])?;
    let state = state(params)?;
    let port = port(&app)?;
    let id = known_queue(port, &id)?;
    let path = format!("/api/v1/pubsub/queues/{id}/messages");
    list(port, Place::Queue { id, state }, &path, params).await
}

/// Answers with messages behind an offset; those whose beginning has not the text `q` are left out. A link leads on
/// where there may be more.
async fn list(
    port: &dyn PubSubBackend,
    place: Place,
    path: &str,
    params: &Params,
) -> Result<Response, ApiError> {
    let number = |text: Option<u64>| text.and_then(|it| usize::try_from(it).ok());
    let limit = number(params.number("limit", 1..=MAX_LIMIT)?).unwrap_or(DEFAULT_LIMIT);
    let mut after = params.number("after", 0..=u64::MAX)?.unwrap_or_default();
    let part = params.text("q").map(str::to_lowercase);
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let mut headers = HeaderMap::new();
    loop {
        let wanted = limit - found.len();
        let wanted = if part.is_some() { wanted.max(SEARCH_PAGE) } else { wanted };
        let page = port.messages(place.clone(), after, wanted).await?;
        let is_last = page.is_empty();
        for message in page {
            if found.len() == limit {
                headers.extend(link(path, params, "after", &after.to_string()));
                return Ok((headers, Json(found)).into_response());
            }
            (after, looked_at) = (message.offset, looked_at + 1);
            let prefix = || message.data_prefix_short.to_lowercase();
            if part.as_ref().is_none_or(|part| prefix().contains(part)) {
                found.push(MessageInfo { data: None, ..message });
            }
        }
        if !is_last && (found.len() == limit || looked_at >= MAX_SEARCHED) {
            headers.extend(link(path, params, "after", &after.to_string()));
        } else if !is_last {
            continue;
        }
        return Ok((headers, Json(found)).into_response());
    }
}

pub(crate) async fn topic_message(
    State(app): Shared,
    Segments(name, message): Segments,
    call: Call,
) -> Result<Json<MessageInfo>, ApiError> {
    call.params.only(&[])?;
    let port = port(&app)?;
    Ok(Json(port.message(known_topic(port, name)?, message).await?))
}

pub(crate) async fn queue_message(
    State(app): Shared,
    Segments(id, message): Segments,
    call: Call,
) -> Result<Json<MessageInfo>, ApiError> {
    call.params.only(&[])?;
    let port = port(&app)?;
    Ok(Json(port.message(in_queue(port, &id)?, message).await?))
}

pub(crate) async fn delete_from_topic(
    State(app): Shared,
    Segments(name, message): Segments,
    call: Call,
) -> Result<StatusCode, ApiError> {
    call.params.only(&[])?;
    let port = port(&app)?;
    port.delete_message(known_topic(port, name)?, message).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn delete_from_queue(
    State(app): Shared,
    Segments(id, message): Segments,
    call: Call,
) -> Result<StatusCode, ApiError> {
    call.params.only(&[])?;
    let port = port(&app)?;
    port.delete_message(in_queue(port, &id)?, message).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn edit(
    State(app): Shared,
    Segments(name, message): Segments,
    call: Call,
    body: Body,
) -> Result<Json<MessageInfo>, ApiError> {
    call.params.only(&[])?;
    let body = extract::bytes(&call.headers, body, MAX_CONTENT, &[JSON]).await?;
    let edit = read_edit(&body)?;
    let port = port(&app)?;
    known_topic(port, name.clone())?;
    Ok(Json(port.edit_message(name, message, edit).await?))
}

fn read_edit(body: &[u8]) -> Result<EditMessage, ApiError> {
    /// The content as it is written.
    #[derive(Deserialize)]
    struct Raw {
        data: Option<Box<RawValue>>,
    }

    let mut fields = Fields::new(extract::fields(body)?);
    let has_data = fields.any("data").is_some_and(|data| !data.is_null());
    let edit = EditMessage {
        data: None,
        mime_type: fields.label("mime_type", MAX_LABEL),
        priority: fields.number("priority", 1..=MAX_PRIORITY),
        expiration: fields.number("expiration", 1..=MAX_EXPIRATION),
        correl_id: fields.label("correl_id", MAX_LABEL),
        in_reply_to: fields.label("in_reply_to", MAX_LABEL),
    };
    fields.finish()?;
    if !has_data && edit.is_empty() {
        let detail = "nothing is to be changed: name at least one key that is not null";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let raw: Raw = extract::again(body)?;
    Ok(EditMessage { data: raw.data, ..edit })
}

fn in_queue(port: &dyn PubSubBackend, id: &str) -> Result<Place, ApiError> {
    Ok(Place::Queue { id: known_queue(port, id)?, state: QueueState::Current })
}

fn state(params: &Params) -> Result<QueueState, ApiError> {
    let Some(word) = params.text("state") else { return Ok(QueueState::default()) };
    QueueState::ALL
        .into_iter()
        .find(|state| state.as_str() == word)
        .ok_or_else(|| ApiError::bad_request("query key 'state': expected current or dead"))
}

/// How many messages a list has when nobody says otherwise.
pub(crate) const DEFAULT_LIMIT: usize = 100;
/// How many messages a list has at most.
pub(crate) const MAX_LIMIT: u64 = 1_000;
/// How many messages are looked at together in search of a text.
const SEARCH_PAGE: usize = 200;
/// How many messages are looked at for one answer in search of a text.
const MAX_SEARCHED: usize = 10_000;
