//! One service, which knows nothing of channels, called over WebSocket, REST and the command line.

#![cfg(test)]

use serde_json::{Value, json};
use spanwire_tests::endpoint::{Endpoint, Received};
use spanwire_tests::http::{basic, connections, request};
use spanwire_tests::{Client, Server};

use crate::process::spanwire;

/// The service: it greets a customer, whoever asks.
async fn greeter() -> Endpoint {
    Endpoint::start(|request| match request.body["name"].as_str() {
        Some(name) => (200, json!({"greeting": format!("Cześć, {name}!")}).to_string()),
        None => (400, json!({"error": "name is missing"}).to_string()),
    })
    .await
}

/// Checks the headers that every call has, and returns the correlation id.
fn assert_told(received: &Received, channel: &str, caller: &str) -> String {
    assert!(received.head.starts_with("POST /greet HTTP/1.1"), "{}", received.head);
    for (name, value) in [
        ("x-spanwire-service", "crm.greet"),
        ("x-spanwire-channel", channel),
        ("x-spanwire-caller", caller),
        ("content-type", "application/json"),
    ] {
        assert_eq!(received.header(name), value, "{name} in\n{}", received.head);
    }
    let deadline: u64 = received.header("x-spanwire-deadline-ms").parse().unwrap();
    assert!((1..=5000).contains(&deadline), "{deadline}");
    let cid = received.header("x-spanwire-correlation-id");
    assert!(cid.len() == 24 && cid.bytes().all(|byte| byte.is_ascii_hexdigit()), "{cid}");
    let trace = received.header("traceparent");
    let lengths: Vec<_> = trace.split('-').map(str::len).collect();
    assert_eq!(lengths, [2, 32, 16, 2], "{trace}");
    cid
}

#[tokio::test]
async fn a_service_answers_websocket_rest_and_command_line_alike() {
    let endpoint = greeter().await;
    let server = Server::setup()
        .objects(&format!(
            r#"
security:
  - {{name: app1, type: basic_auth, username: user1, password: secret1}}
  - {{name: partner, type: apikey, password: secret3}}
service: [{{name: crm.greet, url: "{}", timeout: 5s}}]
wsx_gateway: [{{name: crm.gateway, services_allowed: ["crm.*"]}}]
web_socket:
  - {{name: crm, address: /ws/crm, service: crm.gateway, sec_def: app1}}
  - {{name: greetings, address: /ws/greet, service: crm.greet, sec_def: app1}}
channel_rest:
  - {{name: greet, url_path: "/greet/{{name}}", service: crm.greet, security_name: app1, data_format: json}}
  - {{name: greet.partner, url_path: /greet, service: crm.greet, security_name: partner, data_format: json}}
"#,
            endpoint.url("/greet")
        ))
        .start();
    let input = json!({"name": "Łucja"});
    let expected = json!({"greeting": "Cześć, Łucja!"});
    let last = || endpoint.received().pop().unwrap();
    let mut cids = Vec::new();

    // Over WebSocket, through a gateway and mounted as it is.
    for (path, channel, data) in [
        ("/ws/crm", "crm", json!({"service": "crm.greet", "request": input})),
        ("/ws/greet", "greetings", input.clone()),
    ] {
        let mut client = Client::log_in(&server.ws(path), "user1", "secret1").await;
        let reply = client.call(&data).await;
        assert_eq!((&reply["meta"]["status"], &reply["data"]), (&json!(200), &expected));
        let received = last();
        let cid = assert_told(&received, channel, "user1");
        assert_eq!(reply["meta"]["id"], cid);
        let record = connections(&server).await.remove(0);
        assert_eq!(record["pub_client_id"], received.header("x-spanwire-connection-id"));
        assert_eq!(received.header("x-spanwire-client-id"), "test.1");
        assert_eq!(received.body, input);
        cids.push(cid);
    }

    // Over REST, with Basic Auth and a parameter in the path, and with an API key and a body.
    let authorization = basic("user1", "secret1");
    let json = ("Content-Type", "application/json");
    for (channel, caller, path, headers, body) in [
        (
            "greet",
            "user1",
            "/greet/%C5%81ucja",
            [json, ("Authorization", &*authorization)],
            Value::Null,
        ),
        ("greet.partner", "partner", "/greet", [json, ("X-API-Key", "secret3")], input.clone()),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = request(server.address(), "POST", path, &headers, &body).await;
        assert_eq!((answer.status, answer.json()), (200, expected.clone()), "{path}");
        let received = last();
        let cid = assert_told(&received, channel, caller);
        assert_eq!(answer.header("x-zato-cid"), cid);
        assert_no_connection(&received);
        assert_eq!(received.body, input);
        cids.push(cid);
    }

    // From the command line.
    let data = server.data().display().to_string();
    let payload = input.to_string();
    let invoked = spanwire(&[
        "--data",
        &data,
        "--output",
        "json",
        "service",
        "invoke",
        "crm.greet",
        "--payload",
        &payload,
    ])
    .await;
    assert_eq!(invoked.code, 0, "{invoked:?}");
    let printed: Value = serde_json::from_str(&invoked.out).unwrap();
    let received = last();
    let cid = assert_told(&received, "admin", "");
    assert_eq!(printed, expected);
    assert_no_connection(&received);
    assert_eq!(received.body, input);
    cids.push(cid);

    assert_eq!(endpoint.received().len(), cids.len(), "the service was asked more than once");
    cids.sort();
    cids.dedup();
    assert_eq!(cids.len(), 5, "each call has an id of its own");

    // Its refusal, too, is the same everywhere.
    let mut client = Client::log_in(&server.ws("/ws/greet"), "user1", "secret1").await;
    let reply = client.call(&json!({})).await;
    assert_eq!(
        (&reply["meta"]["status"], &reply["meta"]["error_message"]),
        (&json!(400), &json!("name is missing"))
    );
    let headers = [json, ("X-API-Key", "secret3")];
    let answer = request(server.address(), "POST", "/greet", &headers, "{}").await;
    assert_eq!((answer.status, answer.json()["details"].clone()), (400, json!("name is missing")));
    let refused = spanwire(&["--data", &data, "service", "invoke", "crm.greet"]).await;
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.err.contains("name is missing"), "{refused:?}");
}

fn assert_no_connection(received: &Received) {
    for name in ["x-spanwire-connection-id", "x-spanwire-client-id"] {
        assert_eq!(received.header(name), "", "{name} in\n{}", received.head);
    }
}
