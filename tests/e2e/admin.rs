//! The admin listener: tokens, problem details, metrics, health.

use serde_json::{Value, json};
use spanwire_runtime::telemetry::METRICS;
use spanwire_tests::http::{Answer, admin, basic, get, raw, request};
use spanwire_tests::{Client, Server, eventually};

use crate::cli::OBJECTS;

const PATHS: [(&str, &str); 10] = [
    ("GET", "/api/v1/server"),
    ("GET", "/api/v1/services"),
    ("POST", "/api/v1/services/zato.ping/invoke"),
    ("GET", "/api/v1/connections"),
    ("GET", "/api/v1/connections/ws.x"),
    ("DELETE", "/api/v1/connections/ws.x"),
    ("POST", "/api/v1/connections/ws.x/invoke"),
    ("GET", "/api/v1/connection-history"),
    ("GET", "/api/v1/no-such-thing"),
    ("PUT", "/api/v1/server"),
];

fn problem(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
    let body = answer.json();
    assert_eq!(body["status"], status, "{answer:?}");
    for key in ["title", "detail"] {
        assert!(body[key].as_str().is_some_and(|text| !text.is_empty()), "{answer:?}");
    }
    body
}

#[tokio::test]
async fn nothing_is_told_without_the_token() {
    let server = Server::setup().start();
    let token = server.admin_token();
    let wrong = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer wrong".to_owned(),
        format!("Bearer {}", &token.to_uppercase()),
        format!("Bearer {token}x"),
        format!("Bearer {}", token.split_at(token.len() - 1).0),
        format!("Basic {token}"),
        token.clone(),
        basic("admin", &token),
    ];
    for (method, path) in PATHS {
        for authorization in &wrong {
            let mut headers = vec![("Authorization", &**authorization)];
            headers.retain(|(_, value)| !value.is_empty());
            let answer = request(server.admin_address(), method, path, &headers, "").await;
            problem(&answer, 401);
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{answer:?}");
            assert!(!answer.body.contains(&token));
        }
        assert_ne!(admin(&server, method, path, "").await.status, 401, "{method} {path}");
    }
    // Neither in the query nor on the main listener.
    let query = format!("/api/v1/server?token={token}&access_token={token}");
    problem(&request(server.admin_address(), "GET", &query, &[], "").await, 401);
    assert_eq!(get(&server, "/api/v1/server").await.status, 404);
    assert_eq!(get(&server, "/metrics").await.status, 404);
}

