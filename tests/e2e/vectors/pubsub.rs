//! The vectors of publish/subscribe: calls and deliveries of the real server, and all of them as envelopes, decoded and
//! encoded again to the same JSON.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use spanwire_protocol::{ClientMessage, Codec, ServerMessage};
use spanwire_tests::vectors::{compare, load};
use spanwire_tests::{Client, Server};

use super::world::{VALID_TOKEN, name};

/// Where they are played: the client is `crm.prod.1`, whose endpoint may do everything but with `/secret`.
const OBJECTS: &str = r#"
security:
  - {name: vectors, type: basic_auth, username: user1, password: secret1}
wsx_gateway:
  - name: trusted
    services_allowed: ["zato.pubsub.pubapi.*", zato.pubsub.resume-wsx-subscription, zato.pubsub.publish.publish]
web_socket:
  - {name: crm, address: /ws/crm, service: helpers.web-sockets-gateway, sec_def: vectors}
  - {name: other, address: /ws/other, service: trusted, sec_def: vectors}
pubsub_topic:
  - {name: /customer/new}
  - {name: /a}
  - {name: /b}
  - {name: /secret}
pubsub_endpoint:
  - {name: crm, endpoint_type: wsx, ws_channel_name: crm, topic_patterns: "pub=/customer/**\nsub=/customer/**\nsub=/a\nsub=/b\nsub=/allowed/**"}
  - {name: other, endpoint_type: wsx, ws_channel_name: other, topic_patterns: "pub=/**\nsub=/**"}
"#;

/// The keys that vectors name: the client's own, and that of somebody else.
const OWN_KEY: &str = "zpsk.wsx.crm.prod.1.4f9a1c";
const FOREIGN_KEY: &str = "zpsk.wsx.someone.else.aa";

async fn log_in(server: &Server, path: &str, client_id: &str) -> Client {
    let mut client = Client::connect(&server.ws(path)).await;
    client.create_session_as(client_id, "user1", "secret1").await;
    client
}

async fn subscribe(client: &mut Client) -> String {
    let request = json!({"topic_name": "/customer/new"});
    let reply = client.invoke("zato.pubsub.pubapi.subscribe-wsx", &request).await;
    reply["data"]["sub_key"].as_str().unwrap_or_else(|| panic!("no key: {reply}")).to_owned()
}

/// A reply of the server beside what is expected of it. What a key is called is the server's business, and more keys than
/// expected are fine where some are.
fn compare_reply(expected: &Value, reply: &Value) -> Result<(), String> {
    let mut reply = reply.clone();
    let mut expected = expected.clone();
    let (wanted, data) = (expected["data"].take(), reply["data"].take());
    compare(&expected, &reply)?;
    compare_data(&wanted, &data, &reply["meta"]["id"])
}

fn compare_data(wanted: &Value, data: &Value, cid: &Value) -> Result<(), String> {
    let differs = || Err(format!("expected {wanted}, got {data}"));
    match (wanted, data) {
        (Value::Object(wanted), Value::Object(data)) if wanted.is_empty() == data.is_empty() => {
            let entries = wanted.iter();
            let none = Value::Null;
            entries.into_iter().try_for_each(|(key, wanted)| {
                compare_data(wanted, data.get(key).unwrap_or(&none), cid)
            })
        }
        (Value::Array(wanted), Value::Array(data)) if wanted.len() == data.len() => {
            wanted.iter().zip(data).try_for_each(|(wanted, data)| compare_data(wanted, data, cid))
        }
        (Value::String(pattern), Value::String(text)) => {
            let prefix = pattern.split('<').next().unwrap();
            let fits = match pattern.as_str() {
                "<same as meta.id>" => cid == text,
                "<sk>" => text.starts_with("zpsk.wsx."),
                placeholder if placeholder.contains('<') => {
                    text.len() > prefix.len() && text.starts_with(prefix)
                }
                exact => exact == text,
            };
            if fits { Ok(()) } else { differs() }
        }
        (wanted, data) if wanted == data => Ok(()),
        _ => differs(),
    }
}

