//! What clients of `spanwire.v1.json` and `spanwire.v1.msgpack` are told and may say: positions, acknowledgements,
//! receipts for what they will not get.

use serde_json::{Value, json};
use spanwire_tests::http::connections;
use spanwire_tests::messaging::{Login, Wsx};
use spanwire_tests::{Server, eventually};

use super::{login, rest, start, wsx};

const TOPIC: &str = "/customer/gd";
const CODECS: [&str; 2] = ["spanwire.v1.json", "spanwire.v1.msgpack"];

async fn client(server: &Server, subprotocol: &str, id: &str) -> Wsx {
    let login = Login { subprotocol: Some(subprotocol), ..login("/ws/crm") };
    Wsx::log_in(server, login, id).await
}

/// Everything that there is to ask for.
fn wish(topic: &str) -> Value {
    json!({"topic_name": topic, "ack": true, "positions": true})
}

async fn subscribe(client: &mut Wsx, wish: &Value) -> Value {
    client.invoke("zato.pubsub.pubapi.subscribe-wsx", wish).await
}

async fn nobody_is_connected(server: &Server) {
    eventually("nobody is connected", async || connections(server).await.is_empty()).await;
}

fn offset(message: &Value) -> u64 {
    message["position"]["offset"].as_u64().unwrap_or_else(|| panic!("no position: {message}"))
}

#[tokio::test]
async fn messages_have_positions_and_are_acknowledged_by_ids_offsets_and_positions() {
    let server = start();
    let portal = rest(&server, "portal");
    for subprotocol in CODECS {
        let mut client = client(&server, subprotocol, "v1.1").await;
        let subscribed = subscribe(&mut client, &wish(TOPIC)).await;
        let start = &subscribed["position"];
        let key = subscribed["sub_key"].as_str().unwrap();
        let mut messages = Vec::new();
        for number in 0..6 {
            portal.publish(TOPIC, &json!({"data": {"n": number}})).await;
            messages.push(client.message().await);
        }
        let epochs = messages.iter().all(|it| it["position"]["epoch"] == start["epoch"]);
        assert!(epochs && offset(&messages[0]) > start["offset"].as_u64().unwrap(), "{messages:?}");
        assert!(messages.windows(2).all(|two| offset(&two[0]) < offset(&two[1])), "{messages:?}");
        assert_eq!(messages[5]["data"], json!({"n": 5}));
        let ids = json!({"sub_key": key, "msg_ids": [messages[1]["msg_id"]]});
        assert_eq!(client.acknowledge(&ids).await, 1);
        assert_eq!(client.acknowledge(&ids).await, 0);
        let offsets = json!({"sub_key": key, "positions": [offset(&messages[3])]});
        assert_eq!(client.acknowledge(&offsets).await, 1);
        let position = json!({"sub_key": key, "positions": [messages[5]["position"]]});
        assert_eq!(client.acknowledge(&position).await, 1);
        let up_to = json!({"sub_key": key, "up_to": messages[2]["position"]});
        assert_eq!(client.acknowledge(&up_to).await, 2);
        // A position of another history says nothing.
        let mut foreign = messages[5]["position"].clone();
        foreign["epoch"] = json!(1);
        let up_to = json!({"sub_key": key, "up_to": foreign});
        assert_eq!(client.acknowledge(&up_to).await, 0);
        let both = json!({"sub_key": key, "up_to": messages[2]["position"], "msg_ids": ["x"]});
        assert_eq!(client.refused("spanwire.pubsub.acknowledge", &both).await.0, 400);
        drop(client);
        nobody_is_connected(&server).await;
        // Only the fifth was not acknowledged.
        let mut client = self::client(&server, subprotocol, "v1.1").await;
        let resumed = client.resume(&json!({ "sub_key": key })).await;
        assert_eq!(
            (&resumed["queue_depth"], &resumed["position"]),
            (&json!(1), &messages[5]["position"])
        );
        let again = client.message().await;
        assert_eq!(
            (&again["msg_id"], &again["delivery_count"]),
            (&messages[4]["msg_id"], &json!(2))
        );
        assert_eq!(again["position"], messages[4]["position"]);
        assert!(client.is_quiet().await, "more came");
        client.invoke("zato.pubsub.pubapi.unsubscribe", &json!({ "sub_key": key })).await;
    }
}