#[tokio::test]
async fn mistakes_are_problem_details() {
    let server = Server::setup().objects(OBJECTS).start();
    let _client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    let list = admin(&server, "GET", "/api/v1/connections", "").await.json();
    let id = list[0]["pub_client_id"].as_str().unwrap();
    let of = |rest: &str| format!("/api/v1/connections/{id}{rest}");
    let invoke = "/api/v1/services/zato.helpers.echo/invoke";
    let table = [
        ("GET", "/api/v1/no-such-thing".to_owned(), "", 404, "/api/v1"),
        ("GET", "/no-such-thing".to_owned(), "", 404, "/api/v1"),
        ("PUT", "/api/v1/server".to_owned(), "", 405, "PUT"),
        ("POST", "/api/v1/services/no.such/invoke".to_owned(), "{}", 404, "no.such"),
        ("POST", invoke.to_owned(), "{", 400, "JSON"),
        ("POST", format!("{invoke}?timeout=-1"), "{}", 400, "timeout"),
        ("POST", format!("{invoke}?timeout=x"), "{}", 400, "timeout"),
        ("POST", format!("{invoke}?timout=1"), "{}", 400, "timout"),
        ("GET", "/api/v1/connections?colour=red".to_owned(), "", 400, "colour"),
        ("GET", "/api/v1/connections/ws.nobody".to_owned(), "", 404, "ws.nobody"),
        ("DELETE", "/api/v1/connections/ws.nobody".to_owned(), "", 404, "ws.nobody"),
        ("DELETE", of("?code=1005"), "", 400, "code"),
        ("DELETE", of("?code=abc"), "", 400, "code"),
        ("POST", "/api/v1/connections/ws.nobody/invoke".to_owned(), "{}", 404, "ws.nobody"),
        ("POST", of("/invoke"), "{", 400, "JSON"),
        ("POST", of("/invoke"), r#"{"timeout": 0}"#, 422, "timeout"),
        ("POST", of("/invoke"), r#"{"timeout": 1e300}"#, 422, "timeout"),
        ("POST", of("/invoke"), r#"{"timout": 1}"#, 422, "timout"),
        ("POST", of("/invoke"), r#"{"timeout": 0.1}"#, 504, "no reply within 0.1 s"),
    ];
    for (method, path, body, status, word) in table {
        let answer = admin(&server, method, &path, body).await;
        let found = problem(&answer, status);
        let detail = found["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{method} {path}: {word} is not in {detail}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    // A failed service: its correlation id finds it in the log.
    let path = "/api/v1/services/helpers.web-sockets-gateway/invoke";
    let cid = problem(&admin(&server, "POST", path, "{}").await, 400)["cid"].clone();
    assert_eq!(cid.as_str().unwrap().len(), 24, "{cid}");
}

#[tokio::test]
async fn odd_requests_harm_nobody() {
    let server = Server::setup().start();
    let host = server.admin_address();
    let huge = "x".repeat(70_000);
    let table = [
        ("\r\n\r\n".to_owned(), 0),
        (format!("GET /{huge} HTTP/1.1\r\nHost: {host}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: {huge}\r\n\r\n"), 431),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            format!(
                "GET /api/v1/server HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n"
            ),
            401,
        ),
        (format!("GET /api/v1/%ff HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"), 401),
    ];
    for (text, status) in table {
        let Ok(answer) =
            tokio::time::timeout(std::time::Duration::from_secs(3), raw(host, text.as_bytes()))
                .await
        else {
            // Empty lines before a request are allowed; whoever sends only those waits for the header timeout.
            assert_eq!(status, 0, "{text:.80}");
            continue;
        };
        let answer = String::from_utf8_lossy(&answer);
        let is_expected = match status {
            // A URL that is too long may be called that as well.
            431 => answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 414"),
            status => answer.starts_with(&format!("HTTP/1.1 {status}")),
        };
        assert!(is_expected, "{text:.80}: {answer}");
    }
    assert_eq!(admin(&server, "GET", "/api/v1/server", "").await.status, 200);
}

#[tokio::test]
async fn every_metric_appears_with_traffic() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    client.invoke("zato.ping", &json!({})).await;
    let mut refused = Client::connect(&server.ws("/ws/crm")).await;
    refused.send(&json!({"meta": {"action": "create-session", "id": "1", "secret": "x"}})).await;
    refused.receive_close().await;
    drop(refused);
    assert_eq!(get(&server, "/no-such-path").await.status, 404);
    let read = || async { request(server.admin_address(), "GET", "/metrics", &[], "").await };
    eventually("the close is counted", || async {
        read().await.body.contains("spanwire_connections_closed_total{")
    })
    .await;
    let answer = read().await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    for (name, kind, _) in METRICS {
        assert!(
            answer.body.contains(&format!("# TYPE {name} {kind}\n")),
            "{name}:\n{}",
            answer.body
        );
        assert!(answer.body.contains(&format!("# HELP {name} ")), "{name}");
        let has_sample = answer.body.lines().any(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ', '_']))
        });
        assert!(has_sample, "{name} has no sample:\n{}", answer.body);
    }
    let others = answer.body.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for line in others {
        let name = line.split(' ').next().unwrap();
        assert!(METRICS.iter().any(|(known, ..)| *known == name), "{name} is not listed");
    }
    for (sample, value) in [
        ("spanwire_connections", "1"),
        ("spanwire_logins_total{channel=\"crm\",outcome=\"accepted\"}", "1"),
        ("spanwire_logins_total{channel=\"crm\",outcome=\"refused\"}", "1"),
        ("spanwire_refusals_total{reason=\"not-found\"}", "1"),
        ("spanwire_calls_total{service=\"zato.ping\",status=\"200\"}", "1"),
    ] {
        let line = format!("{sample} {value}");
        assert!(answer.body.lines().any(|own| own == line), "{line}:\n{}", answer.body);
    }
    client.close(1000, "").await;
    eventually("the gauge goes down", || async {
        read().await.body.lines().any(|line| line == "spanwire_connections 0")
    })
    .await;
}

#[tokio::test]
async fn what_clients_send_makes_no_new_metrics() {
    let server = Server::setup().objects(OBJECTS).start();
    let read = || async { request(server.admin_address(), "GET", "/metrics", &[], "").await.body };
    let mut client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    client.invoke("zato.ping", &json!({})).await;
    client.invoke("forbidden", &json!({})).await;
    get(&server, "/path").await;
    Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await.close(3000, "").await;
    eventually("the close is counted", || async { read().await.contains("code=\"other\"") }).await;
    let before = read().await.lines().count();
    for n in 0..50 {
        let service = format!("forbidden.{n}\"}}");
        assert_eq!(client.invoke(&service, &json!({})).await["meta"]["status"], 403);
        assert_eq!(get(&server, &format!("/path/{n}")).await.status, 404);
        let other = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
        other.close(3000 + n, "").await;
    }
    assert_eq!(read().await.lines().count(), before);
}

#[tokio::test]
async fn health_needs_no_token() {
    let server = Server::setup().start();
    for path in ["/livez", "/readyz"] {
        let answer = request(server.admin_address(), "GET", path, &[], "").await;
        assert_eq!((answer.status, answer.json()), (200, json!({"status": "ok"})), "{path}");
        assert_eq!(get(&server, path).await.status, 200);
    }
    assert_eq!(get(&server, "/readyz/ws").await.json(), json!({"status": "ok"}));
}
