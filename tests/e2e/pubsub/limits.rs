//! What is not taken, with its true status, and what is not delivered any more (pubsub 1.9, 2.4): A11, invariants 3, 18
//! and 26 to 28.

use serde_json::{Value, json};
use spanwire_tests::eventually;
use spanwire_tests::http::admin;

use super::{admin_invoke, assert_error, rest, start};
use crate::live::{ok, path};

fn contents(messages: &[Value]) -> Vec<&Value> {
    messages.iter().map(|message| &message["data"]).collect()
}

#[tokio::test]
async fn a11_a_full_topic_is_refused_until_it_is_cleared_or_read() {
    let server = start();
    let (portal, topic) = (rest(&server, "portal"), "/customer/shallow");
    portal.key(topic).await;
    for (kind, has_gd) in [("GD", true), ("non-GD", false)] {
        let body = json!({"data": "x", "has_gd": has_gd});
        for _ in 0..3 {
            portal.publish(topic, &body).await;
        }
        let text = format!("Publication rejected - would exceed {kind} max depth for `{topic}`");
        for _ in 0..3 {
            assert_error(&portal.post(topic, &body).await, 503, &text);
        }
        assert_eq!(portal.fetch(topic, &json!({"limit": 1})).await.len(), 1);
        portal.publish(topic, &body).await;
        assert_error(&portal.post(topic, &body).await, 503, &text);
        assert_eq!(portal.fetch(topic, &Value::Null).await.len(), 3);
        portal.publish(topic, &body).await;
        portal.fetch(topic, &Value::Null).await;
    }
    // Nothing of a refused batch is there (invariant 3).
    let batch = json!({"topic_name": topic, "data_list": ["1", "2", "3", "4"], "has_gd": true});
    let refused = admin_invoke(&server, "zato.pubsub.publish.publish", &batch).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(portal.fetch(topic, &Value::Null).await.len(), 0);
    let batch = json!({"topic_name": topic, "data_list": ["1", "2", "3"], "has_gd": true});
    let ids = ok(admin_invoke(&server, "zato.pubsub.publish.publish", &batch).await);
    let ids = ids.get("response").cloned().unwrap_or(ids);
    let got = portal.fetch(topic, &json!({"order": "fifo"})).await;
    let expected = ids["msg_id_list"].as_array().unwrap();
    assert_eq!(&got.iter().map(|it| it["msg_id"].clone()).collect::<Vec<_>>(), expected);
}

/// Invariant 26: the limit holds exactly, however many publish at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_depth_holds_exactly_under_concurrency() {
    let server = start();
    let topic = "/customer/gd";
    rest(&server, "portal").key(topic).await;
    let limit = json!({"max_depth_gd": 40, "depth_check_freq": 1});
    ok(admin(&server, "PATCH", &path("pubsub_topic", topic), &limit.to_string()).await);
    let mut publishers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let portal = rest(&server, "portal");
        publishers.spawn(async move {
            let mut taken = 0;
            for _ in 0..10 {
                let answer = portal.post(topic, &json!({"data": "x"})).await;
                assert!([200, 503].contains(&answer.status), "{answer:?}");
                taken += usize::from(answer.status == 200);
            }
            taken
        });
    }
    let taken: usize = publishers.join_all().await.into_iter().sum();
    assert_eq!(taken, 40);
    assert_eq!(rest(&server, "portal").fetch(topic, &Value::Null).await.len(), 40);
}

