//! One vector, played by a client that is made of bytes. `tests/clients/ws_vectors.js` does the same with `ws`.

use std::sync::Arc;

use serde_json::{Value, json};
use spanwire_tests::http::{Answer, admin};
use tokio::task::JoinHandle;

use super::raw::{BINARY, CLOSE, Frame, PING, PONG, Raw, TEXT};
use super::world::{PINGS_TO_ANSWER, TOKEN_OVER, VALID_TOKEN, World, is_asked, name};

/// Plays a vector and returns its outcome.
pub(crate) async fn play(world: &Arc<World>, vector: &Value) -> Value {
    let socket = Raw::open(&world.url(vector)).await;
    let mut exchange = Exchange {
        world: Arc::clone(world),
        vector: vector.clone(),
        socket,
        seen: Seen::default(),
    };
    let mut token = String::new();
    if vector["state_before"] != "unauthenticated" {
        token = exchange.log_in(vector["config"]["needs_auth"].as_bool()).await;
    }
    if vector["state_before"] == "token-expired" {
        // Any message, and any look at it, would make the token live longer: there is only time to wait for.
        tokio::time::sleep(TOKEN_OVER).await;
    }
    let asked = match is_asked(vector) || vector["direction"] == "server-to-client" {
        true => Some(exchange.ask().await),
        false => None,
    };
    let request = match is_asked(vector) {
        true => exchange.message().await["meta"]["id"].clone(),
        false => Value::Null,
    };
    exchange.act(&token, &request).await;
    exchange.finish(token, asked).await
}

/// What came.
#[derive(Default)]
struct Seen {
    messages: Vec<Value>,
    binary: usize,
    pongs: Vec<String>,
    pings: Vec<String>,
    close: Option<(Option<u16>, String)>,
    ended: bool,
}

struct Exchange {
    world: Arc<World>,
    vector: Value,
    socket: Raw,
    seen: Seen,
}

impl Exchange {
    async fn log_in(&mut self, needs_auth: Option<bool>) -> String {
        let meta = match needs_auth {
            Some(false) => json!({"action": "create-session", "id": "login", "timestamp": ""}),
            _ => json!({
                "action": "create-session", "id": "login", "timestamp": "", "username": "user1", "secret": "secret1",
            }),
        };
        self.send(&json!({"meta": meta})).await;
        let reply = self.message().await;
        reply["data"]["token"].as_str().unwrap_or_else(|| panic!("no session: {reply}")).to_owned()
    }

    /// Has the server ask this client, by the admin API.
    async fn ask(&self) -> JoinHandle<Answer> {
        let id = self.record().await["pub_client_id"].as_str().unwrap().to_owned();
        let timed =
            self.vector["direction"] == "timer" || self.vector["direction"] == "server-to-client";
        let timeout = if timed { 0.3 } else { 10.0 };
        let body =
            json!({"request": self.vector["message"]["data"], "timeout": timeout}).to_string();
        let world = Arc::clone(&self.world);
        tokio::spawn(async move {
            admin(&world.server, "POST", &format!("/api/v1/connections/{id}/invoke"), &body).await
        })
    }

