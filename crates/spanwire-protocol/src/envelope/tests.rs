use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{CorrelationId, Payload, Status, Timestamp};

fn decode(text: &str) -> Result<(Action, Option<String>, Value), DecodeError> {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    let message = ClientMessage::decode(Codec::Json, &bytes)?;
    let data = message.data.parse().unwrap();
    Ok((message.action, message.id.and_then(|id| id.to_text()), data))
}

#[test]
fn data_is_passed_through_unparsed() {
    let text =
        r#"{"meta":{"action":"invoke-service","id":"m"},"data": {"n": 1.00, "s":"\u00e9"} }"#;
    let bytes = Bytes::from_static(text.as_bytes());
    let message = ClientMessage::decode(Codec::Json, &bytes).unwrap();
    assert_eq!(**message.data.bytes(), *br#"{"n": 1.00, "s":"\u00e9"}"#);
}

#[test]
fn absent_and_null_data_read_as_an_empty_object() {
    assert_eq!(decode(r#"{"meta":{"id":"m"}}"#).unwrap().2, json!({}));
    assert_eq!(decode(r#"{"meta":{"id":"m"},"data":null}"#).unwrap().2, json!({}));
}

#[test]
fn the_action_decides_by_wsx_protocol_2_1() {
    for (action, expected) in [
        (r#""create-session""#, Action::CreateSession),
        (r#""client-response""#, Action::ClientResponse),
        ("null", Action::ClientResponse),
        (r#""foo""#, Action::Invoke),
        ("1", Action::Invoke),
    ] {
        let text = format!(r#"{{"meta":{{"id":"m","action":{action}}}}}"#);
        assert_eq!(decode(&text).unwrap().0, expected, "{action}");
    }
    assert_eq!(decode(r#"{"meta":{"id":"m"}}"#).unwrap().0, Action::ClientResponse);
}

#[test]
fn a_message_without_meta_reads_as_one_without_a_token() {
    let bytes = Bytes::from_static(br#"{"data":{}}"#);
    let message = ClientMessage::decode(Codec::Json, &bytes).unwrap();
    assert!(message.token.is_none() && message.id.is_none());
}

#[test]
fn what_is_no_envelope_is_refused() {
    for text in [
        "",
        "hello",
        "[1,2]",
        "\"abc\"",
        "1",
        "null",
        "{",
        "{} x",
        r#"{"meta":[]}"#,
        r#"{"meta":"x"}"#,
    ] {
        assert!(decode(text).is_err(), "{text}");
    }
}

#[test]
fn the_last_of_equal_keys_counts() {
    let (action, id, data) =
        decode(r#"{"data":1,"meta":{"id":"a","id":"b","action":"x"},"data":2,"other":{"id":1}}"#)
            .unwrap();
    assert_eq!((action, id.as_deref(), data), (Action::Invoke, Some("b"), json!(2)));
}

#[test]
fn oddities_of_clients_are_tolerated() {
    let bytes = Bytes::from_static(
        br#"{"meta":{"id":12345,"client_name":{"b":"2","a":1},"client_id":7,"attrs":{"a":1},"token":"","secret":[1]}}"#,
    );
    let message = ClientMessage::decode(Codec::Json, &bytes).unwrap();
    assert_eq!(message.client_name.as_deref(), Some("a: 1; b: 2"));
    assert_eq!(message.client_id.as_deref(), Some("7"));
    assert_eq!(message.attributes().count(), 0);
    assert_eq!((message.token.as_deref(), message.secret.as_deref()), (Some(""), None));
    let cid = CorrelationId::from_random([0; 12]);
    let reply = ServerMessage::response(
        &cid,
        Timestamp::from_microseconds(0),
        message.id,
        Payload::null(Codec::Json),
    );
    let reply = reply.encode(Codec::Json);
    assert!(reply.windows(20).any(|w| w == b"\"in_reply_to\":12345}"), "{reply:?}");
}

#[test]
fn attributes_follow_wsx_protocol_2_1() {
    let mut message = ClientMessage::invoke("m", Payload::empty(Codec::Json));
    message.attrs = Some("region=eu; is_primary=true\n# no=1\nbroken\n=x".into());
    assert_eq!(
        message.attributes().collect::<Vec<_>>(),
        [("region", "eu"), ("is_primary", "true")]
    );
}

#[test]
fn server_messages_are_written_exactly() {
    let cid = CorrelationId::from_random([0xab; 12]);
    let now = Timestamp::parse("2024-03-04T10:20:30.125001").unwrap();
    let id = Some(MessageId::from_text(Codec::Json, "m\"1"));
    let head = r#"{"meta":{"id":"abababababababababababab","timestamp":"2024-03-04T10:20:30.125001","msg_type":"#;
    let check = |message: ServerMessage<'_>, tail: &str| {
        let written = String::from_utf8(message.encode(Codec::Json).to_vec()).unwrap();
        assert_eq!(written, format!("{head}{tail}"));
    };
    check(
        ServerMessage::response(&cid, now, id.clone(), Payload::null(Codec::Json)),
        r#""zwsx.rspok","status":200,"in_reply_to":"m\"1"},"data":{}}"#,
    );
    check(
        ServerMessage::response_error(
            Codec::Json,
            &cid,
            now,
            id,
            Status::NOT_FOUND,
            "No such \"x\"",
        ),
        r#""zwsx.rsperr","status":404,"in_reply_to":"m\"1","error_message":"No such \"x\""},"data":{"cid":"abababababababababababab"}}"#,
    );
    check(
        ServerMessage::forbidden(Codec::Json, &cid, now),
        r#""zwsx.merr","status":403},"data":"You are not authorized to access this resource"}"#,
    );
    check(
        ServerMessage::bad_request(Codec::Json, &cid, now),
        r#""zwsx.merr","status":400,"error_message":"Bad request"},"data":{"cid":"abababababababababababab"}}"#,
    );
    check(
        ServerMessage::request(&cid, now, Payload::from_json(r#"{"cmd":"uptime"}"#).unwrap()),
        r#""zwsx.rqc"},"data":{"cmd":"uptime"}}"#,
    );
    let ping = ServerMessage::request(&cid, now, Payload::empty(Codec::Json)).encode_ping();
    assert_eq!(ping, format!("{head}\"zwsx.rqc\"}}}}"));
    assert!(ping.len() <= crate::limits::MAX_CONTROL_PAYLOAD);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn any_codec() -> impl Strategy<Value = Codec> {
    prop_oneof![Just(Codec::Json), Just(Codec::MsgPack)]
}

proptest! {
    #[test]
    fn client_messages_survive(codec in any_codec(), id in ".+", name in ".*", token in ".*", data in any_json()) {
        let payload = Payload::from_serialize(codec, &data).unwrap();
        let written = ClientMessage::invoke(&id, payload)
            .with_token(&*token).with_client("c", &*name).encode(codec);
        let read = ClientMessage::decode(codec, &written).unwrap();
        prop_assert_eq!(read.id.unwrap().to_text(), Some(id));
        prop_assert_eq!(read.client_name.as_deref(), Some(&*name));
        prop_assert_eq!(read.token.as_deref(), Some(&*token));
        let expected = if data.is_null() { json!({}) } else { data };
        prop_assert_eq!(read.data.parse::<Value>().unwrap(), expected);
    }

    #[test]
    fn server_messages_survive(codec in any_codec(), text in ".*", status in 100_u16..600, data in any_json()) {
        let cid = CorrelationId::from_random([1; 12]);
        let now = Timestamp::from_microseconds(1_709_547_630_125_001);
        let reply_to = Some(MessageId::from_text(codec, "x y"));
        let written = ServerMessage::response_error(codec, &cid, now, reply_to.clone(), Status(status), &*text).encode(codec);
        let read = ServerMessage::decode(codec, &written).unwrap();
        prop_assert_eq!((read.status, read.in_reply_to), (Some(Status(status)), reply_to.clone()));
        prop_assert_eq!(read.error_message.as_deref(), Some(&*text));
        prop_assert_eq!(read.timestamp, Some(now));
        let written = ServerMessage::response(&cid, now, reply_to, Payload::from_serialize(codec, &data).unwrap()).encode(codec);
        let read = ServerMessage::decode(codec, &written).unwrap();
        prop_assert!(read.is_ok());
        let expected = if data.is_null() { json!({}) } else { data };
        prop_assert_eq!(read.data.parse::<Value>().unwrap(), expected);
    }

    #[test]
    fn arbitrary_bytes_never_panic(codec in any_codec(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        if let Ok(message) = ClientMessage::decode(codec, &bytes) {
            let _ = message.data.parse::<Value>();
            let _ = message.encode(codec);
        }
        let _ = ServerMessage::decode(codec, &bytes);
    }

    #[test]
    fn damaged_messages_never_panic(codec in any_codec(), data in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let written = ClientMessage::invoke("m", Payload::from_serialize(codec, &data).unwrap()).encode(codec);
        let mut damaged = written.to_vec();
        let at = at.index(damaged.len());
        damaged[at] = byte;
        let damaged = Bytes::from(damaged);
        if let Ok(message) = ClientMessage::decode(codec, &damaged) {
            let _ = message.data.into_codec(Codec::Json);
        }
    }
}
