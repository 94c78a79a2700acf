//! One object, and its history.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use spanwire_config::{EditError, Kind};
use spanwire_protocol::admin::ObjectVersion;

use crate::app::Shared;
use crate::condition::{Conditions, etag};
use crate::extract::{Call, Named};
use crate::problem::ApiError;
use crate::show;

pub(crate) async fn show(
    State(app): Shared,
    Named { kind, name }: Named,
    call: Call,
) -> Result<Response, ApiError> {
    call.params.only(&[])?;
    let conditions = Conditions::read(&call.headers)?;
    let snapshot = app.backend.configuration().snapshot();
    let found = snapshot.objects().get(kind, &name).zip(snapshot.meta(kind, &name));
    let (object, meta) = found.ok_or_else(|| missing(kind, &name))?;
    let tag = [(ETAG, etag(meta.version))];
    if conditions.is_known(meta.version) {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    Ok((tag, Json(show::managed(&*app.backend, object, meta))).into_response())
}

pub(crate) async fn versions(
    State(app): Shared,
    Named { kind, name }: Named,
    call: Call,
) -> Result<Json<Vec<ObjectVersion>>, ApiError> {
    call.params.only(&[])?;
    let read = move |configuration: &spanwire_config::Configuration| {
        // Also of what was deleted or has another name now.
        let id = configuration.identify(kind, &name)?;
        let id = id.ok_or(EditError::NotFound { kind, name })?;
        let versions = configuration.versions(id)?;
        Ok(versions.into_iter().map(show::version).collect())
    };
    Ok(Json(app.blocking(read).await?))
}

pub(super) fn missing(kind: Kind, name: &str) -> ApiError {
    EditError::NotFound { kind, name: name.to_owned() }.into()
}
