//! A9: a page in a browser, said by npm `ws` as the JavaScript client says it (seed 003).

use std::process::Stdio;

use serde_json::{Value, json};
use spanwire_tests::http::{connections, history};
use spanwire_tests::tools::node;
use spanwire_tests::{PATIENCE, Server, eventually};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::{rest, start};

const TOPIC: &str = "/customer/new";

/// A page; it ends with this value.
struct Page {
    _child: Child,
    commands: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
    waiting: Vec<Value>,
}

impl Page {
    /// Opens a page that connects to a channel.
    async fn open(server: &Server, path: &str, client_id: &str) -> Self {
        let settings = json!({
            "address": server.ws(path), "client_id": client_id, "client_name": "My API client", "username": "ws",
            "secret": "secret1",
        });
        let mut program = node("ws_pubsub.js", &[&settings.to_string()]);
        program.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = tokio::process::Command::from(program).kill_on_drop(true).spawn().unwrap();
        let commands = child.stdin.take().unwrap();
        let events = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut page = Self { _child: child, commands, events, waiting: Vec::new() };
        page.connect().await;
        page
    }

    async fn tell(&mut self, command: Value) {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }

    /// The next event of a kind.
    async fn event(&mut self, kind: &str) -> Value {
        if let Some(at) = self.waiting.iter().position(|event| event["event"] == kind) {
            return self.waiting.remove(at);
        }
        loop {
            let line = tokio::time::timeout(PATIENCE, self.events.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("no {kind}, only {:?}", self.waiting));
            let line = line.unwrap().unwrap_or_else(|| panic!("ended without {kind}"));
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == kind {
                return event;
            }
            self.waiting.push(event);
        }
    }

    async fn connect(&mut self) {
        self.tell(json!({"do": "connect"})).await;
        self.event("connected").await;
    }

    /// Does it, and returns the response, which is no refusal.
    async fn done(&mut self, command: Value) -> Value {
        self.tell(command.clone()).await;
        let response = self.event("response").await;
        assert_eq!(response["status"], 200, "{command}: {response}");
        response
    }

    async fn subscribe(&mut self) -> String {
        let response = self.done(json!({"do": "subscribe", "topic": TOPIC})).await;
        response["data"]["sub_key"].as_str().unwrap().to_owned()
    }

    /// Messages that came so far; what was sent before this has come.
    async fn rest(&mut self) -> Vec<Value> {
        self.done(json!({"do": "unsubscribe", "sub_key": "zpsk.unknown"})).await;
        let (requests, others) =
            self.waiting.drain(..).partition(|event| event["event"] == "request");
        self.waiting = others;
        requests
    }
}

async fn nobody_is_connected(server: &Server) {
    eventually("nobody is connected", async || connections(server).await.is_empty()).await;
}

#[tokio::test]
async fn a9_a_page_that_loses_the_network_resumes_and_gets_all_and_none_twice() {
    let server = start();
    let portal = rest(&server, "portal");
    let mut page = Page::open(&server, "/ws/crm", "0.abc-2024-03-04T10:20:30.123Z").await;
    let key = page.subscribe().await;
    let mut ids = Vec::new();
    // Twice under the id that it gives to every message.
    for number in 1..=2 {
        let publish = json!({
            "do": "publish", "topic": TOPIC, "data": format!("my,csv,{number}"),
            "ctx": {"priority": 7, "mime_type": "text/csv"},
        });
        let response = page.done(publish).await;
        assert_eq!(response["in_reply_to"], "111");
        let id = response["data"]["msg_id"].clone();
        assert!(id.as_str().unwrap().starts_with("zpsm"), "{response}");
        let pushed = page.event("request").await;
        let data = &pushed["data"];
        assert_eq!((&pushed["id"], &data["msg_id"]), (&id, &id));
        assert_eq!(data["data"], format!("my,csv,{number}"));
        assert_eq!((&data["priority"], &data["mime_type"]), (&json!(7), &json!("text/csv")));
        ids.push(id);
    }
    assert_ne!(ids[0], ids[1], "they are two messages");
    for round in 0..3 {
        page.tell(json!({"do": "drop"})).await;
        page.event("closed").await;
        nobody_is_connected(&server).await;
        for number in 0..3 {
            portal.publish(TOPIC, &json!({"data": [round, number]})).await;
        }
        page.connect().await;
        page.done(json!({"do": "resume", "sub_key": key})).await;
        let request = page.event("request").await;
        let contents: Vec<_> =
            request["data"].as_array().unwrap().iter().map(|it| it["data"].clone()).collect();
        assert_eq!(contents, (0..3).map(|number| json!([round, number])).collect::<Vec<_>>());
        assert_eq!(page.rest().await, [Value::Null; 0], "none comes twice");
    }
    // Without a topic.
    let gone = page.done(json!({"do": "unsubscribe", "sub_key": key})).await;
    assert_eq!(gone["data"], json!({}));
    portal.publish(TOPIC, &json!({"data": "late"})).await;
    assert_eq!(page.rest().await, [Value::Null; 0]);
    page.tell(json!({"do": "disconnect"})).await;
    let closed = page.event("closed").await;
    assert_eq!(closed["code"], 1000, "{closed}");
    nobody_is_connected(&server).await;
    let ended = &history(&server).await[0];
    let shown = ended.to_string();
    assert!(shown.contains("1000") && shown.contains("0.abc-2024-03-04T10:20:30.123Z"), "{ended}");
}

/// A page that is loaded again is another client: the old key is nothing to it where keys belong to clients.
#[tokio::test]
async fn a9_a_page_that_is_loaded_again_has_no_access_to_the_old_key() {
    let server = start();
    let portal = rest(&server, "portal");
    for (path, is_bound) in [("/ws/bound", true), ("/ws/crm", false)] {
        let mut page = Page::open(&server, path, "0.old").await;
        let key = page.subscribe().await;
        drop(page);
        nobody_is_connected(&server).await;
        portal.publish(TOPIC, &json!({"data": "waits"})).await;
        let mut reloaded = Page::open(&server, path, "0.new").await;
        reloaded.tell(json!({"do": "resume", "sub_key": key})).await;
        let response = reloaded.event("response").await;
        if is_bound {
            assert_eq!(response["status"], 403, "{response}");
            reloaded.tell(json!({"do": "unsubscribe", "sub_key": key})).await;
            assert_eq!(reloaded.event("response").await["status"], 403);
            assert_eq!(reloaded.rest().await, [Value::Null; 0]);
            let new = reloaded.subscribe().await;
            assert_ne!(new, key);
        } else {
            // Where they do not, whoever has the key on the same channel may.
            assert_eq!(response["status"], 200, "{response}");
            assert_eq!(reloaded.event("request").await["data"]["data"], "waits");
        }
    }
}

/// Replies to publications that are under way together are told apart by nothing but their order.
#[tokio::test]
async fn publications_under_one_id_are_all_answered() {
    let server = start();
    let mut page = Page::open(&server, "/ws/crm", "0.many").await;
    page.subscribe().await;
    for number in 0..20 {
        page.tell(json!({"do": "publish", "topic": TOPIC, "data": number + 1})).await;
    }
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let response = page.event("response").await;
        assert_eq!((&response["status"], &response["in_reply_to"]), (&json!(200), &json!("111")));
        ids.insert(response["data"]["msg_id"].to_string());
    }
    assert_eq!(ids.len(), 20);
    let mut came = 0;
    while came < 20 {
        let request = page.event("request").await;
        came += request["data"].as_array().map_or(1, Vec::len);
    }
}
