//! Messages that are lent over REST until they are acknowledged, and asked for before they are there.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spanwire_tests::until;

use super::{FORBIDDEN, assert_error, rest, start, wsx};

const TOPIC: &str = "/customer/new";

fn ids(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["msg_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_lent_message_is_nobody_elses_until_its_lease_is_over_and_counts_each_attempt() {
    let server = start();
    let portal = rest(&server, "portal");
    portal.key(TOPIC).await;
    for number in 1..=3 {
        portal.publish(TOPIC, &json!({"data": number, "has_gd": number == 2})).await;
    }
    let lend = json!({"lease": 0.3, "order": "fifo"});
    let first = portal.fetch(TOPIC, &lend).await;
    assert_eq!(first.len(), 3);
    assert_eq!(portal.fetch(TOPIC, &lend).await.len(), 0, "they are lent");
    let done = portal.acknowledge(TOPIC, &[ids(&first)[1]]).await;
    assert_eq!((done.status, done.json()), (200, json!({"acknowledged": 1})));
    // Once is enough, and what is not known does no harm.
    let again = portal.acknowledge(TOPIC, &[ids(&first)[1], "zpsm.unknown"]).await;
    assert_eq!(again.json(), json!({"acknowledged": 0}));
    let second = until("the leases are over", async || {
        let got = portal.fetch(TOPIC, &json!({"lease": 60, "order": "fifo"})).await;
        (!got.is_empty()).then_some(got)
    })
    .await;
    let seen: Vec<_> = second.iter().map(|it| (&it["data"], &it["delivery_count"])).collect();
    assert_eq!(seen, [(&json!(1), &json!(2)), (&json!(3), &json!(2))]);
    assert_eq!(portal.acknowledge(TOPIC, &ids(&second)).await.json(), json!({"acknowledged": 2}));
    assert_eq!(portal.fetch(TOPIC, &Value::Null).await.len(), 0);
}

/// Invariant 6: attempts survive a restart, and what was lent is there again at once.
#[tokio::test]
async fn what_was_lent_and_not_acknowledged_comes_again_after_a_crash() {
    let mut server = start();
    let portal = rest(&server, "portal");
    portal.key("/customer/gd").await;
    for number in 1..=2 {
        portal.publish("/customer/gd", &json!({ "data": number })).await;
    }
    let lent = portal.fetch("/customer/gd", &json!({"lease": 3600, "order": "fifo"})).await;
    portal.acknowledge("/customer/gd", &[ids(&lent)[0]]).await;
    server.terminate();
    server.wait_for_exit();
    server.start_again();
    let again = portal.fetch("/customer/gd", &json!({"lease": 3600})).await;
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!((&again[0]["data"], &again[0]["delivery_count"]), (&json!(2), &json!(2)));
    server.kill();
    server.start_again();
    let again = portal.fetch("/customer/gd", &json!({"lease": 3600})).await;
    assert_eq!(again.len(), 1, "{again:?}");
    assert!(again[0]["delivery_count"].as_u64() > Some(2), "{again:?}");
}

#[tokio::test]
async fn who_waits_is_answered_as_soon_as_there_is_something() {
    let server = start();
    let portal = rest(&server, "portal");
    portal.key(TOPIC).await;
    let waiting = {
        let portal = portal.clone();
        tokio::spawn(async move { portal.fetch(TOPIC, &json!({"wait": 10})).await })
    };
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_millis(100)).await;
    portal.publish(TOPIC, &json!({"data": "x"})).await;
    assert_eq!(waiting.await.unwrap()[0]["data"], "x");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let begun = Instant::now();
    assert_eq!(portal.fetch(TOPIC, &json!({"wait": 0.2})).await.len(), 0);
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn spans_and_limits_that_are_none_are_refused() {
    let server = start();
    let portal = rest(&server, "portal");
    portal.key(TOPIC).await;
    for body in [
        json!({"lease": -1}),
        json!({"lease": 43_201}),
        json!({"wait": "soon"}),
        json!({"limit": -1}),
        json!({"limit": "many"}),
    ] {
        let answer = portal.patch(TOPIC, &body).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
    }
    let nothing =
        portal.ask("POST", &format!("/zato/pubsub/acknowledge/topic/{TOPIC}"), "{}").await;
    assert_eq!(nothing.status, 400, "{nothing:?}");
}

/// Invariant 33 over REST.
#[tokio::test]
async fn the_key_of_another_endpoint_opens_nothing() {
    let server = start();
    let (portal, crm) = (rest(&server, "portal"), rest(&server, "crm"));
    let key = portal.key(TOPIC).await;
    portal.publish(TOPIC, &json!({"data": "mine"})).await;
    let lent = portal.fetch(TOPIC, &json!({"lease": 60})).await;
    let path = format!("/zato/pubsub/topic/{TOPIC}");
    let body = json!({ "sub_key": key }).to_string();
    assert_error(&crm.ask("POST", &path, &body).await, 403, FORBIDDEN);
    let acknowledge = format!("/zato/pubsub/acknowledge/topic/{TOPIC}");
    let body = json!({"sub_key": key, "msg_ids": ids(&lent)}).to_string();
    assert_error(&crm.ask("POST", &acknowledge, &body).await, 403, FORBIDDEN);
    let subscription = format!("/zato/pubsub/subscribe/topic/{TOPIC}?sub_key={key}");
    assert_error(&crm.ask("DELETE", &subscription, "").await, 403, FORBIDDEN);
    // A topic in the path does not make somebody else's key one's own, nor the other way round.
    assert_eq!(portal.acknowledge(TOPIC, &ids(&lent)).await.json(), json!({"acknowledged": 1}));
}

/// The queue services of existing applications (pubsub 3.3).
#[tokio::test]
async fn queue_services_lend_acknowledge_and_tell_depths() {
    let server = start();
    let mut client = wsx(&server, "queue.1").await;
    let key = client
        .invoke(
            "zato.pubsub.pubapi.subscribe",
            &json!({"topic_name": TOPIC, "delivery_method": "pull"}),
        )
        .await;
    let key = key["sub_key"].clone();
    for number in 0..3 {
        client.publish(&json!({"topic_name": TOPIC, "data": number})).await;
    }
    let depth = json!({ "sub_key": key });
    let depths = client.invoke("zato.pubsub.queue.get-queue-depth-by-sub-key", &depth).await;
    assert_eq!(depths["queue_depth"][key.as_str().unwrap()], 3);
    let get = json!({"sub_key": key, "batch_size": 2});
    let lent = client.invoke("zato.pubsub.queue.get-messages", &get).await;
    let lent: Vec<_> = lent.as_array().unwrap().iter().map(|it| it["msg_id"].clone()).collect();
    assert_eq!(lent.len(), 2);
    let done = json!({"sub_key": key, "msg_id_list": lent});
    client.invoke("zato.pubsub.queue.acknowledge-delivery", &done).await;
    let depths = client.invoke("zato.pubsub.queue.get-queue-depth-by-sub-key", &depth).await;
    assert_eq!(depths["queue_depth"][key.as_str().unwrap()], 1);
    let mut foreign = super::Wsx::log_in(&server, super::login("/ws/other"), "other.1").await;
    let depths = foreign.invoke("zato.pubsub.queue.get-queue-depth-by-sub-key", &depth).await;
    assert_eq!(depths["queue_depth"], json!({}));
    let refused = foreign.refused("zato.pubsub.queue.get-messages", &get).await;
    assert_eq!(refused, (403, FORBIDDEN.to_owned()));
    let refused = foreign.refused("zato.pubsub.queue.acknowledge-delivery", &done).await;
    assert_eq!(refused, (403, FORBIDDEN.to_owned()));
}
