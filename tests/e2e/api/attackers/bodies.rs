//! Bodies: of another type, compressed, no JSON, JSON that means two things, numbers that are none.

use base64::Engine as _;
use serde_json::Value;
use spanwire_tests::Server;

use crate::api::{OBJECTS, assert_calm, call, problem, refusal, revision, send};

/// Every path that takes a body, and a method.
const TAKERS: [(&str, &str); 9] = [
    ("POST", "/api/v1/objects/web_socket"),
    ("PUT", "/api/v1/objects/web_socket/crm"),
    ("PATCH", "/api/v1/objects/web_socket/crm"),
    ("POST", "/api/v1/objects/web_socket/crm/revert"),
    ("POST", "/api/v1/objects/security/app1/password"),
    ("POST", "/api/v1/import"),
    ("POST", "/api/v1/connections/disconnect"),
    ("POST", "/api/v1/connections/ws.x/invoke"),
    ("POST", "/api/v1/services/zato.helpers.echo/invoke"),
];

/// `{}`, compressed by gzip.
const PACKED: &str = "H4sIAAAAAAAC/6uuBQBDv6ajAgAAAA==";

#[tokio::test]
async fn bodies_of_another_type_are_refused_everywhere() {
    let server = Server::setup().objects(OBJECTS).start();
    let before = revision(&server).await;
    for (method, path) in TAKERS {
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/xml",
            "application/yaml",
            "application/json-patch+json",
            "application/jsonp",
            "text/json",
            "application/json; charset=utf-16",
            "application/json, text/plain",
            "*/*",
            "",
        ] {
            let answer = call(&server, method, path, &[("Content-Type", kind)], "{}").await;
            problem(&answer, 415);
        }
        let twice = [("Content-Type", "application/json"), ("Content-Type", "text/plain")];
        problem(&call(&server, method, path, &twice, "{}").await, 415);
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{{token}}\r\n");
        let typeless = format!("{head}Content-Length: 2\r\n\r\n");
        problem(&send(&server, &typeless, b"{}").await, 415);
    }
    assert_eq!(revision(&server).await, before);
}

#[tokio::test]
async fn compressed_bodies_are_refused_everywhere() {
    let server = Server::setup().objects(OBJECTS).start();
    let packed = base64::engine::general_purpose::STANDARD.decode(PACKED).unwrap();
    for (method, path) in TAKERS {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{{token}}\r\n\
             Content-Type: application/json\r\n"
        );
        for coding in
            ["gzip", "deflate", "br", "zstd", "GZIP", "gzip, gzip", "identity, gzip", "x", ""]
        {
            let length = packed.len();
            let head =
                format!("{head}Content-Encoding: {coding}\r\nContent-Length: {length}\r\n\r\n");
            problem(&send(&server, &head, &packed).await, 415);
        }
        // And without a word about it, it is no JSON.
        let head = format!("{head}Content-Length: {}\r\n\r\n", packed.len());
        problem(&send(&server, &head, &packed).await, 400);
    }
    let head = "POST /api/v1/objects/web_socket HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{token}\r\n\
                Content-Type: application/json\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
    problem(&send(&server, head, b"2\r\n{}\r\n0\r\n\r\n").await, 415);
    assert_calm(&server);
}