#[tokio::test]
async fn wrong_input_is_answered_400_with_its_reason() {
    let server = start();
    let portal = rest(&server, "portal");
    portal.key("/customer/new").await;
    for (body, details) in [
        (json!({}), "No data sent on input"),
        (json!({"data": ""}), "No data sent on input"),
        (json!({"data": null}), "No data sent on input"),
        (json!({"data": "x", "priority": 10}), "Priority `10` outside of allowed range 1-9"),
        (json!({"data": "x", "priority": -1}), "Priority `-1` outside of allowed range 1-9"),
        (json!({"data": "x", "expiration": -5}), "Expiration `-5` must not be negative"),
    ] {
        assert_error(&portal.post("/customer/new", &body).await, 400, details);
    }
    for body in [
        json!({"data": "x", "priority": "high"}),
        json!({"data": "x", "has_gd": "perhaps"}),
        json!({"data": "x", "expiration": 1.5}),
        json!({"data": "x", "ext_pub_time": "yesterday"}),
        json!({"data": "x", "correl_id": "c".repeat(201)}),
        json!({"data": "x", "msg_id": "m".repeat(201)}),
    ] {
        let answer = portal.post("/customer/new", &body).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
    }
    for (body, priority) in [
        (json!({"data": "x", "priority": 0}), 5),
        (json!({"data": "x", "priority": null}), 5),
        (json!({"data": "x", "priority": "3"}), 3),
    ] {
        portal.publish("/customer/new", &body).await;
        let got = portal.fetch("/customer/new", &Value::Null).await;
        assert_eq!(got[0]["priority"], priority, "{body}");
    }
    let path = "/zato/pubsub/topic//customer/new";
    for broken in ["{", "[]x", "\u{1}"] {
        assert_eq!(portal.ask("POST", path, broken).await.status, 400, "{broken}");
    }
    assert_eq!(portal.fetch("/customer/new", &Value::Null).await.len(), 0);
}

/// Invariants 18 and 27: a time span is in seconds, bounded by the topic, and over when it is over.
#[tokio::test]
async fn a_message_that_expired_is_not_delivered() {
    let server = start();
    let portal = rest(&server, "portal");
    portal.key("/customer/short").await;
    portal.publish("/customer/short", &json!({"data": "long", "expiration": 1_000_000})).await;
    portal.publish("/customer/short", &json!({"data": "short", "expiration": 1})).await;
    let got = portal.fetch("/customer/short", &json!({"lease": 0.05})).await;
    let span = |data: &str| got.iter().find(|it| it["data"] == data).unwrap()["expiration"].clone();
    assert_eq!((span("long"), span("short")), (json!(86_400), json!(1)));
    let lent = async || portal.fetch("/customer/short", &json!({"lease": 0.05})).await;
    eventually("only the long one is left", async || {
        let got = lent().await;
        got.len() == 1 && got[0]["data"] == "long"
    })
    .await;
}

#[tokio::test]
async fn a_topic_that_is_not_active_delivers_what_it_holds_and_takes_nothing() {
    let server = start();
    let portal = rest(&server, "portal");
    let closed = portal.post("/customer/closed", &json!({"data": "x"})).await;
    assert_error(&closed, 503, "Topic is inactive `/customer/closed`");
    portal.key("/customer/new").await;
    portal.publish("/customer/new", &json!({"data": "held"})).await;
    let off = json!({"is_active": false}).to_string();
    ok(admin(&server, "PATCH", &path("pubsub_topic", "/customer/new"), &off).await);
    let refused = portal.post("/customer/new", &json!({"data": "x"})).await;
    assert_error(&refused, 503, "Topic is inactive `/customer/new`");
    assert_eq!(contents(&portal.fetch("/customer/new", &Value::Null).await), ["held"]);
}

#[tokio::test]
async fn a_topic_that_drops_keeps_nothing_without_subscribers() {
    let server = start();
    let portal = rest(&server, "portal");
    let dropped = portal.post("/customer/drop", &json!({"data": "x"})).await;
    assert_eq!((dropped.status, dropped.json()), (200, json!({})));
    let subscribed = portal.subscribe("/customer/drop").await.json();
    assert_eq!(subscribed["queue_depth"], 0);
    portal.publish("/customer/drop", &json!({"data": "y"})).await;
    assert_eq!(contents(&portal.fetch("/customer/drop", &Value::Null).await), ["y"]);
}
