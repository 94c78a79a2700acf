//! What came of a vector, compared with what it expects, whoever the client was.
//!
//! An outcome is JSON, so that clients in other languages can report it:
//!
//! | key | meaning |
//! |---|---|
//! | `messages` | the text messages that came between the vector's event and the probe, or the close |
//! | `binary` | how many binary messages came |
//! | `pongs` | payloads of pongs |
//! | `pings` | payloads of pings, when the vector is about them |
//! | `close` | `{"code": …, "reason": …}` of the server's close, or null; the code of an empty one is null |
//! | `after` | the answer to a probe: a call when logged in, else a login; null when closed |
//! | `ended` | whether the server ended the connection after its close |
//! | `connection` | its record in the admin API while it was open, or null |
//! | `asked` | `{"status": …, "body": …}` of the admin API, when the client was asked something |
//! | `token` | the token in force before the vector |
//! | `old_token` | `{"messages": …, "close": …}`: what a call with the token of before led to, when there is a new one |

use serde_json::{Value, json};
use spanwire_tests::vectors::compare;

use super::world::name;

/// Says where an outcome is not what the vector expects.
pub(crate) fn check(vector: &Value, outcome: &Value) -> Result<(), String> {
    let expected = &vector["expected"];
    let fail = |what: String| Err(format!("{}: {what}\n  outcome: {outcome}", name(vector)));
    if let Err(what) = conversation(vector, outcome) {
        return fail(what);
    }
    for (key, value) in expected.as_object().unwrap() {
        if let Err(what) = further(key, value, vector, outcome) {
            return fail(what);
        }
    }
    Ok(())
}

/// What was sent, and how it goes on.
fn conversation(vector: &Value, outcome: &Value) -> Result<(), String> {
    let expected = &vector["expected"];
    let (pongs, mut messages): (Vec<_>, Vec<_>) =
        array(&expected["send"]).iter().cloned().partition(|sent| sent.get("pong_frame").is_some());
    if vector["direction"] == "server-to-client" {
        let mut message = vector["message"].clone();
        message["meta"]["id"] = "<hex24>".into();
        message["meta"]["timestamp"] = "<iso8601-utc>".into();
        messages.push(message);
    }
    let came = array(&outcome["messages"]);
    if came.len() != messages.len() {
        return Err(format!("expected {} messages, got {}", messages.len(), came.len()));
    }
    for (expected, came) in messages.iter().zip(came) {
        compare(expected, came)?;
    }
    equal("binary messages", &json!(0), &outcome["binary"])?;
    let pongs: Vec<_> =
        pongs.iter().map(|sent| sent["pong_frame"]["payload_text"].clone()).collect();
    equal("pongs", &pongs.into(), &outcome["pongs"])?;
    close(&expected["close"], outcome)?;
    match (expected["state_after"].as_str().unwrap(), outcome["after"]["meta"]["msg_type"].as_str())
    {
        ("closed", None) if !expected["close"].is_null() => Ok(()),
        ("unauthenticated", Some("zwsx.rspa")) => Ok(()),
        ("authenticated", Some("zwsx.rspok" | "zwsx.rsperr")) => equal(
            "the answer to the probe",
            &"probe".into(),
            &outcome["after"]["meta"]["in_reply_to"],
        ),
        (state, after) => Err(format!("should be {state}, but the probe is answered {after:?}")),
    }
}

fn close(expected: &Value, outcome: &Value) -> Result<(), String> {
    let came = &outcome["close"];
    let Some(frame) = expected.get("frame_recommended") else {
        return equal("close", &Value::Null, came);
    };
    let compared = expected["compare"].as_str().unwrap_or_default();
    let may_be_1000 = compared == "an empty close may be echoed empty or as 1000";
    if came.is_null() || !(may_be_1000 && came["code"] == 1000) {
        equal("close code", &frame["code"], came.get("code").unwrap_or(&"no close".into()))?;
    }
    if !compared.starts_with("code only") && !frame["reason"].is_null() {
        equal("close reason", &frame["reason"], &came["reason"])?;
    }
    equal("the end of the connection", &true.into(), &outcome["ended"])
}

