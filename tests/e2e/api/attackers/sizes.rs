//! Sizes: what is too large is refused without being read; lengths that lie end the connection.

use serde_json::json;
use spanwire_tests::http::{admin, raw};
use spanwire_tests::{PATIENCE, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::api::{OBJECTS, assert_calm, call, problem, revision, send};

const HEAD: &str =
    "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{token}\r\nContent-Type: application/json\r\n";

/// Paths that take a body, with the bytes that it may have.
const LIMITS: [(&str, &str, usize); 7] = [
    ("POST", "/api/v1/objects/web_socket", 1 << 20),
    ("PUT", "/api/v1/objects/web_socket/crm", 1 << 20),
    ("PATCH", "/api/v1/objects/web_socket/crm", 1 << 20),
    ("POST", "/api/v1/objects/security/app1/password", 1 << 20),
    ("POST", "/api/v1/connections/disconnect", 1 << 20),
    ("POST", "/api/v1/import", 20 << 20),
    ("POST", "/api/v1/services/zato.helpers.echo/invoke", 16 << 20),
];

#[tokio::test]
async fn an_announced_size_that_is_too_large_is_refused_without_reading() {
    let server = Server::setup().objects(OBJECTS).start();
    for (method, path, limit) in LIMITS {
        for length in [limit as u64 + 1, u64::from(u32::MAX) + 1, i64::MAX.unsigned_abs()] {
            // Nothing of the body is ever sent.
            let head = format!("{method} {path} {HEAD}Content-Length: {length}\r\n\r\n");
            let answer = send(&server, &head, b"").await;
            problem(&answer, 413);
            assert!(answer.body.contains(&limit.to_string()), "{answer:?}");
        }
        // Who asks first is refused before anything is sent.
        let head = format!(
            "{method} {path} {HEAD}Expect: 100-continue\r\nContent-Length: 999999999\r\n\r\n"
        );
        problem(&send(&server, &head, b"").await, 413);
    }
}

#[tokio::test]
async fn a_stream_that_is_too_large_is_refused_before_its_end() {
    let server = Server::setup().objects(OBJECTS).start();
    for (method, path, limit) in LIMITS {
        let head = format!("{method} {path} {HEAD}Transfer-Encoding: chunked\r\n\r\n");
        // As much as is allowed, one byte more, and no end.
        let body = [chunk(limit), chunk(1)].concat();
        problem(&send(&server, &head, &body).await, 413);
    }
    assert_calm(&server);
}

#[tokio::test]
async fn an_endless_stream_is_cut_off() {
    let server = Server::setup().objects(OBJECTS).start();
    for (method, path, limit) in LIMITS {
        let head = format!("{method} {path} {HEAD}Transfer-Encoding: chunked\r\n\r\n");
        let token = format!("Authorization: Bearer {}", server.admin_token());
        let mut stream = TcpStream::connect(server.admin_address()).await.unwrap();
        stream.write_all(head.replace("{token}", &token).as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let writing = async {
            let (piece, mut sent) = (chunk(65_536), 0);
            while writer.write_all(&piece).await.is_ok() {
                sent += 65_536;
            }
            sent
        };
        let reading = async {
            let mut answer = Vec::new();
            let _ = reader.read_to_end(&mut answer).await;
            String::from_utf8_lossy(&answer).into_owned()
        };
        let both = tokio::time::timeout(PATIENCE, async { tokio::join!(writing, reading) }).await;
        let (sent, answer) = both.expect("the server closes");
        // What the kernel holds on both sides counts as sent.
        assert!(sent < limit + (16 << 20), "{path}: {sent} bytes were taken");
        // A connection that is reset takes an answer with it that was not read yet.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{path}: {answer}");
    }
    assert!(server.memory() < 400 << 20, "{} bytes", server.memory());
    assert_calm(&server);
}

/// Blanks, as chunked bodies have them.
fn chunk(size: usize) -> Vec<u8> {
    [format!("{size:x}\r\n").into_bytes(), vec![b' '; size], b"\r\n".to_vec()].concat()
}

#[tokio::test]
async fn just_enough_is_enough() {
    let server = Server::setup().objects(OBJECTS).start();
    let echo = "/api/v1/services/zato.helpers.echo/invoke";
    let body = json!("x".repeat((1 << 20) * 4)).to_string();
    assert_eq!(
        call(&server, "POST", echo, &[], &body).await.json()["response"],
        serde_json::from_str::<serde_json::Value>(&body).unwrap()
    );
    let blank = format!("{{\"realm\": \"r\"{}}}", " ".repeat((1 << 20) - 14));
    assert_eq!(blank.len(), 1 << 20);
    let path = "/api/v1/objects/security/app1";
    assert_eq!(call(&server, "PATCH", path, &[], &blank).await.status, 200);
    problem(&call(&server, "PATCH", path, &[], &format!("{blank} ")).await, 413);
}

#[tokio::test]
async fn lengths_that_lie_change_nothing() {
    let server = Server::setup().objects(OBJECTS).start();
    let before = revision(&server).await;
    let body = r#"{"name": "lie", "services_allowed": []}"#;
    let start = format!("POST /api/v1/objects/wsx_gateway {HEAD}");
    let refused: [(String, &str); 8] = [
        (format!("Transfer-Encoding: chunked\r\n\r\n5\r\n{body}\r\n0\r\n\r\n"), "too short"),
        (
            format!("Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\n{body}\r\n0\r\n\r\n"),
            "overflow",
        ),
        (format!("Transfer-Encoding: chunked\r\n\r\n-27\r\n{body}\r\n0\r\n\r\n"), "negative"),
        (format!("Transfer-Encoding: chunked\r\n\r\nzz\r\n{body}\r\n0\r\n\r\n"), "no number"),
        (format!("Transfer-Encoding: chunked\r\n\r\n 27\r\n{body}\r\n0\r\n\r\n"), "blank"),
        (
            format!(
                "Transfer-Encoding: chunked\r\n\r\n27;{}\r\n{body}\r\n0\r\n\r\n",
                "x".repeat(100_000)
            ),
            "extension",
        ),
        (format!("Content-Length: {}\r\n\r\n{body}", body.len() - 1), "one byte short"),
        (format!("Content-Length: 0\r\n\r\n{body}"), "none"),
    ];
    for (rest, what) in refused {
        let answer = send(&server, &format!("{start}{rest}"), b"").await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        problem(&answer, 400);
    }
    // Two lengths, or one that is none, are no HTTP.
    for lengths in [
        "Content-Length: 39\r\nContent-Length: 40",
        "Content-Length: 39, 40",
        "Content-Length: -1",
        "Content-Length: +39",
        "Content-Length: 0x27",
        "Content-Length: 39abc",
        "Content-Length: 99999999999999999999999",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding : chunked",
    ] {
        let answer = send(&server, &format!("{start}{lengths}\r\n\r\n{body}"), b"").await;
        assert_eq!((answer.status, &*answer.body), (400, ""), "{lengths}: {answer:?}");
    }
    // Whoever promises more and leaves has said nothing.
    for rest in ["Content-Length: 100\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n64\r\n"] {
        let token = format!("Authorization: Bearer {}", server.admin_token());
        let request = format!("{start}{rest}{body}").replace("{token}", &token);
        let mut stream = TcpStream::connect(server.admin_address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "));
    }
    assert_eq!(revision(&server).await, before);
}

/// A length and chunks: whatever counts, the rest of the connection is no second request.
#[tokio::test]
async fn a_request_inside_of_a_request_is_none() {
    let server = Server::setup().objects(OBJECTS).start();
    let inner = format!(
        "DELETE /api/v1/objects/pubsub_subscription/publisher%2F%2Fcustomer%2Fnew HTTP/1.1\r\nHost: x\r\n\
         Authorization: Bearer {}\r\n\r\n",
        server.admin_token()
    );
    for lengths in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
    ] {
        let outer = format!(
            "POST /api/v1/services/zato.ping/invoke HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lengths}\r\n\r\n0\r\n\r\n{inner}"
        );
        let answer = raw(server.admin_address(), outer.as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let path = "/api/v1/objects/pubsub_subscription/publisher%2F%2Fcustomer%2Fnew";
    assert_eq!(admin(&server, "GET", path, "").await.status, 200);
}
