//! The admin API of the real server: requests of a fuzzer and of attackers, live connections, streams, rivals.

mod attackers;
mod connections;
mod fuzz;
mod rivals;
mod streams;

use serde_json::Value;
use spanwire_tests::Server;
use spanwire_tests::http::{Answer, raw, request};

/// An object of every kind.
pub(crate) const OBJECTS: &str = r#"
security:
  - {name: app1, type: basic_auth, username: app1, password: secret1}
  - {name: partner, type: apikey, header: X-API-Key, password: secret3}
service:
  - {name: remote, url: "http://127.0.0.1:9/customers", method: POST, timeout: 1s}
wsx_gateway:
  - {name: gate, services_allowed: [zato.ping, zato.helpers.echo]}
web_socket:
  - {name: crm, address: /ws/crm, service: gate, sec_def: app1}
channel_rest:
  - {name: echo, url_path: "/echo/{id}", service: zato.helpers.echo, security_name: partner, data_format: json}
outgoing_rest:
  - {name: billing, host: "http://127.0.0.1:9", url_path: /events, security_name: app1, data_format: json}
outgoing_wsx:
  - {name: cluster-b, address: "ws://127.0.0.1:9/ws/crm", is_zato: true, security_name: app1}
pubsub_topic:
  - {name: /customer/new, max_depth_gd: 10000}
pubsub_endpoint:
  - {name: publisher, endpoint_type: rest, role: pub-sub, security_name: app1, topic_patterns: "pub=/customer/**\nsub=/customer/**"}
pubsub_subscription:
  - {endpoint_name: publisher, topic_name: /customer/new, delivery_method: pull}
"#;

/// Every kind, with the name of its object.
pub(crate) const KINDS: [(&str, &str); 10] = [
    ("security", "app1"),
    ("service", "remote"),
    ("wsx_gateway", "gate"),
    ("web_socket", "crm"),
    ("channel_rest", "echo"),
    ("outgoing_rest", "billing"),
    ("outgoing_wsx", "cluster-b"),
    ("pubsub_topic", "/customer/new"),
    ("pubsub_endpoint", "publisher"),
    ("pubsub_subscription", "publisher//customer/new"),
];

/// A request with the token and further headers; a body is JSON when they do not say otherwise.
pub(crate) async fn call(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let token = format!("Bearer {}", server.admin_token());
    let mut all = vec![("Authorization", &*token)];
    all.extend(headers);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        all.push(("Content-Type", "application/json"));
    }
    request(server.admin_address(), method, path, &all, body).await
}

/// A request as it is written, `{token}` replaced, with any bytes as its end.
pub(crate) async fn send(server: &Server, head: &str, body: &[u8]) -> Answer {
    let head = head.replace("{token}", &format!("Authorization: Bearer {}", server.admin_token()));
    let answer = raw(server.admin_address(), &[head.as_bytes(), body].concat()).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Answer { status, headers: headers.collect(), body: body.to_owned() }
}

/// Checks that an answer is a problem document that tells no secret and repeats little, and returns it.
pub(crate) fn problem(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    refusal(answer)
}

/// The same for any status from 400 to 499.
pub(crate) fn refusal(answer: &Answer) -> Value {
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status, "{answer:?}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(!detail.is_empty() && !problem["title"].as_str().unwrap().is_empty(), "{answer:?}");
    assert!(detail.chars().count() < 1_000, "{answer:?}");
    assert!(!detail.contains(char::is_control), "{answer:?}");
    for secret in ["secret1", "secret3"] {
        assert!(!answer.body.contains(secret), "{answer:?}");
    }
    problem
}

/// The revision of the configuration.
pub(crate) async fn revision(server: &Server) -> u64 {
    call(server, "GET", "/api/v1/server", &[], "").await.json()["revision"].as_u64().unwrap()
}

/// Nobody panicked.
pub(crate) fn assert_calm(server: &Server) {
    let log = server.log();
    let panic = log.lines().find(|line| line.contains("panicked at"));
    assert!(panic.is_none(), "{panic:?}");
}
