//! schemathesis: requests made from the OpenAPI document, right and wrong ones, and every answer held against it.
//!
//! The document is the server's own; what there is is told beside arbitrary names and bodies, so that requests reach it.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};
use spanwire_tests::http::{admin, connections, request};
use spanwire_tests::{Client, Server, is_long, tools};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use super::{KINDS, OBJECTS, assert_calm};
use crate::live::{create, ok, show};

/// Where the clients are, which no path names.
const STEADY: &str = r#"
web_socket:
  - {name: steady, address: /ws/steady, service: zato.helpers.echo, sec_def: zato-no-security, ping_interval: 3}
"#;

/// Where messages are looked at, edited and deleted one by one; elsewhere they are cleared and consumed.
const KEPT: &str = r#"
security: [{name: kept, type: basic_auth, username: kept}]
pubsub_topic: [{name: /kept}, {name: /needed-too}]
pubsub_endpoint:
  - {name: kept, endpoint_type: rest, role: pub-sub, security_name: kept, topic_patterns: "sub=/**\npub=/**"}
pubsub_subscription:
  - {endpoint_name: kept, topic_name: /kept, delivery_method: pull}
  - {endpoint_name: kept, topic_name: /needed-too, delivery_method: pull}
"#;

/// Objects to be deleted, one of every kind that nobody refers to, and what they need.
const SPARE: &str = r#"
security: [{name: spare, type: basic_auth, username: spare}, {name: needed, type: basic_auth, username: needed}]
service: [{name: spare, url: "http://127.0.0.1:9/"}]
wsx_gateway: [{name: spare-gate, services_allowed: []}]
web_socket: [{name: spare, address: /ws/spare, service: zato.ping, sec_def: zato-no-security}]
channel_rest: [{name: spare, url_path: /spare, service: zato.ping, data_format: json}]
outgoing_rest: [{name: spare, host: "http://127.0.0.1:9", url_path: /}]
outgoing_wsx: [{name: spare, address: "ws://127.0.0.1:9/"}]
pubsub_topic: [{name: /spare}, {name: /needed}]
pubsub_endpoint:
  - {name: spare, endpoint_type: srv, role: pub-sub, service_name: zato.ping, topic_patterns: "sub=/**"}
  - {name: needed, endpoint_type: rest, role: pub-sub, security_name: needed, topic_patterns: "sub=/**"}
pubsub_subscription: [{endpoint_name: needed, topic_name: /needed, delivery_method: pull}]
"#;

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,ignored_auth";

/// What ends what others need: these come last. Undoing the first change would delete everything.
const DESTRUCTIVE: [&str; 2] =
    ["/api/v1/connections/disconnect", "/api/v1/history/{revision}/revert"];

/// Whoever is asked here answers what it likes, or not in time.
const CONFIGURATION: &str = r#"
[[operations]]
include-path = ["/api/v1/services/{name}/invoke", "/api/v1/connections/{id}/invoke"]
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 502, 503, 504]
"#;

/// How many messages there are to be looked at.
const MESSAGES: u64 = 200;

/// What is never called: a stream has no end.
const ENDLESS: &str = "/api/v1/events";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_one_of_the_document() {
    // The engine that can be compacted while it is open.
    let server = Server::setup()
        .settings("[pubsub]\nstore = \"redb\"\n")
        .objects(OBJECTS)
        .objects(STEADY)
        .objects(KEPT)
        .start();
    let mut clients = JoinSet::new();
    for _ in 0..3 {
        let client = Client::log_in(&server.ws("/ws/steady"), "", "").await;
        clients.spawn(answer_everything(client));
    }
    // The second change, to be undone.
    create(&server, "wsx_gateway", json!({"name": "undone", "services_allowed": []})).await;
    let dir = tempfile::tempdir().unwrap();
    let mut document = admin(&server, "GET", "/api/v1/openapi.json", "").await.json();
    tell_what_there_is(&server, &mut document).await;
    tell_messages(&server, &mut document, dir.path()).await;

    std::fs::write(dir.path().join("schemathesis.toml"), CONFIGURATION).unwrap();

    let mut keeping = vec!["--exclude-method", "DELETE"];
    keeping.extend(DESTRUCTIVE.iter().flat_map(|path| ["--exclude-path", *path]));
    let first = run(&server, dir.path(), "first", &keeping).await;
    // The same again for the rest.
    let spare =
        json!({"roots": ["spare"], "files": [{"path": "spare", "text": SPARE}]}).to_string();
    ok(admin(&server, "POST", "/api/v1/import", &spare).await);
    // Queues were consumed and cleared meanwhile.
    tell_messages(&server, &mut document, dir.path()).await;
    let second = run(&server, dir.path(), "second", &["--include-method=DELETE"]).await;
    let rest = DESTRUCTIVE.map(|path| format!("--include-path={path}"));
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let third = run(&server, dir.path(), "third", &rest).await;

    let info = ok(admin(&server, "GET", "/api/v1/server", "").await);
    assert_eq!(info["state_hash"], info["running_hash"], "{info}");
    let verified = ok(admin(&server, "GET", "/api/v1/history/verify", "").await);
    assert_eq!(
        (&verified["matches"], &verified["state_hash"]),
        (&json!(true), &info["state_hash"])
    );
    // A made-up host cannot be listened on; then it is told why.
    for (kind, _) in KINDS {
        let failed =
            admin(&server, "GET", &format!("/api/v1/objects/{kind}?state=failed"), "").await;
        for object in ok(failed).as_array().unwrap() {
            assert!(object["meta"]["error"].is_string(), "{object}");
        }
    }
    assert_calm(&server);
    // Every operation was tried without the token too.
    let metrics = request(server.admin_address(), "GET", "/metrics", &[], "").await.body;
    let refused = "spanwire_refusals_total{reason=\"admin-token\"} ";
    let refused: usize =
        metrics.lines().find_map(|line| line.strip_prefix(refused)?.parse().ok()).unwrap();
    assert!(refused > 80, "{refused}");
    // Requests that never get through would prove little.
    let all: Vec<_> = [first, second, third].concat();
    let unreached: Vec<_> = all.iter().filter(|(_, accepted)| *accepted == 0).collect();
    assert!(all.len() > 80 && unreached.is_empty(), "{}: {unreached:?}", all.len());
}

