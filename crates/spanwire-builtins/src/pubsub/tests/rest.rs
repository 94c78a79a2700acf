//! The built-in REST channels (pubsub 3.1, R1 to R12).

use super::*;

const PUBLISH: &str = "zato.pubsub.rest.topic-post";
const GET: &str = "zato.pubsub.rest.topic-patch";
const SUBSCRIBE: &str = "zato.pubsub.rest.subscribe-post";
const UNSUBSCRIBE: &str = "zato.pubsub.rest.subscribe-delete";

fn topic() -> Value {
    json!({"topic_name": "/shared"})
}

fn message(data: &str) -> Value {
    json!({"topic_name": "/shared", "data": data})
}

#[tokio::test]
async fn r1_to_r4_subscribing_and_unsubscribing_may_be_repeated() {
    let world = World::new().await;
    let me = rest("crm.rest");
    for _ in 0..2 {
        assert_eq!(world.call(&me, UNSUBSCRIBE, topic()).await, Ok(json!({})));
        assert_eq!(world.call(&me, UNSUBSCRIBE, topic()).await, Ok(json!({})));
        let subscribed = world.call(&me, SUBSCRIBE, topic()).await.unwrap();
        let key = text(&subscribed, "sub_key");
        assert!(key.starts_with("zpsk.rest.") && key.len() >= "zpsk.rest".len() + 5);
        assert_eq!(subscribed["queue_depth"], 0);
        assert_eq!(world.call(&me, SUBSCRIBE, topic()).await, Ok(json!({})));
    }
    // By its key, as in 3.0.
    let key = world.broker.subscriptions(Some("/shared")).remove(0).key;
    let by_key = json!({"topic_name": "/shared", "sub_key": key.expose()});
    assert_eq!(world.call(&me, UNSUBSCRIBE, by_key.clone()).await, Ok(json!({})));
    assert_eq!(world.call(&me, UNSUBSCRIBE, by_key).await, Ok(json!({})));
    assert!(world.broker.subscriptions(None).is_empty());
}

#[tokio::test]
async fn r5_to_r10_what_is_published_is_received() {
    for codec in [Codec::Json, Codec::MsgPack] {
        for subscribe_first in [true, false] {
            let mut world = World::new().await;
            world.codec = codec;
            let me = rest("crm.rest");
            let mut subscribed = None;
            if subscribe_first {
                subscribed = Some(world.call(&me, SUBSCRIBE, topic()).await.unwrap());
            }
            let sent = world.call(&me, PUBLISH, message("hello")).await.unwrap();
            assert!(text(&sent, "msg_id").starts_with("zpsm"));
            let subscribed = match subscribed {
                Some(subscribed) => subscribed,
                None => world.call(&me, SUBSCRIBE, topic()).await.unwrap(),
            };
            assert_eq!(subscribed["queue_depth"], u64::from(!subscribe_first));
            let got = world.call(&me, GET, topic()).await.unwrap();
            let first = got[0].as_object().unwrap();
            for (name, value) in [
                ("msg_id", sent["msg_id"].clone()),
                ("data", "hello".into()),
                ("size", 5.into()),
                ("sub_key", subscribed["sub_key"].clone()),
                ("delivery_count", 1.into()),
                ("priority", 5.into()),
                ("mime_type", "application/json".into()),
                ("expiration", 86_400.into()),
                ("topic_name", "/shared".into()),
            ] {
                assert_eq!(first[name], value, "{name}");
            }
            for name in ["pub_time_iso", "expiration_time_iso", "recv_time_iso"] {
                assert!(first[name].as_str().unwrap().starts_with('2'));
            }
            for name in [
                "delivery_status",
                "topic_id",
                "cluster_id",
                "pub_pattern_matched",
                "sub_pattern_matched",
                "published_by_id",
                "data_prefix",
                "data_prefix_short",
                "pub_time",
                "expiration_time",
                "recv_time",
                "pub_msg_id",
                "pub_correl_id",
                "zato_ctx",
                "is_in_sub_queue",
                "has_gd",
                "server_name",
                "server_pid",
                "reply_to_sk",
                "deliver_to_sk",
                "group_id",
                "position_in_group",
            ] {
                assert!(!first.contains_key(name), "{name}");
            }
            assert_eq!(world.call(&me, GET, topic()).await, Ok(json!([])));
        }
    }
}

