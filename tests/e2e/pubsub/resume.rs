//! A subscription outlives its connection: resuming, taking over (invariants 33, 34), and what connections show (A13).

use serde_json::{Value, json};
use spanwire_tests::http::connections;
use spanwire_tests::messaging::Wsx;
use spanwire_tests::{Server, eventually};

use super::{FORBIDDEN, login, rest, start, wsx};

const TOPIC: &str = "/customer/gd";
const RESUME: &str = "zato.pubsub.resume-wsx-subscription";

fn topic() -> Value {
    json!({ "topic_name": TOPIC })
}

fn with(key: &str) -> Value {
    json!({ "sub_key": key })
}

/// Waits until no client is connected.
async fn nobody_is_connected(server: &Server) {
    eventually("nobody is connected", async || connections(server).await.is_empty()).await;
}

#[tokio::test]
async fn what_is_published_meanwhile_arrives_after_a_lost_connection() {
    let server = start();
    let portal = rest(&server, "portal");
    let mut client = wsx(&server, "lost.1").await;
    let key = client.subscribe(&topic()).await;
    for round in 0..3 {
        portal.publish(TOPIC, &json!({"data": "seen"})).await;
        assert_eq!(client.message().await["data"], "seen");
        // The network is gone, without a word.
        drop(client);
        nobody_is_connected(&server).await;
        for number in 0..3 {
            // What is not guaranteed is, while its subscriber is away (invariant 5).
            portal.publish(TOPIC, &json!({"data": [round, number], "has_gd": false})).await;
        }
        client = wsx(&server, "lost.1").await;
        assert_eq!(client.resume(&with(&key)).await, json!({}));
        let mut got = Vec::new();
        for _ in 0..3 {
            let message = client.message().await;
            assert_eq!(message["has_gd"], true);
            got.push(message["data"].clone());
        }
        assert_eq!(got, (0..3).map(|number| json!([round, number])).collect::<Vec<_>>());
        assert!(client.is_quiet().await, "none comes twice");
    }
}

#[tokio::test]
async fn a_subscription_outlives_the_server_too() {
    let mut server = start();
    let portal = rest(&server, "portal");
    let mut client = wsx(&server, "restart.1").await;
    let key = client.subscribe(&topic()).await;
    for kills in [false, true] {
        let before = portal.publish(TOPIC, &json!({"data": "before"})).await;
        assert_eq!(client.message().await["msg_id"], before);
        drop(client);
        nobody_is_connected(&server).await;
        portal.publish(TOPIC, &json!({"data": "waits"})).await;
        if kills {
            server.kill();
        } else {
            assert!(server.stop().success());
        }
        server.start_again();
        portal.publish(TOPIC, &json!({"data": "later"})).await;
        client = wsx(&server, "restart.1").await;
        client.resume(&with(&key)).await;
        let got = client.contents(2).await;
        assert_eq!(got, ["waits", "later"]);
    }
}

/// Invariant 34.
#[tokio::test]
async fn whoever_resumes_takes_over_and_the_former_connection_is_silent() {
    let server = start();
    let portal = rest(&server, "portal");
    let mut one = wsx(&server, "take.1").await;
    let key = one.subscribe(&topic()).await;
    let mut two = wsx(&server, "take.2").await;
    for number in 0..5 {
        two.resume(&with(&key)).await;
        portal.publish(TOPIC, &json!({ "data": number })).await;
        assert_eq!(two.message().await["data"], number);
        assert!(one.is_quiet().await, "the subscription was taken over");
        std::mem::swap(&mut one, &mut two);
    }
    let shown = connections(&server).await;
    let shown: Vec<_> =
        shown.iter().map(|it| it["subscriptions"].as_array().unwrap().len()).collect();
    assert_eq!(shown.iter().sum::<usize>(), 1, "{shown:?}");
    // Resuming what one has changes nothing.
    for _ in 0..3 {
        one.resume(&with(&key)).await;
    }
    portal.publish(TOPIC, &json!({"data": "once"})).await;
    assert_eq!(one.message().await["data"], "once");
    assert!(one.is_quiet().await, "it came twice");
}

