//! One line in the log for each request that may have done something, or was shown secrets: who, from where, what, and
//! what came of it. What a change of the configuration changed is in the history.

use std::net::SocketAddr;

use axum::extract::Request;
use axum::http::{Method, StatusCode};

use crate::Caller;
use crate::author::author;

/// What of a request is told, noted before it is handled.
pub(crate) struct Line {
    who: String,
    from: String,
    method: Method,
    path: String,
}

impl Line {
    /// The line for a request; `None` when it only reads.
    pub(crate) fn of(request: &Request, caller: &Caller) -> Option<Self> {
        let (method, path) = (request.method(), request.uri().path());
        // An export may hold secrets; its answer does not tell whether it was asked for them, the query does. Contents
        // of messages are others' data, keys of subscriptions are secrets.
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let of_pubsub = path.strip_prefix("/api/v1/pubsub/").is_some_and(|rest| {
            rest.contains("/messages")
                || (rest.starts_with("queues") && request.uri().query().is_some())
        });
        if reads && !of_pubsub && !path.ends_with("/export") {
            return None;
        }
        let peer = request.extensions().get::<SocketAddr>().copied();
        let author = author(caller, peer, request.headers(), None).ok()?;
        let path =
            request.uri().path_and_query().filter(|_| reads).map_or(path, |both| both.as_str());
        let path = path.chars().take(MAX_PATH).collect();
        Some(Self { who: author.who, from: author.from, method: method.clone(), path })
    }

    /// Writes it.
    pub(crate) fn write(self, status: StatusCode) {
        let Self { who, from, method, path } = self;
        tracing::info!(who, from, %method, path, status = status.as_u16(), "administration");
    }
}

/// Paths are encoded text of the caller.
const MAX_PATH: usize = 300;
