//! One REST request from its headers to its response, in the order of outconn-and-platform 4.2.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use spanwire_protocol::{Codec, CorrelationId, Payload};
use spanwire_session::CallFailure;

use super::{DataFormat, ErrorBody, RestChannel, Security, cors, credentials, input};
use crate::backend::{Backend, Principal, RestCall, RestReply, Unauthenticated};
use crate::server::Routes;
use crate::transport::{Body, Peer, response};
use crate::wsx::correlation_id;

/// Answers a request that is for no other endpoint.
pub(crate) async fn handle(
    routes: &Routes,
    backend: &Arc<dyn Backend>,
    request: Request<Incoming>,
    peer: Peer,
) -> Response<Body> {
    let cid = correlation_id();
    let mut answer = answer(routes, backend, request, peer, cid).await;
    if let Ok(value) = HeaderValue::from_str(cid.as_str()) {
        answer.headers_mut().insert("x-zato-cid", value);
    }
    answer
}

async fn answer(
    routes: &Routes,
    backend: &Arc<dyn Backend>,
    request: Request<Incoming>,
    peer: Peer,
    cid: CorrelationId,
) -> Response<Body> {
    let method = request.method();
    if !METHODS.contains(method) {
        let flat = ErrorBody::Flat;
        return error(flat, &cid, StatusCode::METHOD_NOT_ALLOWED, "Unsupported HTTP method");
    }
    let path = request.uri().path();
    if cors::is_preflight(method, request.headers()) {
        let mut channels = routes.rest_at(path);
        let allowed = channels
            .find_map(|channel| channel.cors.preflight(request.headers(), channel.method.as_ref()));
        return allowed.unwrap_or_else(|| {
            backend.refused("cors");
            response::empty(StatusCode::FORBIDDEN)
        });
    }
    let Some((channel, params)) = routes.find_rest(path, method) else {
        backend.refused("not-found");
        // The URL is not repeated: it may hold a secret, or a script.
        return response::text(StatusCode::NOT_FOUND, format!("URL not found (CID:{cid})"));
    };
    let origin_headers = request.headers().clone();
    let cors = channel.cors.clone();
    let mut answer = match serve(&channel, params, backend, request, peer, cid).await {
        Ok(reply) => success(channel.data_format, reply),
        Err(refusal) => *refusal,
    };
    cors.apply(&origin_headers, answer.headers_mut());
    answer
}

async fn serve(
    channel: &Arc<RestChannel>,
    params: Vec<(String, String)>,
    backend: &Arc<dyn Backend>,
    request: Request<Incoming>,
    peer: Peer,
    cid: CorrelationId,
) -> Result<RestReply, Box<Response<Body>>> {
    let (parts, body) = request.into_parts();
    let principal = if channel.security == Security::None {
        Principal::anonymous()
    } else {
        let credentials = credentials::read(&channel.security, &parts.headers);
        let checked = backend.authenticate(channel, &peer, credentials).await;
        checked.map_err(|refused| {
            backend.refused("unauthenticated");
            Box::new(unauthenticated(channel, &cid, refused))
        })?
    };
    let body = read_body(channel, body).await.map_err(|(status, text)| {
        backend.refused("bad-body");
        Box::new(error(channel.errors, &cid, status, text))
    })?;
    let query = parts.uri.query().unwrap_or_default();
    let input = input::merge(channel, params, query, body)
        .map_err(|text| Box::new(error(channel.errors, &cid, StatusCode::BAD_REQUEST, &text)))?;
    let header = |name: &str| Some(parts.headers.get(name)?.to_str().ok()?.to_owned());
    let (traceparent, content_type) = (header("traceparent"), header("content-type"));
    let call = RestCall {
        channel: Arc::clone(channel),
        principal,
        peer,
        cid,
        input,
        traceparent,
        content_type,
        method: parts.method,
        headers: parts.headers,
    };
    backend.call(call).await.map_err(|failure| Box::new(failed(channel.errors, &cid, &failure)))
}

async fn read_body(
    channel: &RestChannel,
    body: Incoming,
) -> Result<Bytes, (StatusCode, &'static str)> {
    let body = Limited::new(body, channel.max_body_size).collect();
    match tokio::time::timeout(channel.body_timeout, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than the limit"))
        }
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "The body ended too early")),
        Err(_elapsed) => Err((StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time")),
    }
}

fn success(format: DataFormat, reply: RestReply) -> Response<Body> {
    let mut answer = body_of(format, &reply.payload);
    if let Some(status) = reply.status.and_then(|status| StatusCode::from_u16(status).ok()) {
        *answer.status_mut() = status;
    }
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            answer.headers_mut().append(name, value);
        }
    }
    answer
}

fn body_of(format: DataFormat, payload: &Payload) -> Response<Body> {
    if payload.is_null() {
        return response::empty(StatusCode::OK);
    }
    if format == DataFormat::Raw
        && let Ok(text) = payload.parse::<String>()
    {
        return response::text(StatusCode::OK, text);
    }
    match payload.clone().into_codec(Codec::Json) {
        Ok(json) => response::json(StatusCode::OK, json.bytes().clone()),
        Err(_) => response::empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn failed(body: ErrorBody, cid: &CorrelationId, failure: &CallFailure) -> Response<Body> {
    let status =
        StatusCode::from_u16(failure.status.0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    error(body, cid, status, &failure.message)
}

fn unauthenticated(
    channel: &RestChannel,
    cid: &CorrelationId,
    refused: Unauthenticated,
) -> Response<Body> {
    match refused {
        // Existing clients know one refusal, whatever the reason (pubsub 1.9).
        _ if channel.security == Security::AnyBasic => error(
            channel.errors,
            cid,
            StatusCode::FORBIDDEN,
            spanwire_protocol::status::NOT_ALLOWED,
        ),
        Unauthenticated::Throttled => {
            let mut answer =
                error(channel.errors, cid, StatusCode::TOO_MANY_REQUESTS, "Too many failed logins");
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
            answer
        }
        Unauthenticated::Wrong => {
            let mut answer =
                error(channel.errors, cid, StatusCode::UNAUTHORIZED, "You are not authenticated");
            if let Security::Basic { realm } = &channel.security
                && let Ok(value) =
                    HeaderValue::from_str(&format!("Basic realm=\"{}\"", realm.replace('"', "'")))
            {
                answer.headers_mut().insert(WWW_AUTHENTICATE, value);
            }
            answer
        }
    }
}

fn error(
    body: ErrorBody,
    cid: &CorrelationId,
    status: StatusCode,
    details: &str,
) -> Response<Body> {
    let body = match body {
        ErrorBody::Flat => json!({"result": "Error", "cid": cid.as_str(), "details": details}),
        ErrorBody::ZatoEnv => {
            json!({"zato_env": {"result": "ZATO_ERROR", "cid": cid.as_str(), "details": details}})
        }
    };
    response::json(status, body.to_string())
}

const METHODS: [Method; 7] = [
    Method::GET,
    Method::POST,
    Method::DELETE,
    Method::PUT,
    Method::PATCH,
    Method::HEAD,
    Method::OPTIONS,
];
