//! The vectors of the reference that are calls of services, or deliveries.

use super::*;

fn vectors() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/wsx-pubsub.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The key that vectors name becomes the one that the client was given.
fn with_key(request: &Value, key: &str) -> Value {
    let text = request.to_string().replace("zpsk.wsx.crm.prod.1.4f9a1c", key);
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn every_call_of_the_vectors_is_answered_as_expected() {
    let mut count = 0;
    for vector in vectors() {
        let data = &vector["message"]["data"];
        let Some(request) = data.get("request") else { continue };
        count += 1;
        for codec in [Codec::Json, Codec::MsgPack] {
            let mut world = World::new().await;
            world.codec = codec;
            let client = wsx("crm.wsx", "ws.1");
            let name = vector["name"].as_str().unwrap();
            let subscribed = json!({"topic_name": "/customer/new"});
            let subscribe = "zato.pubsub.pubapi.subscribe-wsx";
            let key = world.call(&client, subscribe, subscribed.clone()).await.unwrap();
            let foreign = world.call(&wsx("other.wsx", "ws.2"), subscribe, subscribed).await;
            let mut request = with_key(request, &text(&key, "sub_key"));
            if name == "resume-other-endpoint" {
                request["sub_key"] = foreign.unwrap()["sub_key"].clone();
            }
            let input = json!({"service": data["service"], "request": request});
            let answer = world.call(&client, crate::gateway::DEFAULT_GATEWAY, input).await;
            let expected = &vector["expected"]["send"][0];
            let meta = &expected["meta"];
            match answer {
                Ok(answer) => {
                    assert_eq!(meta["status"], 200, "{name}: {answer}");
                    check(&answer, &expected["data"], name);
                }
                Err((status, text)) => {
                    assert_eq!(meta["status"], status, "{name}: {text}");
                    assert_eq!(meta["error_message"], text, "{name}");
                }
            }
        }
    }
    assert_eq!(count, 16);
}

/// What is expected, with placeholders; further keys are fine except where nothing is expected.
fn check(answer: &Value, expected: &Value, name: &str) {
    match expected {
        Value::Object(entries) if entries.is_empty() => assert_eq!(*answer, json!({}), "{name}"),
        Value::Object(entries) => {
            entries.iter().for_each(|(key, value)| check(&answer[key], value, name));
        }
        Value::Array(items) => {
            assert_eq!(answer.as_array().map(Vec::len), Some(items.len()), "{name}");
            items.iter().enumerate().for_each(|(at, item)| check(&answer[at], item, name));
        }
        Value::String(pattern) if pattern.contains('<') => {
            let start = pattern.split('<').next().unwrap();
            assert!(answer.as_str().is_some_and(|it| it.starts_with(start)), "{name}: {answer}");
        }
        value => assert_eq!(answer, value, "{name}"),
    }
}

#[tokio::test]
async fn deliveries_have_the_fields_of_the_vectors() {
    for vector in vectors() {
        if vector["direction"] != "server-to-client" {
            continue;
        }
        let many = match &vector["message"]["data"] {
            Value::Array(many) => many.clone(),
            one => vec![one.clone()],
        };
        for expected in many {
            let world = World::new().await;
            let client = wsx("crm.wsx", "ws.1");
            let input = json!({"topic_name": "/customer/new"});
            let key = world.call(&client, "zato.pubsub.pubapi.subscribe-wsx", input).await;
            let mut message = json!({
                "topic_name": "/customer/new", "data": expected["data"], "mime_type": "text/plain",
            });
            if let Some(ctx) = expected.get("ctx") {
                message["reply_to_sk"] = ctx["reply_to_sk"].clone();
            }
            let published =
                world.call(&client, "zato.pubsub.pubapi.publish-message", message).await;
            let mut expected = expected.clone();
            expected["sub_key"] = key.unwrap()["sub_key"].clone();
            expected["msg_id"] = published.unwrap()["msg_id"].clone();
            expected["has_gd"] = false.into();
            let delivered = world.pushed("ws.1").await.remove(0);
            for name in ["pub_time_iso", "recv_time_iso", "expiration_time_iso"] {
                assert_eq!(delivered[name].as_str().unwrap().len(), 26);
                expected[name] = delivered[name].clone();
            }
            assert_eq!(delivered, expected, "{}", vector["name"]);
        }
    }
}
