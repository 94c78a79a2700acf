//! What is told: changes, states, connections; to everybody who asked for it.

use serde_json::{Value, json};
use spanwire_protocol::admin::{ConnectionEvent, Revision, StateEvent};
use spanwire_tests::http::admin;
use spanwire_tests::{Client, Server};
use tokio::net::TcpListener;

use super::Reader;
use crate::api::{OBJECTS, call, problem};
use crate::live::{create, delete, ok, patch};

#[tokio::test]
async fn every_change_is_told_with_who_and_what() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut reader = Reader::open(&server, "", None).await;
    let made =
        create(&server, "wsx_gateway", json!({"name": "new", "services_allowed": ["a"]})).await;
    let event = reader.next_named("change").await;
    assert_eq!(event.id, made["meta"]["revision"].as_u64());
    let change: Revision = serde_json::from_value(event.data).unwrap();
    assert_eq!(change.who, "admin");
    assert!(change.from.starts_with("127.0.0.1:"), "{change:?}");
    assert_eq!((&*change.changes[0].name, change.changes[0].action.as_str()), ("new", "created"));

    let headers = [("X-Spanwire-User", "ada")];
    let body = json!({"password": "secret-of-ada"}).to_string();
    let path = "/api/v1/objects/security/app1/password?reason=a%20leak";
    ok(call(&server, "POST", path, &headers, &body).await);
    let event = reader.next_named("change").await;
    assert!(!event.data.to_string().contains("secret-of-ada"), "{event:?}");
    assert_eq!(
        (&event.data["who"], &event.data["reason"]),
        (&json!("admin (ada)"), &json!("a leak"))
    );
    let field = json!([{"field": "password", "from": "***", "to": "*** (changed)"}]);
    assert_eq!(event.data["changes"][0]["diff"], field, "{event:?}");

    // A rename with those that follow it, an import, an undo, a delete: each is one event.
    patch(&server, "security", "app1", json!({"name": "app2"})).await;
    let renamed = reader.next_named("change").await;
    assert!(renamed.data["changes"].as_array().unwrap().len() > 2, "{renamed:?}");
    let text = "pubsub_topic: [{name: /a}, {name: /b}]";
    let bundle = json!({"roots": ["a"], "files": [{"path": "a", "text": text}]}).to_string();
    ok(admin(&server, "POST", "/api/v1/import", &bundle).await);
    let imported = reader.next_named("change").await;
    assert_eq!(imported.data["changes"].as_array().unwrap().len(), 2);
    let path = format!("/api/v1/history/{}/revert", imported.id.unwrap());
    ok(admin(&server, "POST", &path, "").await);
    assert_eq!(reader.next_named("change").await.data["changes"][1]["action"], "deleted");
    delete(&server, "wsx_gateway", "new").await;
    let deleted = reader.next_named("change").await;
    assert_eq!(deleted.data["changes"][0]["action"], "deleted");

    // What changes nothing, and what is only tried, is not told.
    ok(call(
        &server,
        "PATCH",
        "/api/v1/objects/wsx_gateway/gate?dry_run=true",
        &[],
        "{\"services_allowed\": []}",
    )
    .await);
    ok(call(&server, "PATCH", "/api/v1/objects/wsx_gateway/gate", &[], "{}").await);
    call(&server, "PATCH", "/api/v1/objects/wsx_gateway/gate", &[], "{\"x\": 1}").await;
    patch(&server, "wsx_gateway", "gate", json!({"services_allowed": ["b"]})).await;
    assert_eq!(reader.next_named("change").await.id, Some(deleted.id.unwrap() + 1));
}

#[tokio::test]
async fn a_state_is_told_when_it_fails_and_when_it_works_again() {
    let server = Server::setup().objects(OBJECTS).start();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let mut reader = Reader::open(&server, "?types=state", None).await;
    let object = json!({"name": "own", "address": format!("ws://{address}/own"), "service": "gate", "sec_def": "app1"});
    let made = create(&server, "web_socket", object).await;
    assert_eq!(made["meta"]["state"], "failed", "{made}");
    let state = |event: super::Event| -> StateEvent {
        assert_eq!((&*event.name, event.id), ("state", None), "{event:?}");
        serde_json::from_value(event.data).unwrap()
    };
    let failed = state(reader.next().await.unwrap());
    assert_eq!(
        (&*failed.kind, &*failed.name, failed.state.as_str()),
        ("web_socket", "own", "failed")
    );
    assert_eq!(failed.id, made["meta"]["id"].as_u64().unwrap());
    let error = failed.error.unwrap();
    assert!(error.contains(&address.to_string()), "{error}");
    assert_eq!(made["meta"]["error"], error);
    // It is tried again by itself.
    drop(taken);
    let running = state(reader.next().await.unwrap());
    assert_eq!((&*running.name, running.state.as_str(), running.error), ("own", "running", None));
    assert!(running.since > failed.since);
    let mut client = Client::log_in(&format!("ws://{address}/own"), "app1", "secret1").await;
    assert_eq!(client.invoke("zato.ping", &json!({})).await["meta"]["status"], 200);
    // Switched off, and on again.
    patch(&server, "web_socket", "own", json!({"is_active": false})).await;
    assert_eq!(state(reader.next().await.unwrap()).state.as_str(), "inactive");
    patch(&server, "web_socket", "own", json!({"is_active": true})).await;
    assert_eq!(state(reader.next().await.unwrap()).state.as_str(), "running");
}

