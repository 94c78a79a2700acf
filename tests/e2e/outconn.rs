//! Outgoing connections: the client by itself, connections that are kept, links between servers.

mod client;
mod cuts;
mod federation;
mod hooks;
mod liar;
mod plain;
mod rest;
mod services;
mod tls;
mod topics;
mod walkthrough;

use serde_json::{Value, json};
use spanwire_tests::endpoint::{Endpoint, Received, Reply};
use spanwire_tests::http::{Answer, admin, request};
use spanwire_tests::{Server, until};

use crate::live::ok;

/// What the server that is connected to has.
const ACCEPTS: &str = "\
    security: [{name: app1, type: basic_auth, username: app1, password: secret1}]\n\
    web_socket: [{name: b, address: /ws/b, service: helpers.web-sockets-gateway, sec_def: app1}]\n\
    pubsub_topic: [{name: /customer/new, has_gd: true}, {name: /customer/old, has_gd: true}, {name: /other, has_gd: true}]\n\
    pubsub_endpoint: [{name: b, endpoint_type: wsx, ws_channel_name: b, topic_patterns: \"sub=/customer/**\"}]\n";

/// Two servers: one accepts, the other is connected to it, with an HTTP endpoint as the service `hook`.
struct Pair {
    a: Server,
    b: Server,
    hook: Endpoint,
}

impl Pair {
    /// `outconn` is what the connection has beside its name, address and credentials; `answer` is what the hook answers.
    async fn start<F, R>(outconn: Value, answer: F) -> Self
    where
        F: Fn(&Received) -> R + Send + Sync + 'static,
        R: Into<Reply> + Send,
    {
        let b = Server::setup().objects(ACCEPTS).start();
        let hook = Endpoint::start(answer).await;
        let a =
            Server::setup().objects(&connects(&b.ws("/ws/b"), &hook, &outconn).to_string()).start();
        Self { a, b, hook }
    }

    /// With a hook that answers null.
    async fn quiet(outconn: Value) -> Self {
        Self::start(outconn, |_| (200, String::new())).await
    }

    async fn connected(&self) {
        state(&self.a, "b", "connected").await;
    }

    /// What hooks were told of a type so far.
    fn told(&self, kind: &str) -> Vec<Value> {
        let all = self.hook.received().into_iter().map(|it| it.body["ctx"].clone());
        all.filter(|ctx| ctx["type"] == kind).collect()
    }

    /// Waits until hooks were told so often of a type.
    async fn until_told(&self, kind: &str, count: usize) -> Vec<Value> {
        let told = async || Some(self.told(kind)).filter(|told| told.len() >= count);
        until(&format!("{count} x {kind}"), told).await
    }
}

/// The objects of a server that connects.
fn connects(address: &str, hook: &Endpoint, outconn: &Value) -> Value {
    let mut wanted = json!({
        "name": "b", "address": address, "is_zato": true, "security_name": "b",
    });
    wanted.as_object_mut().unwrap().extend(outconn.as_object().unwrap().clone());
    json!({
        "security": [
            {"name": "b", "type": "basic_auth", "username": "app1", "password": "secret1"},
            {"name": "wrong", "type": "basic_auth", "username": "app1", "password": "wrong"},
        ],
        "service": [{"name": "hook", "url": hook.url("/hook")}],
        "outgoing_wsx": [wanted],
        "channel_rest": [
            {"name": "echo", "url_path": "/echo", "service": "b:zato.helpers.echo", "security_name": "zato-no-security"},
            {"name": "call", "url_path": "/call", "service": "spanwire.outconn.invoke", "security_name": "zato-no-security"},
            {"name": "send", "url_path": "/send", "service": "spanwire.outconn.send", "security_name": "zato-no-security"},
        ],
    })
}

/// How a connection stands.
async fn status(server: &Server, name: &str) -> Value {
    ok(admin(server, "GET", &format!("/api/v1/outconns/{name}"), "").await)
}

/// Waits until a connection has this state.
async fn state(server: &Server, name: &str, wanted: &str) -> Value {
    until(&format!("{name} is {wanted}"), async || {
        Some(status(server, name).await).filter(|status| status["state"] == wanted)
    })
    .await
}

/// Calls a REST channel.
async fn post(server: &Server, path: &str, body: &Value) -> Answer {
    request(
        server.address(),
        "POST",
        path,
        &[("Content-Type", "application/json")],
        &body.to_string(),
    )
    .await
}
