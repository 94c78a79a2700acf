//! What a WebSocket client is sent (wsx-protocol 5.5): shapes, order, fields; and the client from PyPI.

use serde_json::{Value, json};
use spanwire_tests::http::connections;
use spanwire_tests::messaging::Wsx;

use super::{login, rest, start, wsx};
use crate::python::driver::Python;

const TOPIC: &str = "/customer/gd";

fn topic() -> Value {
    json!({ "topic_name": TOPIC })
}

/// Subscribes, goes away, and returns the key: what is published waits.
async fn away(server: &spanwire_tests::Server, request: &Value) -> String {
    let mut client = wsx(server, "away.1").await;
    let key = client.subscribe(request).await;
    client.close().await;
    key
}

/// Comes back, and says which subscription it was.
async fn back(server: &spanwire_tests::Server, key: &str) -> Wsx {
    let mut client = wsx(server, "away.1").await;
    assert_eq!(client.resume(&json!({ "sub_key": key })).await, json!({}));
    client
}

#[tokio::test]
async fn one_message_is_an_object_under_its_own_id() {
    let server = start();
    let mut client = wsx(&server, "push.1").await;
    let key = client.subscribe(&topic()).await;
    let id = rest(&server, "portal").publish(TOPIC, &json!({"data": {"a": [1]}})).await;
    let delivery = client.delivery().await;
    let meta = &delivery["meta"];
    assert_eq!((&meta["id"], &meta["msg_type"]), (&json!(id), &json!("zwsx.psrq")));
    assert_eq!(meta["timestamp"].as_str().unwrap().len(), 26);
    assert!(meta.get("ctx").is_none(), "{meta}");
    let data = &delivery["data"];
    assert_eq!((&data["data"], &data["sub_key"]), (&json!({"a": [1]}), &json!(key)));
    assert_eq!((&data["msg_id"], &data["delivery_count"]), (&json!(id), &json!(1)));
    assert!(client.is_quiet().await, "more came");
}

#[tokio::test]
async fn several_messages_are_an_array_under_an_id_of_its_own() {
    let server = start();
    let key = away(&server, &topic()).await;
    let portal = rest(&server, "portal");
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(json!(portal.publish(TOPIC, &json!({ "data": number })).await));
    }
    let mut client = back(&server, &key).await;
    let delivery = client.delivery().await;
    assert!(!ids.contains(&delivery["meta"]["id"]), "{delivery}");
    assert!(delivery["meta"].get("ctx").is_none(), "{delivery}");
    let several = delivery["data"].as_array().unwrap();
    assert_eq!(several.iter().map(|it| it["msg_id"].clone()).collect::<Vec<_>>(), ids);
}

/// Invariant 21, and the switch of DESIGN 13.
#[tokio::test]
async fn batches_have_the_size_and_the_shape_that_was_asked_for() {
    let server = start();
    let portal = rest(&server, "portal");
    for (wrap, size) in [(false, 2), (true, 2), (false, 1), (true, 1)] {
        let key = away(
            &server,
            &json!({"topic_name": TOPIC, "delivery_batch_size": size, "wrap_one_msg_in_list": wrap}),
        )
        .await;
        for number in 0..5 {
            portal.publish(TOPIC, &json!({ "data": number })).await;
        }
        let mut client = back(&server, &key).await;
        let mut contents = Vec::new();
        while contents.len() < 5 {
            let delivery = client.delivery().await;
            match &delivery["data"] {
                Value::Array(several) => {
                    assert!((1..=size).contains(&several.len()), "{delivery}");
                    assert!(wrap || several.len() > 1, "{delivery}");
                    contents.extend(several.iter().map(|it| it["data"].clone()));
                }
                one => {
                    assert!(!wrap, "{delivery}");
                    contents.push(one["data"].clone());
                }
            }
        }
        assert_eq!(contents, [0, 1, 2, 3, 4].map(Value::from));
        client.invoke("zato.pubsub.pubapi.unsubscribe", &json!({ "sub_key": key })).await;
    }
}

/// Invariants 14 and 15: priority, then the publisher's time, then publication; the same after a restart.
#[tokio::test]
async fn priority_goes_before_age() {
    let mut server = start();
    let portal = rest(&server, "portal");
    for restarts in [false, true] {
        let key = away(&server, &topic()).await;
        for (number, priority) in [(1, 5), (2, 1), (3, 9), (4, 5), (5, 9), (6, 7)] {
            portal.publish(TOPIC, &json!({"data": number, "priority": priority})).await;
        }
        for (number, second) in [(7, 30), (8, 10), (9, 20)] {
            let time = format!("2030-01-01T00:00:{second}.000000");
            let body = json!({"data": number, "priority": 8, "ext_pub_time": time});
            portal.publish(TOPIC, &body).await;
        }
        if restarts {
            server.kill();
            server.start_again();
        }
        let mut client = back(&server, &key).await;
        let expected = [3, 5, 8, 9, 7, 6, 1, 4, 2].map(Value::from);
        assert_eq!(client.contents(9).await, expected);
        client.invoke("zato.pubsub.pubapi.unsubscribe", &json!({ "sub_key": key })).await;
    }
}

