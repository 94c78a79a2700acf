//! The vectors of the protocol, each on a channel of its own, said byte by byte.
//!
//! `http-request` vectors are handshakes. The vectors of publish/subscribe share topics and subscriptions, so a client of
//! one server plays them in turn.

#![cfg(test)]

pub(crate) mod check;
mod exchange;
mod handshake;
mod pubsub;
mod raw;
pub(crate) mod world;

use std::sync::Arc;

use serde_json::{Value, json};
use spanwire_tests::Server;
use spanwire_tests::vectors::load;

use self::check::check;
use self::exchange::play;
use self::raw::{PING, PONG, Raw, TEXT};
use self::world::{PINGS_TO_ANSWER, World};

/// Plays every vector of a file; all that differ are told.
async fn all_of(file: &str, least: usize) {
    let mut vectors = load(file);
    assert!(vectors.len() >= least, "only {} vectors in {file}", vectors.len());
    // This one is the end of the server.
    vectors.sort_by_key(|vector| world::name(vector) == "channel-deleted");
    let world = Arc::new(World::start(&vectors).await);
    let mut wrong = Vec::new();
    for vector in &vectors {
        wrong.extend(check(vector, &play(&world, vector).await).err());
    }
    let world = Arc::into_inner(world).expect("nobody asks any more");
    let mut server = world.end().await;
    if vectors.iter().any(|vector| world::name(vector) == "channel-deleted") {
        assert!(server.wait_for_exit().success(), "{}", server.log());
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), vectors.len(), wrong.join("\n"));
}

#[tokio::test]
async fn session_vectors_hold() {
    all_of("wsx-session.json", 24).await;
}

#[tokio::test]
async fn invoke_vectors_hold() {
    all_of("wsx-invoke.json", 23).await;
}

#[tokio::test]
async fn malformed_vectors_hold() {
    all_of("wsx-malformed.json", 15).await;
}

#[tokio::test]
async fn server_request_vectors_hold() {
    all_of("wsx-server-requests.json", 6).await;
}

#[tokio::test]
async fn liveness_vectors_hold() {
    all_of("wsx-liveness.json", 14).await;
}

/// wsx-protocol 3.1: the remaining life of a token stays roughly constant while pings are answered. It must not matter
/// that a pong may take longer than the time between two pings, which is so with `ping_interval: 1` and the default of
/// `ping_timeout`.
#[tokio::test]
async fn a_client_that_answers_all_pings_keeps_its_token() {
    let server = Server::setup()
        .objects(
            "web_socket:\n  - {name: pings, address: /pings, service: zato.ping, sec_def: zato-no-security, \
             token_ttl: 2, ping_interval: 1}\n",
        )
        .start();
    let mut socket = Raw::open(&server.ws("/pings")).await;
    socket.send(TEXT, br#"{"meta": {"action": "create-session", "id": "login"}}"#).await;
    let login: Value = serde_json::from_slice(&socket.frame().await.unwrap().payload).unwrap();
    for _ in 0..PINGS_TO_ANSWER {
        let ping = socket.frame().await.unwrap();
        assert_eq!(ping.first, PING);
        socket.send(PONG, &ping.payload).await;
    }
    let meta = json!({"action": "invoke-service", "id": "call", "token": login["data"]["token"]});
    socket.send(TEXT, json!({"meta": meta}).to_string().as_bytes()).await;
    let reply = loop {
        let frame = socket.frame().await.unwrap();
        if frame.first == TEXT {
            break frame.text();
        }
    };
    assert!(reply.contains("zwsx.rspok"), "the token of a client that answers is over: {reply}");
}
