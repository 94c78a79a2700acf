//! Users of single sign-on: one path that takes commands. Every one is recorded in the audit under the caller's name.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde_json::Value;
use spanwire_protocol::admin::sso::SsoCommand;

use crate::app::Shared;
use crate::extract::{self, Call, JSON};
use crate::problem::ApiError;

pub(crate) async fn run(
    State(app): Shared,
    call: Call,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    call.params.only(&[])?;
    let body = extract::bytes(&call.headers, body, MAX_BODY, &[JSON]).await?;
    let fields = extract::fields(&body)?;
    let command: SsoCommand = serde_json::from_value(Value::Object(fields)).map_err(|error| {
        // Its words name fields and kinds of values; a value may be a password.
        let text = error.to_string();
        let text = text.split(": ").next().unwrap_or_default().to_owned();
        ApiError::bad_request(format!("this is no command for users: {text}"))
    })?;
    Ok(Json(app.backend.sso(call.caller().name.clone(), command).await?))
}

/// A page of an import.
const MAX_BODY: usize = 4 * 1024 * 1024;
