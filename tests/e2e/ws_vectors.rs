//! The vectors of the protocol, said by npm `ws`: `tests/clients/ws_vectors.js` plays them, and what came of each is
//! compared here, as with the client made of bytes in `vectors`.

#![cfg(test)]

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use spanwire_tests::tools::node;
use spanwire_tests::vectors::load;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::vectors::check::check;
use crate::vectors::world::{PINGS_TO_ANSWER, TOKEN_OVER, VALID_TOKEN, World, is_asked, name};

/// What `ws` refuses to send, and why. The client made of bytes sends these.
const NOT_FOR_WS: [(&str, &str); 2] = [
    ("oversized-control-frame", "ping() throws above 125 bytes"),
    ("client-close-invalid-code", "close() throws for a code that may not be sent"),
];

/// More than the slowest vector takes, which waits for three pings.
const PATIENCE: Duration = Duration::from_secs(25);

/// Node.js with the vectors of a file.
struct Node {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    _job: tempfile::NamedTempFile,
}

impl Node {
    fn start(world: &World, vectors: &[Value]) -> Self {
        let cases: Vec<_> = vectors
            .iter()
            .map(|vector| json!({"url": world.url(vector), "vector": vector, "asked": is_asked(vector)}))
            .collect();
        let over = u64::try_from(TOKEN_OVER.as_millis()).unwrap();
        let job = json!({
            "admin": format!("http://{}", world.server.admin_address()), "admin_token": world.server.admin_token(),
            "ws": world.server.ws("/"), "valid_token": VALID_TOKEN, "pings_to_answer": PINGS_TO_ANSWER,
            "token_over_ms": over, "cases": cases,
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), job.to_string()).unwrap();
        let mut program = node("ws_vectors.js", &[file.path().to_str().unwrap()]);
        program.stdout(Stdio::piped());
        let mut child = tokio::process::Command::from(program).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, _job: file }
    }

    async fn line(&mut self) -> Option<Value> {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.expect("Node.js prints nothing").unwrap()?;
        Some(serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}")))
    }
}

/// Plays every vector of a file that `ws` can say; all that differ are told.
async fn all_of(file: &str, least: usize) {
    let mut vectors = load(file);
    vectors.retain(|vector| NOT_FOR_WS.iter().all(|(refused, _)| *refused != name(vector)));
    assert!(vectors.len() >= least, "only {} vectors in {file}", vectors.len());
    // This one is the end of the server.
    vectors.sort_by_key(|vector| name(vector) == "channel-deleted");
    let world = Arc::new(World::start(&vectors).await);
    let mut node = Node::start(&world, &vectors);
    let (mut wrong, mut played) = (Vec::new(), Vec::new());
    while let Some(line) = node.line().await {
        if line["stop"] == true {
            world.server.terminate();
            continue;
        }
        let vector = vectors.iter().find(|vector| vector["name"] == line["name"]).unwrap();
        played.push(name(vector));
        match line["outcome"]["failed"].as_str() {
            Some(failed) => wrong.push(format!("{}: {failed}", name(vector))),
            None => wrong.extend(check(vector, &line["outcome"]).err()),
        }
    }
    assert!(node.child.wait().await.unwrap().success());
    let names: Vec<_> = vectors.iter().map(name).collect();
    assert_eq!(played, names, "not all were played");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), vectors.len(), wrong.join("\n"));
}

#[tokio::test]
async fn session_vectors_hold_for_ws() {
    all_of("wsx-session.json", 24).await;
}

#[tokio::test]
async fn invoke_vectors_hold_for_ws() {
    all_of("wsx-invoke.json", 23).await;
}

#[tokio::test]
async fn malformed_vectors_hold_for_ws() {
    all_of("wsx-malformed.json", 15).await;
}

#[tokio::test]
async fn server_request_vectors_hold_for_ws() {
    all_of("wsx-server-requests.json", 6).await;
}

#[tokio::test]
async fn liveness_vectors_hold_for_ws() {
    all_of("wsx-liveness.json", 14 - NOT_FOR_WS.len()).await;
}
