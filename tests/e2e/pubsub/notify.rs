//! Messages sent to REST connections (pubsub 2.6): what succeeds, what is tried again, what is put aside.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spanwire_tests::endpoint::{Endpoint, Received, Reply};
use spanwire_tests::http::basic;
use spanwire_tests::messaging::{Rest, Wsx};
use spanwire_tests::{PATIENCE, Server, eventually, until};

use super::{OBJECTS, queue, rest, wsx};
use crate::live::{create, delete, ok, patch};

const TOPIC: &str = "/customer/gd";

fn fine() -> (u16, String) {
    (200, String::new())
}

/// A server whose endpoint `billing` is notified of [`TOPIC`] at this address.
fn start(address: &str, subscription: &Value) -> Server {
    let mut subscription = subscription.clone();
    subscription["endpoint_name"] = "billing".into();
    subscription["topic_name"] = TOPIC.into();
    subscription["delivery_method"] = "notify".into();
    subscription["rest_connection"] = "billing".into();
    let objects = json!({
        "security": [{"name": "billing", "type": "basic_auth", "username": "billing", "password": "secret7"}],
        "outgoing_rest": [{
            "name": "billing", "host": format!("http://{address}"), "url_path": "/events", "security_name": "billing",
            "data_format": "json",
        }],
        "pubsub_endpoint": [
            {"name": "billing", "endpoint_type": "rest", "security_name": "billing", "topic_patterns": "sub=/customer/**"},
        ],
        "pubsub_subscription": [subscription],
    });
    Server::setup().objects(OBJECTS).objects(&objects.to_string()).start()
}

/// Short pauses, and everything else as it is by default.
fn quick() -> Value {
    json!({"wait_sock_err": "100ms", "wait_non_sock_err": "100ms"})
}

/// The messages of a notification.
fn messages(request: &Received) -> Vec<Value> {
    request.body.as_array().unwrap_or_else(|| panic!("no array: {request:?}")).clone()
}

/// The contents of what was sent so far.
fn contents(endpoint: &Endpoint) -> Vec<Value> {
    let all = endpoint.received();
    all.iter().flat_map(messages).map(|message| message["data"].clone()).collect()
}

async fn is_empty(server: &Server) -> bool {
    queue(server, "billing").await["current_depth"] == 0
}

/// Publishes one message after the other; a witness gets each before the next. Whoever is notified at all is by then.
async fn publish_before(witness: &mut Wsx, portal: &Rest) {
    for number in 0..MANY {
        portal.publish(TOPIC, &json!({ "data": number })).await;
        assert_eq!(witness.message().await["data"], number);
    }
}

const MANY: usize = 30;

#[tokio::test]
async fn a_notification_is_a_request_with_an_array_and_credentials() {
    let endpoint = Endpoint::start(|_| fine()).await;
    let mut subscription = quick();
    subscription["rest_method"] = "PUT".into();
    let server = start(&endpoint.address.to_string(), &subscription);
    let id =
        rest(&server, "portal").publish(TOPIC, &json!({"data": {"a": "ż"}, "priority": 3})).await;
    eventually("it was notified", async || !endpoint.received().is_empty()).await;
    let request = &endpoint.received()[0];
    assert!(request.head.starts_with("PUT /events HTTP/1.1"), "{}", request.head);
    assert_eq!(request.header("authorization"), basic("billing", "secret7"));
    assert_eq!(request.header("content-type"), "application/json");
    let messages = messages(request);
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!((&message["data"], &message["msg_id"]), (&json!({"a": "ż"}), &json!(id)));
    assert_eq!((&message["priority"], &message["delivery_count"]), (&json!(3), &json!(1)));
    assert!(message["sub_key"].as_str().unwrap().starts_with("zpsk.rest."), "{message}");
    eventually("it is done", async || is_empty(&server).await).await;
    assert_eq!(endpoint.received().len(), 1);
}

