//! A server that stops ends its streams at once, and is not held up by them.

use std::time::{Duration, Instant};

use serde_json::json;
use spanwire_tests::{Client, Server};

use super::Reader;
use crate::api::OBJECTS;
use crate::live::patch;

#[tokio::test]
async fn streams_end_at_once_and_do_not_hold_the_stop_up() {
    let mut server = Server::setup().objects(OBJECTS).start();
    let mut readers = Vec::new();
    for last in [None, None, Some(0)] {
        readers.push(Reader::open(&server, "", last).await);
    }
    readers[2].next_named("change").await;
    patch(&server, "wsx_gateway", "gate", json!({"services_allowed": []})).await;
    let mut client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    let begun = Instant::now();
    server.terminate();
    // Those who read are told everything up to the end, which is one of HTTP.
    for reader in &mut readers {
        while reader.next().await.is_some() {}
        assert!(reader.is_whole, "the stream broke off");
    }
    let ended = begun.elapsed();
    assert!(ended < Duration::from_secs(3), "streams ended after {ended:?}");
    assert_eq!(client.receive_close().await.1.map(|frame| u16::from(frame.code)), Some(1001));
    drop(client);
    assert_eq!(server.wait_for_exit().code(), Some(0), "{}", server.log());
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "the stop took {took:?}");
}

/// What cannot be written to somebody who does not read is given up with the drain timeout, not later.
#[tokio::test]
async fn who_does_not_read_holds_the_stop_up_for_a_bounded_time() {
    let settings = "drain_timeout = \"2s\"\n";
    let mut server = Server::setup().objects(OBJECTS).settings(settings).start();
    let mut good = Reader::open(&server, "?types=connection", None).await;
    let stuck = Reader::open(&server, "?types=change", None).await;
    let many: Vec<_> = (0..9_000).map(|n| format!("crm.a-service-with-a-long-name-{n}")).collect();
    for number in 0..30 {
        patch(&server, "wsx_gateway", "gate", json!({"services_allowed": many[number..]})).await;
    }
    let begun = Instant::now();
    server.terminate();
    while good.next().await.is_some() {}
    assert!(good.is_whole && begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(server.wait_for_exit().code(), Some(0), "{}", server.log());
    assert!(begun.elapsed() < Duration::from_secs(4), "the stop took {:?}", begun.elapsed());
    drop(stuck);
}

#[tokio::test]
async fn a_call_that_runs_on_does_not_keep_streams_open() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let objects = format!(
        "service: [{{name: slow, url: 'http://{}/', timeout: 60}}]\n\
         web_socket: [{{name: slow, address: /ws/slow, service: slow, sec_def: zato-no-security, service_timeout: 60}}]\n",
        listener.local_addr().unwrap()
    );
    let mut server = Server::setup().objects(&objects).settings("drain_timeout = \"3s\"\n").start();
    let mut reader = Reader::open(&server, "", None).await;
    let mut busy = Client::log_in(&server.ws("/ws/slow"), "", "").await;
    busy.start_call(&json!({})).await;
    let held = listener.accept().await.unwrap();
    let begun = Instant::now();
    server.terminate();
    while reader.next().await.is_some() {}
    let ended = begun.elapsed();
    assert!(reader.is_whole && ended < Duration::from_secs(2), "{ended:?}");
    assert_eq!(server.wait_for_exit().code(), Some(0), "{}", server.log());
    assert!(begun.elapsed() > Duration::from_secs(2), "the call was given no time");
    drop(held);
}
