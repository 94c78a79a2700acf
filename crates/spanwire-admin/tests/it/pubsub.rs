//! Topics and queues: what they hold, and what an operator does with it.

use std::sync::atomic::Ordering;

use axum::http::Method;
use serde_json::{Value, json};

use crate::broker::KEY;
use crate::client::World;

fn column(list: &Value, key: &str) -> Vec<Value> {
    list.as_array().unwrap().iter().map(|it| it[key].clone()).collect()
}

impl World {
    /// What publish/subscribe was asked for last.
    fn last_call(&self) -> String {
        self.fake.broker.calls.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

#[tokio::test]
async fn topics_are_listed_and_shown() {
    let world = World::new();
    let all = world.get("/pubsub/topics").await.expect(200);
    assert_eq!(column(&all.json, "name"), ["/a", "/b/c"]);
    assert_eq!(all.json[0]["last_pub_time"], Value::Null);
    assert_eq!(all.header("x-total-count"), Some("2"));
    let some = world.get("/pubsub/topics?q=B/&limit=1").await.expect(200);
    assert_eq!(column(&some.json, "name"), ["/b/c"]);
    let one = world.get("/pubsub/topics/%2Fb%2Fc").await.expect(200);
    assert_eq!(one.json["id"], 2);
    world.get("/pubsub/topics/none").await.expect(404).problem();
    let cleared = world.post("/pubsub/topics/%2Fb%2Fc/clear", json!({})).await.expect(200);
    assert_eq!((cleared.json, world.last_call()), (json!({"cleared": 5}), "clear /b/c".to_owned()));
    world.post("/pubsub/topics/none/clear", json!({})).await.expect(404).problem();
}

#[tokio::test]
async fn keys_are_masked_unless_they_are_asked_for() {
    let world = World::new();
    for path in ["/pubsub/queues", "/pubsub/queues/1", "/pubsub/queues?reveal_secrets=false"] {
        let masked = world.get(path).await.expect(200);
        assert!(masked.text.contains("zpsk.rest.***") && !masked.text.contains(KEY), "{path}");
    }
    for path in ["/pubsub/queues?reveal_secrets=true", "/pubsub/queues/1?reveal_secrets=true"] {
        assert!(world.get(path).await.expect(200).text.contains(KEY), "{path}");
    }
    world.get("/pubsub/queues?reveal_secrets=1").await.expect(400).problem();
}

#[tokio::test]
async fn queues_are_found_cleared_and_ended() {
    let world = World::new();
    for (query, ids) in [
        ("", vec![1, 2]),
        ("?with_dead=true", vec![2]),
        ("?endpoint_name=crm", vec![1]),
        ("?topic_name=/a&offset=1", vec![2]),
        ("?topic_name=/none", vec![]),
    ] {
        let found = world.get(&format!("/pubsub/queues{query}")).await.expect(200);
        assert_eq!(column(&found.json, "id"), ids, "{query}");
    }
    let cleared = world.post("/pubsub/queues/2/clear", json!({})).await.expect(200);
    assert_eq!(cleared.json, json!({"cleared": 4}));
    for id in ["3", "-1", "+1", "x", "99999999999999999999999"] {
        world.get(&format!("/pubsub/queues/{id}")).await.expect(404).problem();
        world.delete(&format!("/pubsub/queues/{id}")).await.expect(404).problem();
        world.post(&format!("/pubsub/queues/{id}/clear"), json!({})).await.expect(404);
        world.get(&format!("/pubsub/queues/{id}/messages/1")).await.expect(404).problem();
    }
    world.delete("/pubsub/queues/1").await.expect(204);
    assert_eq!(column(&world.get("/pubsub/queues").await.json, "id"), [2]);
}

#[tokio::test]
async fn messages_are_listed_without_contents_behind_an_offset() {
    let world = World::new();
    let all = world.get("/pubsub/topics/%2Fa/messages").await.expect(200);
    assert_eq!(column(&all.json, "offset"), [1, 2, 3, 4, 5]);
    assert!(!all.text.contains("\"data\"") && all.header("link").is_none());
    let some = world.get("/pubsub/topics/%2Fa/messages?after=1&limit=2").await.expect(200);
    assert_eq!(column(&some.json, "offset"), [2, 3]);
    let next = "</api/v1/pubsub/topics/%2Fa/messages?limit=2&after=3>; rel=\"next\"";
    assert_eq!(some.header("link"), Some(next));
    let found = world.get("/pubsub/topics/%2Fa/messages?q=MESSAGE%204").await.expect(200);
    assert_eq!(column(&found.json, "offset"), [4]);
    let found = world.get("/pubsub/topics/%2Fa/messages?q=message&limit=2").await.expect(200);
    assert_eq!(column(&found.json, "offset"), [1, 2]);
    assert!(found.header("link").unwrap().contains("after=2>"));
    let dead = world.get("/pubsub/queues/2/messages?state=dead").await.expect(200);
    assert_eq!(column(&dead.json, "offset"), [2]);
    for query in ["state=tired", "limit=0", "limit=1001", "after=-1", "query=x"] {
        world.get(&format!("/pubsub/queues/2/messages?{query}")).await.expect(400).problem();
    }
    world.get("/pubsub/topics/none/messages").await.expect(404).problem();
}

#[tokio::test]
async fn a_message_is_shown_corrected_and_deleted() {
    let world = World::new();
    for path in ["/pubsub/topics/%2Fa/messages/zpsm3", "/pubsub/queues/1/messages/3"] {
        let shown = world.get(path).await.expect(200);
        // As it was published: neither keys nor numbers are written anew.
        assert!(shown.text.contains(r#""data":{"z": 1.50, "a": 3}"#), "{}", shown.text);
    }
    let path = "/pubsub/topics/%2Fa/messages/3";
    let text = br#"{"data": {"z": 1.0, "a": [1e2]}, "priority": 9, "correl_id": null}"#;
    let edited = world.send_text(Method::PATCH, path, text).await.expect(200);
    assert!(edited.text.contains(r#""data":{"z": 1.0, "a": [1e2]}"#), "{}", edited.text);
    assert_eq!(world.last_call(), r#"edit /a {"data":{"z": 1.0, "a": [1e2]},"priority":9}"#);
    for body in [
        json!({}),
        json!({"data": null}),
        json!({"priority": 0}),
        json!({"priority": 10}),
        json!({"priority": "5"}),
        json!({"expiration": 0}),
        json!({"mime_type": "x".repeat(201)}),
        json!({"has_gd": true}),
        json!([]),
    ] {
        world.patch(path, body).await.expect(422).problem();
    }
    world.delete("/pubsub/queues/1/messages/3").await.expect(204);
    assert_eq!(world.last_call(), "delete Queue { id: 1, state: Current }");
    world.delete(path).await.expect(404).problem();
    world.delete("/pubsub/topics/%2Fa/messages/zpsm4").await.expect(204);
    assert_eq!(world.last_call(), "delete Topic(\"/a\")");
    let missing = world.get("/pubsub/topics/%2Fa/messages/zpsm4").await.expect(404).problem();
    assert!(missing.contains("Message not found `zpsm4`"), "{missing}");
}

#[tokio::test]
async fn messages_are_published_as_they_are() {
    let world = World::new();
    let text = br#"{"topic_name": "/a", "data": {"z": 1.0, "a": 1}, "priority": 7, "has_gd": false,
        "expiration": null, "ext_pub_time": "2026-01-02T03:04:05"}"#;
    let done = world.send_text(Method::POST, "/pubsub/publish", text).await.expect(200);
    assert_eq!(done.json, json!({"msg_id": "zpsm9"}));
    let expected = r#"{"topic_name":"/a","data":{"z": 1.0, "a": 1},"priority":7,"has_gd":false,"ext_pub_time":"2026-01-02T03:04:05.000000"}"#;
    assert_eq!(world.last_call(), expected);
    let list = json!({"topic_name": "/a", "data_list": ["a", {"b": 1}], "endpoint_name": "crm"});
    let done = world.post("/pubsub/publish", list).await.expect(200);
    assert_eq!(done.json, json!({"msg_id_list": ["zpsm0", "zpsm1"]}));
    let full = json!({"topic_name": "/full", "data": "x"});
    let refused = world.post("/pubsub/publish", full).await.expect(503).problem();
    assert!(refused.contains("would exceed GD max depth"), "{refused}");
    for (body, why) in [
        (json!({"data": 1}), "'topic_name': is missing"),
        (json!({"topic_name": "", "data": 1}), "not empty"),
        (json!({"topic_name": "/a"}), "'data': is missing"),
        (json!({"topic_name": "/a", "data": null}), "'data': is missing"),
        (json!({"topic_name": "/a", "data": 1, "data_list": [1]}), "keep one"),
        (json!({"topic_name": "/a", "data_list": []}), "1 to 10000"),
        (json!({"topic_name": "/a", "data_list": [null]}), "1 to 10000"),
        (json!({"topic_name": "/a", "data_list": [1], "msg_id": "x"}), "for one message"),
        (json!({"topic_name": "/a", "data": 1, "priority": 10}), "from 0 to 9"),
        (json!({"topic_name": "/a", "data": 1, "expiration": -1}), "from 0 to"),
        (json!({"topic_name": "/a", "data": 1, "has_gd": "yes"}), "true or false"),
        (json!({"topic_name": "/a", "data": 1, "ext_pub_time": "now"}), "a time such as"),
        (json!({"topic_name": "/a", "data": 1, "topic": "/a"}), "unknown key"),
    ] {
        let text = world.post("/pubsub/publish", body).await.expect(422).problem();
        assert!(text.contains(why), "{text}");
    }
}

#[tokio::test]
async fn endpoints_are_subscribed_and_told_their_key() {
    let world = World::new();
    let body = json!({"endpoint_name": "erp", "topic_name": "/a", "start": "first"});
    let done = world.post("/pubsub/subscribe", body).await.expect(200);
    assert_eq!(done.json, json!({"sub_key": KEY, "id": 3, "queue_depth": 5, "existed": false}));
    let body = json!({"endpoint_name": "crm", "topic_name": "/a", "delivery_method": "web-socket",
        "delivery_batch_size": 1, "ext_client_id": "c"});
    assert_eq!(world.post("/pubsub/subscribe", body).await.expect(200).json["existed"], true);
    for body in [
        json!({}),
        json!({"endpoint_name": "crm"}),
        json!({"endpoint_name": "crm", "topic_name": "/a", "delivery_method": "notify"}),
        json!({"endpoint_name": "crm", "topic_name": "/a", "delivery_batch_size": 0}),
        json!({"endpoint_name": "crm", "topic_name": "/a", "start": "last"}),
        json!({"endpoint_name": "crm", "topic_name": "/a", "sub_key": "x"}),
    ] {
        world.post("/pubsub/subscribe", body).await.expect(422).problem();
    }
}

#[tokio::test]
async fn messages_are_taken_and_acknowledged() {
    let world = World::new();
    let path = "/pubsub/queues/1/consume";
    let taken = world.post(path, json!({"limit": 2, "lease": 0.5})).await.expect(200);
    assert_eq!(column(&taken.json, "offset"), [1, 2]);
    assert_eq!(taken.json[0]["data"], json!({"z": 1.5, "a": 1}));
    assert_eq!(world.last_call(), "consume 1 Some(2) Some(500ms) 0ns");
    world.send(Method::POST, path, &[], None).await.expect(200);
    for body in [
        json!({"limit": 0}),
        json!({"limit": 10_001}),
        json!({"lease": 0}),
        json!({"lease": -1}),
        json!({"lease": 86_401}),
        json!({"wait": 61}),
        json!({"wait": "1"}),
        json!({"max": 1}),
    ] {
        world.post(path, body).await.expect(422).problem();
    }
    let path = "/pubsub/queues/1/acknowledge";
    let done = world.post(path, json!({"msg_ids": ["zpsm1", "x"]})).await.expect(200);
    assert_eq!(done.json, json!({"acknowledged": 1}));
    for body in [json!({}), json!({"msg_ids": []}), json!({"msg_ids": [1]})] {
        world.post(path, body).await.expect(422).problem();
    }
    world.send(Method::POST, path, &[], None).await.expect(400).problem();
}

#[tokio::test]
async fn who_waits_for_messages_does_not_hold_up_the_end() {
    let world = World::new();
    world.fake.stopping.cancel();
    let taken = world.post("/pubsub/queues/1/consume", json!({"wait": 60})).await.expect(200);
    assert_eq!(taken.json, json!([]));
}

#[tokio::test]
async fn dead_messages_go_back() {
    let world = World::new();
    let path = "/pubsub/queues/2/requeue";
    let all = world.send(Method::POST, path, &[], None).await.expect(200);
    assert_eq!(
        (all.json, world.last_call()),
        (json!({"requeued": 2}), "requeue 2 None".to_owned())
    );
    let one = world.post(path, json!({"msg_id": "zpsm2"})).await.expect(200);
    assert_eq!(one.json, json!({"requeued": 1}));
    world.post(path, json!({"msg_id": "none"})).await.expect(404).problem();
    world.post(path, json!({"msg_id": ""})).await.expect(422).problem();
}

#[tokio::test]
async fn totals_are_told_and_space_is_given_back() {
    let world = World::new();
    let totals = world.get("/pubsub").await.expect(200);
    assert_eq!(totals.json["gaps"], json!({"expired": 3}));
    assert_eq!(world.post("/pubsub/compact", json!({})).await.json, json!({"disk_bytes": 4096}));
    let cleaned = world.post("/pubsub/cleanup", json!({})).await.expect(200);
    assert_eq!(cleaned.json, json!({"expired": 2, "subscriptions": 1}));
    assert_eq!(world.last_call(), "CleanUp { messages: true, subscriptions: true }");
    let body = json!({"subscriptions": false});
    world.post("/pubsub/cleanup", body).await.expect(200);
    assert_eq!(world.last_call(), "CleanUp { messages: true, subscriptions: false }");
    world.post("/pubsub/cleanup", json!({"messages": null})).await.expect(422).problem();
}

#[tokio::test]
async fn a_server_without_publish_subscribe_says_so() {
    let world = World::new();
    world.fake.has_broker.store(false, Ordering::Relaxed);
    for path in ["/pubsub", "/pubsub/topics", "/pubsub/queues/1", "/pubsub/topics/a/messages/1"] {
        let text = world.get(path).await.expect(503).problem();
        assert!(text.contains("does not run on this server"), "{path}: {text}");
    }
}