/// Publishes messages, puts them beside those that there may be, and writes the document.
async fn tell_messages(server: &Server, document: &mut Value, dir: &Path) {
    for topic in ["/kept", "/customer/new"] {
        let data: Vec<u64> = (1..=MESSAGES).collect();
        let wish = json!({"topic_name": topic, "has_gd": true, "data_list": data}).to_string();
        ok(admin(server, "POST", "/api/v1/pubsub/publish", &wish).await);
    }
    let kept = ok(admin(server, "GET", "/api/v1/pubsub/topics/%2Fkept", "").await);
    let next = kept["next_offset"].as_u64().unwrap();
    let known: Vec<String> = (next - MESSAGES..next).map(|it| it.to_string()).collect();
    for (path, operations) in document["paths"].as_object_mut().unwrap() {
        // What one operation deletes, the other has to find.
        let (first, second) = known.split_at(known.len() / 2);
        let known = if path.contains("queues") { first } else { second };
        let operations = operations.as_object_mut().unwrap().values_mut();
        let parameters = operations.filter_map(|it| it.get_mut("parameters")?.as_array_mut());
        for parameter in parameters.flatten().filter(|it| it["name"] == "message") {
            parameter["schema"] =
                json!({"anyOf": [{"enum": known}, {"type": "string", "minLength": 1}]});
            parameter["example"] = known[0].clone().into();
        }
    }
    std::fs::write(dir.join("openapi.json"), document.to_string()).unwrap();
}

/// Runs schemathesis: the operations with the number of requests that were accepted.
async fn run(server: &Server, dir: &Path, name: &str, select: &[&str]) -> Vec<(String, u64)> {
    let examples = if is_long() { "50" } else { "5" };
    let report = format!("{name}.json");
    let mut program = tools::schemathesis(dir);
    program
        .args(["--no-color", "run", "openapi.json"])
        .args(["--url", &format!("http://{}", server.admin_address())])
        .args(["--header", &format!("Authorization: Bearer {}", server.admin_token())])
        .args(["--checks", CHECKS, "--exclude-path", ENDLESS])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", examples])
        .args(["--seed", "1", "--generation-database", "none", "--continue-on-failure"])
        .args(["--request-timeout", "10", "--report", "json", "--report-json-path", &report])
        .args(select);
    let output = tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}\n{err}");
    let report = std::fs::read(dir.join(report)).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let rates = report["valid_rates"].as_object().unwrap();
    let accepted = |phases: &Value| {
        let phases = phases.as_object().unwrap().values();
        phases.filter_map(|phase| phase["accepted"].as_u64()).sum()
    };
    rates.iter().map(|(operation, phases)| (operation.clone(), accepted(phases))).collect()
}

