//! Messages of another server's topics (outconn-and-platform 2.4: F7 to F9, A8).

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use spanwire_tests::endpoint::Received;
use spanwire_tests::eventually;
use spanwire_tests::http::connections;

use super::Pair;
use crate::cli::{on, parse};
use crate::live::{delete, patch};

fn subscribes(topics: &[&str]) -> Value {
    json!({"on_message_service_name": "hook", "subscription_list": topics})
}

async fn publish(pair: &Pair, topic: &str, data: &str) {
    let published = on(&pair.b, &["publish", topic, data]).await;
    assert_eq!(published.code, 0, "{published:?}");
}

/// What is in the queues of the other server, by topic.
async fn queues(pair: &Pair) -> Vec<(String, u64)> {
    let queues = parse(&on(&pair.b, &["queue", "list", "--output", "json"]).await);
    let queue = |it: &Value| {
        (it["topic_name"].as_str().unwrap().to_owned(), it["current_depth"].as_u64().unwrap())
    };
    queues.as_array().unwrap().iter().map(queue).collect()
}

async fn subscribed(pair: &Pair, topics: &[&str]) {
    let wanted: Vec<_> = topics.iter().map(|topic| ((*topic).to_owned(), 0)).collect();
    eventually("it is subscribed, and nothing waits", async || queues(pair).await == wanted).await;
}

/// F7, A8: an array of one message, with the fields that applications know.
#[tokio::test]
async fn f7_a_message_reaches_the_hook_as_a_list() {
    let pair = Pair::quiet(subscribes(&["/customer/new"])).await;
    subscribed(&pair, &["/customer/new"]).await;
    publish(&pair, "/customer/new", "This is a sample message").await;
    let told = pair.until_told("message", 1).await;
    let messages = told[0]["data"]["data"].as_array().unwrap();
    assert_eq!(messages.len(), 1, "{told:?}");
    let message = &messages[0];
    for (field, value) in [
        ("data", json!("This is a sample message")),
        ("topic_name", json!("/customer/new")),
        ("priority", json!(5)),
        ("has_gd", json!(true)),
        ("delivery_count", json!(1)),
        ("size", json!(24)),
    ] {
        assert_eq!(message[field], value, "{field} of {message}");
    }
    for field in
        ["msg_id", "pub_time_iso", "expiration", "expiration_time_iso", "mime_type", "sub_key"]
    {
        assert!(!message[field].is_null(), "{field} of {message}");
    }
    assert!(told[0]["data"]["id"].is_string(), "{told:?}");
    subscribed(&pair, &["/customer/new"]).await;
}

/// F8: a hook that fails does not acknowledge.
#[tokio::test]
async fn f8_a_message_whose_hook_failed_comes_again() {
    let failures = AtomicUsize::new(1);
    let answer = move |_: &Received| {
        let left =
            failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() { (500, String::new()) } else { (200, String::new()) }
    };
    let pair = Pair::start(subscribes(&["/customer/new"]), answer).await;
    subscribed(&pair, &["/customer/new"]).await;
    publish(&pair, "/customer/new", "x").await;
    let told = pair.until_told("message", 2).await;
    let counts: Vec<_> =
        told.iter().map(|it| it["data"]["data"][0]["delivery_count"].clone()).collect();
    assert_eq!(counts, [1, 2]);
    subscribed(&pair, &["/customer/new"]).await;
}

/// F9: a topic that is not permitted is a warning, and is subscribed to once it is.
#[tokio::test]
async fn f9_a_topic_that_is_not_permitted_takes_nothing_from_the_others() {
    let pair = Pair::quiet(subscribes(&["/other", "/customer/new"])).await;
    subscribed(&pair, &["/customer/new"]).await;
    pair.connected().await;
    let log = pair.a.log();
    assert!(log.contains("cannot subscribe") && log.contains("/other"), "{log}");
    publish(&pair, "/customer/new", "x").await;
    pair.until_told("message", 1).await;
}

