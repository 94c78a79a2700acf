//! Services around publication, delivery and subscribing (pubsub 2.11, invariant 24).

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spanwire_tests::Server;
use spanwire_tests::endpoint::{Endpoint, Received};

use super::{OBJECTS, rest, wsx};
use crate::live::patch;

const TOPIC: &str = "/customer/new";

/// Answers by the type of the hook; a status and a body.
type Rules = Arc<Mutex<Box<dyn Fn(&str, &Value) -> (u16, Value) + Send>>>;

/// A server whose topic has a hook that does as it is told.
struct World {
    server: Server,
    endpoint: Endpoint,
    rules: Rules,
}

impl World {
    async fn start() -> Self {
        let rules: Rules = Arc::new(Mutex::new(Box::new(|_, _| (200, Value::Null))));
        let own = Arc::clone(&rules);
        let endpoint = Endpoint::start(move |request: &Received| {
            let ctx = &request.body["ctx"];
            let (status, body) = own.lock().unwrap()(ctx["hook_type"].as_str().unwrap(), ctx);
            (status, if body.is_null() { String::new() } else { body.to_string() })
        })
        .await;
        let service = json!({"service": [{"name": "my.hook", "url": endpoint.url("/hook")}]});
        let server = Server::setup().objects(OBJECTS).objects(&service.to_string()).start();
        patch(&server, "pubsub_topic", TOPIC, json!({"hook_service_name": "my.hook"})).await;
        Self { server, endpoint, rules }
    }

    /// From now on.
    fn answer(&self, rules: impl Fn(&str, &Value) -> (u16, Value) + Send + 'static) {
        *self.rules.lock().unwrap() = Box::new(rules);
    }

    /// How the hook was called, by type.
    fn calls(&self, hook: &str) -> Vec<Value> {
        let all = self.endpoint.received().into_iter().map(|it| it.body["ctx"].clone());
        all.filter(|ctx| ctx["hook_type"] == hook).collect()
    }
}

fn contents(messages: &[Value]) -> Vec<&Value> {
    messages.iter().map(|message| &message["data"]).collect()
}

