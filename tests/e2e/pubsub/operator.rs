//! What an operator does with messages, and what subscribers notice of it: A10, dead letters, clearing (A11, invariants
//! 25 and 39).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use spanwire_tests::endpoint::Endpoint;
use spanwire_tests::http::admin;
use spanwire_tests::messaging::{Login, Wsx};
use spanwire_tests::{Server, eventually, until};

use super::{OBJECTS, assert_error, login, queue, rest, start};
use crate::live::ok;

const TOPIC: &str = "/customer/gd";

fn escaped(topic: &str) -> String {
    topic.replace('/', "%2F")
}

async fn ask(server: &Server, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    ok(admin(server, method, &format!("/api/v1/pubsub{path}"), &body).await)
}

/// A server that notifies an endpoint which takes only what is right.
async fn picky(max_retry: u64) -> (Server, Endpoint) {
    let endpoint = Endpoint::start(|request| match request.body["data"] == "right" {
        true => (200, String::new()),
        false => (422, String::new()),
    })
    .await;
    let objects = json!({
        "security": [{"name": "billing", "type": "basic_auth", "username": "billing", "password": "secret7"}],
        "outgoing_rest": [{"name": "billing", "host": endpoint.url(""), "url_path": "/"}],
        "pubsub_endpoint": [
            {"name": "billing", "endpoint_type": "rest", "security_name": "billing", "topic_patterns": "sub=/**"},
        ],
        "pubsub_subscription": [{
            "endpoint_name": "billing", "topic_name": TOPIC, "delivery_method": "notify", "rest_connection": "billing",
            "wait_non_sock_err": "50ms", "delivery_batch_size": 1, "wrap_one_msg_in_list": false,
            "delivery_max_retry": max_retry,
        }],
    });
    (Server::setup().objects(OBJECTS).objects(&objects.to_string()).start(), endpoint)
}

#[tokio::test]
async fn a10_an_operator_mends_a_message_and_the_next_attempt_has_it() {
    let (server, endpoint) = picky(123_456_789).await;
    let id = rest(&server, "portal").publish(TOPIC, &json!({"data": "wrong"})).await;
    eventually("it is refused", async || endpoint.received().len() >= 2).await;
    let path = format!("/topics/{}/messages/{id}", escaped(TOPIC));
    assert_eq!(ask(&server, "GET", &path, &Value::Null).await["data"], "wrong");
    let mended =
        ask(&server, "PATCH", &path, &json!({"data": "right", "correl_id": "mended"})).await;
    assert_eq!((&mended["data"], &mended["size"]), (&json!("right"), &json!(5)));
    eventually("it is done", async || queue(&server, "billing").await["current_depth"] == 0).await;
    let last = endpoint.received().pop().unwrap().body;
    assert_eq!((&last["data"], &last["msg_id"]), (&json!("right"), &json!(id)));
    assert_eq!(last["correl_id"], "mended");
    assert!(last["delivery_count"].as_u64() > Some(2), "{last}");
}

#[tokio::test]
async fn a_dead_message_is_mended_and_put_back_into_its_queue() {
    let (mut server, endpoint) = picky(1).await;
    let id = rest(&server, "portal").publish(TOPIC, &json!({"data": "wrong"})).await;
    let queue = until("it is dead", async || {
        Some(queue(&server, "billing").await).filter(|queue| queue["dead"] == 1)
    })
    .await;
    let number = queue["id"].as_u64().unwrap();
    let path = format!("/topics/{}/messages/{id}", escaped(TOPIC));
    ask(&server, "PATCH", &path, &json!({"data": "right"})).await;
    server.kill();
    server.start_again();
    ask(&server, "POST", &format!("/queues/{number}/requeue"), &json!({ "msg_id": id })).await;
    eventually("it is delivered", async || {
        endpoint.received().last().is_some_and(|it| it.body["data"] == "right")
    })
    .await;
    eventually("it is done", async || {
        let queue = super::queue(&server, "billing").await;
        queue["dead"] == 0 && queue["current_depth"] == 0
    })
    .await;
}

/// A11, second half: a full topic takes messages again when it was cleared.
#[tokio::test]
async fn a11_a_full_topic_that_was_cleared_takes_messages_again() {
    let server = start();
    let (portal, topic) = (rest(&server, "portal"), "/customer/shallow");
    portal.key(topic).await;
    let body = json!({"data": "x", "has_gd": true});
    for _ in 0..3 {
        portal.publish(topic, &body).await;
    }
    let text = format!("Publication rejected - would exceed GD max depth for `{topic}`");
    assert_error(&portal.post(topic, &body).await, 503, &text);
    ask(&server, "POST", &format!("/topics/{}/clear", escaped(topic)), &Value::Null).await;
    for _ in 0..3 {
        portal.publish(topic, &json!({"data": "new", "has_gd": true})).await;
    }
    let got = portal.fetch(topic, &Value::Null).await;
    assert!(got.len() == 3 && got.iter().all(|it| it["data"] == "new"), "{got:?}");
}