/// Whatever happens to either server, no guaranteed message is lost, none that was acknowledged comes again, and there is
/// one subscription.
#[tokio::test]
async fn subscriptions_are_taken_up_where_they_were_left() {
    let mut pair = Pair::quiet(subscribes(&["/customer/new"])).await;
    subscribed(&pair, &["/customer/new"]).await;
    let mut published = 0;
    for round in 0..3 {
        publish(&pair, "/customer/new", &format!("before {round}")).await;
        published += 1;
        pair.until_told("message", published).await;
        subscribed(&pair, &["/customer/new"]).await;
        match round {
            0 => {
                pair.a.kill();
                publish(&pair, "/customer/new", "while a is away").await;
                pair.a.start_again();
            }
            1 => {
                assert!(pair.a.stop().success());
                publish(&pair, "/customer/new", "while a is away").await;
                pair.a.start_again();
            }
            _ => {
                // Acknowledgements are on disk within a second; a kill before that repeats what was acknowledged.
                pair.b.stop();
                pair.b.start_again();
                publish(&pair, "/customer/new", "while a is away").await;
            }
        }
        published += 1;
        pair.until_told("message", published).await;
        subscribed(&pair, &["/customer/new"]).await;
    }
    let told = pair.told("message");
    assert_eq!(told.len(), published, "{told:?}");
    // Keys are secrets: not in the log, not in the store.
    let key = told[0]["data"]["data"][0]["sub_key"].as_str().unwrap().to_owned();
    assert!(!(pair.a.log() + &pair.b.log()).contains(&key));
    for file in spanwire_tests::secrecy::files(&pair.a.data()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!spanwire_tests::secrecy::contains(&bytes, &key), "{}", file.display());
    }
    // A topic that is not wanted any more, and a connection that is gone, leave nothing behind.
    patch(&pair.a, "outgoing_wsx", "b", json!({"subscription_list": ["/customer/old"]})).await;
    subscribed(&pair, &["/customer/old"]).await;
    delete(&pair.a, "channel_rest", "echo").await;
    delete(&pair.a, "outgoing_wsx", "b").await;
    subscribed(&pair, &[]).await;
}

/// Whoever is locked out for a while has its queue afterwards: a refusal is no reason to forget whose it is.
#[tokio::test]
async fn a_subscription_outlives_a_time_without_permission() {
    let pair = Pair::quiet(subscribes(&["/customer/new"])).await;
    subscribed(&pair, &["/customer/new"]).await;
    let disconnect = async || {
        let id = connections(&pair.b).await[0]["pub_client_id"].as_str().unwrap().to_owned();
        assert_eq!(on(&pair.b, &["connection", "disconnect", &id]).await.code, 0);
        eventually("it is back", async || {
            connections(&pair.b).await.first().is_some_and(|it| it["pub_client_id"] != id)
        })
        .await;
    };
    patch(&pair.b, "pubsub_endpoint", "b", json!({"topic_patterns": ["sub=/nothing"]})).await;
    disconnect().await;
    eventually("it is refused", async || pair.a.log().contains("cannot subscribe")).await;
    publish(&pair, "/customer/new", "meanwhile").await;
    patch(&pair.b, "pubsub_endpoint", "b", json!({"topic_patterns": ["sub=/customer/**"]})).await;
    disconnect().await;
    let told = pair.until_told("message", 1).await;
    assert_eq!(told[0]["data"]["data"][0]["data"], "meanwhile");
    subscribed(&pair, &["/customer/new"]).await;
}

/// Bound to the client that made it, with a key that was rotated and its predecessors thrown away: it is had again.
#[tokio::test]
async fn a_bound_subscription_outlives_a_restart_and_the_key_it_was_stored_with() {
    let mut pair = Pair::quiet(subscribes(&["/customer/new"])).await;
    patch(&pair.b, "pubsub_endpoint", "b", json!({"bind_to_client": true})).await;
    subscribed(&pair, &["/customer/new"]).await;
    let before = connections(&pair.b).await[0]["ext_client_id"].clone();
    assert_eq!(on(&pair.a, &["secret-key", "rotate"]).await.code, 0);
    assert!(pair.a.stop().success());
    let ring = pair.a.data().join("secret.key");
    let keys = std::fs::read_to_string(&ring).unwrap();
    // The header and the newest key.
    let kept: Vec<_> = keys.lines().take(2).collect();
    std::fs::write(&ring, format!("{}\n", kept.join("\n"))).unwrap();
    publish(&pair, "/customer/new", "while a is away").await;
    pair.a.start_again();
    pair.until_told("message", 1).await;
    subscribed(&pair, &["/customer/new"]).await;
    assert_eq!(connections(&pair.b).await[0]["ext_client_id"], before);
}