#[tokio::test]
async fn connections_are_told_when_they_come_and_go() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut reader = Reader::open(&server, "?types=connection", None).await;
    // Who does not log in is nobody.
    let mut refused = Client::connect(&server.ws("/ws/crm")).await;
    refused.send(&json!({"meta": {"action": "create-session", "id": "1", "username": "app1", "secret": "x"}})).await;
    refused.receive_close().await;
    let client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    let mut ids = Vec::new();
    let mut connection = |event: super::Event| -> ConnectionEvent {
        assert_eq!((&*event.name, event.id), ("connection", None), "{event:?}");
        ids.push(event.data["connection"]["pub_client_id"].clone());
        serde_json::from_value(event.data).unwrap()
    };
    let mut event = connection(reader.next().await.unwrap());
    if let ConnectionEvent::Closed { connection: closed } = &event {
        assert!(!closed.was_logged_in, "{closed:?}");
        event = connection(reader.next().await.unwrap());
    }
    let ConnectionEvent::Opened { connection: opened } = event else { panic!("{event:?}") };
    assert_eq!((&*opened.channel_name, &*opened.username), ("crm", "app1"));
    client.close(4321, "bye").await;
    let event = connection(reader.next().await.unwrap());
    let ConnectionEvent::Closed { connection: closed } = event else { panic!("{event:?}") };
    assert_eq!((closed.code, &*closed.reason, &*closed.closed_by), (4321, "bye", "client"));
    assert!(closed.was_logged_in);
    assert_eq!(ids[ids.len() - 1], ids[ids.len() - 2]);
}

#[tokio::test]
async fn readers_get_the_types_that_they_asked_for() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut all = Reader::open(&server, "", None).await;
    let mut readers = Vec::new();
    for (query, types) in [
        ("?types=change", &["change"][..]),
        ("?types=state", &["state"]),
        ("?types=connection", &["connection"]),
        ("?types=connection,change", &["change", "connection"]),
        ("?types=%20state%20,state,", &["state"]),
        ("?types=change,state,connection", &["change", "state", "connection"]),
    ] {
        readers.push((Reader::open(&server, query, None).await, query, types));
    }
    let client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    patch(&server, "web_socket", "crm", json!({"is_active": false})).await;
    drop(client);
    // By this the readers of everything know that nothing more comes before it.
    let last = patch(&server, "wsx_gateway", "gate", json!({"services_allowed": []})).await;
    let last = last["meta"]["revision"].as_u64();
    let mut told: Vec<(String, Value)> = Vec::new();
    loop {
        let event = all.next().await.unwrap();
        told.push((event.name, event.data));
        let is_closed = told.iter().any(|(_, data)| data["event"] == "closed");
        if is_closed && told.iter().any(|(_, data)| data["revision"].as_u64() == last) {
            break;
        }
    }
    for (mut reader, query, types) in readers {
        let expected = told.iter().filter(|(name, _)| types.contains(&&**name));
        for (name, data) in expected {
            let event = reader.next().await.unwrap();
            assert_eq!((&event.name, &event.data), (name, data), "{query}");
        }
        assert!(reader.is_quiet().await, "{query}");
    }
    for query in [
        "?types=",
        "?types=,",
        "?types=changes",
        "?types=change,x",
        "?types=lagged",
        "?types=change&types=state",
        "?type=change",
    ] {
        problem(&admin(&server, "GET", &format!("/api/v1/events{query}"), "").await, 400);
    }
    for last in ["", "x", "-1", "+1", "1.0", "99999999999999999999999", "1 2"] {
        let headers = [("Last-Event-ID", last)];
        problem(&call(&server, "GET", "/api/v1/events", &headers, "").await, 400);
    }
}
