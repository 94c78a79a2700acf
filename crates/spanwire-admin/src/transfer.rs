//! Files of objects, in and out.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use spanwire_config::{
    Bundle, Edit, Existing, ExportFormat, ExportOptions, ImportOptions, Selection, export as write,
    import_bundle, import_edits, parse_label,
};
use spanwire_protocol::admin::{Changed, FieldProblem};

use crate::app::{App, Shared};
use crate::extract::{self, Call, Params};
use crate::problem::{ApiError, field_problems};
use crate::show;

pub(crate) async fn import(
    State(app): Shared,
    call: Call,
    body: Body,
) -> Result<Json<Changed>, ApiError> {
    call.params.only(&[
        "dry_run",
        "replace",
        "prune",
        "label",
        "include_type",
        "include_name",
        "reason",
    ])?;
    let (author, dry_run) = (call.author()?, call.params.flag("dry_run")?);
    let options = options(&call.params)?;
    let body = extract::bytes(&call.headers, body, MAX_BUNDLE, &[extract::JSON]).await?;
    let reader = Arc::clone(&app);
    let read = tokio::task::spawn_blocking(move || edits(&reader, &body, &options)).await;
    let (edits, warnings) =
        read.map_err(|_| ApiError::internal("reading the files broke off"))??;

    let applied = app.change(edits, author, dry_run).await?;
    let mut changed = show::changed(&applied, dry_run);
    // Reading the files has said the same of each object that changed, with its file and line.
    changed.warnings = warnings;
    Ok(Json(changed))
}

fn options(params: &Params) -> Result<ImportOptions, ApiError> {
    let label = params.text("label");
    if let Some(label) = label {
        let wrong = |why| ApiError::bad_request(format!("query key 'label': {why}"));
        parse_label(label).map_err(wrong)?;
    }
    let prune = params.flag("prune")?;
    if prune && label.is_none() {
        let detail = "query key 'prune': needs 'label', for only objects with it are deleted";
        return Err(ApiError::bad_request(detail));
    }
    Ok(ImportOptions {
        replace: params.flag("replace")?,
        prune,
        label: label.map(str::to_owned),
        selection: selection(params)?,
    })
}

/// What a bundle comes to, and what is left out.
fn edits(
    app: &App,
    body: &Bytes,
    options: &ImportOptions,
) -> Result<(Vec<Edit>, Vec<String>), ApiError> {
    let bundle = bundle(body)?;
    let snapshot = app.backend.configuration().snapshot();
    let is_built_in = |kind, name: &str| app.backend.is_built_in(kind, name);
    let import = import_bundle(&bundle, Existing::new(snapshot.objects(), &is_built_in));
    let import = import.map_err(|problems| ApiError::invalid(field_problems(problems)))?;
    import_edits(import, options, &snapshot).map_err(|message| {
        ApiError::invalid(vec![FieldProblem { message, ..FieldProblem::default() }])
    })
}

/// Reads a bundle; what is wrong with it is told without its content, which has secrets.
fn bundle(body: &Bytes) -> Result<Bundle, ApiError> {
    if extract::is_empty(body) {
        return Err(ApiError::bad_request("the body is empty: send a bundle of files"));
    }
    let value = extract::value(body)?;
    serde_json::from_value(value).map_err(|_| {
        let form = "{\"roots\": [path], \"files\": [{\"path\", \"text\"}], \"environment\": {name: value}}";
        let detail = format!("the body is no bundle of files: expected {form}");
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    })
}

pub(crate) async fn export(State(app): Shared, call: Call) -> Result<Response, ApiError> {
    call.params.only(&["format", "include_type", "include_name", "reveal_secrets"])?;
    let (format, content_type) = match call.params.text("format") {
        None | Some("yaml") => (ExportFormat::Yaml, "application/yaml"),
        Some("json") => (ExportFormat::Json, extract::JSON),
        Some(_) => return Err(ApiError::bad_request("query key 'format': expected yaml or json")),
    };
    let selection = selection(&call.params)?;
    let mut options = ExportOptions::new();
    options.reveal = call.params.flag("reveal_secrets")?;
    let snapshot = app.backend.configuration().snapshot();
    let objects = snapshot.objects().iter().map(|object| &**object);
    let selected = objects.filter(|object| selection.contains(object.kind(), &object.name()));
    let text = write(selected, format, options);
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
}

fn selection(params: &Params) -> Result<Selection, ApiError> {
    let words = |key| -> Vec<String> {
        params.list(key).unwrap_or_default().into_iter().map(str::to_owned).collect()
    };
    Selection::parse(&words("include_type"), &words("include_name")).map_err(ApiError::bad_request)
}

/// The largest bundle: its texts are half as large at most, and may be escaped.
const MAX_BUNDLE: usize = 20 * 1024 * 1024;
