//! The OpenAPI 3.1 document: what every request may say, and every answer there can be.
//!
//! Bodies describe themselves: static types where they are declared, objects by the description of their kind. A test
//! holds the paths against those of the router, and every answer in the tests against its schema.

mod connections;
mod history;
mod objects;
mod operation;
mod pubsub;
mod schemas;
mod server;

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use self::operation::Paths;
use crate::extract::{Call, JSON};
use crate::problem::ApiError;

/// Returns the OpenAPI document of the API.
#[must_use]
pub fn openapi() -> Value {
    let mut paths = Paths::default();
    server::add(&mut paths);
    objects::add(&mut paths);
    history::add(&mut paths);
    connections::add(&mut paths);
    pubsub::add(&mut paths);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Spanwire admin API",
            "description": "Managed objects and their history, live connections, publish/subscribe, services and \
                            settings of a Spanwire server. Names in paths are percent-encoded: the topic /a/b is %2Fa%2Fb.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The server that has this document."}],
        "security": [{"token": []}],
        "tags": [
            {"name": "objects", "description": "Managed objects."},
            {"name": "history", "description": "Changes of managed objects, and files of them."},
            {"name": "connections", "description": "Clients that are or were connected."},
            {"name": "pubsub", "description": "Topics and queues, and the messages in them."},
            {"name": "server", "description": "The server, its services and settings."},
            {"name": "health", "description": "Health and metrics, without a token."},
        ],
        "paths": paths.build(),
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The content of the file that the setting admin.token names.",
                },
            },
        },
    })
}

pub(crate) async fn document(call: Call) -> Result<Response, ApiError> {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(openapi().to_string()));
    call.params.only(&[])?;
    Ok(([(CONTENT_TYPE, JSON)], DOCUMENT.clone()).into_response())
}

#[cfg(test)]
mod tests;