/// Every other key of `expected`; an unknown one is an error, lest nobody look at it.
fn further(key: &str, value: &Value, vector: &Value, outcome: &Value) -> Result<(), String> {
    let (connection, asked) = (&outcome["connection"], &outcome["asked"]);
    match key {
        "send" | "state_after" | "close" => Ok(()),
        // What the original does; what a client may do; what is said in words.
        "zato" | "client_reply_optional" | "client_auto_pong" | "note" => Ok(()),
        // The form in which the original hands the answer on; ours is value_unwrapped.
        "value_raw" => Ok(()),
        "attrs" => equal("attrs", value, &connection["client_attrs"]),
        "connection" => value.as_object().unwrap().iter().try_for_each(|(key, value)| {
            equal(&format!("connection record, {key}"), value, &connection[key])
        }),
        "reply_frame" => equal("reply frame", &"text".into(), value),
        "payload_max_bytes" => {
            let ping = &array(&outcome["pings"])[0];
            let length = ping.as_str().unwrap().len();
            let fits = u64::try_from(length).unwrap() <= value.as_u64().unwrap();
            if fits { is_ping(vector, ping) } else { Err(format!("a ping has {length} bytes")) }
        }
        "pings_missed" => equal("pings missed", value, &connection["pings_missed"]),
        // That the probe was accepted after the token would have been over says it for pongs; that a message
        // extends it, too, hides it for a renewed session.
        "ttl_extended_by" => Ok(()),
        "new_token" => {
            let new = &array(&outcome["messages"])[0]["data"]["token"];
            if *new == outcome["token"] {
                Err("the token is the old one".to_owned())
            } else {
                Ok(())
            }
        }
        "old_token_valid" => {
            let old = &outcome["old_token"];
            equal(
                "status of a call with the old token",
                &json!(403),
                &old["messages"][0]["meta"]["status"],
            )?;
            equal("close after a call with the old token", &json!(1008), &old["close"]["code"])
        }
        "resolves_server_request" => equal("status of who asked", &json!(200), &asked["status"]),
        "value_unwrapped" => equal("what the asker got", value, &asked["body"]["response"]),
        // The text wants an error that says so where the original has a null.
        "server_request_result" => {
            equal("status of who asked", &json!(504), &asked["status"])?;
            equal("what the asker got", &"no reply within 0.3 s".into(), &asked["body"]["detail"])
        }
        other => Err(format!("nobody knows what `{other}` means in `expected`")),
    }
}

/// A ping is a request without data, and without spaces.
fn is_ping(vector: &Value, ping: &Value) -> Result<(), String> {
    let text = ping.as_str().unwrap();
    if text.contains([' ', '\n']) {
        return Err(format!("a ping has spaces: {text}"));
    }
    let parse = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
    let mut expected = parse(vector["message"]["payload_text"].as_str().unwrap())?;
    expected["meta"]["id"] = "<hex24>".into();
    expected["meta"]["timestamp"] = "<iso8601-utc>".into();
    compare(&expected, &parse(text)?)
}

fn equal(what: &str, expected: &Value, actual: &Value) -> Result<(), String> {
    if expected == actual {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected}, got {actual}"))
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The comparison itself: each of these outcomes differs in one thing from what is expected.
#[test]
fn an_outcome_that_differs_is_told() {
    let reply = json!({"meta": {
        "id": "0a1b2c3d4e5f60718293a4b5", "timestamp": "2024-03-04T10:20:30.125001", "msg_type": "zwsx.rspok",
        "status": 200, "in_reply_to": "m1",
    }, "data": {}});
    let mut expected = reply.clone();
    expected["meta"]["id"] = "<hex24>".into();
    expected["meta"]["timestamp"] = "<iso8601-utc>".into();
    let mut after = reply.clone();
    after["meta"]["in_reply_to"] = "probe".into();
    let vector = json!({"name": "v", "direction": "client-to-server", "message": {}, "expected": {
        "send": [expected, {"pong_frame": {"payload_text": "p"}}], "state_after": "authenticated", "close": null,
        "attrs": {"region": "eu"}, "pings_missed": 0,
    }});
    let outcome = json!({
        "messages": [reply], "binary": 0, "pongs": ["p"], "pings": [], "close": null, "after": after, "ended": false,
        "connection": {"client_attrs": {"region": "eu"}, "pings_missed": 0}, "asked": null, "token": "t",
        "old_token": null,
    });
    assert_eq!(check(&vector, &outcome), Ok(()));
    for (place, value) in [
        ("/messages/0/meta/status", json!(201)),
        ("/messages/0/meta/timestamp", json!("2024-03-04T10:20:30Z")),
        ("/messages/0/data", json!({"more": 1})),
        ("/messages", json!([])),
        ("/messages", json!([reply, reply])),
        ("/binary", json!(1)),
        ("/pongs", json!([])),
        ("/pongs/0", json!("q")),
        ("/close", json!({"code": 1000, "reason": ""})),
        ("/after", Value::Null),
        ("/after/meta/in_reply_to", json!("m1")),
        ("/connection", Value::Null),
        ("/connection/pings_missed", json!(1)),
    ] {
        let mut differs = outcome.clone();
        *differs.pointer_mut(place).unwrap() = value;
        assert!(check(&vector, &differs).is_err(), "{place}");
    }
    let mut closing = vector.clone();
    closing["expected"]["state_after"] = "closed".into();
    closing["expected"]["close"] = json!({"frame_recommended": {"code": 1008, "reason": ""}});
    let mut closed = outcome;
    closed["after"] = Value::Null;
    closed["ended"] = true.into();
    closed["close"] = json!({"code": 1008, "reason": ""});
    assert_eq!(check(&closing, &closed), Ok(()));
    for (place, value) in [
        ("/close", Value::Null),
        ("/close/code", json!(1000)),
        ("/close/reason", json!("r")),
        ("/ended", json!(false)),
    ] {
        let mut differs = closed.clone();
        *differs.pointer_mut(place).unwrap() = value;
        assert!(check(&closing, &differs).is_err(), "{place}");
    }
}
