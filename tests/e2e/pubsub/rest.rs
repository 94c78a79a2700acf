//! REST in the form in which curl asks (pubsub 3.1, 3.2): the scenarios A1 to A3 and the requirements R1 to R14.

use serde_json::{Value, json};
use spanwire_tests::Server;
use spanwire_tests::server::command;

use super::{FORBIDDEN, admin_invoke, assert_error, rest, start};
use crate::live::ok;
use crate::process::finish;

/// Keys that belong to the server (R10).
const INTERNAL: [&str; 12] = [
    "pub_msg_id",
    "pub_correl_id",
    "has_gd",
    "topic_id",
    "zato_ctx",
    "delivery_status",
    "pub_pattern_matched",
    "sub_pattern_matched",
    "published_by_id",
    "is_in_sub_queue",
    "server_name",
    "group_id",
];

fn contents(messages: &[Value]) -> Vec<&Value> {
    messages.iter().map(|message| &message["data"]).collect()
}

/// Runs curl and returns what it printed.
async fn curl(server: &Server, path: &str, arguments: &[&str]) -> Value {
    let mut curl = command("curl");
    curl.args(["--silent", "--show-error", "--max-time", "10", "--noproxy", "*"]);
    curl.args(arguments).arg(server.url(path));
    let finished = finish(curl).await;
    assert_eq!(finished.code, 0, "curl {arguments:?} {path}: {}", finished.err);
    serde_json::from_str(&finished.out).unwrap_or_else(|_| panic!("not JSON: {}", finished.out))
}

