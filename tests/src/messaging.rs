//! Publish/subscribe as its clients do it: over REST in the form in which curl asks, over WebSockets with deliveries
//! between the replies.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Answer, basic, request};
use crate::{Client, Server};

/// A caller of `/zato/pubsub/…`.
#[derive(Clone, Debug)]
pub struct Rest {
    address: SocketAddr,
    authorization: Option<String>,
}

impl Rest {
    /// A caller with credentials.
    #[must_use]
    pub fn new(server: &Server, username: &str, password: &str) -> Self {
        Self { address: server.address(), authorization: Some(basic(username, password)) }
    }

    /// A caller without credentials.
    #[must_use]
    pub fn anonymous(server: &Server) -> Self {
        Self { address: server.address(), authorization: None }
    }

    /// Asks as `curl -u … -X METHOD -d BODY` does, which says that the body is a form.
    pub async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let form = if body.is_empty() { "" } else { "application/x-www-form-urlencoded" };
        self.ask_as(form, method, path, body).await
    }

    /// Asks with a body of a type, or of one that is not told.
    async fn ask_as(&self, content_type: &str, method: &str, path: &str, body: &str) -> Answer {
        let mut headers = vec![("User-Agent", "curl/8.5.0"), ("Accept", "*/*")];
        if let Some(authorization) = &self.authorization {
            headers.push(("Authorization", authorization));
        }
        if !content_type.is_empty() {
            headers.push(("Content-Type", content_type));
        }
        request(self.address, method, path, &headers, body).await
    }

    /// Publishes what the body says.
    pub async fn post(&self, topic: &str, body: &Value) -> Answer {
        self.ask("POST", &format!("/zato/pubsub/topic/{topic}"), &body.to_string()).await
    }

    /// Publishes what the body says, which is told to be of a type.
    pub async fn post_as(&self, content_type: &str, topic: &str, body: &Value) -> Answer {
        let path = format!("/zato/pubsub/topic/{topic}");
        self.ask_as(content_type, "POST", &path, &body.to_string()).await
    }

    /// Publishes a message that is taken, and returns its id.
    pub async fn publish(&self, topic: &str, body: &Value) -> String {
        let answer = self.post(topic, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["msg_id"].as_str().unwrap_or_else(|| panic!("no id: {answer:?}")).to_owned()
    }

    /// Asks for messages by topic.
    pub async fn patch(&self, topic: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask("PATCH", &format!("/zato/pubsub/topic/{topic}"), &body).await
    }

    /// The messages that wait, in the order in which they come.
    pub async fn fetch(&self, topic: &str, body: &Value) -> Vec<Value> {
        let answer = self.patch(topic, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json().as_array().unwrap_or_else(|| panic!("no list: {answer:?}")).clone()
    }

    /// Asks to be subscribed.
    pub async fn subscribe(&self, topic: &str) -> Answer {
        self.ask("POST", &format!("/zato/pubsub/subscribe/topic/{topic}"), "").await
    }

    /// Subscribes to a topic that it is not subscribed to, and returns the key.
    pub async fn key(&self, topic: &str) -> String {
        let answer = self.subscribe(topic).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["sub_key"].as_str().unwrap_or_else(|| panic!("no key: {answer:?}")).to_owned()
    }

    /// Asks to be unsubscribed.
    pub async fn unsubscribe(&self, topic: &str) -> Answer {
        self.ask("DELETE", &format!("/zato/pubsub/subscribe/topic/{topic}"), "").await
    }

    /// Acknowledges messages that were lent.
    pub async fn acknowledge(&self, topic: &str, ids: &[&str]) -> Answer {
        let body = json!({ "msg_ids": ids }).to_string();
        self.ask("POST", &format!("/zato/pubsub/acknowledge/topic/{topic}"), &body).await
    }
}

/// A WebSocket client that is sent messages between the replies to its calls.
#[derive(Debug)]
pub struct Wsx {
    client: Client,
    /// Deliveries and receipts that nobody has asked for yet, as they came.
    waiting: VecDeque<Value>,
    /// Messages of the deliveries that were looked at.
    messages: VecDeque<Value>,
}

/// What a client is: an application logs in with these.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// The path of the channel.
    pub path: &'a str,
    /// The user's name.
    pub username: &'a str,
    /// The user's password.
    pub password: &'a str,
    /// The subprotocol to be offered, if any.
    pub subprotocol: Option<&'a str>,
}

impl Wsx {
    /// Connects and logs in under a client id.
    pub async fn log_in(server: &Server, login: Login<'_>, client_id: &str) -> Self {
        let headers: Vec<_> =
            login.subprotocol.iter().map(|it| ("sec-websocket-protocol", *it)).collect();
        let url = server.ws(login.path);
        let client = Client::try_connect(&url, &headers).await;
        let client = client.unwrap_or_else(|error| panic!("{url}: {error}"));
        Self::log_in_on(client, login, client_id).await
    }

