//! Live connections: list, show, ask, disconnect; and the ones that ended.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use spanwire_channel::wsx::correlation_id;
use spanwire_protocol::admin::{ClosedConnection, ConnectionInfo, InvokeConnection, Invoked};
use spanwire_protocol::{CloseCode, CloseFrame, Codec, ConnectionId, Payload};
use spanwire_service::connections::DEFAULT_ANSWER_TIMEOUT;
use spanwire_service::{ConnectionError, ConnectionFilter, Connections};

use super::Shared;
use super::problem::ApiError;

pub(super) async fn list(
    State(state): Shared,
    filter: Result<Query<ConnectionFilter>, QueryRejection>,
) -> Result<Json<Vec<ConnectionInfo>>, ApiError> {
    let Query(filter) = filter?;
    Ok(Json(state.host.connections.list(&filter)))
}

pub(super) async fn show(
    State(state): Shared,
    Path(id): Path<String>,
) -> Result<Json<ConnectionInfo>, ApiError> {
    let filter =
        ConnectionFilter { pub_client_id: Some(id.clone()), ..ConnectionFilter::default() };
    let found = state.host.connections.list(&filter).pop();
    Ok(Json(found.ok_or_else(|| ConnectionError::Unknown(ConnectionId::from_text(id)))?))
}

pub(super) async fn invoke(
    State(state): Shared,
    Path(id): Path<String>,
    body: Result<Json<InvokeConnection>, JsonRejection>,
) -> Result<Json<Invoked>, ApiError> {
    let Json(body) = body?;
    let timeout = match body.timeout {
        None => DEFAULT_ANSWER_TIMEOUT,
        Some(seconds) => Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|t| !t.is_zero() && *t <= MAX_TIMEOUT)
            .ok_or_else(|| {
                ApiError::new(
                    StatusCode::BAD_REQUEST,
                    "timeout: expected a number of seconds above 0, at most 3600",
                )
            })?,
    };
    let unreadable =
        |_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the client's answer is not JSON");
    let request = Payload::from_serialize(Codec::Json, &body.request).map_err(unreadable)?;
    let answer =
        state.host.connections.invoke(&ConnectionId::from_text(id), request, timeout).await?;
    Ok(Json(Invoked {
        cid: correlation_id().to_string(),
        response: answer.parse().map_err(unreadable)?,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DisconnectParams {
    code: Option<u16>,
    #[serde(default)]
    reason: String,
}

pub(super) async fn disconnect(
    State(state): Shared,
    Path(id): Path<String>,
    params: Result<Query<DisconnectParams>, QueryRejection>,
) -> Result<StatusCode, ApiError> {
    let Query(params) = params?;
    let code = params.code.map_or(CloseCode::DISCONNECTED, CloseCode);
    if !code.is_sendable() {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "code: use 1000 to 1003, 1007 to 1013 or 3000 to 4999",
        ));
    }
    let frame = CloseFrame::with_reason(code, params.reason);
    state.host.connections.disconnect(&ConnectionId::from_text(id), frame)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn history(State(state): Shared) -> Json<Vec<ClosedConnection>> {
    Json(state.host.connections.closed())
}

const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
