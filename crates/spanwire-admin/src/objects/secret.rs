//! Passwords of security definitions, which are written and never read.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use spanwire_config::Kind;

use super::write::{Write, closed};
use super::{MAX_BODY, submitted};
use crate::app::Shared;
use crate::condition::Conditions;
use crate::extract::{self, Call, Fields, JSON, Named};
use crate::problem::ApiError;

pub(crate) async fn set_password(
    State(app): Shared,
    Named { kind, name }: Named,
    call: Call,
    body: Body,
) -> Result<(StatusCode, HeaderMap), ApiError> {
    if kind != Kind::Security {
        let detail = format!("a {kind} has no password: only security definitions have one");
        return Err(ApiError::not_found(detail));
    }
    let write = Write::without_dry_run(&app, call)?;
    let conditions = Conditions::read(&write.call.headers)?;
    let body = extract::object(&write.call.headers, body, MAX_BODY, &[JSON]).await?;
    let mut fields = Fields::new(body);
    let password = fields.text("password");
    if password.is_none() && !fields.is_wrong("password") {
        fields.wrong("password", "is missing: add it");
    }
    fields.finish()?;
    let password = password.unwrap_or_default();
    if password.is_empty() {
        return Err(ApiError::field("password", "is empty: nobody could ever log in with it"));
    }

    let patch = Map::from_iter([("password".to_owned(), Value::String(password))]);
    let (applied, _) = write
        .based_on_present(kind, &name, &conditions, |present| {
            submitted::patched(kind, present, patch.clone())
        })
        .await?;
    let headers: HeaderMap = closed(&applied).into_iter().collect();
    Ok((StatusCode::NO_CONTENT, headers))
}
