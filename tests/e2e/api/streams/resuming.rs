//! Readers that come back: no change is lost, none is told twice.

use serde_json::json;
use spanwire_tests::{Server, is_long};

use super::Reader;
use crate::api::revision;
use crate::live::{create, patch};

const GATE: &str = "wsx_gateway: [{name: gate, services_allowed: []}]\n";

async fn change(server: &Server, number: u64) {
    patch(server, "wsx_gateway", "gate", json!({"services_allowed": [format!("s{number}")]})).await;
}

#[tokio::test]
async fn what_was_missed_comes_first_and_once() {
    let server = Server::setup().objects(GATE).start();
    let first = revision(&server).await;
    let mut reader = Reader::open(&server, "?types=change", None).await;
    for number in 0..3 {
        change(&server, number).await;
    }
    assert_eq!(reader.change().await, first + 1);
    let known = reader.change().await;
    drop(reader);
    for number in 3..10 {
        change(&server, number).await;
    }
    for query in ["", "?types=change", "?types=change,state"] {
        let mut reader = Reader::open(&server, query, Some(known)).await;
        for number in known + 1..=first + 10 {
            assert_eq!(reader.next_named("change").await.id, Some(number), "{query}");
        }
        assert!(reader.is_quiet().await);
    }
    // With diffs, as the live ones.
    let mut reader = Reader::open(&server, "", Some(first + 9)).await;
    let missed = reader.next().await.unwrap();
    assert_eq!(missed.data["changes"][0]["diff"][0]["to"], json!(["s9"]), "{missed:?}");
    change(&server, 10).await;
    let live = reader.next_named("change").await;
    assert_eq!(live.id, Some(first + 11));
    let keys =
        |event: &super::Event| event.data.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&live), keys(&missed));
    // From the very first on; and who does not ask for changes is told none.
    let mut all = Reader::open(&server, "", Some(0)).await;
    assert_eq!(all.change().await, 1);
    let mut states = Reader::open(&server, "?types=state", Some(0)).await;
    assert!(states.is_quiet().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_changes_go_on() {
    let server = std::sync::Arc::new(Server::setup().objects(GATE).start());
    let first = revision(&server).await;
    let count = if is_long() { 1_000 } else { 100 };
    let writing = tokio::spawn({
        let server = std::sync::Arc::clone(&server);
        async move {
            for number in 0..count {
                change(&server, number).await;
            }
        }
    });
    let mut known = first;
    let mut reconnects = 0;
    while known < first + count {
        let mut reader = Reader::open(&server, "?types=change", Some(known)).await;
        reconnects += 1;
        // A few, and then it breaks off.
        for _ in 0..7 {
            let next = reader.change().await;
            assert_eq!(next, known + 1);
            known = next;
            if known == first + count {
                break;
            }
        }
    }
    writing.await.unwrap();
    assert!(reconnects > 10, "{reconnects}");
}

#[tokio::test]
async fn a_restart_of_the_server_loses_nothing() {
    // Not from a file, which each start would make what it says.
    let mut server = Server::setup().start();
    create(&server, "wsx_gateway", json!({"name": "gate", "services_allowed": []})).await;
    let mut reader = Reader::open(&server, "?types=change", None).await;
    change(&server, 1).await;
    let known = reader.change().await;
    change(&server, 2).await;
    assert!(server.stop().success());
    server.start_again();
    change(&server, 3).await;
    server.kill();
    server.start_again();
    change(&server, 4).await;
    let mut reader = Reader::open(&server, "?types=change", Some(known)).await;
    for number in [2, 3, 4] {
        let event = reader.next().await.unwrap();
        assert_eq!(event.id, Some(known + number - 1));
        assert_eq!(event.data["changes"][0]["diff"][0]["to"], json!([format!("s{number}")]));
    }
    change(&server, 5).await;
    assert_eq!(reader.change().await, known + 4);
}

/// Such as after a backup was put back.
#[tokio::test]
async fn who_knows_more_than_there_is_is_told_what_comes() {
    let server = Server::setup().objects(GATE).start();
    let first = revision(&server).await;
    for last in [first + 1_000, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
        let mut reader = Reader::open(&server, "?types=change", Some(last)).await;
        let before = revision(&server).await;
        create(&server, "wsx_gateway", json!({"name": format!("g{last}"), "services_allowed": []}))
            .await;
        assert_eq!(reader.change().await, before + 1, "{last}");
    }
}
