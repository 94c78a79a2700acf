//! Mass assignment: what the server says about an object is not said by requests, wherever it stands in a body.

use serde_json::{Value, json};
use spanwire_tests::Server;
use spanwire_tests::http::admin;

use crate::api::{KINDS, OBJECTS, assert_calm, problem, revision};
use crate::live::{assert_consistent, path, show};

/// Keys that only the server sets, and ones by which programs in other languages are turned around.
const FOREIGN: [&str; 16] = [
    "id",
    "version",
    "meta",
    "state",
    "kind",
    "revision",
    "error",
    "since",
    "changed_at",
    "changed_by",
    "etag",
    "meta.version",
    "is_admin",
    "__proto__",
    "constructor",
    "$ref",
];

/// The keys of an object, as a request may have them.
async fn fields(server: &Server, kind: &str, name: &str) -> Value {
    let mut object = show(server, kind, name).await;
    let object_fields = object.as_object_mut().unwrap();
    object_fields.remove("meta").unwrap();
    object_fields.retain(|_, value| *value != "***");
    object
}

fn names_the_key(answer: &Value, key: &str) -> bool {
    // Of a key that looks like no key nothing is repeated.
    let shown = if key.starts_with('$') { "…" } else { key };
    let errors = answer["errors"].as_array().unwrap();
    errors.iter().any(|error| error["field"] == key || error["field"] == shown)
}

#[tokio::test]
async fn what_the_server_says_is_refused_in_bodies_of_every_kind() {
    let server = Server::setup().objects(OBJECTS).start();
    let before = revision(&server).await;
    for (kind, name) in KINDS {
        let object = fields(&server, kind, name).await;
        for key in FOREIGN {
            for value in [json!(1), json!({"version": 7, "state": "running"}), Value::Null] {
                let mut whole = object.clone();
                whole[key] = value.clone();
                let patch = json!({ key: value });
                let collection = format!("/api/v1/objects/{kind}");
                for (method, path, body) in [
                    ("POST", collection, &whole),
                    ("PUT", path(kind, name), &whole),
                    ("PATCH", path(kind, name), &patch),
                ] {
                    let answer = admin(&server, method, &path, &body.to_string()).await;
                    let found = problem(&answer, 422);
                    assert!(names_the_key(&found, key), "{method} {path} {key}: {found}");
                }
            }
        }
        // What was shown is not taken back as a whole.
        let shown = show(&server, kind, name).await;
        let answer = admin(&server, "PUT", &path(kind, name), &shown.to_string()).await;
        assert!(names_the_key(&problem(&answer, 422), "meta"));
    }
    assert_eq!(revision(&server).await, before);
    assert_consistent(&server).await;
}

#[tokio::test]
async fn values_with_something_inside_are_refused() {
    let server = Server::setup().objects(OBJECTS).start();
    let before = revision(&server).await;
    let table = [
        ("web_socket", json!({"labels": [{"id": 1}]})),
        ("web_socket", json!({"labels": {"0": "a", "meta": {}}})),
        ("web_socket", json!({"name": {"id": 1, "name": "crm"}})),
        ("web_socket", json!({"service": {"name": "gate", "kind": "service"}})),
        ("web_socket", json!({"sec_def": {"password": "x"}})),
        ("web_socket", json!({"sec_def": ["app1"]})),
        ("web_socket", json!({"is_active": {"$ne": false}})),
        ("web_socket", json!({"allowed_origins": [["*"]]})),
        ("wsx_gateway", json!({"services_allowed": [{"name": "*"}]})),
        ("wsx_gateway", json!({"services_allowed": {"length": 1, "0": "*"}})),
        ("security", json!({"password": {"$gt": ""}})),
        ("security", json!({"password": ["x"]})),
        ("security", json!({"username": {"id": 1}})),
        ("outgoing_rest", json!({"host": {"url": "http://127.0.0.1"}})),
        ("pubsub_endpoint", json!({"topic_patterns": {"pub": "/**"}})),
    ];
    for (kind, body) in table {
        let name = KINDS.iter().find(|(known, _)| *known == kind).unwrap().1;
        let answer = admin(&server, "PATCH", &path(kind, name), &body.to_string()).await;
        problem(&answer, 422);
    }
    assert_eq!(revision(&server).await, before);
    assert_calm(&server);
}

#[tokio::test]
async fn other_bodies_take_only_their_own_keys() {
    let server = Server::setup().objects(OBJECTS).start();
    let before = revision(&server).await;
    let table = [
        ("/api/v1/objects/security/app1/password", json!({"password": "x", "username": "root"})),
        ("/api/v1/objects/security/app1/password", json!({"password": "x", "version": 1})),
        ("/api/v1/objects/security/app1/revert", json!({"version": 1, "id": 2})),
        ("/api/v1/objects/security/app1/revert", json!({"version": 1, "revision": 1})),
        ("/api/v1/connections/disconnect", json!({"all": true, "ids": ["x"]})),
        ("/api/v1/connections/disconnect", json!({"filter": {"id": "x"}})),
        ("/api/v1/connections/disconnect", json!({"filter": {"channel_name": {"$ne": ""}}})),
        ("/api/v1/connections/disconnect", json!({"filter": {"colour": "red"}})),
    ];
    for (path, body) in table {
        problem(&admin(&server, "POST", path, &body.to_string()).await, 422);
    }
    for text in [
        "security: [{name: new, type: basic_auth, username: n, meta: {version: 9}}]",
        "web_socket: [{name: new, address: /n, service: gate, sec_def: app1, version: 3}]",
        "meta: [{name: x}]",
        "revision: 5",
    ] {
        let bundle = json!({"roots": ["a"], "files": [{"path": "a", "text": text}]}).to_string();
        problem(&admin(&server, "POST", "/api/v1/import", &bundle).await, 422);
    }
    assert_eq!(revision(&server).await, before);
    // Files of another system have numbers of its own, which mean nothing here.
    let text = "security: [{name: new, type: basic_auth, username: n, id: 4}]";
    let bundle = json!({"roots": ["a"], "files": [{"path": "a", "text": text}]}).to_string();
    assert_eq!(admin(&server, "POST", "/api/v1/import", &bundle).await.status, 200);
    assert_eq!(show(&server, "security", "app1").await["username"], "app1");
    assert_ne!(show(&server, "security", "new").await["meta"]["id"], 4);
}