/// Invariant 33 over WebSockets, with an endpoint that binds keys to clients.
#[tokio::test]
async fn a_key_that_is_bound_to_a_client_works_for_that_client_only() {
    let server = start();
    let portal = rest(&server, "portal");
    let client = async |id: &str| Wsx::log_in(&server, login("/ws/bound"), id).await;
    let mut first = client("page.1").await;
    let key = first.subscribe(&topic()).await;
    drop(first);
    portal.publish(TOPIC, &json!({"data": "for page 1"})).await;
    let mut reloaded = client("page.2").await;
    let forbidden = (403, FORBIDDEN.to_owned());
    for (service, request) in [
        (RESUME, with(&key)),
        ("zato.pubsub.pubapi.get-messages", with(&key)),
        ("zato.pubsub.pubapi.unsubscribe", with(&key)),
        ("zato.pubsub.queue.get-messages", with(&key)),
        ("zato.pubsub.queue.acknowledge-delivery", json!({"sub_key": key, "msg_id_list": ["x"]})),
        ("spanwire.pubsub.acknowledge", json!({"sub_key": key, "msg_ids": ["x"]})),
        ("spanwire.pubsub.refuse", json!({"sub_key": key, "msg_ids": ["x"]})),
    ] {
        assert_eq!(reloaded.refused(service, &request).await, forbidden, "{service}");
    }
    let mut same = client("page.1").await;
    same.resume(&with(&key)).await;
    assert_eq!(same.message().await["data"], "for page 1");
}

#[tokio::test]
async fn a_subscription_ends_with_its_connection_where_that_was_asked_for() {
    let server = start();
    let portal = rest(&server, "portal");
    let mut client = wsx(&server, "ends.1").await;
    let ends = json!({"topic_name": TOPIC, "unsub_on_wsx_close": true});
    let stays = json!({"topic_name": TOPIC, "unsub_on_wsx_close": false});
    let (ends, stays) = (client.subscribe(&ends).await, client.subscribe(&stays).await);
    drop(client);
    nobody_is_connected(&server).await;
    let mut client = wsx(&server, "ends.1").await;
    eventually("it has ended", async || {
        let depths = super::admin_invoke(
            &server,
            "zato.pubsub.queue.get-queue-depth-by-sub-key",
            &json!({"sub_key_list": [ends, stays]}),
        )
        .await;
        !depths.body.contains(&ends) && depths.body.contains(&stays)
    })
    .await;
    assert_eq!(client.refused(RESUME, &with(&ends)).await, (403, FORBIDDEN.to_owned()));
    portal.publish(TOPIC, &json!({"data": "x"})).await;
    client.resume(&with(&stays)).await;
    assert_eq!(client.message().await["sub_key"], stays);
}

/// A13.
#[tokio::test]
async fn a13_a_connection_shows_subscriptions_that_are_older_than_itself() {
    let server = start();
    let mut client = wsx(&server, "a13.1").await;
    let key = client.subscribe(&topic()).await;
    let shown = &connections(&server).await[0];
    let subscription = shown["subscriptions"][0].clone();
    assert_eq!(
        (&subscription["topic_name"], &subscription["ext_client_id"]),
        (&json!(TOPIC), &json!("a13.1"))
    );
    assert_eq!(subscription["sub_pattern_matched"], "sub=/customer/**");
    // The key is a secret; what is shown says which one it is, and is no key.
    let masked = subscription["sub_key"].as_str().unwrap();
    assert!(!key.ends_with(masked.rsplit('.').next().unwrap()) && masked != key, "{masked}");
    assert!(subscription["creation_time"].as_str() >= shown["connection_time"].as_str());
    client.close().await;
    nobody_is_connected(&server).await;
    let mut client = wsx(&server, "a13.2").await;
    client.resume(&with(&key)).await;
    let shown = &connections(&server).await[0];
    assert_eq!(shown["subscriptions"][0], subscription, "it is the same one");
    assert!(subscription["creation_time"].as_str() < shown["connection_time"].as_str(), "{shown}");
}

/// Nothing of a subscription key is in the log.
#[tokio::test]
async fn keys_are_not_in_the_log() {
    let server = start();
    let mut client = wsx(&server, "quiet.1").await;
    let key = client.subscribe(&topic()).await;
    let own = rest(&server, "portal").key(TOPIC).await;
    client.refused(RESUME, &with(&own)).await;
    client.resume(&with(&key)).await;
    client.invoke("zato.pubsub.pubapi.unsubscribe", &with(&key)).await;
    client.close().await;
    nobody_is_connected(&server).await;
    for key in [&key, &own] {
        let secret = key.rsplit('.').next().unwrap();
        assert!(!server.log().contains(secret), "the log tells {key}");
    }
}
