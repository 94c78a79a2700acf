//! The server itself: what it is, whether it works, and its metrics.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use spanwire_protocol::admin::ServerInfo;

use crate::app::Shared;
use crate::extract::Call;
use crate::problem::ApiError;

pub(crate) async fn show(State(app): Shared, call: Call) -> Result<Json<ServerInfo>, ApiError> {
    call.params.only(&[])?;
    Ok(Json(app.backend.server()))
}

pub(crate) async fn live() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

pub(crate) async fn ready(State(app): Shared) -> Response {
    match app.backend.ready() {
        Ok(()) => Json(json!({"status": "ok"})).into_response(),
        Err(why) => {
            let body = Json(json!({"status": "unavailable", "reason": why}));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

pub(crate) async fn metrics(State(app): Shared) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.backend.metrics())
}
