//! Handshakes that are right, and ordinary ones that are not: the vectors, and what RFC 6455 leaves to a client.

use std::path::Path;

use serde_json::Value;
use spanwire_channel::websocket::OriginPolicy;

use crate::client::{Client, Frame, PING, PONG, TEXT, close, frame, good_handshake};
use crate::server::{Options, PATH, Server};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn vectors(file: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let text = std::fs::read_to_string(root.join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The request of a vector, as bytes.
fn request(message: &Value) -> Vec<u8> {
    let text = |name: &str| message[name].as_str().unwrap();
    let mut request = format!("{} {} HTTP/1.1\r\n", text("method"), text("path"));
    for (name, value) in message["headers"].as_object().unwrap() {
        request += &format!("{name}: {}\r\n", value.as_str().unwrap());
    }
    (request + "\r\n").into_bytes()
}

#[tokio::test]
async fn vectors_are_answered_as_they_say() {
    let server = Server::start(Options::default());
    let vectors = vectors("wsx-handshake.json");
    assert!(vectors.len() >= 14, "only {} vectors", vectors.len());
    for vector in vectors {
        let (name, expected) = (&vector["name"], &vector["expected"]);
        let mut client = Client::connect(server.address).await;
        client.send(&request(&vector["message"])).await;
        let answer = client.answer().await.unwrap_or_else(|| panic!("{name}: no answer"));
        assert_eq!(expected["status"], answer.status, "{name}");
        let status_line = answer.head.lines().next().unwrap();
        assert_eq!(status_line.splitn(3, ' ').count(), 3, "{name}: no reason phrase");
        if let Some(headers) = expected["headers"].as_object() {
            for (header, value) in headers {
                assert_eq!(answer.header(header), value.as_str(), "{name}: {header}");
            }
        }
        for header in expected["headers_absent"].as_array().into_iter().flatten() {
            assert_eq!(answer.header(header.as_str().unwrap()), None, "{name}");
        }
        if let Some(body) = expected.get("body_json") {
            assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), *body, "{name}");
        }
        match (expected["state_after"].as_str().unwrap(), answer.status) {
            ("unauthenticated", _) => {
                client.send(&frame(TEXT, "x")).await;
                assert_eq!(client.frame().await.unwrap().payload, b"x", "{name}");
            }
            ("closed", 400) => client.end().await,
            // Plain HTTP answers, after which the connection may be used again; there is no WebSocket.
            ("closed", 404 | 426) => {
                client.send(&frame(TEXT, "x")).await;
                assert_eq!(client.answer().await.unwrap().status, 400, "{name}");
                client.end().await;
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// The part of the liveness vectors that any conversation has: pongs, close frames, framing errors.
#[tokio::test]
async fn liveness_vectors_of_the_connection_itself() {
    let server = Server::start(Options::default());
    let mut run = 0;
    for vector in vectors("wsx-liveness.json") {
        let (name, message) = (&vector["name"], &vector["message"]);
        let payload = || {
            message["payload_text"].as_str().map_or_else(
                || vec![b'p'; message["payload_length"].as_u64().unwrap().try_into().unwrap()],
                |text| text.as_bytes().to_vec(),
            )
        };
        let sent = match vector["direction"].as_str().unwrap() {
            "ping-frame" => frame(PING, payload()),
            "pong-frame" => frame(PONG, payload()),
            "close-frame" => match message["close_frame"]["code"].as_u64() {
                Some(code) => close(
                    code.try_into().unwrap(),
                    message["close_frame"]["reason"].as_str().unwrap_or_default(),
                ),
                None => frame(0x88, ""),
            },
            _ => continue,
        };
        run += 1;
        let mut client = Client::open(server.address).await;
        client.send(&sent).await;
        let expected = &vector["expected"];
        if let Some(pong) = expected["send"][0]["pong_frame"]["payload_text"].as_str() {
            let pong = Frame { first: PONG, payload: pong.into() };
            assert_eq!(client.frame().await, Some(pong), "{name}");
        }
        let Some(close) = expected["close"]["frame_recommended"].as_object() else {
            client.send(&frame(TEXT, "still here")).await;
            assert_eq!(client.frame().await.unwrap().payload, b"still here", "{name}");
            continue;
        };
        let answer = client.frame().await.unwrap().payload;
        let code = answer.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
        // An empty close may be echoed as it is or as 1000.
        let code = code.filter(|code| close["code"].is_u64() || *code != 1000);
        assert_eq!(close["code"], Value::from(code), "{name}");
        let compare = expected["close"]["compare"].as_str().unwrap_or_default();
        if !compare.starts_with("code only") {
            let reason = String::from_utf8_lossy(answer.get(2..).unwrap_or_default()).into_owned();
            assert_eq!(close["reason"], reason, "{name}");
        }
        client.end().await;
    }
    assert!(run >= 8, "only {run} vectors");
}

#[tokio::test]
async fn every_accepted_key_is_answered_with_its_own_hash() {
    let server = Server::start(Options::default());
    for (key, accept) in [
        (KEY, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
        ("AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="),
    ] {
        let mut client = Client::connect(server.address).await;
        let request = String::from_utf8(good_handshake()).unwrap().replace(KEY, key);
        client.send(request.as_bytes()).await;
        let answer = client.answer().await.unwrap();
        assert_eq!(answer.header("sec-websocket-accept"), Some(accept));
    }
}

/// A client may send its first frames before it has the answer, and its handshake in any pieces.
#[tokio::test]
async fn frames_right_behind_the_handshake_are_not_lost() {
    let server = Server::start(Options::default());
    let sent = [good_handshake(), frame(TEXT, "early"), frame(TEXT, "bird")].concat();
    for piece in [1, 2, 7, sent.len() - 20, sent.len() - 1, sent.len()] {
        let mut client = Client::connect(server.address).await;
        for piece in sent.chunks(piece) {
            client.send(piece).await;
        }
        assert_eq!(client.answer().await.unwrap().status, 101);
        for text in ["early", "bird"] {
            let echo = Frame { first: TEXT, payload: text.into() };
            assert_eq!(client.frame().await, Some(echo), "in pieces of {piece}");
        }
    }
}

#[tokio::test]
async fn only_subprotocols_of_spanwire_are_chosen_and_extensions_never() {
    let server = Server::start(Options::default());
    for (offer, chosen) in [
        ("chat", None),
        ("chat, superchat", None),
        ("spanwire.v1.json", Some("spanwire.v1.json")),
        ("chat, spanwire.v1.msgpack", Some("spanwire.v1.msgpack")),
        ("SPANWIRE.V1.JSON", None),
        ("spanwire.v1.jsonx", None),
        (",,, ,", None),
        ("", None),
    ] {
        let mut client = Client::connect(server.address).await;
        let mut request = good_handshake();
        request.truncate(request.len() - 2);
        let more = format!(
            "Sec-WebSocket-Protocol: {offer}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        );
        request.extend(more.as_bytes());
        client.send(&request).await;
        let answer = client.answer().await.unwrap();
        assert_eq!(answer.status, 101, "{offer}");
        assert_eq!(answer.header("sec-websocket-protocol"), chosen, "{offer}");
        assert_eq!(answer.header("sec-websocket-extensions"), None, "{offer}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let origins = OriginPolicy::new(["https://app.example.com".to_owned()]);
    let server = Server::start(Options { origins, ..Options::default() });
    for (origin, status) in [
        ("https://app.example.com", 101),
        ("http://localhost", 101),
        ("ws://localhost:80", 101),
        ("https://evil.example.com", 403),
        ("https://app.example.com.evil.test", 403),
        ("null", 403),
        ("https://app.example.com\r\nOrigin: https://evil.test", 403),
    ] {
        let mut client = Client::connect(server.address).await;
        let mut request = good_handshake();
        request.truncate(request.len() - 2);
        request.extend(format!("Origin: {origin}\r\n\r\n").as_bytes());
        client.send(&request).await;
        assert_eq!(client.answer().await.unwrap().status, status, "{origin}");
        if status == 403 {
            client.end().await;
        }
    }
}

/// A connection that asked for something else first is still good for a handshake.
#[tokio::test]
async fn a_handshake_may_follow_other_requests() {
    let server = Server::start(Options::default());
    let mut client = Client::connect(server.address).await;
    let plain = format!("GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let other = "GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.send(&[plain.as_bytes(), other.as_bytes(), &good_handshake()].concat()).await;
    let refusal = client.answer().await.unwrap();
    assert_eq!((refusal.status, refusal.header("upgrade")), (426, Some("websocket")));
    assert_eq!(client.answer().await.unwrap().status, 404);
    assert_eq!(client.answer().await.unwrap().status, 101);
    client.send(&frame(TEXT, "at last")).await;
    assert_eq!(client.frame().await.unwrap().payload, b"at last");
}