    /// What the vector says happens.
    async fn act(&mut self, token: &str, request: &Value) {
        let message = self.vector["message"].clone();
        let payload = || match message["payload_text"].as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => {
                vec![b'p'; usize::try_from(message["payload_length"].as_u64().unwrap()).unwrap()]
            }
        };
        match (self.vector["direction"].as_str().unwrap(), name(&self.vector)) {
            ("client-to-server", _) => self.act_message(token, request).await,
            ("ping-frame", _) => self.socket.send(PING, &payload()).await,
            ("pong-frame", _) if !self.vector["expected"]["ttl_extended_by"].is_null() => {
                for _ in 0..PINGS_TO_ANSWER {
                    let ping = self.until(|frame| frame.first == PING).await.unwrap();
                    self.socket.send(PONG, &ping.payload).await;
                }
            }
            ("pong-frame", _) => self.socket.send(PONG, &payload()).await,
            ("server-ping-frame", _) => {
                let ping = self.until(|frame| frame.first == PING).await.unwrap();
                self.socket.send(PONG, &ping.payload).await;
            }
            ("close-frame", _) => {
                let frame = &message["close_frame"];
                let code =
                    frame["code"].as_u64().map(|code| u16::try_from(code).unwrap().to_be_bytes());
                let reason = frame["reason"].as_str().unwrap_or_default();
                let payload = [code.map_or(Vec::new(), Vec::from), reason.into()].concat();
                self.socket.send(CLOSE, &payload).await;
            }
            ("admin", "admin-disconnect") => {
                let id = self.record().await["pub_client_id"].as_str().unwrap().to_owned();
                let path = format!("/api/v1/connections/{id}");
                assert_eq!(admin(&self.world.server, "DELETE", &path, "").await.status, 204);
            }
            ("admin", "channel-deleted") => self.world.server.terminate(),
            // The server acts, or time does.
            ("timer" | "server-to-client", _) => {}
            other => panic!("nobody knows how to do {other:?}"),
        }
    }

    async fn act_message(&mut self, token: &str, request: &Value) {
        let message = &self.vector["message"];
        let first = if self.vector["frame"] == "binary" { BINARY } else { TEXT };
        let payload = match (message["raw_text"].as_str(), message["raw_hex"].as_str()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(hex)) => hex
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect(),
            (None, None) => {
                let mut message = message.clone();
                if message["meta"]["token"] == VALID_TOKEN {
                    message["meta"]["token"] = token.into();
                }
                if !request.is_null() {
                    message["meta"]["in_reply_to"] = request.clone();
                }
                message.to_string().into_bytes()
            }
        };
        if message["unmasked"] == true {
            self.socket.send_unmasked(first, &payload).await;
        } else {
            self.socket.send(first, &payload).await;
        }
    }

    /// Reads what is expected, probes what state there is, and tells everything.
    async fn finish(mut self, token: String, asked: Option<JoinHandle<Answer>>) -> Value {
        let expected = self.vector["expected"].clone();
        let (mut after, mut connection, mut old) = (Value::Null, Value::Null, Value::Null);
        let mut asked = match asked {
            // Nobody answers: the asker has to hear of it before the state says anything.
            Some(task) if self.vector["direction"] == "timer" => Some(Err(task.await.unwrap())),
            task => task.map(Ok),
        };
        if expected["close"].is_null() {
            let from_server = usize::from(self.vector["direction"] == "server-to-client");
            let wanted = expected["send"].as_array().unwrap().len() + from_server;
            while self.seen.messages.len() + self.seen.pongs.len() < wanted && !self.seen.ended {
                self.step().await;
            }
            let new =
                self.seen.messages.first().and_then(|message| message["data"]["token"].as_str());
            let token = new.unwrap_or(&token).to_owned();
            after = self.probe(&token).await;
            connection = self.record().await;
        } else {
            while !self.seen.ended && self.step().await.is_some() {}
        }
        let seen = std::mem::take(&mut self.seen);
        if expected["new_token"] == true {
            self.send(&json!({"meta": {"action": "invoke-service", "id": "old", "token": token}}))
                .await;
            while !self.seen.ended && self.step().await.is_some() {}
            old = json!({"messages": self.seen.messages, "close": shown(self.seen.close.as_ref())});
        }
        let asked = match asked.take() {
            Some(Ok(task)) => Some(task.await.unwrap()),
            Some(Err(answer)) => Some(answer),
            None => None,
        };
        let asked = asked.map(|answer| json!({"status": answer.status, "body": answer.json()}));
        json!({
            "messages": seen.messages, "binary": seen.binary, "pongs": seen.pongs, "pings": seen.pings,
            "close": shown(seen.close.as_ref()), "after": after, "ended": seen.ended, "connection": connection,
            "asked": asked, "token": token, "old_token": old,
        })
    }

    /// Calls when a token says that there is a session, else logs in; what comes before the answer counts as seen.
    async fn probe(&mut self, token: &str) -> Value {
        if token.is_empty() {
            let meta = json!({"action": "create-session", "id": "probe", "username": "user1", "secret": "secret1"});
            self.send(&json!({"meta": meta})).await;
        } else {
            let meta = json!({"action": "invoke-service", "id": "probe", "token": token});
            self.send(&json!({"meta": meta, "data": {"service": "zato.ping"}})).await;
        }
        while !self.seen.ended {
            self.step().await;
            if self.seen.messages.last().is_some_and(|last| last["meta"]["in_reply_to"] == "probe")
            {
                return self.seen.messages.pop().unwrap();
            }
        }
        Value::Null
    }

    /// The connection's record; null where there is no admin API, or no session.
    async fn record(&self) -> Value {
        let path = format!("/api/v1/connections?channel_name={}", name(&self.vector));
        admin(&self.world.server, "GET", &path, "").await.json()[0].clone()
    }

    async fn send(&mut self, message: &Value) {
        self.socket.send(TEXT, message.to_string().as_bytes()).await;
    }

    /// The next message, which is part of what comes before the vector.
    async fn message(&mut self) -> Value {
        self.until(|frame| frame.first == TEXT).await.expect("the connection ended");
        self.seen.messages.pop().unwrap()
    }

    async fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.step().await?;
            if wanted(&frame) {
                return Some(frame);
            }
        }
    }

    /// Reads a frame and remembers it.
    async fn step(&mut self) -> Option<Frame> {
        let Some(frame) = self.socket.frame().await else {
            self.seen.ended = true;
            return None;
        };
        match frame.first {
            TEXT => self.seen.messages.push(serde_json::from_slice(&frame.payload).unwrap()),
            BINARY => self.seen.binary += 1,
            PING => self.seen.pings.push(frame.text()),
            PONG => self.seen.pongs.push(frame.text()),
            CLOSE => {
                assert!(self.seen.close.is_none(), "a second close");
                self.seen.close = Some(frame.close());
                // Answered, as a client does; the answer to an answer is nothing.
                self.socket.send(CLOSE, frame.payload.get(..2).unwrap_or_default()).await;
            }
            other => panic!("an unexpected frame: {other:#x}"),
        }
        Some(frame)
    }
}

fn shown(close: Option<&(Option<u16>, String)>) -> Value {
    close.map_or(Value::Null, |(code, reason)| json!({"code": code, "reason": reason}))
}
