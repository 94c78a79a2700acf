//! Readers that do not read: they disturb nobody, are told what they missed, and there are not too many of them.

use std::time::{Duration, Instant};

use serde_json::json;
use spanwire_tests::http::admin;
use spanwire_tests::{Client, Server, eventually};

use super::Reader;
use crate::api::{OBJECTS, assert_calm, problem, revision};
use crate::live::{assert_consistent, patch};

/// How many events wait for a reader.
const WAITING: u64 = 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_disturbs_nobody_and_is_told() {
    let server = Server::setup().objects(OBJECTS).start();
    let first = revision(&server).await;
    let mut stuck = Reader::open(&server, "?types=change", None).await;
    let mut good = Reader::open(&server, "?types=change", None).await;
    let mut client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    let before = server.memory();
    // Larger events fill what the kernel holds sooner.
    let many: Vec<_> = (0..150).map(|n| format!("crm.a-service-with-a-long-name-{n}")).collect();
    let (mut longest, mut last) = (Duration::ZERO, first);
    let all = WAITING + 600;
    for number in 0..all {
        let mut names = many.clone();
        names.push(format!("s{number}"));
        names.push("zato.ping".to_owned());
        let begun = Instant::now();
        patch(&server, "wsx_gateway", "gate", json!({"services_allowed": names})).await;
        longest = longest.max(begun.elapsed());
        assert_eq!(good.change().await, last + 1);
        last += 1;
    }
    assert!(longest < Duration::from_secs(1), "a change took {longest:?}");
    assert_eq!(client.invoke("zato.ping", &json!({})).await["meta"]["status"], 200);
    let grown = server.memory().saturating_sub(before) >> 20;
    assert!(grown < 150, "{grown} MiB more");

    // Now it reads: what waited, how much it missed, and then what comes.
    let (mut told, mut missed, mut next) = (0, 0, first);
    while next < last {
        let event = stuck.next().await.expect("the stream goes on");
        if event.name == "lagged" {
            missed += event.data["missed"].as_u64().unwrap();
            next += event.data["missed"].as_u64().unwrap();
        } else {
            told += 1;
            next += 1;
            assert_eq!(event.id, Some(next), "after {missed} missed");
        }
    }
    assert_eq!(told + missed, all);
    assert!(missed > 0 && told >= WAITING, "{told} told, {missed} missed");
    patch(&server, "wsx_gateway", "gate", json!({"services_allowed": ["zato.ping"]})).await;
    assert_eq!(stuck.change().await, last + 1);

    // Who was away for so long reads everything anew.
    let mut away = Reader::open(&server, "?types=change", Some(first)).await;
    let event = away.next().await.unwrap();
    assert_eq!((&*event.name, &event.data), ("lagged", &json!({"missed": all + 1})));
    assert_eq!(event.id, Some(last + 1), "who breaks off now comes back to here");
    assert_consistent(&server).await;
    assert_calm(&server);
}

#[tokio::test]
async fn streams_are_limited_and_given_back() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(Reader::open(&server, "", None).await);
    }
    let refused = admin(&server, "GET", "/api/v1/events", "").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    // Everything else works, and so do those that are open.
    patch(&server, "wsx_gateway", "gate", json!({"services_allowed": []})).await;
    for reader in &mut open {
        reader.next_named("change").await;
    }
    // Wishes that are refused take no place.
    for _ in 0..70 {
        problem(&admin(&server, "GET", "/api/v1/events?types=x", "").await, 400);
    }
    // Who leaves makes room, also when nothing happens that could be told.
    for _ in 0..3 {
        open.pop();
        eventually("there is room", || async {
            let reader = Reader::try_open(&server, "", None).await;
            let is_open = reader.head.starts_with("http/1.1 200 ");
            drop(reader);
            is_open
        })
        .await;
    }
    open.clear();
    for _ in 0..64 {
        eventually("there is room", || async {
            Reader::try_open(&server, "", None).await.head.starts_with("http/1.1 200 ")
        })
        .await;
    }
}
