//! subscribers that do not read delay nobody, and take no more memory than they may.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spanwire_tests::Server;
use spanwire_tests::messaging::{Login, Rest, Wsx};
use tokio::task::JoinSet;

use super::{OBJECTS, login, rest, wsx};

const SUBSCRIBERS: usize = 19;
const MESSAGES: usize = 240;
const SIZE: usize = 50_000;

/// What a stalled client may cost: its own queue (8 MiB) and what is kept in memory of messages that are stored (32 MiB),
/// with what an allocator makes of it.
const CAP: usize = 96 * 1024 * 1024;

fn start(topic: &Value) -> Server {
    let topic = json!({"pubsub_topic": [topic]});
    Server::setup().objects(OBJECTS).objects(&topic.to_string()).start()
}

fn body(number: usize, has_gd: bool) -> Value {
    json!({"data": {"n": number, "padding": "p".repeat(SIZE)}, "has_gd": has_gd})
}

/// Clients that read all there is, and tell when they had it.
async fn readers(server: &Server, topic: &'static str) -> JoinSet<Vec<u64>> {
    let mut readers = JoinSet::new();
    for number in 0..SUBSCRIBERS {
        let mut client = wsx(server, &format!("reader.{number}")).await;
        client.subscribe(&json!({ "topic_name": topic })).await;
        readers.spawn(async move {
            let mut numbers = Vec::new();
            while numbers.len() < MESSAGES {
                numbers.push(client.message().await["data"]["n"].as_u64().unwrap());
            }
            numbers
        });
    }
    readers
}

/// Publishes all, none of which may be delayed; returns the most memory that the server had meanwhile.
async fn publish(server: &Server, portal: &Rest, topic: &str, has_gd: bool) -> usize {
    let mut most = 0;
    for number in 0..MESSAGES {
        let begun = Instant::now();
        portal.publish(topic, &body(number, has_gd)).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "publisher waited {:?}", begun.elapsed());
        most = most.max(server.memory());
    }
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r26_a_client_that_does_not_read_delays_nobody_and_gets_its_guaranteed_messages_later() {
    let topic = "/customer/slow";
    let server = start(&json!({"name": topic, "has_gd": true}));
    let portal = rest(&server, "portal");
    let mut stalled = Wsx::log_in_narrow(&server, login("/ws/crm"), "stalled.1").await;
    stalled.subscribe(&json!({ "topic_name": topic })).await;
    let readers = readers(&server, topic).await;
    let before = server.memory();
    let most = publish(&server, &portal, topic, true).await;
    let expected: Vec<u64> = (0..MESSAGES as u64).collect();
    for numbers in readers.join_all().await {
        assert_eq!(numbers, expected, "in order, and each once");
    }
    assert!(most < before + CAP, "{} MiB more", (most - before) >> 20);
    for number in expected {
        let message = stalled.message().await;
        assert_eq!(
            (&message["data"]["n"], &message["delivery_count"]),
            (&json!(number), &json!(1))
        );
    }
    assert!(stalled.is_quiet().await, "more came");
}

/// Messages that are not guaranteed are given up for the one who is too slow, and nobody else; who asked for receipts is
/// told so once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r26_what_a_slow_client_misses_is_told_in_one_receipt() {
    let topic = "/customer/slow";
    let server = start(&json!({"name": topic, "max_depth_non_gd": 20}));
    let portal = rest(&server, "portal");
    let v1 = Login { subprotocol: Some("spanwire.v1.json"), ..login("/ws/crm") };
    let mut stalled = Wsx::log_in_narrow(&server, v1, "stalled.2").await;
    let wish = json!({"topic_name": topic, "positions": true, "delivery_batch_size": 1});
    let subscribed = stalled.invoke("zato.pubsub.pubapi.subscribe-wsx", &wish).await;
    let first = subscribed["position"]["offset"].as_u64().unwrap() + 1;
    let before = server.memory();
    let mut most = 0;
    for number in 0..MESSAGES {
        portal.publish(topic, &body(number, false)).await;
        most = most.max(server.memory());
    }
    assert!(most < before + CAP, "{} MiB more", (most - before) >> 20);
    let (mut next, mut gaps, last) = (first, Vec::new(), first + MESSAGES as u64 - 1);
    let mut seen = std::collections::BTreeSet::new();
    while next <= last {
        let delivery = stalled.delivery().await;
        if delivery["meta"]["msg_type"] == "spanwire.psgap" {
            gaps.push(delivery["data"].clone());
        } else {
            let items = match &delivery["data"] {
                Value::Array(several) => several.clone(),
                one => vec![one.clone()],
            };
            for item in items {
                let offset = item["position"]["offset"].as_u64().unwrap();
                assert_eq!(item["data"]["n"], offset - first);
                assert!(seen.insert(offset), "{offset} came twice");
            }
        }
        let covered = |offset: u64| {
            seen.contains(&offset)
                || gaps.iter().any(|gap| {
                    (gap["from"].as_u64().unwrap()..=gap["to"].as_u64().unwrap()).contains(&offset)
                })
        };
        while next <= last && covered(next) {
            next += 1;
        }
    }
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let gap = &gaps[0];
    assert_eq!((&gap["cause"], &gap["topic_name"]), (&json!("overflow"), &json!(topic)));
    assert_eq!(gap["count"].as_u64().unwrap() + seen.len() as u64, MESSAGES as u64, "{gap}");
    assert!(stalled.is_quiet().await, "more came");
}

/// A stalled client that is plain misses them without a word, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r26_others_get_everything_that_a_slow_client_misses() {
    let topic = "/customer/slow";
    let server = start(&json!({"name": topic, "max_depth_non_gd": 200}));
    let portal = rest(&server, "portal");
    let mut stalled = Wsx::log_in_narrow(&server, login("/ws/crm"), "stalled.3").await;
    stalled.subscribe(&json!({ "topic_name": topic, "delivery_batch_size": 1 })).await;
    let readers = readers(&server, topic).await;
    let before = server.memory();
    let most = publish(&server, &portal, topic, false).await;
    let expected: Vec<u64> = (0..MESSAGES as u64).collect();
    for numbers in readers.join_all().await {
        assert_eq!(numbers, expected, "in order, and each once");
    }
    assert!(most < before + CAP, "{} MiB more", (most - before) >> 20);
    let mut last = None;
    loop {
        let number = stalled.message().await["data"]["n"].as_u64().unwrap();
        assert!(last.is_none_or(|last| last < number), "{last:?} {number}");
        last = Some(number);
        if number == MESSAGES as u64 - 1 {
            break;
        }
    }
    assert!(stalled.is_quiet().await, "more came");
}