#[tokio::test]
async fn a1_curl_publishes_subscribes_fetches_and_unsubscribes() {
    let server = start();
    let user = ["--user", "portal:secret1"];
    let (topic, subscription) =
        ("/zato/pubsub/topic//customer/new", "/zato/pubsub/subscribe/topic//customer/new");
    let post = [&user[..], &["-X", "POST", "-d", r#"{"data":"hello","priority":2}"#]].concat();
    let published = curl(&server, topic, &post).await;
    assert!(published["msg_id"].as_str().unwrap().starts_with("zpsm"), "{published}");
    let nothing = curl(&server, topic, &[&user[..], &["-X", "POST"]].concat()).await;
    assert_eq!(nothing["details"], "No data sent on input");
    let subscribed = curl(&server, subscription, &[&user[..], &["-X", "POST"]].concat()).await;
    // What was published while nobody was subscribed waits for the first who is.
    assert_eq!(subscribed["queue_depth"], 1);
    let again = curl(&server, subscription, &[&user[..], &["-X", "POST"]].concat()).await;
    assert_eq!(again, json!({}));
    // 3.2 fetches with PATCH, 3.0 with POST and the key.
    let patch = [&user[..], &["-X", "PATCH"]].concat();
    let fetched = curl(&server, topic, &patch).await;
    assert_eq!((&fetched[0]["data"], &fetched[0]["priority"]), (&json!("hello"), &json!(2)));
    assert_eq!(curl(&server, topic, &patch).await, json!([]));
    for data in ["1", "2"] {
        let body = json!({ "data": data }).to_string();
        curl(&server, topic, &[&user[..], &["-d", &body]].concat()).await;
    }
    let key = subscribed["sub_key"].as_str().unwrap();
    let with_key = format!("{topic}?sub_key={key}");
    let post = [&user[..], &["-X", "POST"]].concat();
    let fetched = curl(&server, &with_key, &post).await;
    assert_eq!(contents(fetched.as_array().unwrap()), ["2", "1"]);
    assert_eq!(curl(&server, &with_key, &post).await, json!([]));
    let in_body = json!({ "sub_key": key }).to_string();
    let in_body = curl(&server, topic, &[&user[..], &["-d", &in_body]].concat()).await;
    assert_eq!(in_body, json!([]));
    let bogus = curl(&server, &format!("{topic}?sub_key=zpsk.rest.123"), &post).await;
    assert_eq!(bogus["details"], FORBIDDEN);
    let delete = [&user[..], &["-X", "DELETE"]].concat();
    let with_key = format!("{subscription}?sub_key={key}");
    assert_eq!(curl(&server, &with_key, &delete).await, json!({}));
    assert_eq!(curl(&server, &with_key, &delete).await, json!({}));
    assert_eq!(curl(&server, subscription, &delete).await, json!({}));
}

#[tokio::test]
async fn a2_the_first_subscriber_gets_what_waits_and_the_second_gets_none_of_it() {
    let server = start();
    let (portal, crm) = (rest(&server, "portal"), rest(&server, "crm"));
    for number in 1..=3 {
        portal.publish("/customer/new", &json!({"data": number, "has_gd": false})).await;
    }
    let first = portal.subscribe("/customer/new").await.json();
    assert_eq!(first["queue_depth"], 3);
    let second = crm.subscribe("/customer/new").await.json();
    assert_eq!(second["queue_depth"], 0);
    assert_eq!(portal.fetch("/customer/new", &Value::Null).await.len(), 3);
    assert_eq!(crm.fetch("/customer/new", &Value::Null).await, [Value::Null; 0]);
}

/// A3 as far as REST goes: who is away misses nothing, and delays nobody.
#[tokio::test]
async fn a3_each_application_has_a_queue_of_its_own() {
    let server = start();
    let (portal, crm) = (rest(&server, "portal"), rest(&server, "crm"));
    portal.key("/customer/new").await;
    crm.key("/customer/new").await;
    for number in 0..10 {
        let by = if number % 2 == 0 { &portal } else { &crm };
        by.publish("/customer/new", &json!({"data": number, "has_gd": number % 3 == 0})).await;
        let got = portal.fetch("/customer/new", &json!({"order": "fifo"})).await;
        assert_eq!(contents(&got), [&json!(number)]);
    }
    let got = crm.fetch("/customer/new", &json!({"order": "fifo"})).await;
    let expected: Vec<_> = (0..10).map(Value::from).collect();
    assert_eq!(contents(&got), expected.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn r1_to_r4_subscribing_and_unsubscribing_are_idempotent() {
    let server = start();
    let portal = rest(&server, "portal");
    for _ in 0..2 {
        for _ in 0..2 {
            let gone = portal.unsubscribe("/customer/new").await;
            assert_eq!((gone.status, &*gone.body), (200, "{}"));
        }
        let subscribed = portal.subscribe("/customer/new").await;
        assert_eq!(subscribed.status, 200);
        let subscribed = subscribed.json();
        let key = subscribed["sub_key"].as_str().unwrap();
        assert!(key.starts_with("zpsk.rest.") && key.len() >= "zpsk".len() + 5, "{key}");
        // 128 bits at least (DESIGN 10).
        assert!(key.rsplit('.').next().unwrap().len() >= 32, "{key}");
        assert!(subscribed["queue_depth"].is_u64(), "{subscribed}");
        let again = portal.subscribe("/customer/new").await;
        assert_eq!((again.status, &*again.body), (200, "{}"));
    }
}

#[tokio::test]
async fn r5_to_r10_a_message_comes_as_it_was_published() {
    let server = start();
    let portal = rest(&server, "portal");
    // R6: before anybody has subscribed; R5: afterwards.
    for is_subscribed in [false, true] {
        let topic = if is_subscribed { "/customer/short" } else { "/customer/a/changed" };
        let mut key = String::new();
        if is_subscribed {
            key = portal.key(topic).await;
        }
        let data = json!("Zażółć gęślą jaźń");
        let id = portal.publish(topic, &json!({ "data": data })).await;
        assert!(id.starts_with("zpsm"), "{id}");
        if !is_subscribed {
            key = portal.key(topic).await;
        }
        let got = portal.fetch(topic, &Value::Null).await;
        let message = &got[0];
        let limit = if is_subscribed { 86_400 } else { 2_147_483_647 };
        for (name, value) in [
            ("data", data.clone()),
            ("msg_id", json!(id)),
            ("size", data.as_str().unwrap().len().into()),
            ("sub_key", json!(key)),
            ("delivery_count", json!(1)),
            ("priority", json!(5)),
            ("mime_type", json!("application/json")),
            ("expiration", json!(limit)),
            ("topic_name", json!(topic)),
            ("ext_client_id", json!("")),
            ("ext_pub_time_iso", json!("")),
        ] {
            assert_eq!(message[name], value, "{name} of {message}");
        }
        for name in ["pub_time_iso", "expiration_time_iso", "recv_time_iso"] {
            assert!(message[name].as_str().unwrap().starts_with('2'), "{name} of {message}");
        }
        for name in INTERNAL {
            assert!(message.get(name).is_none(), "{name} is in {message}");
        }
    }
}

/// pubsub 1.6: the type of the request is that of the message, but where HTTP clients say a form of everything.
#[tokio::test]
async fn the_content_type_is_the_mime_type_unless_the_message_says_another() {
    let server = start();
    let portal = rest(&server, "portal");
    portal.key("/customer/new").await;
    let body = json!({"data": "a;b"});
    let own = json!({"data": "a;b", "mime_type": "text/plain"});
    for (content_type, body, expected) in [
        ("text/csv", &body, "text/csv"),
        ("text/csv; header=present", &body, "text/csv; header=present"),
        ("application/json", &body, "application/json"),
        ("application/x-www-form-urlencoded; charset=utf-8", &body, "application/json"),
        ("", &body, "application/json"),
        ("text/csv", &own, "text/plain"),
    ] {
        let answer = portal.post_as(content_type, "/customer/new", body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let got = portal.fetch("/customer/new", &Value::Null).await;
        assert_eq!(got[0]["mime_type"], expected, "{content_type}");
    }
    let long = format!("text/{}", "x".repeat(300));
    let refused = portal.post_as(&long, "/customer/new", &body).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.json()["details"].as_str().unwrap().contains("mime_type"), "{refused:?}");
}

/// pubsub 3.1 and DESIGN 13: what a publisher gives arrives unchanged, false included, and any JSON value is content.
#[tokio::test]
async fn what_a_publisher_gives_arrives_unchanged() {
    let server = start();
    let portal = rest(&server, "portal");
    portal.key("/customer/new").await;
    let given = json!({
        "data": {"id": 1, "tags": ["a", null, true, 1.5e300, {"": "😀"}]},
        "priority": 7, "expiration": 3600, "mime_type": "text/csv", "correl_id": "c 1", "in_reply_to": "r/2",
        "ext_client_id": "portal.7", "ext_pub_time": "2024-03-04T10:20:30.123456", "msg_id": "mine.1",
    });
    assert_eq!(portal.publish("/customer/new", &given).await, "mine.1");
    let got = portal.fetch("/customer/new", &Value::Null).await;
    for name in
        ["data", "priority", "expiration", "mime_type", "in_reply_to", "ext_client_id", "msg_id"]
    {
        assert_eq!(got[0][name], given[name], "{name} of {}", got[0]);
    }
    assert_eq!(got[0]["ext_pub_time_iso"], given["ext_pub_time"]);
    // An id is good for one message within the window (invariant 30).
    assert_eq!(portal.publish("/customer/new", &given).await, "mine.1");
    assert_eq!(portal.fetch("/customer/new", &Value::Null).await.len(), 0);
    for data in [
        json!(0),
        json!(1.5),
        json!([1]),
        json!([[]]),
        json!("  "),
        json!({"a": null}),
        json!(true),
    ] {
        portal.publish("/customer/new", &json!({ "data": data })).await;
        assert_eq!(portal.fetch("/customer/new", &Value::Null).await[0]["data"], data);
    }
}

/// The order of releases before: newest first, and lowest priority first within.
#[tokio::test]
async fn r12_messages_come_newest_first_and_with_order_fifo_as_they_were_published() {
    let server = start();
    let portal = rest(&server, "portal");
    portal.key("/customer/new").await;
    let mut ids = Vec::new();
    for number in [1, 2, 3] {
        ids.push(portal.publish("/customer/new", &json!({ "data": number })).await);
    }
    let got = portal.fetch("/customer/new", &Value::Null).await;
    assert_eq!(contents(&got), [&json!(3), &json!(2), &json!(1)]);
    let reversed: Vec<_> = ids.iter().rev().map(|id| json!(id)).collect();
    assert_eq!(got.iter().map(|it| it["msg_id"].clone()).collect::<Vec<_>>(), reversed);
    for (number, priority) in [(1, 5), (2, 9), (3, 1), (4, 9), (5, 5)] {
        portal.publish("/customer/new", &json!({"data": number, "priority": priority})).await;
    }
    let got = portal.fetch("/customer/new", &json!({"order": "fifo"})).await;
    let numbers: Vec<_> = got.iter().map(|it| it["data"].as_i64().unwrap()).collect();
    assert_eq!(numbers, [2, 4, 1, 5, 3]);
    let wrong = portal.patch("/customer/new", &json!({"order": "newest"})).await;
    assert_error(&wrong, 400, "order: expected fifo or lifo");
}

#[tokio::test]
async fn r11_who_is_not_subscribed_is_told() {
    let server = start();
    let portal = rest(&server, "portal");
    for _ in 0..2 {
        let answer = portal.patch("/customer/new", &Value::Null).await;
        assert_error(&answer, 400, "You are not subscribed to topic `/customer/new`");
    }
    assert_error(
        &portal.acknowledge("/customer/new", &["zpsm1"]).await,
        400,
        "You are not subscribed to topic `/customer/new`",
    );
}

/// R14: as a service of the server itself, ten times in a row.
#[tokio::test]
async fn r14_the_full_path_through_services_ten_times() {
    let server = start();
    let invoke = async |service: &str, request: Value| {
        let answer =
            admin_invoke(&server, &format!("zato.pubsub.pubapi.{service}"), &request).await;
        let answer = ok(answer);
        answer.get("response").cloned().unwrap_or(answer)
    };
    let topic = json!({"topic_name": "/secret"});
    for round in 0..10 {
        invoke("unsubscribe", topic.clone()).await;
        let early = json!({"topic_name": "/secret", "data": format!("early {round}")});
        invoke("publish-message", early).await;
        let subscribed = invoke("subscribe", topic.clone()).await;
        assert_eq!(subscribed["queue_depth"], 1, "{subscribed}");
        let key = &subscribed["sub_key"];
        let get = json!({"topic_name": "/secret", "sub_key": key});
        assert_eq!(invoke("get-messages", get.clone()).await[0]["data"], format!("early {round}"));
        let late = json!({"topic_name": "/secret", "data": format!("late {round}")});
        let id = invoke("publish-message", late).await["msg_id"].clone();
        let got = invoke("get-messages", get).await;
        assert_eq!((got.as_array().unwrap().len(), &got[0]["msg_id"]), (1, &id));
        invoke("unsubscribe", json!({ "sub_key": key })).await;
    }
}

#[tokio::test]
async fn a_topic_without_a_slash_and_percent_escapes_are_names_too() {
    let server = start();
    let portal = rest(&server, "portal");
    portal.key("plain").await;
    portal.publish("plain", &json!({"data": 1})).await;
    portal.publish("pl%61in", &json!({"data": 2})).await;
    assert_eq!(portal.fetch("plain", &Value::Null).await.len(), 2);
    portal.key("%2Fcustomer%2Fnew").await;
    portal.publish("/customer/new", &json!({"data": 3})).await;
    assert_eq!(portal.fetch("/customer/new", &Value::Null).await.len(), 1);
}

/// R13, with a bound that a busy machine keeps: what was acknowledged to the publisher is there.
#[tokio::test]
async fn r13_a_message_is_there_as_soon_as_its_publisher_knows() {
    let server = start();
    let portal = rest(&server, "portal");
    portal.key("/customer/gd").await;
    for number in 0..50 {
        portal.publish("/customer/gd", &json!({ "data": number })).await;
        assert_eq!(contents(&portal.fetch("/customer/gd", &Value::Null).await), [&json!(number)]);
    }
}