#[tokio::test]
async fn what_is_no_json_or_means_two_things_is_refused_everywhere() {
    let server = Server::setup().objects(OBJECTS).start();
    let before = revision(&server).await;
    let deep = [
        "[".repeat(200_000),
        "{\"a\":".repeat(200_000),
        format!("{{\"name\":{}1{}}}", "[".repeat(130), "]".repeat(130)),
        format!("{{\"request\":{}1{}}}", "{\"a\":".repeat(130), "}".repeat(130)),
    ];
    let texts = [
        "{",
        "{}{}",
        "{} x",
        "nul",
        "{'name': 'x'}",
        "{\"a\": 1,}",
        "{\"a\": 01}",
        "{\"a\": +1}",
        "{\"a\": 0x10}",
        "{\"a\": NaN}",
        "{\"a\": Infinity}",
        "{\"a\": -Infinity}",
        "{\"a\": .5}",
        "{\"a\": 1.}",
        "{\"a\": \"\u{1}\"}",
        "{\"a\": \"\\x\"}",
        "\u{feff}{}",
        "/* */ {}",
    ];
    for (method, path) in TAKERS {
        for text in texts.into_iter().chain(deep.iter().map(String::as_str)) {
            let answer = call(&server, method, path, &[], text).await;
            problem(&answer, 400);
            assert!(answer.body.len() < 500, "{answer:?}");
        }
        for bytes in [&b"\xff\xfe{\0}\0"[..], b"{\"a\": \"\xff\"}", b"{\"a\": \"\xed\xa0\x80\"}"] {
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{{token}}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                bytes.len()
            );
            problem(&send(&server, &head, bytes).await, 400);
        }
    }
    assert_eq!(revision(&server).await, before);
    assert_calm(&server);
}

#[tokio::test]
async fn what_is_said_twice_is_refused() {
    let server = Server::setup().objects(OBJECTS).start();
    let before = revision(&server).await;
    let file = r#"{"path": "a", "text": "pubsub_topic: [{name: /twice}]"}"#;
    let twice =
        format!(r#"{{"roots": ["a"], "files": [{file}], "environment": {{"A": "1", "A": "2"}}}}"#);
    let roots = format!(r#"{{"roots": ["a"], "files": [{file}], "roots": []}}"#);
    let table = [
        ("PATCH", "/api/v1/objects/web_socket/crm", r#"{"name": "a", "name": "b"}"#),
        ("PATCH", "/api/v1/objects/web_socket/crm", r#"{"name": "a", "n\u0061me": "b"}"#),
        ("POST", "/api/v1/objects/web_socket", r#"{"labels": [{"a": 1, "a": 2}]}"#),
        ("POST", "/api/v1/objects/security/app1/password", r#"{"password": "a", "password": "b"}"#),
        (
            "POST",
            "/api/v1/connections/disconnect",
            r#"{"dry_run": true, "all": true, "dry_run": false}"#,
        ),
        (
            "POST",
            "/api/v1/connections/disconnect",
            r#"{"filter": {"username": "a", "username": "b"}}"#,
        ),
        ("POST", "/api/v1/import", &*twice),
        ("POST", "/api/v1/import", &*roots),
    ];
    for (method, path, body) in table {
        refusal(&call(&server, method, path, &[], body).await);
    }
    assert_eq!(revision(&server).await, before);
}

#[tokio::test]
async fn numbers_that_are_none_are_refused() {
    let server = Server::setup().objects(OBJECTS).start();
    let before = revision(&server).await;
    let numbers = [
        "1.5",
        "-1",
        "-0.0",
        "1e400",
        "1e30",
        "18446744073709551616",
        "9223372036854775808",
        "99999999999999999999999999999999999999999",
        "\"1; drop\"",
        "\"１\"",
        "\"0x10\"",
        "\"1e3\"",
        "\"NaN\"",
        "[1]",
        "{\"$numberLong\": \"1\"}",
    ];
    for number in numbers {
        for (method, path, key) in [
            ("PATCH", "/api/v1/objects/web_socket/crm", "max_in_flight"),
            ("PATCH", "/api/v1/objects/web_socket/crm", "max_message_size"),
            ("PATCH", "/api/v1/objects/web_socket/crm", "pings_missed_threshold"),
            ("PATCH", "/api/v1/objects/pubsub_topic/%2Fcustomer%2Fnew", "max_depth_gd"),
            ("POST", "/api/v1/objects/web_socket/crm/revert", "version"),
            ("POST", "/api/v1/connections/disconnect", "code"),
        ] {
            let body = format!("{{\"{key}\": {number}}}");
            let answer = call(&server, method, path, &[], &body).await;
            let found: Value = refusal(&answer);
            // A version is only a number, so that one may be missing.
            let is_none = answer.status == 404 && key == "version";
            assert!(is_none || matches!(answer.status, 400 | 422), "{path} {body}: {found}");
        }
    }
    assert_eq!(revision(&server).await, before);
    assert_calm(&server);
}