#[tokio::test]
async fn before_publish_reads_skips_and_changes_messages() {
    let world = World::start().await;
    let portal = rest(&world.server, "portal");
    portal.key(TOPIC).await;
    world.answer(|hook, ctx| match (hook, ctx["msg"]["data"].as_str()) {
        ("pubsub_before_publish", Some("skip")) => (200, json!({"hook_action": "skip"})),
        ("pubsub_before_publish", Some("change")) => (
            200,
            json!({"hook_action": "deliver", "msg": {"data": {"changed": "ż"}, "priority": 9}}),
        ),
        ("pubsub_before_publish", Some("fail")) => (500, Value::Null),
        ("pubsub_before_publish", Some("odd")) => (200, json!({"hook_action": "perhaps"})),
        _ => (200, Value::Null),
    });
    portal.publish(TOPIC, &json!({"data": "as it is", "correl_id": "c1"})).await;
    let skipped = portal.post(TOPIC, &json!({"data": "skip"})).await;
    assert_eq!(skipped.status, 200, "{skipped:?}");
    assert!(skipped.json().get("msg_id").is_none(), "{skipped:?}");
    portal.publish(TOPIC, &json!({"data": "change"})).await;
    for data in ["fail", "odd"] {
        let refused = portal.post(TOPIC, &json!({ "data": data })).await;
        assert!(refused.status >= 400, "{refused:?}");
        assert!(!refused.json()["details"].is_null(), "{refused:?}");
    }
    let got = portal.fetch(TOPIC, &json!({"order": "fifo"})).await;
    assert_eq!(contents(&got), [&json!({"changed": "ż"}), &json!("as it is")]);
    assert_eq!(
        (&got[0]["priority"], &got[0]["size"]),
        (&json!(9), &json!(r#"{"changed":"ż"}"#.len()))
    );
    let seen = world.calls("pubsub_before_publish");
    assert_eq!(seen[0]["topic"]["name"], TOPIC);
    assert_eq!(
        (&seen[0]["msg"]["data"], &seen[0]["msg"]["correl_id"]),
        (&json!("as it is"), &json!("c1"))
    );
}

#[tokio::test]
async fn before_delivery_deletes_for_one_subscription_and_skips_for_later() {
    let world = World::start().await;
    let (portal, crm) = (rest(&world.server, "portal"), rest(&world.server, "crm"));
    portal.key(TOPIC).await;
    crm.key(TOPIC).await;
    let begun = Instant::now();
    world.answer(move |hook, ctx| {
        let is_crm = ctx["sub"]["endpoint_name"] == "crm";
        match (hook, ctx["msg"]["data"].as_str()) {
            ("pubsub_before_delivery", Some("delete")) if is_crm => {
                (200, json!({"hook_action": "delete"}))
            }
            ("pubsub_before_delivery", Some("skip"))
                if begun.elapsed() < Duration::from_secs(1) =>
            {
                (200, json!({"hook_action": "skip"}))
            }
            _ => (200, json!({})),
        }
    });
    for data in ["delete", "skip", "plain"] {
        portal.publish(TOPIC, &json!({ "data": data })).await;
    }
    let fifo = json!({"order": "fifo"});
    assert_eq!(contents(&portal.fetch(TOPIC, &fifo).await), ["delete", "plain"]);
    assert_eq!(contents(&crm.fetch(TOPIC, &fifo).await), ["plain"]);
    let later = json!({"order": "fifo", "wait": 10});
    assert_eq!(contents(&portal.fetch(TOPIC, &later).await), ["skip"]);
    assert_eq!(contents(&crm.fetch(TOPIC, &later).await), ["skip"]);
    assert_eq!(crm.fetch(TOPIC, &fifo).await.len(), 0, "what was deleted does not come back");
    let call = &world.calls("pubsub_before_delivery")[0];
    assert_eq!(
        (&call["topic"]["name"], &call["msg"]["delivery_count"]),
        (&json!(TOPIC), &json!(1))
    );
    assert!(call["msg"]["msg_id"].as_str().unwrap().starts_with("zpsm"), "{call}");
}

/// Invariants 22 and 24: what the hook says that means nothing, and what it does not say, is tried again.
#[tokio::test]
async fn a_hook_that_fails_or_talks_nonsense_loses_no_message() {
    let world = World::start().await;
    let mut client = wsx(&world.server, "hook.1").await;
    client.subscribe(&json!({ "topic_name": TOPIC })).await;
    let asked = std::sync::atomic::AtomicUsize::new(0);
    world.answer(move |hook, _| match hook {
        "pubsub_before_delivery" => {
            match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => (200, json!({"hook_action": "nonsense"})),
                _ => (200, json!({"hook_action": "deliver"})),
            }
        }
        _ => (200, Value::Null),
    });
    rest(&world.server, "portal").publish(TOPIC, &json!({"data": "x"})).await;
    let delivery = client.delivery().await;
    assert_eq!(delivery["data"]["data"], "x", "{delivery}");
    assert_eq!(world.calls("pubsub_before_delivery").len(), 2);
    assert!(client.is_quiet().await, "it came twice, or nothing was delivered as a batch");
}

#[tokio::test]
async fn on_subscribed_refuses_and_both_ends_are_told() {
    let world = World::start().await;
    let portal = rest(&world.server, "portal");
    world.answer(|hook, ctx| match hook {
        "pubsub_on_subscribed" if ctx["sub"]["endpoint_name"] != "crm" => {
            (403, json!({"error": "not you"}))
        }
        _ => (200, Value::Null),
    });
    let refused = portal.subscribe(TOPIC).await;
    assert!(refused.status >= 400, "{refused:?}");
    let mut client = wsx(&world.server, "hook.2").await;
    let request = json!({ "topic_name": TOPIC });
    client.refused("zato.pubsub.pubapi.subscribe-wsx", &request).await;
    // There is nothing of it.
    let not_subscribed = portal.patch(TOPIC, &Value::Null).await;
    assert_eq!(not_subscribed.status, 400, "{not_subscribed:?}");
    let crm = rest(&world.server, "crm");
    let key = crm.key(TOPIC).await;
    crm.unsubscribe(TOPIC).await;
    let subscribed = world.calls("pubsub_on_subscribed");
    let last = subscribed.last().unwrap();
    assert_eq!(
        (&last["topic"]["name"], &last["sub"]["endpoint_name"]),
        (&json!(TOPIC), &json!("crm"))
    );
    assert!(
        !last.to_string().contains(key.rsplit('.').next().unwrap()),
        "a key is a secret: {last}"
    );
    spanwire_tests::eventually("the end is told", async || {
        world.calls("pubsub_on_unsubscribed").iter().any(|it| it["sub"]["endpoint_name"] == "crm")
    })
    .await;
}
