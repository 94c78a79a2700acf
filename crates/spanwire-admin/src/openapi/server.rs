//! Paths of the server, its services and its settings; health and metrics.

use serde_json::json;

use super::operation::{Operation, PAGE, Paths, component, list_of, segment, text};
use crate::events::TYPES;
use crate::extract::JSON;

pub(super) fn add(paths: &mut Paths) {
    health(paths);
    services(paths);
    outconns(paths);
    sso(paths);
    settings(paths);
    let server = Operation::new("server", "server", "What the server says about itself.").answers(
        200,
        "The server.",
        &component("ServerInfo"),
    );
    paths.add("get", "/api/v1/server", server);
    let document = Operation::new("openapi", "server", "This document.").answers(
        200,
        "An OpenAPI document.",
        &json!({"type": "object"}),
    );
    paths.add("get", "/api/v1/openapi.json", document);

    let types = json!({"type": "string", "examples": [TYPES.join(",")]});
    let last = json!({"type": "string", "pattern": "^[0-9]{1,18}$"});
    let events = Operation::new("events", "server", "What happens, as it happens.")
        .query("types", types, "Which events, with commas: change, state, connection.")
        .header("Last-Event-ID", last, "The last change that is known: later ones come first.")
        .answers_as(200, EVENTS, "text/event-stream", &text())
        .fails(&[503]);
    paths.add("get", "/api/v1/events", events);
}

fn health(paths: &mut Paths) {
    let live = Operation::public("live", "health", "Whether the process runs.").answers(
        200,
        "It does.",
        &component("Health"),
    );
    paths.add("get", "/livez", live);
    let ready = Operation::public("ready", "health", "Whether requests can be served.")
        .answers(200, "They can.", &component("Health"))
        .answers(503, "They cannot.", &component("Health"));
    paths.add("get", "/readyz", ready);
    let metrics = Operation::public("metrics", "health", "Metrics, as Prometheus reads them.")
        .answers_as(200, "Metrics.", "text/plain", &text());
    paths.add("get", "/metrics", metrics);
}

fn services(paths: &mut Paths) {
    let list = Operation::new("services", "server", "Services that can be called.")
        .query("q", text(), "A part of the name; case does not matter.")
        .paged()
        .answers(200, "Services by name.", &list_of("ServiceInfo"))
        .with_headers(200, PAGE);
    paths.add("get", "/api/v1/services", list);
    let timeout = json!({"type": "number", "exclusiveMinimum": 0, "maximum": 3_600});
    let invoke = Operation::new("invoke_service", "server", "Calls a service.")
        .path("name", segment(), "The service.")
        .query("timeout", timeout, "How many seconds to wait.")
        .body(&[JSON], &json!({}), false)
        .answers(200, "What it answered.", &component("Invoked"))
        .fails_otherwise();
    paths.add("post", "/api/v1/services/{name}/invoke", invoke);
}

fn sso(paths: &mut Paths) {
    let run = Operation::new("sso", "sso", "Does something about users of single sign-on.")
        .body(&[JSON], &component("SsoCommand"), true)
        .answers(200, "What the command returns.", &json!({}))
        .fails(&[400, 404, 409, 413, 415, 422, 500, 503]);
    paths.add("post", "/api/v1/sso", run);
}

fn outconns(paths: &mut Paths) {
    let list = Operation::new("outconns", "server", "How outgoing WebSocket connections stand.")
        .query("q", text(), "A part of the name; case does not matter.")
        .paged()
        .answers(200, "Connections by name.", &list_of("OutconnInfo"))
        .with_headers(200, PAGE);
    paths.add("get", "/api/v1/outconns", list);
    let show = Operation::new("outconn", "server", "How an outgoing WebSocket connection stands.")
        .path("name", segment(), "The connection.")
        .answers(200, "The connection.", &component("OutconnInfo"));
    paths.add("get", "/api/v1/outconns/{name}", show);
    let summary = "Asks whether the peer of an outgoing WebSocket connection is there.";
    let ping = Operation::new("ping_outconn", "server", summary)
        .path("name", segment(), "The connection.")
        .answers(200, "What came of it.", &component("Pinged"));
    paths.add("post", "/api/v1/outconns/{name}/ping", ping);
}

fn settings(paths: &mut Paths) {
    let list = Operation::new("settings", "server", "Every setting and where it comes from.")
        .answers(200, "Settings.", &list_of("SettingInfo"));
    paths.add("get", "/api/v1/settings", list);
    let show = Operation::new("setting", "server", "One setting.")
        .path("key", segment(), "The key, with its section.")
        .answers(200, "The setting.", &component("SettingInfo"));
    paths.add("get", "/api/v1/settings/{key}", show);
    let reload = Operation::new("reload_settings", "server", "Reads the settings again.")
        .answers(200, "What changed.", &component("Reloaded"))
        .fails(&[422]);
    paths.add("post", "/api/v1/settings/reload", reload);
    let summary = "Adds a key and encrypts stored secrets with it.";
    let rotate = Operation::new("rotate_key", "server", summary)
        .answers(200, "What was done.", &component("KeyRotated"))
        .fails_otherwise();
    paths.add("post", "/api/v1/secret-key/rotate", rotate);
}

const EVENTS: &str = "An endless stream: `event: NAME` and `data: JSON`, for changes also `id: REVISION`; \
                      `event: lagged` with `{\"missed\": N}` for a reader that was too slow; a comment after 15 \
                      silent seconds.";