/// Invariants 6 and 17, over a crash: what was acknowledged does not come again, what was not comes marked.
#[tokio::test]
async fn what_was_acknowledged_does_not_come_again_and_the_rest_comes_marked() {
    let mut server = start();
    let portal = rest(&server, "portal");
    let mut one = client(&server, CODECS[0], "ack.1").await;
    let key = subscribe(&mut one, &wish(TOPIC)).await["sub_key"].clone();
    let mut messages = Vec::new();
    for number in 0..4 {
        portal.publish(TOPIC, &json!({ "data": number })).await;
        messages.push(one.message().await);
    }
    one.acknowledge(&json!({"sub_key": key, "msg_ids": [messages[0]["msg_id"]]})).await;
    assert!(server.stop().success());
    server.start_again();
    let mut one = client(&server, CODECS[0], "ack.1").await;
    one.resume(&json!({ "sub_key": key })).await;
    for number in 1..4 {
        let message = one.message().await;
        assert_eq!((&message["data"], &message["delivery_count"]), (&json!(number), &json!(2)));
    }
    // By a position that the client has kept itself.
    server.kill();
    server.start_again();
    let mut one = client(&server, CODECS[0], "ack.1").await;
    one.resume(&json!({"sub_key": key, "position": messages[2]["position"]})).await;
    let message = one.message().await;
    assert_eq!(message["data"], 3);
    assert!(message["delivery_count"].as_u64() > Some(2), "{message}");
    assert!(one.is_quiet().await, "more came");
}

#[tokio::test]
async fn a_refused_message_comes_again_later_and_in_its_order() {
    let server = start();
    let portal = rest(&server, "portal");
    let mut client = client(&server, CODECS[0], "refuse.1").await;
    let key = subscribe(&mut client, &wish(TOPIC)).await["sub_key"].clone();
    let id = portal.publish(TOPIC, &json!({"data": "hard"})).await;
    client.message().await;
    let refuse = json!({"sub_key": key, "msg_ids": [id], "reason": "not now"});
    client.invoke("spanwire.pubsub.refuse", &refuse).await;
    portal.publish(TOPIC, &json!({"data": "behind"})).await;
    let again = client.message().await;
    assert_eq!((&again["data"], &again["delivery_count"]), (&json!("hard"), &json!(2)));
    client.acknowledge(&json!({"sub_key": key, "msg_ids": [id]})).await;
    let behind = client.message().await;
    assert_eq!((&behind["data"], &behind["delivery_count"]), (&json!("behind"), &json!(1)));
}

#[tokio::test]
async fn a_subscription_may_begin_with_what_the_topic_still_holds() {
    let server = start();
    let portal = rest(&server, "portal");
    portal.key(TOPIC).await;
    for number in 0..4 {
        portal.publish(TOPIC, &json!({ "data": number })).await;
    }
    let mut client = client(&server, CODECS[1], "start.1").await;
    let with = |start: Value| {
        let mut wish = wish(TOPIC);
        wish["start"] = start;
        wish
    };
    let first = subscribe(&mut client, &with(json!("first"))).await;
    let mut messages = Vec::new();
    for number in 0..4 {
        messages.push(client.message().await);
        assert_eq!(messages[number]["data"], number);
    }
    client.invoke("zato.pubsub.pubapi.unsubscribe", &json!({"sub_key": first["sub_key"]})).await;
    let after = subscribe(&mut client, &with(messages[1]["position"].clone())).await;
    assert_eq!(client.contents(2).await, [2, 3]);
    client.invoke("zato.pubsub.pubapi.unsubscribe", &json!({"sub_key": after["sub_key"]})).await;
    subscribe(&mut client, &with(json!("new"))).await;
    portal.publish(TOPIC, &json!({"data": "new"})).await;
    assert_eq!(client.message().await["data"], "new");
    assert!(client.is_quiet().await, "more came");
    let wrong = with(json!("last"));
    assert_eq!(client.refused("zato.pubsub.pubapi.subscribe-wsx", &wrong).await.0, 400);
}

#[tokio::test]
async fn a_receipt_tells_what_expired() {
    let server = start();
    let portal = rest(&server, "portal");
    for subprotocol in CODECS {
        let mut one = client(&server, subprotocol, "gap.1").await;
        let subscribed = subscribe(&mut one, &wish(TOPIC)).await;
        let key = &subscribed["sub_key"];
        let before = subscribed["position"]["offset"].as_u64().unwrap();
        drop(one);
        nobody_is_connected(&server).await;
        for (data, expiration) in [("a", 1), ("b", 1), ("c", 100), ("d", 1)] {
            portal.publish(TOPIC, &json!({"data": data, "expiration": expiration})).await;
        }
        eventually("they have expired", async || {
            let depths = super::admin_invoke(
                &server,
                "zato.pubsub.queue.get-queue-depth-by-sub-key",
                &json!({ "sub_key": key }),
            )
            .await;
            depths.body.contains(":1}")
        })
        .await;
        let mut one = client(&server, subprotocol, "gap.1").await;
        one.resume(&json!({ "sub_key": key })).await;
        let mut gaps = Vec::new();
        let message = loop {
            let delivery = one.delivery().await;
            if delivery["meta"]["msg_type"] == "zwsx.psrq" {
                break delivery["data"].clone();
            }
            assert_eq!(delivery["meta"]["msg_type"], "spanwire.psgap");
            gaps.push(delivery["data"].clone());
        };
        assert_eq!((&message["data"], offset(&message)), (&json!("c"), before + 3));
        let receipt = |from: u64, to: u64| {
            json!({
                "topic_name": TOPIC, "sub_key": key, "epoch": subscribed["position"]["epoch"], "from": from, "to": to,
                "count": to - from + 1, "cause": "expired",
            })
        };
        assert_eq!(gaps, [receipt(before + 1, before + 2), receipt(before + 4, before + 4)]);
        // Once.
        one.acknowledge(&json!({"sub_key": key, "up_to": message["position"]})).await;
        drop(one);
        nobody_is_connected(&server).await;
        let mut one = client(&server, subprotocol, "gap.1").await;
        one.resume(&json!({ "sub_key": key })).await;
        assert!(one.is_quiet().await, "a receipt came twice");
        one.invoke("zato.pubsub.pubapi.unsubscribe", &json!({ "sub_key": key })).await;
    }
}