/// Says what a client says, and compares what comes.
async fn play_call(server: &Server, vector: &Value) -> Result<(), String> {
    let mut client = log_in(server, "/ws/crm", "crm.prod.1").await;
    let mut other = log_in(server, "/ws/other", "someone.else").await;
    let text = vector["message"].to_string();
    let own = if text.contains(OWN_KEY) || vector["state_before"] == "subscribed" {
        subscribe(&mut client).await
    } else {
        String::new()
    };
    let foreign =
        if text.contains(FOREIGN_KEY) { subscribe(&mut other).await } else { String::new() };
    let mut text = text.replace(OWN_KEY, &own).replace(FOREIGN_KEY, &foreign);
    text = text.replace(VALID_TOKEN, &client.token);
    if vector["message"]["meta"]["action"] == "client-response" {
        // It answers a delivery.
        let id = publish(&mut other, &json!({"data": "x"})).await;
        let delivery = client.receive().await;
        assert_eq!(delivery["meta"]["id"], id);
        text = text.replace("zpsm0d5b8a1c9f3e47b26a70c1d2", id.as_str().unwrap());
    }
    client.send(&serde_json::from_str(&text).unwrap()).await;
    for expected in vector["expected"]["send"].as_array().unwrap() {
        compare_reply(expected, &client.receive().await)?;
    }
    // The session goes on, and nothing else was said.
    let probe = client.invoke("zato.ping", &json!({})).await;
    if probe["meta"]["msg_type"] != "zwsx.rspok" {
        return Err(format!("the session does not go on: {probe}"));
    }
    // Whether the subscription is there afterwards.
    if !own.is_empty() {
        let id = publish(&mut other, &json!({"data": "probe"})).await;
        let is_subscribed = vector["expected"]["state_after"] == "subscribed";
        if is_subscribed && client.receive().await["meta"]["id"] != id {
            return Err("the subscription is not served".to_owned());
        }
        if !client.is_quiet().await {
            return Err("too much is delivered".to_owned());
        }
        let request = json!({ "sub_key": own });
        client.invoke("zato.pubsub.pubapi.unsubscribe", &request).await;
    }
    Ok(())
}

/// Publishes by the trusted service, with what is said of the message; returns its id.
async fn publish(client: &mut Client, message: &Value) -> Value {
    let mut message = message.clone();
    message["topic_name"] = "/customer/new".into();
    let reply = client.invoke("zato.pubsub.publish.publish", &message).await;
    assert_eq!(reply["meta"]["status"], 200, "{reply}");
    reply["data"]["msg_id"].clone()
}

/// Has the messages of a delivery published, and compares what is delivered.
async fn play_delivery(server: &Server, vector: &Value) -> Result<(), String> {
    let mut client = log_in(server, "/ws/crm", "crm.prod.1").await;
    let mut other = log_in(server, "/ws/other", "someone.else").await;
    let key = subscribe(&mut client).await;
    let mut expected = vector["message"].clone();
    let is_many = expected["data"].is_array();
    if is_many {
        // They come together when they have waited.
        client.close(1000, "").await;
        client = log_in(server, "/ws/crm", "crm.prod.1").await;
    }
    let mut ids = Vec::new();
    for item in items(&mut expected) {
        let message = json!({
            "data": item["data"], "mime_type": item["mime_type"], "expiration": item["expiration"], "has_gd": is_many,
            "reply_to_sk": item.get("ctx").map(|ctx| &ctx["reply_to_sk"]),
        });
        let id = publish(&mut other, &message).await;
        for (name, value) in [("sub_key", json!(key)), ("msg_id", id.clone())] {
            item[name] = value;
        }
        for time in ["pub_time_iso", "recv_time_iso", "expiration_time_iso"] {
            item[time] = "<iso8601-utc>".into();
        }
        ids.push(id);
    }
    expected["meta"]["timestamp"] = "<iso8601-utc>".into();
    expected["meta"]["id"] = if is_many { "<hex24>".into() } else { ids[0].clone() };
    if is_many {
        client
            .start_call(&json!({
                "service": "zato.pubsub.resume-wsx-subscription", "request": {"sub_key": key},
            }))
            .await;
    }
    let delivery = loop {
        let message = client.receive().await;
        if message["meta"]["msg_type"] == "zwsx.psrq" {
            break message;
        }
    };
    let mut delivery = delivery;
    for item in items(&mut delivery) {
        // The text of section 5.5 has it, as has 3.0. Which it is depends on who else is subscribed.
        if !item.remove("has_gd").is_some_and(|has_gd| has_gd.is_boolean()) {
            return Err("has_gd is missing".to_owned());
        }
    }
    let (wanted, came) = (expected["data"].take(), delivery["data"].take());
    compare(&expected, &delivery)?;
    match (&wanted, &came) {
        (Value::Array(wanted), Value::Array(came)) if wanted.len() == came.len() => {
            wanted.iter().zip(came).try_for_each(|(wanted, came)| compare(wanted, came))?;
        }
        (wanted, came) => compare(wanted, came)?,
    }
    client.send(&json!({"meta": {"action": "client-response", "id": "r", "token": client.token, "in_reply_to": ids[0]}}))
        .await;
    client.invoke("zato.pubsub.pubapi.unsubscribe", &json!({ "sub_key": key })).await;
    Ok(())
}