#[tokio::test]
async fn batches_and_shapes_are_as_the_subscription_says() {
    let endpoint = Endpoint::start(|_| fine()).await;
    for (size, wrap, is_array) in [
        (2, Value::Null, true),
        (1, Value::Null, true),
        (1, json!(false), false),
        (1, json!(true), true),
    ] {
        let mut subscription = quick();
        subscription["delivery_batch_size"] = size.into();
        subscription["wrap_one_msg_in_list"] = wrap.clone();
        subscription["active_status"] = "pub-only".into();
        let server = start(&endpoint.address.to_string(), &subscription);
        let before = endpoint.received().len();
        for number in 0..5 {
            rest(&server, "portal").publish(TOPIC, &json!({ "data": number })).await;
        }
        let go = json!({"active_status": "pub-sub"});
        patch(&server, "pubsub_subscription", &format!("billing/{TOPIC}"), go).await;
        eventually("it is done", async || is_empty(&server).await).await;
        let requests = &endpoint.received()[before..];
        let mut contents = Vec::new();
        for request in requests {
            assert_eq!(request.body.is_array(), is_array, "{size} {wrap}: {request:?}");
            let batch = if is_array { messages(request) } else { vec![request.body.clone()] };
            assert!((1..=size).contains(&batch.len()), "{size} {wrap}: {request:?}");
            contents.extend(batch.iter().map(|it| it["data"].clone()));
        }
        assert_eq!(contents, [0, 1, 2, 3, 4].map(Value::from));
    }
}

/// Invariants 20 and 23: what is not 2xx is no success, and comes again after a pause, marked.
#[tokio::test]
async fn a_refused_notification_comes_again_with_a_higher_count() {
    for status in [500, 404, 301, 408, 429] {
        let asked = AtomicUsize::new(0);
        let endpoint = Endpoint::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => (status, "not now".to_owned()),
            _ => (204, String::new()),
        })
        .await;
        let server = start(&endpoint.address.to_string(), &quick());
        rest(&server, "portal").publish(TOPIC, &json!({"data": "x"})).await;
        eventually("it is done", async || is_empty(&server).await).await;
        let requests = endpoint.received();
        let counts: Vec<_> =
            requests.iter().map(|it| messages(it)[0]["delivery_count"].clone()).collect();
        assert_eq!(counts, [1, 2, 3].map(Value::from), "{status}");
        let pauses: Vec<_> = requests.windows(2).map(|two| two[1].at - two[0].at).collect();
        // Each pause is at least what the subscription says, and grows.
        assert!(pauses[0] >= Duration::from_millis(100), "{status}: {pauses:?}");
        assert!(pauses[1] >= Duration::from_millis(200), "{status}: {pauses:?}");
    }
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let asked = AtomicUsize::new(0);
    let endpoint = Endpoint::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => {
            Reply { headers: "Retry-After: 2\r\n".to_owned(), ..Reply::from((503, String::new())) }
        }
        _ => Reply::from(fine()),
    })
    .await;
    let server = start(&endpoint.address.to_string(), &quick());
    rest(&server, "portal").publish(TOPIC, &json!({"data": "x"})).await;
    eventually("it came again", async || endpoint.received().len() == 2).await;
    let requests = endpoint.received();
    let pause = requests[1].at - requests[0].at;
    assert!(pause >= Duration::from_secs(2), "{pause:?}");
}

/// Invariant 20, second half.
#[tokio::test]
async fn a_slow_subscriber_delays_nobody_else() {
    let quick_endpoint = Endpoint::start(|_| fine()).await;
    let slow_endpoint =
        Endpoint::start(|_| Reply { after: Duration::from_secs(3600), ..Reply::from(fine()) })
            .await;
    let server = start(&quick_endpoint.address.to_string(), &quick());
    let objects = [
        (
            "security",
            json!({"name": "slow", "type": "basic_auth", "username": "slow", "password": "secret7"}),
        ),
        (
            "outgoing_rest",
            json!({"name": "slow", "host": slow_endpoint.url(""), "url_path": "/", "timeout": 3600}),
        ),
        (
            "pubsub_endpoint",
            json!({"name": "slow", "endpoint_type": "rest", "security_name": "slow", "topic_patterns": "sub=/**"}),
        ),
        (
            "pubsub_subscription",
            json!({"endpoint_name": "slow", "topic_name": TOPIC, "delivery_method": "notify", "rest_connection": "slow"}),
        ),
    ];
    for (kind, object) in objects {
        create(&server, kind, object).await;
    }
    let portal = rest(&server, "portal");
    portal.publish(TOPIC, &json!({"data": "first"})).await;
    eventually("the slow one has it", async || !slow_endpoint.received().is_empty()).await;
    for number in 0..20 {
        portal.publish(TOPIC, &json!({ "data": number })).await;
    }
    eventually("the other has all", async || contents(&quick_endpoint).len() == 21).await;
    assert_eq!(slow_endpoint.received().len(), 1, "one at a time");
    assert_eq!(queue(&server, "slow").await["current_depth"], 21);
}

