//! Handshakes on the real binary.

use serde_json::{Value, json};
use spanwire_tests::Server;
use spanwire_tests::vectors::load;

use super::raw::{Raw, TEXT};

#[tokio::test]
async fn handshake_vectors_hold() {
    let server = Server::setup()
        .objects(
            "web_socket: [{name: vectors, address: /zato.ws.apitests, sec_def: zato-no-security, service: zato.ping}]",
        )
        .start();
    let vectors = load("wsx-handshake.json");
    assert!(vectors.len() >= 14, "only {} vectors", vectors.len());
    let mut wrong = Vec::new();
    for vector in &vectors {
        wrong.extend(play(&server, vector).await.err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn play(server: &Server, vector: &Value) -> Result<(), String> {
    let (message, expected) = (&vector["message"], &vector["expected"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut request =
        format!("{} {} HTTP/1.1\r\n", text(&message["method"]), text(&message["path"]));
    for (name, value) in message["headers"].as_object().unwrap() {
        request.push_str(&format!("{name}: {}\r\n", text(value)));
    }
    request.push_str("\r\n");
    let (mut raw, head, body) =
        Raw::request(&server.address().to_string(), request.as_bytes()).await;
    let fail = |what: String| Err(format!("{}: {what}; the answer:\n{head}{body}", vector["name"]));

    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let status_line: Vec<_> = head.lines().next().unwrap().splitn(3, ' ').collect();
    if status_line[1].parse() != Ok(expected["status"].as_u64().unwrap()) {
        return fail(format!("expected status {}", expected["status"]));
    }
    if status_line.len() < 3 || status_line[2].is_empty() {
        return fail("no reason phrase".to_owned());
    }
    for (name, value) in expected["headers"].as_object().into_iter().flatten() {
        if header(name) != value.as_str().map(str::to_owned) {
            return fail(format!("expected {name}: {value}"));
        }
    }
    for name in expected["headers_absent"].as_array().into_iter().flatten() {
        if header(&text(name)).is_some() {
            return fail(format!("{name} should be absent"));
        }
    }
    if let Some(json) = expected.get("body_json")
        && serde_json::from_str::<Value>(&body).ok().as_ref() != Some(json)
    {
        return fail(format!("expected the body {json}"));
    }
    match text(&expected["state_after"]).as_str() {
        "unauthenticated" => {
            let login = json!({"meta": {"action": "create-session", "id": "login"}});
            raw.send(TEXT, login.to_string().as_bytes()).await;
            let reply = raw.frame().await.map(|frame| frame.text()).unwrap_or_default();
            if reply.contains("zwsx.rspa") { Ok(()) } else { fail(format!("no session: {reply}")) }
        }
        "closed" => {
            // No WebSocket: a frame is no HTTP request, and ends the connection.
            raw.send(TEXT, b"{}").await;
            let rest = raw.rest().await;
            if rest.contains("zwsx") { fail(format!("there is a session: {rest}")) } else { Ok(()) }
        }
        other => fail(format!("nobody knows the state {other}")),
    }
}
