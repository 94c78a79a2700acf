//! What happens, as it happens: server-sent events.
//!
//! A reader that comes back with `Last-Event-ID` gets the changes that it missed from the history first. It is
//! subscribed before the history is read and what is read is not repeated, so that no change is lost or told twice.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::json;
use spanwire_protocol::admin::{Event, Revision};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::app::{App, Shared};
use crate::extract::Call;
use crate::problem::ApiError;
use crate::show;

pub(crate) async fn stream(State(app): Shared, call: Call) -> Result<Response, ApiError> {
    call.params.only(&["types"])?;
    let types = types(call.params.list("types"))?;
    let last = last_event_id(&call.headers)?;
    let permit = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        let detail = "too many streams of events are open: close one, or try later";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let receiver = app.backend.events();
    let head = app.backend.configuration().snapshot().revision();
    let missed = match last.filter(|_| types.contains(&"change")) {
        Some(last) if head.saturating_sub(last) > MAX_MISSED => Missed::TooMany(head - last),
        Some(last) => Missed::Some(last.saturating_add(1)),
        None => Missed::None,
    };
    let told = if matches!(missed, Missed::None) { 0 } else { head };
    let stopping = app.backend.stopping();
    let feed = Feed { app, receiver, types, missed, told, _permit: permit };
    let messages = stream::unfold(feed, Feed::next).map(Ok::<_, Infallible>);
    let messages = messages.take_until(stopping.cancelled_owned());
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive");
    Ok(Sse::new(messages).keep_alive(keep_alive).into_response())
}

/// What one reader gets.
struct Feed {
    app: Arc<App>,
    receiver: Receiver<Arc<Event>>,
    types: Vec<&'static str>,
    missed: Missed,
    /// Live changes up to this revision are told from the history.
    told: u64,
    _permit: OwnedSemaphorePermit,
}

/// Changes that a reader missed before it came back.
enum Missed {
    None,
    /// From this revision on.
    Some(u64),
    /// So many that the reader should read everything anew.
    TooMany(u64),
}

impl Feed {
    /// The next message; the stream ends when there is nothing more to come, or the history cannot be read.
    async fn next(mut self) -> Option<(Message, Self)> {
        match self.missed {
            Missed::Some(next) if next <= self.told => {
                self.missed = Missed::Some(next + 1);
                let revision = self.app.blocking(move |it| it.revision(next)).await.ok()??;
                let message = change(&show::event(revision))?;
                return Some((message, self));
            }
            Missed::TooMany(missed) => {
                self.missed = Missed::None;
                // Whoever breaks off now comes back to where this stream goes on.
                let message = lagged(missed).id(self.told.to_string());
                return Some((message, self));
            }
            Missed::Some(_) | Missed::None => {}
        }
        loop {
            let event = match self.receiver.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(missed)) => return Some((lagged(missed), self)),
                Err(RecvError::Closed) => return None,
            };
            if let Some(message) = self.message(&event) {
                return Some((message, self));
            }
        }
    }

    fn message(&self, event: &Event) -> Option<Message> {
        if !self.types.contains(&event.name()) {
            return None;
        }
        match event {
            Event::Change(revision) if revision.revision <= self.told => None,
            Event::Change(revision) => change(revision),
            Event::State(event) => named("state").json_data(event).ok(),
            Event::Connection(event) => named("connection").json_data(event).ok(),
        }
    }
}

fn change(revision: &Revision) -> Option<Message> {
    named("change").id(revision.revision.to_string()).json_data(revision).ok()
}

fn lagged(missed: u64) -> Message {
    named("lagged").data(json!({"missed": missed}).to_string())
}

fn named(name: &str) -> Message {
    Message::default().event(name)
}

fn types(asked: Option<Vec<&str>>) -> Result<Vec<&'static str>, ApiError> {
    let Some(asked) = asked else { return Ok(TYPES.to_vec()) };
    let known = |asked: &str| TYPES.into_iter().find(|known| *known == asked);
    let types: Option<Vec<_>> = asked.into_iter().map(known).collect();
    types.filter(|types| !types.is_empty()).ok_or_else(|| {
        ApiError::bad_request(
            "query key 'types': expected change, state or connection, with commas",
        )
    })
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain).map(Some).ok_or_else(|| {
        ApiError::bad_request("last-event-id: expected the revision of the last change you know")
    })
}

/// The names of events that can be asked for.
pub(crate) const TYPES: [&str; 3] = ["change", "state", "connection"];
/// How many missed changes are told from the history.
const MAX_MISSED: u64 = 1_000;
/// After this much silence a comment tells that the stream is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