/// A3 and invariant 15: who was down gets everything afterwards, as it was published.
#[tokio::test]
async fn a_subscriber_that_was_down_gets_everything_in_order_afterwards() {
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let server = start(&address.to_string(), &quick());
    let portal = rest(&server, "portal");
    portal.key(TOPIC).await;
    for number in 0..10 {
        portal.publish(TOPIC, &json!({ "data": number })).await;
    }
    assert_eq!(portal.fetch(TOPIC, &Value::Null).await.len(), 10, "others notice nothing");
    eventually("it was tried", async || {
        queue(&server, "billing").await["delivered"].as_u64() > Some(0)
    })
    .await;
    let endpoint = Endpoint::start_at(address, |_| fine()).await;
    eventually("it is done", async || is_empty(&server).await).await;
    let mut seen = BTreeSet::new();
    let mut all = contents(&endpoint);
    all.retain(|data| seen.insert(data.as_i64()));
    assert_eq!(all, (0..10).map(Value::from).collect::<Vec<_>>());
}

/// Invariant 16 and W25: the others do not suffer with the one that is refused.
#[tokio::test]
async fn a_message_that_is_always_refused_is_told_apart_from_its_batch() {
    let bad = |request: &Received| messages(request).iter().any(|message| message["data"] == "bad");
    let endpoint = Endpoint::start(move |request| match bad(request) {
        true => (422, String::new()),
        false => fine(),
    })
    .await;
    let mut subscription = quick();
    subscription["delivery_err_should_block"] = false.into();
    subscription["active_status"] = "pub-only".into();
    let server = start(&endpoint.address.to_string(), &subscription);
    let portal = rest(&server, "portal");
    for data in ["a", "bad", "b", "c"] {
        portal.publish(TOPIC, &json!({ "data": data })).await;
    }
    let go = json!({"active_status": "pub-sub"});
    patch(&server, "pubsub_subscription", &format!("billing/{TOPIC}"), go).await;
    eventually("only the bad one is left", async || {
        queue(&server, "billing").await["current_depth"] == 1
    })
    .await;
    let accepted = endpoint.received().into_iter().filter(|request| !bad(request));
    let accepted: Vec<_> =
        accepted.flat_map(|it| messages(&it)).map(|it| it["data"].clone()).collect();
    assert_eq!(accepted, ["a", "b", "c"]);
    portal.publish(TOPIC, &json!({"data": "d"})).await;
    eventually("the next one is done, too", async || contents(&endpoint).contains(&json!("d")))
        .await;
}

/// Invariants 1, 6 and 17 for notifications: over a crash nothing is lost, and what comes again is marked.
#[tokio::test]
async fn notifications_go_on_after_a_crash() {
    let accepts = std::sync::Arc::new(AtomicUsize::new(0));
    let switch = std::sync::Arc::clone(&accepts);
    let endpoint = Endpoint::start(move |_| match switch.load(Ordering::Relaxed) {
        0 => (500, String::new()),
        _ => fine(),
    })
    .await;
    let mut server = start(&endpoint.address.to_string(), &quick());
    let portal = rest(&server, "portal");
    for number in 0..5 {
        portal.publish(TOPIC, &json!({ "data": number })).await;
    }
    eventually("it was tried twice", async || endpoint.received().len() >= 2).await;
    server.kill();
    let before = endpoint.received().len();
    accepts.store(1, Ordering::Relaxed);
    server.start_again();
    eventually("it is done", async || is_empty(&server).await).await;
    let later: Vec<_> = endpoint.received()[before..].iter().flat_map(messages).collect();
    assert_eq!(
        later.iter().map(|it| it["data"].clone()).collect::<Vec<_>>(),
        (0..5).map(Value::from).collect::<Vec<_>>()
    );
    assert!(later[0]["delivery_count"].as_u64() >= Some(3), "{:?}", later[0]);
}