/// What is not guaranteed is lost with the process, and that is told.
#[tokio::test]
async fn a_receipt_tells_what_a_restart_lost() {
    let mut server = start();
    let portal = rest(&server, "portal");
    let mut one = client(&server, CODECS[0], "gap.2").await;
    let key = subscribe(&mut one, &wish(TOPIC)).await["sub_key"].clone();
    let mut last = Value::Null;
    for number in 0..3 {
        portal.publish(TOPIC, &json!({"data": number, "has_gd": false})).await;
        last = one.message().await;
    }
    server.kill();
    server.start_again();
    let id = portal.publish(TOPIC, &json!({"data": "after"})).await;
    let mut one = client(&server, CODECS[0], "gap.2").await;
    one.resume(&json!({ "sub_key": key })).await;
    let gap = one.delivery().await;
    assert_eq!(
        (&gap["meta"]["msg_type"], &gap["data"]["cause"]),
        (&json!("spanwire.psgap"), &json!("restart"))
    );
    let (from, to) = (gap["data"]["from"].as_u64().unwrap(), gap["data"]["to"].as_u64().unwrap());
    assert!(from <= offset(&last) && offset(&last) <= to, "{gap} {last}");
    let message = one.message().await;
    assert_eq!(message["msg_id"], id);
    // Offsets are never given twice.
    assert!(offset(&message) > to, "{gap} {message}");
    assert_eq!(message["position"]["epoch"], gap["data"]["epoch"]);
}

/// DESIGN 5: without a subprotocol there is only what existing clients know.
#[tokio::test]
async fn who_did_not_ask_is_told_nothing_new() {
    let server = start();
    let portal = rest(&server, "portal");
    let mut plain = wsx(&server, "plain.1").await;
    for more in ["ack", "positions"] {
        let mut wish = json!({"topic_name": TOPIC});
        wish[more] = json!(true);
        assert_eq!(plain.refused("zato.pubsub.pubapi.subscribe-wsx", &wish).await.0, 400);
    }
    let subscribed = subscribe(&mut plain, &json!({"topic_name": TOPIC})).await;
    assert!(subscribed.get("position").is_none(), "{subscribed}");
    let key = &subscribed["sub_key"];
    drop(plain);
    nobody_is_connected(&server).await;
    portal.publish(TOPIC, &json!({"data": "gone", "expiration": 1})).await;
    portal.publish(TOPIC, &json!({"data": "here"})).await;
    eventually("one has expired", async || {
        let request = json!({ "sub_key": key });
        let service = "zato.pubsub.queue.get-queue-depth-by-sub-key";
        super::admin_invoke(&server, service, &request).await.body.contains(":1}")
    })
    .await;
    let mut plain = wsx(&server, "plain.1").await;
    assert_eq!(plain.resume(&json!({ "sub_key": key })).await, json!({}));
    let delivery = plain.delivery().await;
    assert_eq!(
        (&delivery["data"]["data"], delivery["data"].get("position")),
        (&json!("here"), None)
    );
    assert!(plain.is_quiet().await, "a receipt came");
}

/// A client of the additions that asks for none of them is treated as any other: what was written is delivered.
#[tokio::test]
async fn acknowledging_is_a_choice() {
    let server = start();
    let portal = rest(&server, "portal");
    let mut one = client(&server, CODECS[1], "choice.1").await;
    let key = subscribe(&mut one, &json!({"topic_name": TOPIC})).await["sub_key"].clone();
    portal.publish(TOPIC, &json!({"data": 1})).await;
    assert_eq!(one.message().await["data"], 1);
    drop(one);
    nobody_is_connected(&server).await;
    let mut one = client(&server, CODECS[1], "choice.1").await;
    one.resume(&json!({ "sub_key": key })).await;
    assert!(one.is_quiet().await, "it came twice");
}