/// Puts what there is beside what there may be: names in paths, and objects as examples of bodies.
async fn tell_what_there_is(server: &Server, document: &mut Value) {
    let list = connections(server).await;
    let ids: Vec<_> = list.iter().map(|it| it["pub_client_id"].clone()).collect();
    let queues = ok(admin(server, "GET", "/api/v1/pubsub/queues", "").await);
    let queue = |topic: &str| {
        let queue = queues.as_array().unwrap().iter().find(|it| it["topic_name"] == topic);
        queue.unwrap()["id"].clone()
    };
    let mut objects = HashMap::new();
    for (kind, name) in KINDS {
        let mut object = show(server, kind, name).await;
        let fields = object.as_object_mut().unwrap();
        fields.retain(|key, value| key != "meta" && *value != "***");
        objects.insert(kind, object);
    }
    for (path, operations) in document["paths"].as_object_mut().unwrap() {
        for (method, operation) in operations.as_object_mut().unwrap() {
            let segments: Vec<_> = path.split('/').skip(3).collect();
            let known = match *segments {
                ["objects", "{kind}", ..] => json!(KINDS.map(|(_, name)| name)),
                ["objects", kind, ..] if method == "delete" => json!([spare(kind)]),
                ["objects", kind, ..] => json!([name_of(kind)]),
                ["services", ..] => json!(["zato.ping", "zato.helpers.echo"]),
                ["settings", ..] => json!(["listen", "limits.headers"]),
                ["history", ..] => json!([2, 1, 3]),
                ["connections", ..] => json!(ids),
                ["pubsub", "topics", _, "messages", "{message}"] => json!(["/kept"]),
                ["pubsub", "topics", ..] => json!(["/customer/new"]),
                ["pubsub", "queues", _, "messages", "{message}"] => json!([queue("/kept")]),
                ["pubsub", "queues", "{id}"] if method == "delete" => json!([queue("/needed-too")]),
                ["pubsub", "queues", ..] => json!([queue("/customer/new")]),
                ["pubsub", ..] | ["sso"] => json!([]),
                _ => continue,
            };
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                match (parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap()) {
                    ("path", "message") => {}
                    ("path", "kind") => parameter["example"] = json!(KINDS[0].0),
                    ("path", _) => {
                        let schema = parameter["schema"].take();
                        parameter["schema"] = json!({"anyOf": [{"enum": known}, schema]});
                        parameter["example"] = known[0].clone();
                    }
                    (_, "If-Match") => parameter["example"] = json!("*"),
                    (_, "If-None-Match") => parameter["example"] = json!("\"0\""),
                    _ => {}
                }
            }
            let content = operation.pointer_mut("/requestBody/content");
            for (_, body) in content.and_then(Value::as_object_mut).into_iter().flatten() {
                match *segments {
                    ["objects", kind] | ["objects", kind, "{name}"] => {
                        body["example"] = objects[kind].clone();
                    }
                    ["pubsub", "topics", ..] if method == "patch" => {
                        body["example"] = json!({"priority": 9});
                    }
                    ["pubsub", "publish"] => {
                        body["example"] = json!({"topic_name": "/customer/new", "data": "a"});
                    }
                    ["pubsub", "subscribe"] => {
                        body["example"] = json!({"topic_name": "/kept", "endpoint_name": "kept"});
                    }
                    ["pubsub", "queues", _, "consume"] => {
                        body["example"] = json!({"limit": 1, "lease": 0.1, "wait": 0});
                        // As long as a request may take.
                        body["schema"] = json!({"type": "object", "additionalProperties": false, "properties": {
                            "limit": {"type": "integer", "minimum": 1, "maximum": 100},
                            "lease": {"type": "number", "exclusiveMinimum": 0, "maximum": 10},
                            "wait": {"type": "number", "minimum": 0, "maximum": 1}}});
                    }
                    ["sso"] => {
                        body["example"] = json!({"command": "audit-verify"});
                        // Those that change something are tried by the tests of single sign-on.
                        let read = [
                            "audit-verify",
                            "show-user",
                            "sessions",
                            "search",
                            "audit-list",
                            "nothing",
                        ];
                        body["schema"] = json!({"type": "object", "properties": {
                            "command": {"enum": read}, "username": {"type": ["string", "integer"]},
                            "limit": {"type": ["integer", "string"]}, "after": {"type": "integer"}}});
                    }
                    ["pubsub", "queues", _, "acknowledge"] => {
                        body["example"] = json!({"msg_ids": ["zpsm1"]});
                    }
                    ["connections", "disconnect"] => {
                        body["example"] = json!({"all": true, "dry_run": true})
                    }
                    _ => {}
                }
            }
        }
    }
}

fn name_of(kind: &str) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).unwrap().1
}

/// An object of a kind that nobody refers to.
fn spare(kind: &str) -> String {
    match kind {
        "wsx_gateway" => "spare-gate".to_owned(),
        "pubsub_topic" => "/spare".to_owned(),
        "pubsub_subscription" => "needed//needed".to_owned(),
        _ => "spare".to_owned(),
    }
}

/// A client that answers whatever it is asked, until it is closed.
async fn answer_everything(mut client: Client) {
    while let Some(message) = client.receive_any().await {
        if let Message::Text(text) = message {
            let request: Value = serde_json::from_str(&text).unwrap();
            client.answer(&request, &json!({})).await;
        }
    }
}
