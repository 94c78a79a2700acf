//! Every path with its methods, and what holds for all of them.

use std::sync::Arc;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};

use crate::app::App;
use crate::problem::{ApiError, shown};
use crate::{
    Backend, auth, connections, events, history, objects, openapi, outconns, pubsub, server,
    services, settings, sso, transfer,
};

/// Returns the application: the API under `/api/v1`, `/metrics`, `/livez` and `/readyz`.
///
/// The host puts the peer's [`std::net::SocketAddr`] into the extensions of a request, for the history.
pub fn router(backend: Arc<dyn Backend>) -> Router {
    let app = Arc::new(App::new(backend));
    let routes = routes();
    let router = routes
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), auth::authenticate))
        .layer(middleware::map_response(uncached))
        .with_state(app)
}

/// Every path. The OpenAPI document has the same ones, which a test checks.
pub(crate) fn routes() -> Vec<(&'static str, MethodRouter<Arc<App>>)> {
    vec![
        ("/livez", get(server::live)),
        ("/readyz", get(server::ready)),
        ("/metrics", get(server::metrics)),
        ("/api/v1/openapi.json", get(openapi::document)),
        ("/api/v1/server", get(server::show)),
        ("/api/v1/services", get(services::list)),
        ("/api/v1/services/{name}/invoke", post(services::invoke)),
        ("/api/v1/objects/{kind}", get(objects::list).post(objects::create)),
        (
            "/api/v1/objects/{kind}/{name}",
            get(objects::show).put(objects::put).patch(objects::patch).delete(objects::delete),
        ),
        ("/api/v1/objects/{kind}/{name}/history", get(objects::versions)),
        ("/api/v1/objects/{kind}/{name}/revert", post(objects::revert)),
        ("/api/v1/objects/{kind}/{name}/password", post(objects::set_password)),
        ("/api/v1/history", get(history::list)),
        ("/api/v1/history/verify", get(history::verify)),
        ("/api/v1/history/{revision}", get(history::show)),
        ("/api/v1/history/{revision}/revert", post(history::revert)),
        ("/api/v1/import", post(transfer::import)),
        ("/api/v1/export", get(transfer::export)),
        ("/api/v1/connections", get(connections::list)),
        ("/api/v1/connections/disconnect", post(connections::disconnect_all)),
        ("/api/v1/connections/{id}", get(connections::show).delete(connections::disconnect)),
        ("/api/v1/connections/{id}/invoke", post(connections::invoke)),
        ("/api/v1/connection-history", get(connections::closed)),
        ("/api/v1/outconns", get(outconns::list)),
        ("/api/v1/outconns/{name}", get(outconns::show)),
        ("/api/v1/outconns/{name}/ping", post(outconns::ping)),
        ("/api/v1/pubsub", get(pubsub::totals)),
        ("/api/v1/pubsub/compact", post(pubsub::compact)),
        ("/api/v1/pubsub/cleanup", post(pubsub::clean_up)),
        ("/api/v1/pubsub/publish", post(pubsub::publish)),
        ("/api/v1/pubsub/subscribe", post(pubsub::subscribe)),
        ("/api/v1/pubsub/topics", get(pubsub::topics)),
        ("/api/v1/pubsub/topics/{name}", get(pubsub::topic)),
        ("/api/v1/pubsub/topics/{name}/clear", post(pubsub::clear_topic)),
        ("/api/v1/pubsub/topics/{name}/messages", get(pubsub::topic_messages)),
        (
            "/api/v1/pubsub/topics/{name}/messages/{message}",
            get(pubsub::topic_message).patch(pubsub::edit).delete(pubsub::delete_from_topic),
        ),
        ("/api/v1/pubsub/queues", get(pubsub::queues)),
        ("/api/v1/pubsub/queues/{id}", get(pubsub::queue).delete(pubsub::remove_queue)),
        ("/api/v1/pubsub/queues/{id}/clear", post(pubsub::clear_queue)),
        ("/api/v1/pubsub/queues/{id}/requeue", post(pubsub::requeue)),
        ("/api/v1/pubsub/queues/{id}/consume", post(pubsub::consume)),
        ("/api/v1/pubsub/queues/{id}/acknowledge", post(pubsub::acknowledge)),
        ("/api/v1/pubsub/queues/{id}/messages", get(pubsub::queue_messages)),
        (
            "/api/v1/pubsub/queues/{id}/messages/{message}",
            get(pubsub::queue_message).delete(pubsub::delete_from_queue),
        ),
        ("/api/v1/settings", get(settings::list)),
        ("/api/v1/settings/reload", post(settings::reload)),
        ("/api/v1/settings/{key}", get(settings::show)),
        ("/api/v1/secret-key/rotate", post(settings::rotate_key)),
        ("/api/v1/sso", post(sso::run)),
        ("/api/v1/events", get(events::stream)),
    ]
}

async fn not_found(uri: Uri) -> ApiError {
    let detail = format!("there is nothing at {}; the API is under /api/v1", shown(uri.path()));
    ApiError::not_found(detail)
}

async fn method_not_allowed(method: Method) -> ApiError {
    let method = shown(method.as_str());
    let detail = format!("this path does not answer {method}; see the header Allow");
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// What the API says holds now and may be secret.
async fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
