//! Services: list and invoke.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use spanwire_protocol::Payload;
use spanwire_protocol::admin::Invoked;

use crate::app::Shared;
use crate::extract::{self, Call, Segment};
use crate::page::Page;
use crate::problem::ApiError;

pub(crate) async fn list(State(app): Shared, call: Call) -> Result<Response, ApiError> {
    call.params.only(&["q", "limit", "offset"])?;
    let page = Page::read(&call.params)?;
    let mut services = app.backend.services();
    if let Some(part) = call.params.text("q") {
        let part = part.to_lowercase();
        services.retain(|service| service.name.to_lowercase().contains(&part));
    }
    Ok(page.answer(services, |service| service, "/api/v1/services", &call.params))
}

pub(crate) async fn invoke(
    State(app): Shared,
    Segment(name): Segment,
    call: Call,
    body: Body,
) -> Result<Json<Invoked>, ApiError> {
    call.params.only(&["timeout"])?;
    let timeout = call.params.seconds("timeout")?;
    let input = extract::bytes(&call.headers, body, MAX_INPUT, &[extract::JSON]).await?;
    let input = if extract::is_empty(&input) { Bytes::new() } else { checked(input)? };
    Ok(Json(app.backend.invoke_service(name, input, timeout).await?))
}

/// Checks that an input is JSON, without taking it apart.
fn checked(input: Bytes) -> Result<Bytes, ApiError> {
    let payload = Payload::from_json(input);
    let payload =
        payload.map_err(|why| ApiError::bad_request(format!("the body is not JSON: {why}")))?;
    Ok(payload.bytes().clone())
}

/// The largest input of a service, as on channels.
const MAX_INPUT: usize = 16 * 1024 * 1024;