/// Invariants 7 and 39: what was cleared never comes back, and nobody else loses anything.
#[tokio::test]
async fn what_was_cleared_never_comes_back_and_receipts_tell_of_it() {
    let mut server = start();
    let (portal, crm) = (rest(&server, "portal"), rest(&server, "crm"));
    let login = Login { subprotocol: Some("spanwire.v1.json"), ..login("/ws/crm") };
    let mut client = Wsx::log_in(&server, login, "cleared.1").await;
    let wish = json!({"topic_name": TOPIC, "ack": true, "positions": true});
    let subscribed = client.invoke("zato.pubsub.pubapi.subscribe-wsx", &wish).await;
    let (key, before) =
        (&subscribed["sub_key"], subscribed["position"]["offset"].as_u64().unwrap());
    drop(client);
    portal.key(TOPIC).await;
    crm.key(TOPIC).await;
    let mut ids = Vec::new();
    for number in 0..4 {
        ids.push(portal.publish(TOPIC, &json!({ "data": number })).await);
    }
    // One message of one queue, one queue, and one message of all.
    let number = queue(&server, "portal").await["id"].as_u64().unwrap();
    ask(&server, "DELETE", &format!("/queues/{number}/messages/{}", ids[0]), &Value::Null).await;
    let path = format!("/topics/{}/messages/{}", escaped(TOPIC), ids[1]);
    ask(&server, "DELETE", &path, &Value::Null).await;
    // Looked at, and put back by the end of its lease.
    let contents = async |of: &str, count: usize| {
        let numbers = until("as many as expected are there", async || {
            let got =
                rest(&server, of).fetch(TOPIC, &json!({"order": "fifo", "lease": 0.001})).await;
            (got.len() == count).then_some(got)
        })
        .await;
        numbers.iter().map(|it| it["data"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(contents("portal", 2).await, [2, 3]);
    assert_eq!(contents("crm", 3).await, [0, 2, 3]);
    ask(&server, "POST", &format!("/queues/{number}/clear"), &Value::Null).await;
    assert_eq!(contents("portal", 0).await, [0; 0]);
    assert_eq!(contents("crm", 3).await, [0, 2, 3]);
    server.kill();
    server.start_again();
    let contents = async |of: &str| {
        let got = rest(&server, of).fetch(TOPIC, &json!({"order": "fifo"})).await;
        got.iter().map(|it| it["data"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((contents("portal").await, contents("crm").await), (vec![], vec![0, 2, 3]));
    let mut client = Wsx::log_in(&server, login, "cleared.1").await;
    client.resume(&json!({ "sub_key": key })).await;
    let gap = client.delivery().await;
    let expected = json!({
        "topic_name": TOPIC, "sub_key": key, "epoch": subscribed["position"]["epoch"], "from": before + 2,
        "to": before + 2, "count": 1, "cause": "deleted",
    });
    assert_eq!((&gap["meta"]["msg_type"], &gap["data"]), (&json!("spanwire.psgap"), &expected));
    assert_eq!(client.contents(3).await, [0, 2, 3]);
}

/// A dead message is a gap, too.
#[tokio::test]
async fn a_message_that_is_refused_too_often_is_a_gap_for_its_client() {
    let server = start();
    let object = json!({
        "endpoint_name": "crm.wsx", "topic_name": TOPIC, "delivery_max_retry": 1, "wait_non_sock_err": "50ms",
    });
    // By hand, since no call of a client says how often.
    crate::live::create(&server, "pubsub_subscription", object).await;
    let path = "/queues?endpoint_name=crm.wsx&reveal_secrets=true";
    let key = ask(&server, "GET", path, &Value::Null).await[0]["sub_key"].clone();
    let login = Login { subprotocol: Some("spanwire.v1.json"), ..login("/ws/crm") };
    let mut client = Wsx::log_in(&server, login, "dead.1").await;
    client.resume(&json!({ "sub_key": key })).await;
    let id = rest(&server, "portal").publish(TOPIC, &json!({"data": "x"})).await;
    assert_eq!(client.message().await["msg_id"], id);
    // It is not asked to acknowledge: what was written is delivered.
    eventually("it is done", async || queue(&server, "crm.wsx").await["current_depth"] == 0).await;
    assert!(client.is_quiet().await, "it came again");
}

/// An operator deletes a subscription: its connection is told nothing more, and its key is nobody's.
#[tokio::test]
async fn a_queue_that_is_removed_ends_its_subscription() {
    let server = start();
    let mut client = super::wsx(&server, "removed.1").await;
    let key = client.subscribe(&json!({ "topic_name": TOPIC })).await;
    let number = queue(&server, "crm.wsx").await["id"].as_u64().unwrap();
    ask(&server, "DELETE", &format!("/queues/{number}"), &Value::Null).await;
    rest(&server, "portal").publish(TOPIC, &json!({"data": "x"})).await;
    assert!(client.is_quiet().await, "it has ended");
    let resume = json!({ "sub_key": key });
    assert_eq!(client.refused("zato.pubsub.resume-wsx-subscription", &resume).await.0, 403);
}

/// Clearing while messages come and go loses nothing that was published afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clearing_a_busy_topic_keeps_what_comes_after() {
    let server = start();
    let mut client = super::wsx(&server, "busy.1").await;
    client.subscribe(&json!({ "topic_name": TOPIC })).await;
    let stop = Arc::new(AtomicBool::new(false));
    let publishing = {
        let (portal, stop) = (rest(&server, "portal"), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                portal.publish(TOPIC, &json!({"data": "noise"})).await;
            }
        })
    };
    for _ in 0..20 {
        ask(&server, "POST", &format!("/topics/{}/clear", escaped(TOPIC)), &Value::Null).await;
    }
    stop.store(true, Ordering::Relaxed);
    publishing.await.unwrap();
    rest(&server, "portal").publish(TOPIC, &json!({"data": "after"})).await;
    let seen = tokio::time::timeout(Duration::from_secs(15), async {
        while client.message().await["data"] != "after" {}
    });
    seen.await.expect("what was published after the last clearing is lost");
    assert!(client.is_quiet().await, "something came back");
}