/// Seed 003: `{priority: 7, mime_type: 'text/csv'}` and everything else that an application may say.
#[tokio::test]
async fn the_context_of_a_publication_arrives_unchanged() {
    let server = start();
    let mut client = wsx(&server, "ctx.1").await;
    let key = client.subscribe(&topic()).await;
    let mut publisher = wsx(&server, "ctx.2").await;
    let ctx = json!({
        "topic_name": TOPIC, "data": "my,csv,data", "msg_id": "111", "has_gd": false, "priority": 7,
        "expiration": 60, "mime_type": "text/csv", "correl_id": "corr-1", "in_reply_to": "zpsm1",
        "ext_client_id": "browser.1", "ext_pub_time": "2024-03-04T10:20:30.123456",
    });
    let id = publisher.publish(&ctx).await;
    let message = client.message().await;
    for name in
        ["data", "priority", "expiration", "mime_type", "correl_id", "in_reply_to", "ext_client_id"]
    {
        assert_eq!(message[name], ctx[name], "{name} of {message}");
    }
    for (name, expected) in [
        ("ext_pub_time", json!("2024-03-04T10:20:30.123456")),
        ("ext_pub_time_iso", json!("2024-03-04T10:20:30.123456")),
        ("has_gd", json!(false)),
        ("msg_id", json!(id)),
        ("sub_key", json!(key)),
        ("topic_name", json!(TOPIC)),
        ("size", json!(11)),
        ("delivery_count", json!(1)),
        ("group_id", json!("")),
        ("position_in_group", json!(1)),
    ] {
        assert_eq!(message[name], expected, "{name} of {message}");
    }
    assert!(message.as_object().unwrap().values().all(|value| !value.is_null()), "{message}");
    for internal in ["zato_ctx", "pub_pattern_matched", "topic_id", "deliver_to_sk", "position"] {
        assert!(message.get(internal).is_none(), "{internal} is in {message}");
    }
    // Nulls are as good as nothing, and the topic says what it does not.
    let nulls = json!({
        "topic_name": TOPIC, "data": "x", "msg_id": "111", "has_gd": null, "priority": null, "expiration": null,
        "mime_type": null, "correl_id": null, "in_reply_to": null, "ext_client_id": null, "ext_pub_time": null,
    });
    publisher.publish(&nulls).await;
    let message = client.message().await;
    let known = (&message["has_gd"], &message["priority"], &message["mime_type"]);
    assert_eq!(known, (&json!(true), &json!(5), &json!("application/json")));
    for name in ["correl_id", "in_reply_to", "ext_pub_time"] {
        assert!(message.get(name).is_none(), "{name} is in {message}");
    }
}

/// Invariant 10 over the wire: a trusted publisher says who gets it, and where answers go.
#[tokio::test]
async fn a_trusted_publisher_chooses_recipients_and_where_answers_go() {
    let server = start();
    let (mut one, mut two) = (wsx(&server, "to.1").await, wsx(&server, "to.2").await);
    let keys = [one.subscribe(&topic()).await, two.subscribe(&topic()).await];
    let message = json!({
        "topic_name": TOPIC, "data": "for two", "deliver_to_sk": [keys[1], "zpsk.unknown"], "reply_to_sk": [keys[0]],
    });
    one.invoke("zato.pubsub.publish.publish", &message).await;
    let delivery = two.delivery().await;
    let ctx = json!({"reply_to_sk": [keys[0]]});
    assert_eq!((&delivery["meta"]["ctx"], &delivery["data"]["ctx"]), (&ctx, &ctx));
    assert!(one.is_quiet().await, "it was not for one");
    // An untrusted one does not.
    let message = json!({"topic_name": TOPIC, "data": "for all", "deliver_to_sk": [keys[1]]});
    one.publish(&message).await;
    assert_eq!(one.message().await["data"], "for all");
    assert_eq!(two.message().await["data"], "for all");
}

/// A8 as far as one server goes: an administrator publishes, and a connected client has it with its flags.
#[tokio::test]
async fn a8_what_an_administrator_publishes_is_pushed() {
    let server = start();
    let mut client = wsx(&server, "a8.1").await;
    let both = json!({"topic_name_list": [TOPIC, "/customer/new"]});
    let subscribed = client.invoke("zato.pubsub.subscription.create-wsx-subscription", &both).await;
    let data = subscribed["sub_data"].as_array().unwrap();
    assert_eq!(
        data.iter().map(|it| &it["topic_name"]).collect::<Vec<_>>(),
        [TOPIC, "/customer/new"]
    );
    for (topic, has_gd) in [(TOPIC, true), ("/customer/new", false)] {
        let request = json!({"topic_name": topic, "data": "This is a sample message"});
        super::admin_invoke(&server, "zato.pubsub.pubapi.publish-message", &request).await;
        let message = client.message().await;
        assert_eq!(message["data"], "This is a sample message");
        assert_eq!((&message["priority"], &message["has_gd"]), (&json!(5), &json!(has_gd)));
        assert_eq!(message["mime_type"], "application/json");
    }
    // All of a list, or none.
    let none = json!({"topic_name_list": [TOPIC, "/customer/missing"]});
    let service = "zato.pubsub.subscription.create-wsx-subscription";
    assert_eq!(client.refused(service, &none).await.0, 404);
    let connection = &connections(&server).await[0];
    assert_eq!(connection["subscriptions"].as_array().unwrap().len(), 2, "{connection}");
}

