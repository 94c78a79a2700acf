//! Services: list and invoke.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use bytes::Bytes;
use serde::Deserialize;
use spanwire_channel::wsx::correlation_id;
use spanwire_protocol::admin::{Invoked, ServiceInfo};
use spanwire_protocol::{Codec, Payload};
use spanwire_service::{Call, ChannelType, Origin};

use super::Shared;
use super::problem::ApiError;

pub(super) async fn list(State(state): Shared) -> Json<Vec<ServiceInfo>> {
    let services = state.host.ports.registry().list().into_iter();
    let described = services.map(|(name, source)| ServiceInfo {
        name: name.to_string(),
        source: source.as_str().to_owned(),
    });
    Json(described.collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InvokeParams {
    timeout: Option<f64>,
}

pub(super) async fn invoke(
    State(state): Shared,
    Path(name): Path<String>,
    params: Result<Query<InvokeParams>, QueryRejection>,
    body: Bytes,
) -> Result<Json<Invoked>, ApiError> {
    let Query(params) = params?;
    if !state.host.ports.registry().contains(&name) {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            format!("there is no service `{name}`; see /api/v1/services"),
        ));
    }
    let input =
        if body.is_empty() { Ok(Payload::empty(Codec::Json)) } else { Payload::from_json(body) };
    let input = input.map_err(|error| {
        ApiError::new(StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}"))
    })?;
    let cid = correlation_id();
    let mut call = Call::new(&name, input);
    call.cid = Some(cid);
    if let Some(seconds) = params.timeout {
        let timeout =
            Duration::try_from_secs_f64(seconds).ok().filter(|timeout| *timeout <= MAX_TIMEOUT);
        call.timeout = timeout.ok_or_else(|| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                "timeout: expected a number of seconds from 0 to 3600",
            )
        })?;
    }
    let origin = Origin {
        channel_name: "admin".into(),
        channel_type: ChannelType::Admin,
        ..(*Origin::internal()).clone()
    };
    let cid = cid.to_string();
    let reply = state.host.ports.invoke(call, Arc::new(origin)).await;
    let reply = reply.map_err(|error| ApiError::service(error, Some(cid.clone())))?;
    let response = reply.parse().map_err(|_| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the service's answer has no JSON form")
    })?;
    Ok(Json(Invoked { cid, response }))
}

const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
