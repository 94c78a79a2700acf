use std::sync::Arc;

use spanwire_pubsub::settings::TopicSettings;
use spanwire_pubsub::store::memory::MemoryMessageStore;
use spanwire_pubsub::{Broker, Publication, Pull, Subscribe, TopicId};

use super::*;

/// Publishes, and takes what came of it.
async fn delivered(publications: Vec<Publication>) -> (SubKey, Vec<Delivered>) {
    let broker = Broker::builder(Arc::new(MemoryMessageStore::new())).open().unwrap();
    broker.put_topic(TopicId(1), "/t", TopicSettings::default()).await.unwrap();
    let me = broker.internal();
    let key = broker.subscribe(&me, "/t", Subscribe::default()).await.unwrap().key;
    broker.publish(&me, "/t", publications).await.unwrap();
    let pull = Pull { limit: 0, lease: None, wait: std::time::Duration::ZERO };
    let taken = broker.pull(&me, "", &key, pull).await.unwrap();
    (key, taken)
}

fn full() -> Publication {
    Publication {
        priority: Some(7),
        expiration: Some(60),
        has_gd: Some(true),
        mime_type: Some("text/csv".to_owned()),
        correl_id: Some("c\"1".to_owned()),
        in_reply_to: Some("r".to_owned()),
        ext_client_id: Some("e".to_owned()),
        ext_pub_time: Some("2024-03-04T10:20:30.123456".to_owned()),
        group_id: Some("g".to_owned()),
        position_in_group: Some(3),
        reply_to_sk: vec!["zpsk.1".to_owned()],
        user_ctx: Some(Payload::from_serialize(Codec::Json, &json!({"u": 1})).unwrap()),
        ..Publication::from_value(&json!({"k": ["}", 1.5, null]})).unwrap()
    }
}

fn bare() -> Publication {
    Publication::from_value("Zażółć").unwrap()
}

#[tokio::test]
async fn both_codecs_and_all_positions_say_the_same() {
    let options = Options::default();
    let (key, taken) = delivered(vec![full(), bare()]).await;
    for (one, count) in taken.iter().zip([22, 17]) {
        let json: Value = delivery(one, &key, Codec::Json, &options, false).parse().unwrap();
        assert_eq!(json.as_object().unwrap().len(), count, "{json}");
        // The second time it comes from what was kept.
        for _ in 0..2 {
            for codec in [Codec::Json, Codec::MsgPack] {
                let plain: Value = delivery(one, &key, codec, &options, false).parse().unwrap();
                assert_eq!(plain, json);
                let placed: Value = delivery(one, &key, codec, &options, true).parse().unwrap();
                let mut expected = json.clone();
                expected["position"] = json!(one.position);
                assert_eq!(placed, expected);
            }
        }
    }
}

#[tokio::test]
async fn what_the_publisher_said_is_there_unchanged() {
    let (key, taken) = delivered(vec![full()]).await;
    let object = delivery(&taken[0], &key, Codec::MsgPack, &Options::default(), false);
    let object: Value = object.parse().unwrap();
    for (name, value) in [
        ("data", json!({"k": ["}", 1.5, null]})),
        ("priority", json!(7)),
        ("expiration", json!(60)),
        ("has_gd", json!(true)),
        ("mime_type", json!("text/csv")),
        ("correl_id", json!("c\"1")),
        ("in_reply_to", json!("r")),
        ("ext_client_id", json!("e")),
        ("ext_pub_time", json!("2024-03-04T10:20:30.123456")),
        ("ext_pub_time_iso", json!("2024-03-04T10:20:30.123456")),
        ("group_id", json!("g")),
        ("position_in_group", json!(3)),
        ("ctx", json!({"reply_to_sk": ["zpsk.1"]})),
        ("user_ctx", json!({"u": 1})),
    ] {
        assert_eq!(object[name], value, "{name}");
    }
}

#[tokio::test]
async fn what_never_expires_has_the_number_that_means_never() {
    let (key, taken) = delivered(vec![bare()]).await;
    for (options, expected) in [
        (Options::default(), 2_147_483_647_u64),
        (Options { milliseconds: true, ..Options::default() }, 2_147_483_647_000),
    ] {
        let object = pull(&taken[0], &key, Codec::Json, &options).parse::<Value>().unwrap();
        assert_eq!(object["expiration"], expected);
        assert!(object["expiration_time_iso"].as_str().unwrap().starts_with("20"));
        assert_eq!(object["size"], "Zażółć".len());
    }
}

#[tokio::test]
async fn one_is_an_object_and_several_are_an_array_unless_asked_otherwise() {
    let (key, taken) = delivered(vec![bare(), bare()]).await;
    let options = Options::default();
    let settings = |batch_size: usize, wrap_one: Option<bool>, delivery: Delivery| {
        SubscriptionSettings { batch_size, wrap_one, delivery, ..SubscriptionSettings::default() }
    };
    let service = || Delivery::Service { name: "s".to_owned() };
    let rest = || Delivery::Rest { connection: "c".to_owned(), method: "POST".to_owned() };
    let of = |count: usize| taken.get(..count).unwrap();
    for codec in [Codec::Json, Codec::MsgPack] {
        for (count, wrap_one, is_array) in
            [(1, None, false), (1, Some(false), false), (1, Some(true), true), (2, None, true)]
        {
            let settings = settings(500, wrap_one, Delivery::WebSocket);
            let sent = deliveries(of(count), &key, codec, &options, &settings);
            assert_eq!(sent.parse::<Value>().unwrap().is_array(), is_array);
        }
    }
    for (batch_size, wrap_one, delivery, is_array) in [
        (500, None, rest(), true),
        (500, Some(false), rest(), true),
        (1, None, rest(), true),
        (1, Some(false), rest(), false),
        (1, None, service(), false),
        (1, Some(true), service(), true),
        (500, None, service(), true),
    ] {
        let settings = settings(batch_size, wrap_one, delivery);
        let sent: Value = notification(of(1), &key, &options, &settings).parse().unwrap();
        assert_eq!(sent.is_array(), is_array, "{settings:?}");
    }
}

#[tokio::test]
async fn content_is_pulled_byte_for_byte() {
    for text in
        [r#"{"b": 1e400, "a": 18446744073709551616}"#, r#""abc\ud83d""#, "1.10", r#""\u0041""#]
    {
        let content = || Publication::new(Payload::from_json(text.to_owned()).unwrap());
        let (key, taken) = delivered(vec![content()]).await;
        let options = Options::default();
        for answer in [
            pull(&taken[0], &key, Codec::Json, &options),
            queued(&taken[0], Codec::Json, &options),
            delivery(&taken[0], &key, Codec::Json, &options, false),
        ] {
            assert_eq!(&**answer.entry("data").unwrap().bytes(), text.as_bytes());
        }
        for answer in [
            pull(&taken[0], &key, Codec::MsgPack, &options),
            queued(&taken[0], Codec::MsgPack, &options),
        ] {
            assert!(!answer.entry("data").unwrap().is_null(), "{text}");
        }
    }
}
