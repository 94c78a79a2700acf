//! `/livez`, `/readyz`, `/readyz/ws` and `/zato/ping`: no credentials; GET and HEAD, the ping any method (DESIGN 4, outconn-and-platform 4.3).

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;

use crate::backend::{Backend, Probe};
use crate::transport::{Body, response};

/// Answers a health endpoint; `None` for any other path.
pub(super) fn answer(request: &Request<Incoming>, backend: &dyn Backend) -> Option<Response<Body>> {
    let probe = match request.uri().path() {
        "/livez" => Probe::Live,
        "/readyz" => Probe::Ready,
        "/readyz/ws" => Probe::ReadyForWebSockets,
        "/zato/ping" => {
            return Some(response::json(StatusCode::OK, json!({"pong": "zato"}).to_string()));
        }
        _ => return None,
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Some(response::error(StatusCode::METHOD_NOT_ALLOWED, "Use GET or HEAD"));
    }
    Some(match backend.health(probe) {
        Ok(()) => response::json(StatusCode::OK, json!({"status": "ok"}).to_string()),
        Err(why) => {
            let body = json!({"status": "unavailable", "reason": why});
            response::json(StatusCode::SERVICE_UNAVAILABLE, body.to_string())
        }
    })
}