/// Invariant 13.
#[tokio::test]
async fn nothing_comes_after_unsubscribing() {
    let server = start();
    let portal = rest(&server, "portal");
    let mut client = wsx(&server, "un.1").await;
    for request in [json!({}), json!({ "topic_name": TOPIC })] {
        let key = client.subscribe(&topic()).await;
        portal.publish(TOPIC, &json!({"data": "before"})).await;
        assert_eq!(client.message().await["data"], "before");
        let mut request = request;
        request["sub_key"] = json!(key);
        for _ in 0..2 {
            let gone = client.invoke("zato.pubsub.pubapi.unsubscribe", &request).await;
            assert_eq!(gone, json!({}));
        }
        portal.publish(TOPIC, &json!({"data": "after"})).await;
        assert!(client.is_quiet().await, "it was unsubscribed");
        let resume = json!({ "sub_key": key });
        let refused = client.refused("zato.pubsub.resume-wsx-subscription", &resume).await;
        assert_eq!(refused.0, 403);
        assert_eq!(connections(&server).await[0]["subscriptions"], json!([]));
        // What was published meanwhile waits for a first subscriber again: it is nobody's here.
        portal.key(TOPIC).await;
        portal.fetch(TOPIC, &Value::Null).await;
        portal.unsubscribe(TOPIC).await;
    }
}

/// A large message is delivered whole, beside small ones of others.
#[tokio::test]
async fn a_message_of_megabytes_arrives_whole() {
    let server = start();
    let mut client = wsx(&server, "large.1").await;
    client.subscribe(&topic()).await;
    let text = "żółw ".repeat(500_000);
    let mut publisher = wsx(&server, "large.2").await;
    publisher.publish(&json!({"topic_name": TOPIC, "data": text})).await;
    publisher.publish(&json!({"topic_name": TOPIC, "data": "small"})).await;
    let message = client.message().await;
    assert_eq!(message["size"], text.len());
    assert!(message["data"] == *text, "it was changed");
    assert_eq!(client.message().await["data"], "small");
}

/// The client of an application that exists: it subscribes by calling, is given messages by its callback and answers
/// each of them, which is never answered itself.
#[tokio::test]
async fn the_client_from_pypi_subscribes_and_is_given_messages() {
    let server = start();
    let settings = json!({
        "address": server.ws("/ws/crm"), "client_id": "py.1", "client_name": "Python", "username": "ws",
        "secret": "secret1",
    });
    let mut python = Python::start(&settings);
    python.event("connected").await;
    let subscribe = json!({"service": "zato.pubsub.pubapi.subscribe-wsx", "request": topic()});
    let subscribed = python.invoke(&subscribe).await;
    let key = subscribed["data"]["sub_key"].as_str().unwrap_or_else(|| panic!("{subscribed}"));
    let portal = rest(&server, "portal");
    for number in 0..3 {
        let id = portal.publish(TOPIC, &json!({"data": {"n": number}})).await;
        let request = python.event("request").await;
        assert_eq!(request["id"], id, "{request}");
        assert_eq!(
            (&request["data"]["data"], &request["data"]["sub_key"]),
            (&json!({"n": number}), &json!(key))
        );
    }
    // The answers were taken as such: the session goes on.
    let publish = json!({
        "service": "zato.pubsub.pubapi.publish-message", "request": {"topic_name": TOPIC, "data": "own"},
    });
    let published = python.invoke(&publish).await;
    assert_eq!(published["is_ok"], true, "{published}");
    assert_eq!(python.event("request").await["id"], published["data"]["msg_id"]);
    assert_eq!(connections(&server).await.len(), 1);
    let unsubscribe =
        json!({"service": "zato.pubsub.pubapi.unsubscribe", "request": {"sub_key": key}});
    assert_eq!(python.invoke(&unsubscribe).await["is_ok"], true);
}

/// One channel's endpoint is not another's, whoever has logged in there.
#[tokio::test]
async fn a_client_acts_as_the_endpoint_of_its_channel() {
    let server = start();
    let mut crm = wsx(&server, "same.1").await;
    let mut other = Wsx::log_in(&server, login("/ws/other"), "same.1").await;
    let (one, two) = (crm.subscribe(&topic()).await, other.subscribe(&topic()).await);
    assert!(
        one.starts_with("zpsk.wsx.same.1.") && two.starts_with("zpsk.wsx.same.1."),
        "{one} {two}"
    );
    assert_ne!(one, two);
    crm.publish(&json!({"topic_name": TOPIC, "data": "x"})).await;
    assert_eq!(crm.message().await["sub_key"], one);
    assert_eq!(other.message().await["sub_key"], two);
}
