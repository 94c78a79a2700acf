//! The admin listener: a small API under `/api/v1`, metrics and health.
//!
//! Everything under `/api` needs the token of `admin.token` as a bearer token. `/metrics`, `/livez` and `/readyz` hold
//! nothing secret and need none. Errors are problem details (RFC 9457).

mod connections;
mod problem;
mod services;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, http::StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::json;
use spanwire_channel::transport::{Body, HttpApp, Peer, response};
use spanwire_crypto::Secret;
use spanwire_protocol::Timestamp;
use spanwire_protocol::admin::ServerInfo;
use tower::ServiceExt;

use self::problem::ApiError;
use crate::backend::Host;
use crate::settings::{Profile, Settings};

/// What every handler reaches.
pub(crate) struct AdminState {
    pub(crate) host: Arc<Host>,
    pub(crate) token: Secret,
    pub(crate) name: String,
    pub(crate) profile: Profile,
    pub(crate) started: Timestamp,
}

impl AdminState {
    pub(crate) fn new(
        host: Arc<Host>,
        token: Secret,
        settings: &Settings,
        started: Timestamp,
    ) -> Self {
        let profile = settings.effective_profile();
        Self { host, token, name: settings.name.clone(), profile, started }
    }
}

type Shared = State<Arc<AdminState>>;

/// The application behind the admin listener.
pub(crate) struct AdminApp {
    router: Router,
}

impl AdminApp {
    pub(crate) fn new(state: Arc<AdminState>) -> Self {
        let api = Router::new()
            .route("/server", get(server))
            .route("/services", get(services::list))
            .route("/services/{name}/invoke", post(services::invoke))
            .route("/connections", get(connections::list))
            .route("/connections/{id}", get(connections::show).delete(connections::disconnect))
            .route("/connections/{id}/invoke", post(connections::invoke))
            .route("/connection-history", get(connections::history))
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(middleware::from_fn_with_state(Arc::clone(&state), authenticate));
        let router = Router::new()
            .nest("/api/v1", api)
            .route("/metrics", get(metrics))
            .route("/livez", get(async || Json(json!({"status": "ok"}))))
            .route("/readyz", get(ready))
            .fallback(not_found)
            .with_state(state);
        Self { router }
    }
}

impl HttpApp for AdminApp {
    async fn handle(
        &self,
        request: axum::http::Request<Incoming>,
        _: Peer,
    ) -> axum::http::Response<Body> {
        let request = request.map(axum::body::Body::new);
        // The router cannot fail: every error of it is a response.
        let Ok(answer) = self.router.clone().oneshot(request).await;
        let (parts, body) = answer.into_parts();
        match Limited::new(body, MAX_ANSWER).collect().await {
            Ok(body) => {
                let mut answer =
                    axum::http::Response::from_parts(parts, Body::new(body.to_bytes()));
                answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                answer
            }
            Err(_) => response::error(StatusCode::INTERNAL_SERVER_ERROR, "the answer is too large"),
        }
    }
}

/// No answer of the API comes near this.
const MAX_ANSWER: usize = 256 * 1024 * 1024;

async fn authenticate(State(state): Shared, request: Request, next: Next) -> Response {
    let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.split_once(' '));
    let right = token.is_some_and(|(scheme, token)| {
        scheme.eq_ignore_ascii_case("bearer") && state.token.matches(token.trim())
    });
    if right {
        return next.run(request).await;
    }
    state.host.metrics.count("spanwire_refusals_total", &[("reason", "admin-token")]);
    ApiError::unauthorized().into_response()
}

async fn server(State(state): Shared) -> Json<ServerInfo> {
    Json(ServerInfo {
        name: state.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        profile: state.profile.as_str().to_owned(),
        host: String::new(),
        start_time: state.started,
        current_time: spanwire_channel::clock::timestamp(),
        listen: String::new(),
        connections: state.host.connections.count(),
        revision: 0,
        objects: 0,
        failed_objects: 0,
        state_hash: String::new(),
    })
}

async fn metrics(State(state): Shared) -> impl IntoResponse {
    #[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
    state.host.metrics.queue_bytes.set(state.host.connections.queue_bytes() as f64);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.host.metrics.render())
}

async fn ready(State(state): Shared) -> Response {
    match state.host.readiness.check() {
        Ok(()) => Json(json!({"status": "ok"})).into_response(),
        Err(why) => {
            let body = Json(json!({"status": "unavailable", "reason": why}));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

async fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "there is nothing at this path; the API is under /api/v1")
}

async fn method_not_allowed() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not answer this method")
}