#[tokio::test]
async fn r11_without_a_subscription_nothing_is_received() {
    let world = World::new().await;
    let me = rest("crm.rest");
    let refused = Err((400, "You are not subscribed to topic `/shared`".to_owned()));
    assert_eq!(world.call(&me, GET, topic()).await, refused);
    world.call(&rest("other.rest"), SUBSCRIBE, topic()).await.unwrap();
    assert_eq!(world.call(&me, GET, topic()).await, refused);
}

#[tokio::test]
async fn r12_the_newest_message_comes_first_unless_asked_otherwise() {
    let world = World::new().await;
    let me = rest("crm.rest");
    let key = world.call(&me, SUBSCRIBE, topic()).await.unwrap()["sub_key"].clone();
    let by_key = json!({"topic_name": "/shared", "sub_key": key});
    for (service, input, expected) in [
        (GET, topic(), ["3", "2", "1"]),
        (GET, json!({"topic_name": "/shared", "order": "fifo"}), ["1", "2", "3"]),
        // As in 3.0.
        (PUBLISH, by_key, ["3", "2", "1"]),
    ] {
        let mut sent = Vec::new();
        for data in ["1", "2", "3"] {
            let answer = world.call(&me, PUBLISH, message(data)).await.unwrap();
            sent.push(text(&answer, "msg_id"));
        }
        if expected[0] == "3" {
            sent.reverse();
        }
        let got = world.call(&me, service, input).await.unwrap();
        assert_eq!(ids(&got), sent);
        let data: Vec<_> = got.as_array().unwrap().iter().map(|it| &it["data"]).collect();
        assert_eq!(data, expected);
    }
    assert_eq!(world.call(&me, PUBLISH, topic()).await.unwrap_err().1, "No data sent on input");
}

#[tokio::test]
async fn what_is_lent_can_be_acknowledged() {
    let world = World::new().await;
    let me = rest("crm.rest");
    world.call(&me, SUBSCRIBE, topic()).await.unwrap();
    world.call(&me, PUBLISH, message("x")).await.unwrap();
    let input = json!({"topic_name": "/shared", "lease": "30", "limit": "10", "wait": "0"});
    let got = world.call(&me, GET, input).await.unwrap();
    let input = json!({"topic_name": "/shared", "msg_ids": ids(&got)});
    let acknowledge = "zato.pubsub.rest.ack-post";
    assert_eq!(world.call(&me, acknowledge, input.clone()).await, Ok(json!({"acknowledged": 1})));
    assert_eq!(world.call(&me, acknowledge, input).await, Ok(json!({"acknowledged": 0})));
}

#[tokio::test]
async fn each_subscription_of_an_endpoint_has_its_own_messages() {
    let world = World::new().await;
    let me = rest("crm.rest");
    for name in ["/a", "/b"] {
        world.call(&me, SUBSCRIBE, json!({"topic_name": name})).await.unwrap();
        let input = json!({"topic_name": name, "data": name});
        world.call(&me, PUBLISH, input).await.unwrap();
    }
    world.call(&me, UNSUBSCRIBE, json!({"topic_name": "/a"})).await.unwrap();
    let got = world.call(&me, GET, json!({"topic_name": "/b"})).await.unwrap();
    assert_eq!((ids(&got).len(), &got[0]["data"]), (1, &json!("/b")));
    assert_eq!(world.call(&me, GET, json!({"topic_name": "/a"})).await.unwrap_err().0, 400);
}

#[tokio::test]
async fn the_correlation_id_of_the_request_is_that_of_the_message() {
    let world = World::new().await;
    let me = rest("crm.rest");
    world.call(&me, SUBSCRIBE, topic()).await.unwrap();
    world.call(&me, PUBLISH, message("x")).await.unwrap();
    let got = world.call(&me, GET, topic()).await.unwrap();
    assert_eq!(text(&got[0], "correl_id").len(), 24);
}
