//! Settings of the server, and the keys that encrypt stored secrets.

use axum::Json;
use axum::extract::State;
use spanwire_protocol::admin::{FieldProblem, KeyRotated, Reloaded, SettingInfo};

use crate::app::Shared;
use crate::extract::{Call, Segment};
use crate::problem::{ApiError, shown};

pub(crate) async fn list(
    State(app): Shared,
    call: Call,
) -> Result<Json<Vec<SettingInfo>>, ApiError> {
    call.params.only(&[])?;
    Ok(Json(app.backend.settings()))
}

pub(crate) async fn show(
    State(app): Shared,
    Segment(key): Segment,
    call: Call,
) -> Result<Json<SettingInfo>, ApiError> {
    call.params.only(&[])?;
    let settings = app.backend.settings();
    let nearest = nearest(&key, settings.iter().map(|setting| &*setting.key));
    let nearest = nearest.map(|nearest| format!(", did you mean '{nearest}'?"));
    let found = settings.into_iter().find(|setting| setting.key == key);
    found.map(Json).ok_or_else(|| {
        let nearest = nearest.unwrap_or_else(|| "; see /api/v1/settings".to_owned());
        ApiError::not_found(format!("there is no setting '{}'{nearest}", shown(&key)))
    })
}

pub(crate) async fn reload(State(app): Shared, call: Call) -> Result<Json<Reloaded>, ApiError> {
    call.params.only(&[])?;
    let reloaded = app.backend.reload_settings().await;
    reloaded.map(Json).map_err(|mistakes| {
        let mistake = |message| FieldProblem { message, ..FieldProblem::default() };
        ApiError::invalid(mistakes.into_iter().map(mistake).collect())
    })
}

pub(crate) async fn rotate_key(
    State(app): Shared,
    call: Call,
) -> Result<Json<KeyRotated>, ApiError> {
    call.params.only(&[])?;
    Ok(Json(app.backend.rotate_key().await?))
}

fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    // Comparing costs the product of the lengths.
    let key: String = key.chars().take(MAX_KEY).collect();
    let nearest = known.min_by_key(|known| strsim::damerau_levenshtein(&key, known));
    nearest.map(str::to_owned)
}

/// No setting has a key as long as this.
const MAX_KEY: usize = 64;
