//! Outgoing WebSocket connections as they stand: list, ping. Their objects are under `/api/v1/objects/outgoing_wsx`.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use spanwire_protocol::admin::{OutconnInfo, Pinged};

use crate::app::Shared;
use crate::extract::{Call, Segment};
use crate::page::Page;
use crate::problem::{ApiError, shown};

pub(crate) async fn list(State(app): Shared, call: Call) -> Result<Response, ApiError> {
    call.params.only(&["q", "limit", "offset"])?;
    let page = Page::read(&call.params)?;
    let mut all = app.backend.outconns();
    if let Some(part) = call.params.text("q") {
        let part = part.to_lowercase();
        all.retain(|outconn| outconn.name.to_lowercase().contains(&part));
    }
    Ok(page.answer(all, |outconn| outconn, "/api/v1/outconns", &call.params))
}

pub(crate) async fn show(
    State(app): Shared,
    Segment(name): Segment,
    call: Call,
) -> Result<Json<OutconnInfo>, ApiError> {
    call.params.only(&[])?;
    let found = app.backend.outconns().into_iter().find(|outconn| outconn.name == name);
    found.map(Json).ok_or_else(|| unknown(&name))
}

pub(crate) async fn ping(
    State(app): Shared,
    Segment(name): Segment,
    call: Call,
) -> Result<Json<Pinged>, ApiError> {
    call.params.only(&[])?;
    let pinged = app.backend.ping_outconn(name.clone()).await;
    pinged.map(Json).ok_or_else(|| unknown(&name))
}

fn unknown(name: &str) -> ApiError {
    ApiError::not_found(format!("there is no outgoing connection `{}`", shown(name)))
}
