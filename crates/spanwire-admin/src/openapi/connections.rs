//! Paths of connections.

use serde_json::json;

use super::operation::{Operation, PAGE, Paths, component, list_of, segment, text};
use crate::connections::{ATTRIBUTES, MAX_REASON};
use crate::extract::JSON;

pub(super) fn add(paths: &mut Paths) {
    let list = Operation::new("connections", "connections", "Live connections, newest first.");
    let list = ATTRIBUTES
        .into_iter()
        .fold(list, |list, key| list.query(key, text(), &format!("What '{key}' is.")));
    let list = list
        .query("attr.KEY", text(), "What the client says about KEY.")
        .paged()
        .answers(200, "Connections.", &list_of("ConnectionInfo"))
        .with_headers(200, PAGE);
    paths.add("get", "/api/v1/connections", list);
    let show = one("connection", "One live connection.").answers(
        200,
        "The connection.",
        &component("ConnectionInfo"),
    );
    paths.add("get", "/api/v1/connections/{id}", show);
    let invoke = one("invoke_connection", "Asks a client and waits for its answer.")
        .body(&[JSON], &component("InvokeConnection"), true)
        .answers(200, "What it answered.", &component("Invoked"))
        .fails(&[422])
        .fails_otherwise();
    paths.add("post", "/api/v1/connections/{id}/invoke", invoke);

    let code = json!({"type": "integer", "anyOf": [
        {"minimum": 1_000, "maximum": 1_003},
        {"minimum": 1_007, "maximum": 1_013},
        {"minimum": 3_000, "maximum": 4_999},
    ]});
    let reason = json!({
        "type": "string", "maxLength": MAX_REASON, "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]*$",
    });
    let disconnect = one("disconnect", "Closes a connection.")
        .query("code", code, "The close code; 4005 when it is not given.")
        .query("reason", reason, "The close reason, at most 123 bytes.")
        .answers_nothing(204, "It is being closed.")
        .fails_otherwise();
    paths.add("delete", "/api/v1/connections/{id}", disconnect);
    let all = Operation::new("disconnect_all", "connections", "Closes several connections.")
        .body(&[JSON], &component("Disconnect"), true)
        .answers(200, "Which ones were closed, or would be.", &component("Disconnected"))
        .fails(&[422]);
    paths.add("post", "/api/v1/connections/disconnect", all);
    let summary = "Connections that ended, newest first.";
    let closed = Operation::new("connection_history", "connections", summary)
        .query("ext_client_id", text(), "The id that the client chose.")
        .paged()
        .answers(200, "Connections.", &list_of("ClosedConnection"))
        .with_headers(200, PAGE);
    paths.add("get", "/api/v1/connection-history", closed);
}

fn one(id: &str, summary: &str) -> Operation {
    Operation::new(id, "connections", summary).path("id", segment(), "The connection's id.")
}