/// Invariant 35 for those who are called: a revoked one is called no more, and has missed nothing when it is back.
#[tokio::test]
async fn whoever_may_not_subscribe_any_more_is_not_notified() {
    let endpoint = Endpoint::start(|_| fine()).await;
    let server = start(&endpoint.address.to_string(), &quick());
    let portal = rest(&server, "portal");
    let mut witness = wsx(&server, "witness.1").await;
    witness.subscribe(&json!({"topic_name": TOPIC})).await;
    for (revoke, grant) in [
        (json!({"is_active": false}), json!({"is_active": true})),
        (json!({"role": "pub-only"}), json!({"role": "pub-sub"})),
    ] {
        let before = contents(&endpoint).len();
        patch(&server, "pubsub_endpoint", "billing", revoke).await;
        publish_before(&mut witness, &portal).await;
        assert_eq!(contents(&endpoint).len(), before);
        patch(&server, "pubsub_endpoint", "billing", grant).await;
        eventually("it is back", async || contents(&endpoint).len() == before + MANY).await;
    }
}

/// A connection that is made, changed or taken away counts for the next attempt.
#[tokio::test]
async fn a_connection_may_be_changed_while_messages_wait() {
    let (one, two) =
        (Endpoint::start(|_| (500, String::new())).await, Endpoint::start(|_| fine()).await);
    let server = start(&one.address.to_string(), &quick());
    rest(&server, "portal").publish(TOPIC, &json!({"data": "x"})).await;
    eventually("it was tried", async || !one.received().is_empty()).await;
    patch(&server, "outgoing_rest", "billing", json!({"host": two.url("")})).await;
    eventually("the other one has it", async || !two.received().is_empty()).await;
    patch(&server, "outgoing_rest", "billing", json!({"is_active": false})).await;
    rest(&server, "portal").publish(TOPIC, &json!({"data": "y"})).await;
    eventually("it was tried", async || {
        queue(&server, "billing").await["redelivered"].as_u64() > Some(2)
    })
    .await;
    assert_eq!(contents(&two), ["x"]);
    patch(&server, "outgoing_rest", "billing", json!({"is_active": true})).await;
    eventually("it is there", async || contents(&two) == ["x", "y"]).await;
    // Who is unsubscribed by an administrator is called no more.
    delete(&server, "pubsub_subscription", &format!("billing/{TOPIC}")).await;
    let mut witness = wsx(&server, "witness.1").await;
    witness.subscribe(&json!({"topic_name": TOPIC})).await;
    publish_before(&mut witness, &rest(&server, "portal")).await;
    assert_eq!(contents(&two), ["x", "y"]);
}

/// Invariant 19 and W11: a message that was tried often enough lies among the dead, once, with its reason.
#[tokio::test]
async fn a_message_that_was_tried_often_enough_is_put_aside() {
    let endpoint = Endpoint::start(|request| match messages(request)[0]["data"] == "bad" {
        true => (500, String::new()),
        false => fine(),
    })
    .await;
    let mut subscription = quick();
    subscription["delivery_max_retry"] = 2.into();
    subscription["delivery_batch_size"] = 1.into();
    let mut server = start(&endpoint.address.to_string(), &subscription);
    let portal = rest(&server, "portal");
    portal.publish(TOPIC, &json!({"data": "bad"})).await;
    portal.publish(TOPIC, &json!({"data": "good"})).await;
    let begun = Instant::now();
    let dead = until("it is among the dead", async || {
        let queue = queue(&server, "billing").await;
        (queue["dead"] == 1 && queue["current_depth"] == 0).then_some(queue)
    })
    .await;
    assert!(begun.elapsed() < PATIENCE, "{dead}");
    assert_eq!(contents(&endpoint), ["bad", "bad", "good"]);
    let id = dead["id"].as_u64().unwrap();
    for restarts in [false, true] {
        if restarts {
            // Not a crash, which may forget what nobody waited for.
            assert!(server.stop().success());
            server.start_again();
        }
        let path = format!("/api/v1/pubsub/queues/{id}/messages?state=dead");
        let list = ok(spanwire_tests::http::admin(&server, "GET", &path, "").await);
        let list = list.as_array().unwrap();
        assert_eq!(list.len(), 1, "{list:?}");
        assert_eq!(list[0]["delivery_count"], 2);
        assert!(list[0]["data_prefix_short"].as_str().unwrap().contains("bad"), "{list:?}");
        assert!(list[0]["dead_reason"].as_str().unwrap().contains("500"), "{list:?}");
    }
    assert_eq!(contents(&endpoint).len(), 3, "it is not tried any more");
}
