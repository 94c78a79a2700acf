//! `spanwire pubsub create-test-topics`: something to measure and to look at.
//!
//! Topics come with their endpoints, credentials and subscriptions a few at a time, each time whole or not at all.

use serde_json::{Value, json};
use spanwire_protocol::admin::Changed;
use spanwire_protocol::admin::pubsub::Published;

use super::document::Document;
use crate::args::CreateTestTopics;
use crate::client::{Client, Failure};
use crate::output::{self, warn};

pub(super) fn create(args: &CreateTestTopics, client: &Client) -> Result<(), Failure> {
    let numbers: Vec<usize> = (1..=args.count).collect();
    let mut messages = 0;
    for numbers in numbers.chunks(AT_ONCE) {
        let text = objects(args, numbers).to_string();
        let bundle = json!({"roots": [FILE], "files": [{"path": FILE, "text": text}]});
        let _: (Changed, bool) = client.create("import", &bundle)?;
        for number in numbers {
            messages += publish(args, *number, client)?;
        }
        if let (true, Some(last)) = (args.needs_stdout, numbers.last()) {
            warn(&format!("{last} of {} topics", args.count));
        }
    }
    let endpoints = args.count.saturating_mul(args.endpoints_per_topic);
    output::json(&Document::from_iter([
        ("topics", json!(args.count)),
        ("publishers", json!(endpoints)),
        ("subscribers", json!(endpoints)),
        ("messages", json!(messages)),
    ]))
}

/// Some topics with everything that belongs to them, as a file of objects.
fn objects(args: &CreateTestTopics, numbers: &[usize]) -> Value {
    let (mut topics, mut security) = (Vec::new(), Vec::new());
    let (mut endpoints, mut subscriptions) = (Vec::new(), Vec::new());
    for number in numbers {
        let topic = topic(args, *number);
        topics.push(json!({"name": topic, "has_gd": true}));
        for place in 1..=args.endpoints_per_topic {
            for (word, role) in [("pub", "pub-only"), ("sub", "sub-only")] {
                let name = endpoint(args, word, *number, place);
                security.push(json!({"name": name, "type": "basic_auth", "username": name}));
                endpoints.push(json!({
                    "name": name, "endpoint_type": "rest", "role": role, "security_name": name,
                    "topic_patterns": [format!("{word}={topic}")],
                }));
            }
            let subscriber = endpoint(args, "sub", *number, place);
            subscriptions.push(json!({
                "endpoint_name": subscriber, "topic_name": topic, "delivery_method": "pull",
            }));
        }
    }
    json!({
        "security": security,
        "pubsub_topic": topics,
        "pubsub_endpoint": endpoints,
        "pubsub_subscription": subscriptions,
    })
}

/// Publishes the messages of one topic and tells how many.
fn publish(args: &CreateTestTopics, number: usize, client: &Client) -> Result<usize, Failure> {
    let topic = topic(args, number);
    let texts: Vec<String> =
        (1..=args.messages_per_pub).map(|message| format!("Message {message}")).collect();
    for place in 1..=args.endpoints_per_topic {
        for texts in texts.chunks(MESSAGES_AT_ONCE) {
            let publisher = endpoint(args, "pub", number, place);
            let body = json!({
                "topic_name": topic, "data_list": texts, "has_gd": true,
                "endpoint_name": publisher,
            });
            let _: (Published, bool) = client.create("pubsub/publish", &body)?;
        }
    }
    Ok(args.messages_per_pub.saturating_mul(args.endpoints_per_topic))
}

fn topic(args: &CreateTestTopics, number: usize) -> String {
    format!("{}/{number:05}", args.prefix)
}

fn endpoint(args: &CreateTestTopics, word: &str, number: usize, place: usize) -> String {
    format!("{}.{word}.{number:05}.{place}", args.prefix)
}

const FILE: &str = "test-topics.json";
/// How many topics are made at once.
const AT_ONCE: usize = 50;
/// How many messages are published at once.
const MESSAGES_AT_ONCE: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_its_publishers_and_subscribers() {
        let args = CreateTestTopics {
            count: 2,
            prefix: "/t".to_owned(),
            endpoints_per_topic: 3,
            messages_per_pub: 10,
            msg_size: 3,
            needs_stdout: false,
            place: Default::default(),
        };
        let objects = objects(&args, &[1, 2]);
        let count = |kind: &str| objects[kind].as_array().unwrap().len();
        assert_eq!((count("pubsub_topic"), count("pubsub_endpoint")), (2, 12));
        assert_eq!((count("security"), count("pubsub_subscription")), (12, 6));
        let last = &objects["pubsub_subscription"][5];
        let expected = json!({"endpoint_name": "/t.sub.00002.3", "topic_name": "/t/00002",
            "delivery_method": "pull"});
        assert_eq!(*last, expected);
        // The server takes such a file.
        let file = objects.to_string();
        assert!(file.len() < 1024 * 1024);
    }
}
