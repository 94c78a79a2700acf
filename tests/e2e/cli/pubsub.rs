//! The commands of `zato pubsub` against a running server: the documents that scripts read, key by key (pubsub 5,
//! invariant 42).

use serde_json::{Value, json};
use spanwire_tests::Server;
use spanwire_tests::messaging::Rest;

use super::{on, parse};
use crate::process::Finished;

const OBJECTS: &str = "\
    security: [{name: portal, type: basic_auth, username: portal, password: secret1}]\n\
    web_socket: [{name: crm, address: /ws/crm, service: helpers.web-sockets-gateway, sec_def: portal}]\n\
    pubsub_endpoint: [{name: portal, endpoint_type: rest, security_name: portal, topic_patterns: pub=/**}]\n";

/// The first keys of a topic, in their order; every other one comes behind them.
const TOPIC_KEYS: [&str; 9] = [
    "id",
    "name",
    "current_depth_gd",
    "last_pub_time",
    "last_pub_msg_id",
    "last_endpoint_name",
    "last_pub_server_name",
    "last_pub_server_pid",
    "last_pub_has_gd",
];

async fn pubsub(server: &Server, arguments: &[&str]) -> Value {
    parse(&on(server, &[&["pubsub"], arguments].concat()).await)
}

/// Checks that the only document printed has these keys, in this order, and gives it.
fn with_keys(ended: &Finished, keys: &[&str]) -> Value {
    let document = parse(ended);
    let object = if document.is_array() { &document[0] } else { &document };
    assert_eq!(object.as_object().unwrap().len(), keys.len(), "{ended:?}");
    let places: Vec<_> = keys.iter().map(|key| ended.out.find(&format!("\"{key}\":"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{keys:?} {ended:?}");
    document
}

#[tokio::test]
async fn topics_are_made_listed_and_deleted_as_scripts_expect() {
    let server = Server::setup().objects(OBJECTS).start();
    assert_eq!(pubsub(&server, &["get-topics"]).await, json!([]));

    let made = on(&server, &["pubsub", "create-topic", "--name", "/a/1", "--gd", "true"]).await;
    let made = with_keys(&made, &["id", "name"]);
    assert!(made["id"].is_u64() && made["name"] == "/a/1", "{made}");
    let named = pubsub(&server, &["create-topic"]).await["name"].as_str().unwrap().to_owned();
    let time = named.strip_prefix("/auto/topic.").unwrap();
    let shape: String = time.chars().map(|it| if it.is_ascii_digit() { '9' } else { it }).collect();
    assert_eq!(shape, "9999_99_99T99_99_99_999999");

    let fresh = on(&server, &["pubsub", "get-topics", "--name", "/a/"]).await;
    let fresh = with_keys(&fresh, &TOPIC_KEYS);
    assert_eq!(fresh.as_array().unwrap().len(), 1);
    assert_eq!(fresh[0]["current_depth_gd"], 0);
    assert!(TOPIC_KEYS[3..].iter().all(|key| fresh[0][key].is_null()), "{fresh}");

    let portal = Rest::new(&server, "portal", "secret1");
    let id = portal.publish("/a/1", &json!({"data": "x"})).await;
    let all = on(&server, &["pubsub", "get-topic", "--keys", "all", "--name", "/a/1"]).await;
    let all_keys: Vec<&str> = TOPIC_KEYS.into_iter().chain(FURTHER.map(|(key, _)| key)).collect();
    let all = with_keys(&all, &all_keys);
    let known = json!({
        "current_depth_gd": 1, "last_pub_msg_id": id, "last_endpoint_name": "portal",
        "last_pub_server_pid": server.pid(), "last_pub_has_gd": true,
    });
    for (key, value) in known.as_object().unwrap() {
        assert_eq!(all[0][key], *value, "{key}");
    }
    for (key, value) in FURTHER {
        assert_eq!(all[0][key], serde_json::from_str::<Value>(value).unwrap(), "{key}");
    }
    let some = on(&server, &["pubsub", "get-topics", "--keys", "name,id", "--name", "/a/"]).await;
    assert_eq!(with_keys(&some, &["name", "id"])[0]["id"], made["id"]);

    for name in ["/a/2", "/a/3"] {
        pubsub(&server, &["create-topic", "--name", name]).await;
    }
    let number = made["id"].to_string();
    let deleted =
        on(&server, &["pubsub", "delete-topics", "--id", &number, "--pattern", "/a"]).await;
    assert_eq!(parse(&deleted), json!({"objects": [made]}), "the first that is given counts");
    let rest = pubsub(&server, &["delete-topic", "--pattern", "/a/"]).await;
    let names: Vec<_> = rest["objects"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["/a/2", "/a/3"]);
    assert_eq!(
        pubsub(&server, &["delete-topics", "--name", "/none"]).await,
        json!({"objects": []})
    );
    let left = pubsub(&server, &["get-topics", "--keys", "name"]).await;
    assert_eq!(left, json!([{"name": named}]));
}

/// The keys of a topic that `all` adds, in their order, with what they are for one that was made with `--gd true`.
const FURTHER: [(&str, &str); 16] = [
    ("current_depth_non_gd", "0"),
    ("depth_check_freq", "100"),
    ("has_gd", "true"),
    ("hook_service_name", "null"),
    ("is_active", "true"),
    ("is_api_sub_allowed", "false"),
    ("is_internal", "false"),
    ("limit_message_expiry", "86400"),
    ("limit_retention", "86400"),
    ("limit_sub_inactivity", "86400"),
    ("max_depth_gd", "10000"),
    ("max_depth_non_gd", "1000"),
    ("on_no_subs_pub", "null"),
    ("pub_buffer_size_gd", "0"),
    ("task_delivery_interval", "2000"),
    ("task_sync_interval", "500"),
];

#[tokio::test]
async fn endpoints_and_many_topics_are_made_as_scripts_expect() {
    let server = Server::setup().objects(OBJECTS).start();
    let made = on(&server, &["pubsub", "create-endpoint", "--wsx-id", "crm"]).await;
    let made = with_keys(&made, &["id", "name"]);
    assert!(made["name"].as_str().unwrap().starts_with("auto.pubsub.endpoint."), "{made}");
    let id = made["id"].to_string();
    assert_eq!(on(&server, &["pubsub", "delete-endpoint", "--id", &id]).await.code, 0);
    let again = on(&server, &["pubsub", "delete-endpoint", "--id", &id]).await;
    assert_eq!(again.code, 1, "{again:?}");

    let many = [
        "create-test-topics",
        "--count",
        "3",
        "--endpoints-per-topic",
        "2",
        "--messages-per-pub",
        "4",
    ];
    pubsub(&server, &many).await;
    let topics =
        pubsub(&server, &["get-topics", "--name", "/test-perf", "--keys", "current_depth_gd"])
            .await;
    assert_eq!(
        topics,
        json!([{"current_depth_gd": 8}, {"current_depth_gd": 8}, {"current_depth_gd": 8}])
    );
    let cleaned = on(&server, &["pubsub", "cleanup"]).await;
    assert_eq!(cleaned.code, 0, "{cleaned:?}");
}

#[tokio::test]
async fn a_failure_is_one_document_too() {
    let server = Server::setup().start();
    pubsub(&server, &["create-topic", "--name", "/a"]).await;
    for (arguments, details) in [
        (
            &["create-topic", "--name", "/a"][..],
            "A pub/sub topic `/a` already exists in this cluster",
        ),
        (&["delete-topics"], "give one of --id, --id-list, --name, --name-list and --pattern"),
        (&["create-endpoint", "--name", "e"], "endpoint_type"),
    ] {
        let ended = on(&server, &[&["pubsub"], arguments].concat()).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        let document: Value =
            serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{ended:?}"));
        assert_eq!(document["result"], "Error", "{ended:?}");
        assert!(document["details"].as_str().unwrap().contains(details), "{ended:?}");
        assert!(document["cid"].is_string(), "{ended:?}");
    }
}
