//! Peers that do not speak the client protocol: npm's `ws` and Python's `websockets`.

use std::process::{Command, Stdio};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use spanwire_outconn::{ClientOptions, PlainHandler, PlainMessage, PlainSocket};
use spanwire_tests::endpoint::Endpoint;
use spanwire_tests::tools::{node, python};
use spanwire_tests::{Server, eventually, until};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;

use super::{connects, post, state};
use crate::cli::on;

/// A program that ends with the test.
struct Peer {
    child: tokio::process::Child,
    address: String,
}

impl Peer {
    async fn start(mut program: Command) -> Self {
        program.stdout(Stdio::piped());
        let mut child = tokio::process::Command::from(program).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port: u16 = lines.next_line().await.unwrap().unwrap().trim().parse().unwrap();
        Self { child, address: format!("ws://127.0.0.1:{port}/some/path?key=sesame") }
    }

    async fn both() -> [(Self, &'static str); 2] {
        [
            (Self::start(node("ws_peer.js", &[])).await, "ws"),
            (Self::start(python("websockets_peer.py", &[])).await, "websockets"),
        ]
    }
}

struct Recorder(mpsc::Sender<PlainMessage>);

impl PlainHandler for Recorder {
    fn received(&self, message: PlainMessage) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.0.send(message).await.unwrap() })
    }
}

#[tokio::test]
async fn texts_and_bytes_go_both_ways_with_real_servers() {
    for (peer, name) in Peer::both().await {
        let (sender, mut received) = mpsc::channel(100);
        let options = ClientOptions::new(peer.address.parse().unwrap());
        let socket = PlainSocket::connect(&options, Recorder(sender)).await.unwrap();
        let text = |text: String| PlainMessage::Text(text);
        let greeting = received.recv().await.unwrap();
        let PlainMessage::Text(greeting) = greeting else { panic!("{greeting:?}") };
        assert_eq!(serde_json::from_str::<Value>(&greeting).unwrap(), json!({ "hello": name }));
        for content in ["a", "Zażółć 😀", &"x".repeat(1_000_000)] {
            socket.send(text(content.to_owned())).await.unwrap();
            let PlainMessage::Text(answer) = received.recv().await.unwrap() else {
                panic!("{name}")
            };
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer, json!({ "text": content }));
        }
        for bytes in [vec![1, 2, 255], vec![7; 500_000], Vec::new()] {
            socket.send(PlainMessage::Binary(bytes.clone().into())).await.unwrap();
            let turned: Vec<u8> = bytes.into_iter().rev().collect();
            assert_eq!(received.recv().await.unwrap(), PlainMessage::Binary(turned.into()));
        }
        let closed = socket.close().await;
        assert_eq!(closed.code, 1000, "{closed:?}");
        assert!(socket.send(text("late".to_owned())).await.is_err());
    }
}

#[tokio::test]
async fn a_connection_to_a_plain_server_sends_and_its_hook_gets_what_comes() {
    for (mut peer, name) in Peer::both().await {
        for parses in [true, false] {
            let hook = Endpoint::start(|_| (200, String::new())).await;
            let outconn = json!({
                "is_zato": false, "data_format": parses.then_some("json"), "security_name": null,
                "on_message_service_name": "hook", "on_close_service_name": "hook",
            });
            let mut objects = connects(&peer.address, &hook, &outconn);
            // Its services are those of a server that answers.
            objects["channel_rest"].as_array_mut().unwrap().remove(0);
            let server = Server::setup().objects(&objects.to_string()).start();
            state(&server, "b", "connected").await;
            let told = async |kind: &str, count: usize| {
                let told = || {
                    let all = hook.received().into_iter().map(|it| it.body["ctx"].clone());
                    all.filter(|ctx| ctx["type"] == kind).collect::<Vec<_>>()
                };
                until(kind, async || Some(told()).filter(|told| told.len() >= count)).await
            };
            let as_sent = |value: Value| if parses { value } else { json!(value.to_string()) };
            let greeting = &told("message", 1).await[0]["data"];
            let greeting =
                greeting.as_str().map_or(greeting.clone(), |it| serde_json::from_str(it).unwrap());
            assert_eq!(greeting, json!({ "hello": name }));
            // A text goes as it is, everything else as JSON; nothing is answered.
            for (number, (data, text)) in
                [(json!("plain text"), "plain text"), (json!({"a": [1]}), "{\"a\":[1]}")]
                    .iter()
                    .enumerate()
            {
                let sent = post(&server, "/send", &json!({"name": "b", "data": data})).await;
                assert_eq!((sent.status, &*sent.body), (200, ""), "{sent:?}");
                let got = &told("message", number + 2).await[number + 1]["data"];
                assert_eq!(*got, as_sent(json!({ "text": text })), "{name}");
            }
            let call = json!({"name": "b", "service": "zato.ping"});
            let refused = post(&server, "/call", &call).await;
            assert_eq!(refused.status, 400, "{refused:?}");
            assert_eq!(on(&server, &["outconn", "ping", "b"]).await.code, 0);
            let log = server.log();
            assert!(!log.contains("sesame") && log.contains("key=***"), "{log}");
            if !parses {
                peer.child.kill().await.unwrap();
                assert_eq!(told("close", 1).await[0]["code"], 1006);
                eventually("it is missed", async || {
                    super::status(&server, "b").await["state"] == "waiting"
                })
                .await;
            }
        }
    }
}
