//! Topics and subscriptions as objects that are changed while they are used (invariants 12, 37 and 41).

use serde_json::{Value, json};

use super::{assert_error, rest, start, wsx};
use crate::live::{create, delete, patch};

fn message() -> Value {
    json!({"data": "x"})
}

/// Invariant 37, second half.
#[tokio::test]
async fn the_status_of_a_subscription_says_what_is_queued_and_what_is_consumed() {
    let server = start();
    let (portal, topic) = (rest(&server, "portal"), "/customer/gd");
    let object = json!({"endpoint_name": "portal", "topic_name": topic});
    create(&server, "pubsub_subscription", object).await;
    let set = async |status: &str| {
        let name = format!("portal/{topic}");
        patch(&server, "pubsub_subscription", &name, json!({ "active_status": status })).await;
    };
    let contents = async || {
        let got = portal.fetch(topic, &json!({"order": "fifo"})).await;
        got.iter().map(|it| it["data"].clone()).collect::<Vec<_>>()
    };
    // Somebody else, so that nothing waits for a first subscriber.
    rest(&server, "crm").key(topic).await;
    set("pub-only").await;
    portal.publish(topic, &json!({"data": "queued"})).await;
    assert_eq!(contents().await, [Value::Null; 0]);
    set("sub-only").await;
    portal.publish(topic, &json!({"data": "not added"})).await;
    assert_eq!(contents().await, ["queued"]);
    set("disabled").await;
    portal.publish(topic, &json!({"data": "neither"})).await;
    assert_eq!(contents().await, [Value::Null; 0]);
    set("pub-sub").await;
    portal.publish(topic, &json!({"data": "both"})).await;
    assert_eq!(contents().await, ["both"]);
}

/// Invariant 41, as far as one server goes: a topic that is renamed keeps what it has, one that is deleted does not.
#[tokio::test]
async fn a_renamed_topic_keeps_subscriptions_and_messages_and_a_deleted_one_loses_them() {
    let server = start();
    let portal = rest(&server, "portal");
    portal.key("/customer/gd").await;
    portal.publish("/customer/gd", &json!({"data": "kept"})).await;
    patch(&server, "pubsub_topic", "/customer/gd", json!({"name": "/customer/renamed"})).await;
    let details = "No such topic `/customer/gd`";
    assert_error(&portal.post("/customer/gd", &message()).await, 404, details);
    portal.publish("/customer/renamed", &json!({"data": "new"})).await;
    let got = portal.fetch("/customer/renamed", &json!({"order": "fifo", "lease": 0.01})).await;
    let got: Vec<_> = got.iter().map(|it| &it["data"]).collect();
    assert_eq!(got, ["kept", "new"]);
    delete(&server, "pubsub_topic", "/customer/renamed").await;
    create(&server, "pubsub_topic", json!({"name": "/customer/renamed", "has_gd": true})).await;
    let details = "You are not subscribed to topic `/customer/renamed`";
    assert_error(&portal.patch("/customer/renamed", &Value::Null).await, 400, details);
    portal.key("/customer/renamed").await;
    assert_eq!(portal.fetch("/customer/renamed", &Value::Null).await.len(), 0);
}

/// Invariant 12.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_has_one_subscription_a_topic_however_often_it_asks_at_once() {
    let server = start();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let portal = rest(&server, "portal");
        asking.spawn(async move { portal.subscribe("/customer/gd").await.json() });
    }
    let answers = asking.join_all().await;
    assert_eq!(answers.iter().filter(|it| !it["sub_key"].is_null()).count(), 1, "{answers:?}");
    let portal = rest(&server, "portal");
    portal.publish("/customer/gd", &message()).await;
    assert_eq!(portal.fetch("/customer/gd", &Value::Null).await.len(), 1);
    // Clients of a WebSocket channel have as many as they ask for.
    let mut client = wsx(&server, "many.1").await;
    let topic = json!({"topic_name": "/customer/gd"});
    let keys = [client.subscribe(&topic).await, client.subscribe(&topic).await];
    assert_ne!(keys[0], keys[1]);
    portal.publish("/customer/gd", &message()).await;
    let mut got = [client.message().await, client.message().await].map(|it| it["sub_key"].clone());
    got.sort_by_key(ToString::to_string);
    let mut keys = keys.map(Value::from);
    keys.sort_by_key(ToString::to_string);
    assert_eq!(got, keys);
}