    /// As [`Self::log_in`], through a socket that takes a few KiB before somebody reads.
    pub async fn log_in_narrow(server: &Server, login: Login<'_>, client_id: &str) -> Self {
        let headers: Vec<_> =
            login.subprotocol.iter().map(|it| ("sec-websocket-protocol", *it)).collect();
        let client = Client::connect_narrow(&server.ws(login.path), &headers).await;
        Self::log_in_on(client, login, client_id).await
    }

    async fn log_in_on(mut client: Client, login: Login<'_>, client_id: &str) -> Self {
        if login.subprotocol.is_some_and(|it| it.ends_with("msgpack")) {
            client.speak_messagepack();
        }
        client.create_session_as(client_id, login.username, login.password).await;
        Self { client, waiting: VecDeque::new(), messages: VecDeque::new() }
    }

    /// Calls a service through the gateway and returns the whole reply.
    pub async fn call(&mut self, service: &str, request: &Value) -> Value {
        let id = self.client.start_call(&json!({"service": service, "request": request})).await;
        loop {
            let message = self.client.receive().await;
            if message["meta"]["in_reply_to"] == *id {
                return message;
            }
            self.waiting.push_back(message);
        }
    }

    /// Calls a service that does it, and returns the data of the reply.
    pub async fn invoke(&mut self, service: &str, request: &Value) -> Value {
        let reply = self.call(service, request).await;
        assert_eq!(reply["meta"]["status"], 200, "{service} {request}: {reply}");
        reply["data"].clone()
    }

    /// The status and text of a refusal.
    pub async fn refused(&mut self, service: &str, request: &Value) -> (u64, String) {
        let reply = self.call(service, request).await;
        let meta = &reply["meta"];
        assert_eq!(meta["msg_type"], "zwsx.rsperr", "{service} {request}: {reply}");
        (meta["status"].as_u64().unwrap(), meta["error_message"].as_str().unwrap().to_owned())
    }

    /// Subscribes, and returns the key.
    pub async fn subscribe(&mut self, request: &Value) -> String {
        let data = self.invoke("zato.pubsub.pubapi.subscribe-wsx", request).await;
        data["sub_key"].as_str().unwrap_or_else(|| panic!("no key: {data}")).to_owned()
    }

    /// Publishes, and returns the message's id.
    pub async fn publish(&mut self, request: &Value) -> String {
        let data = self.invoke("zato.pubsub.pubapi.publish-message", request).await;
        data["msg_id"].as_str().unwrap_or_else(|| panic!("no id: {data}")).to_owned()
    }

    /// Resumes a subscription, and returns the data of the reply.
    pub async fn resume(&mut self, request: &Value) -> Value {
        self.invoke("zato.pubsub.resume-wsx-subscription", request).await
    }

    /// Acknowledges by ids, offsets or a position, and returns how many were.
    pub async fn acknowledge(&mut self, request: &Value) -> u64 {
        let data = self.invoke("spanwire.pubsub.acknowledge", request).await;
        data["acknowledged"].as_u64().unwrap_or_else(|| panic!("no number: {data}"))
    }

    /// The next delivery or receipt, as it came.
    pub async fn delivery(&mut self) -> Value {
        let message = match self.waiting.pop_front() {
            Some(message) => message,
            None => self.client.receive().await,
        };
        assert!(
            ["zwsx.psrq", "spanwire.psgap"].iter().any(|it| message["meta"]["msg_type"] == *it),
            "{message}"
        );
        message
    }

    /// The next message, whether it comes alone or among others.
    pub async fn message(&mut self) -> Value {
        while self.messages.is_empty() {
            let delivery = self.delivery().await;
            assert_eq!(delivery["meta"]["msg_type"], "zwsx.psrq", "{delivery}");
            match &delivery["data"] {
                Value::Array(several) => self.messages.extend(several.iter().cloned()),
                one => self.messages.push_back(one.clone()),
            }
        }
        self.messages.pop_front().unwrap()
    }

    /// The contents of the next messages.
    pub async fn contents(&mut self, count: usize) -> Vec<Value> {
        let mut contents = Vec::new();
        for _ in 0..count {
            contents.push(self.message().await["data"].clone());
        }
        contents
    }

    /// Whether nothing has come that was not looked at. What the server sent before it answered this call has come.
    pub async fn is_quiet(&mut self) -> bool {
        self.invoke("zato.ping", &json!({})).await;
        self.messages.is_empty() && self.waiting.is_empty() && self.client.is_quiet().await
    }

    /// What is delivered within a time span, for messages that may or may not come.
    pub async fn within(&mut self, span: Duration) -> Option<Value> {
        tokio::time::timeout(span, self.message()).await.ok()
    }

    /// The connection itself.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Closes, as a client does that is done.
    pub async fn close(self) {
        self.client.close(1000, "done").await;
    }
}
