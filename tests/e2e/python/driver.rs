//! A Python process with the client from PyPI, driven by lines of JSON (`tests/clients/python_client.py`).

use std::collections::VecDeque;
use std::process::Stdio;

use serde_json::{Value, json};
use spanwire_tests::PATIENCE;
use spanwire_tests::tools::python;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

/// A client; it ends with this value.
#[derive(Debug)]
pub(crate) struct Python {
    child: Child,
    commands: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
    /// Events that nobody has asked for yet.
    waiting: VecDeque<Value>,
}

impl Python {
    /// Starts a client, which then connects.
    pub(crate) fn start(settings: &Value) -> Self {
        let mut program = python("python_client.py", &[&settings.to_string()]);
        program.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = tokio::process::Command::from(program).kill_on_drop(true).spawn().unwrap();
        let commands = child.stdin.take().unwrap();
        let events = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, commands, events, waiting: VecDeque::new() }
    }

    /// Starts a client as `app1` and waits until it is logged in.
    pub(crate) async fn log_in(url: &str, client_id: &str, client_name: &str) -> Self {
        let mut client = Self::start(&settings(url, client_id, client_name, "secret1"));
        client.event("connected").await;
        client
    }

    /// The next event of a kind; those of other kinds wait for their turn.
    pub(crate) async fn event(&mut self, kind: &str) -> Value {
        if let Some(at) = self.waiting.iter().position(|event| event["event"] == kind) {
            return self.waiting.remove(at).unwrap();
        }
        loop {
            let line = tokio::time::timeout(PATIENCE, self.events.next_line()).await;
            let line =
                line.unwrap_or_else(|_| panic!("no {kind}, only {:?}", self.waiting)).unwrap();
            let line = line.unwrap_or_else(|| panic!("ended without {kind}: {:?}", self.waiting));
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == kind {
                return event;
            }
            self.waiting.push_back(event);
        }
    }

    /// Calls and waits for the response.
    pub(crate) async fn invoke(&mut self, data: &Value) -> Value {
        self.command(&json!({"do": "invoke", "data": data})).await;
        self.event("response").await
    }

    /// Calls a service through a gateway and waits for the response.
    pub(crate) async fn invoke_service(&mut self, service: &str, request: &Value) -> Value {
        self.invoke(&json!({"service": service, "request": request})).await
    }

    /// Closes as an application does, and waits for the end of the process.
    pub(crate) async fn stop(mut self) {
        self.command(&json!({"do": "stop"})).await;
        self.event("stopped").await;
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        assert!(ended.expect("Python does not end").unwrap().success());
    }

    /// Kills the process.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Tells it what to do.
    pub(crate) async fn command(&mut self, command: &Value) {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }
}

/// Settings of a client that logs in as `app1`.
pub(crate) fn settings(url: &str, client_id: &str, client_name: &str, secret: &str) -> Value {
    json!({
        "address": url, "client_id": client_id, "client_name": client_name, "username": "app1", "secret": secret,
    })
}