/// The messages of a delivery.
fn items(message: &mut Value) -> Vec<&mut Map<String, Value>> {
    match &mut message["data"] {
        Value::Array(several) => several.iter_mut().filter_map(Value::as_object_mut).collect(),
        one => one.as_object_mut().into_iter().collect(),
    }
}

#[tokio::test]
async fn pubsub_vectors_hold() {
    let server = Server::setup().objects(OBJECTS).start();
    let vectors = load("wsx-pubsub.json");
    assert!(vectors.len() >= 20, "only {} vectors", vectors.len());
    let mut wrong = Vec::new();
    for vector in &vectors {
        let result = match vector["direction"].as_str().unwrap() {
            "client-to-server" => play_call(&server, vector).await,
            "server-to-client" => play_delivery(&server, vector).await,
            other => panic!("nobody knows the direction {other}"),
        };
        wrong.extend(result.err().map(|what| format!("{}: {what}", name(vector))));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), vectors.len(), wrong.join("\n"));
}

/// The message with values in place of placeholders, so that it can be read.
fn filled(message: &Value) -> String {
    let text = message.to_string();
    [
        ("<same as meta.id>", "0a1b2c3d4e5f60718293a4b5"),
        ("<hex24>", "0a1b2c3d4e5f60718293a4b5"),
        ("<iso8601-utc>", "2024-03-04T10:20:30.125001"),
    ]
    .iter()
    .fold(text, |text, (placeholder, value)| text.replace(placeholder, value))
}

fn client_again(text: &str) -> Result<Value, String> {
    let bytes = Bytes::from(text.to_owned());
    let message = ClientMessage::decode(Codec::Json, &bytes).map_err(|error| error.to_string())?;
    serde_json::from_slice(&message.encode(Codec::Json)).map_err(|error| error.to_string())
}

fn server_again(text: &str) -> Result<Value, String> {
    let bytes = Bytes::from(text.to_owned());
    let message = ServerMessage::decode(Codec::Json, &bytes).map_err(|error| error.to_string())?;
    serde_json::from_slice(&message.encode(Codec::Json)).map_err(|error| error.to_string())
}

#[test]
fn pubsub_vectors_survive_decoding_and_encoding() {
    let vectors = load("wsx-pubsub.json");
    assert!(vectors.len() >= 20, "only {} vectors", vectors.len());
    let mut wrong = Vec::new();
    for vector in &vectors {
        let message = filled(&vector["message"]);
        let again = match vector["direction"].as_str().unwrap() {
            "client-to-server" => client_again(&message),
            "server-to-client" => server_again(&message),
            other => panic!("nobody knows the direction {other}"),
        };
        let replies = vector["expected"]["send"].as_array().unwrap();
        let replies = replies.iter().map(filled).map(|reply| (server_again(&reply), reply));
        for (again, message) in std::iter::once((again, message)).chain(replies) {
            let before: Value = serde_json::from_str(&message).unwrap();
            if again.as_ref() != Ok(&before) {
                wrong.push(format!("{}: {before}\n  became {again:?}", vector["name"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
