//! Hooks of outgoing connections (outconn-and-platform 1.5: F6, F16, F17).

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use spanwire_tests::endpoint::Received;
use spanwire_tests::http::{admin, connections};

use super::Pair;
use crate::cli::{on, parse};

/// F6: it is told once for each connection, with what it needs.
#[tokio::test]
async fn f6_a_connect_is_told_each_time() {
    let mut pair = Pair::quiet(json!({"on_connect_service_name": "hook"})).await;
    let told = pair.until_told("connect", 1).await;
    assert_eq!(told[0]["config"]["name"], "b");
    assert_eq!(told[0]["conn"], json!({"name": "b"}));
    for absent in ["data", "code", "reason"] {
        assert!(told[0].get(absent).is_none(), "{told:?}");
    }
    pair.b.kill();
    pair.b.start_again();
    assert_eq!(pair.until_told("connect", 2).await.len(), 2);
}

/// F16: what the MESSAGE hook returns is the answer; the answer of one that fails is null, and the connection stays.
#[tokio::test]
async fn f16_a_message_hook_answers_the_other_server() {
    let answer = |request: &Received| match &request.body["ctx"]["data"]["data"] {
        Value::String(text) if text == "fail" => (500, String::new()),
        data => (200, json!({"seen": data}).to_string()),
    };
    let pair = Pair::start(json!({"on_message_service_name": "hook"}), answer).await;
    pair.connected().await;
    let id = connections(&pair.b).await[0]["pub_client_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/connections/{id}/invoke");
    for (asked, expected) in [
        (json!({"a": 1}), json!({"seen": {"a": 1}})),
        (json!("fail"), Value::Null),
        (json!([1]), json!({"seen": [1]})),
    ] {
        let answer = admin(&pair.b, "POST", &path, &json!({"request": asked}).to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["response"], expected, "{answer:?}");
    }
    let told = pair.told("message");
    let data = &told[0]["data"];
    assert_eq!(data["data"], json!({"a": 1}));
    assert!(data["id"].is_string() && data["timestamp"].is_string(), "{data}");
    assert_eq!(pair.told("connect").len() + pair.told("close").len(), 0);
}

/// F17: a hook names more topics, which are subscribed to after the others; one that fails costs none of those.
#[tokio::test]
async fn f17_a_hook_names_topics() {
    static FAILS: AtomicBool = AtomicBool::new(false);
    let answer = |request: &Received| match request.body["ctx"]["type"] == "subscribe" {
        true if FAILS.load(Ordering::Relaxed) => (500, String::new()),
        true => (200, json!(["/customer/old"]).to_string()),
        false => (200, String::new()),
    };
    let outconn = json!({
        "on_subscribe_service_name": "hook", "on_message_service_name": "hook", "subscription_list": ["/customer/new"],
    });
    let mut pair = Pair::start(outconn, answer).await;
    let topics = async |pair: &Pair| {
        let queues = parse(&on(&pair.b, &["queue", "list", "--output", "json"]).await);
        let names = queues
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["topic_name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    spanwire_tests::eventually("both are subscribed to", async || {
        topics(&pair).await == ["/customer/new", "/customer/old"]
    })
    .await;
    FAILS.store(true, Ordering::Relaxed);
    pair.a.kill();
    pair.a.start_again();
    pair.until_told("subscribe", 2).await;
    pair.connected().await;
    assert_eq!(topics(&pair).await, ["/customer/new", "/customer/old"]);
}
