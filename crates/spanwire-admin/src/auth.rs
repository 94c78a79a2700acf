//! Who calls: a bearer token for everything under `/api`, before anything else of the request is looked at.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::audit;
use crate::problem::ApiError;

/// Lets a request pass whose token the server knows, together with its [`crate::Caller`].
pub(crate) async fn authenticate(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    if !is_guarded(request.uri().path()) {
        return next.run(request).await;
    }
    let token = bearer(request.headers()).unwrap_or_default();
    // An empty token is asked about as well, so that the refusal is counted, but it is never right.
    let caller = app.backend.authenticate(token).await.filter(|_| !token.is_empty());
    let Some(caller) = caller else { return ApiError::unauthorized().into_response() };
    let line = audit::Line::of(&request, &caller);
    request.extensions_mut().insert(caller);
    let response = next.run(request).await;
    if let Some(line) = line {
        line.write(response.status());
    }
    response
}

fn is_guarded(path: &str) -> bool {
    path.strip_prefix("/api").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The token; none when there are two, for nobody knows which one a proxy looked at.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
