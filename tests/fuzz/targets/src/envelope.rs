//! What holds for messages in every codec.

use bytes::Bytes;
use serde_json::Value;
use spanwire_protocol::{ClientMessage, Codec, MessageId, Payload, ServerMessage};

pub(crate) fn check(codec: Codec, bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok(message) = ClientMessage::decode(codec, &bytes) {
        check_client(codec, &message);
        check_payload(&message.data);
    }
    if let Ok(message) = ServerMessage::decode(codec, &bytes) {
        check_server(codec, &message);
        check_payload(&message.data);
    }
    if codec == Codec::Json
        && let Ok(payload) = Payload::from_json(bytes)
    {
        check_payload(&payload);
    }
}

fn check_client(codec: Codec, first: &ClientMessage<'_>) {
    let encoded = first.encode(codec);
    let second = ClientMessage::decode(codec, &encoded);
    assert!(second.is_ok(), "unreadable after writing: {second:?}");
    let Ok(second) = second else { return };
    assert_eq!(first.action, second.action);
    assert_ids(codec, first.id.as_ref(), second.id.as_ref());
    assert_ids(codec, first.in_reply_to.as_ref(), second.in_reply_to.as_ref());
    let texts = |message: &ClientMessage<'_>| {
        [
            &message.timestamp,
            &message.token,
            &message.client_id,
            &message.client_name,
            &message.username,
            &message.secret,
            &message.attrs,
            &message.traceparent,
        ]
        .map(|text| text.as_deref().map(str::to_owned))
    };
    assert_eq!(texts(first), texts(&second));
    assert_eq!(first.deadline_ms, second.deadline_ms);
    assert_eq!(first.data, second.data);
    assert_eq!(encoded, second.encode(codec));
    assert!(first.attributes().eq(second.attributes()));
}

fn check_server(codec: Codec, first: &ServerMessage<'_>) {
    let encoded = first.encode(codec);
    let second = ServerMessage::decode(codec, &encoded);
    assert!(second.is_ok(), "unreadable after writing: {second:?}");
    let Ok(second) = second else { return };
    assert_eq!(first.id, second.id);
    assert_eq!(first.timestamp, second.timestamp);
    assert_eq!(first.msg_type, second.msg_type);
    assert_eq!(first.status, second.status);
    assert_ids(codec, first.in_reply_to.as_ref(), second.in_reply_to.as_ref());
    assert_eq!(first.error_message, second.error_message);
    assert_eq!(first.data, second.data);
    assert_eq!(encoded, second.encode(codec));
    // A ping is JSON whatever the codec.
    let ping = first.encode_ping();
    assert!(serde_json::from_slice::<Value>(&ping).is_ok() || codec != Codec::Json);
}

/// An empty id is written as none.
fn assert_ids(codec: Codec, first: Option<&MessageId>, second: Option<&MessageId>) {
    let empty = MessageId::from_text(codec, "");
    assert_eq!(first.filter(|id| **id != empty), second);
}

/// Looks at a payload in every way there is, and checks that the ways agree.
fn check_payload(payload: &Payload) {
    let other = match payload.codec() {
        Codec::Json => Codec::MsgPack,
        Codec::MsgPack => Codec::Json,
    };
    let value = payload.parse::<Value>();
    let converted = payload.clone().into_codec(other);
    // The way from MessagePack to JSON may round a fraction; it must give JSON all the same.
    match (&value, converted) {
        (Ok(value), Ok(converted)) if other == Codec::MsgPack => {
            assert_eq!(converted.parse::<Value>().ok().as_ref(), Some(value));
        }
        (Ok(_), Ok(converted)) => assert!(Payload::from_json(converted.bytes().clone()).is_ok()),
        (value, converted) => assert_eq!(value.is_ok(), converted.is_ok(), "{value:?}"),
    }
    for key in ["", "response", "request", "service"] {
        if let Some(entry) = payload.entry(key) {
            let _ = (entry.is_null(), entry.is_empty(), entry.parse::<Value>());
        }
    }
    if let Ok(Value::Object(object)) = &value {
        for (key, value) in object.iter().take(4) {
            let entry = payload.entry(key);
            assert!(entry.is_some(), "no entry {key:?}");
            assert_eq!(entry.and_then(|entry| entry.parse::<Value>().ok()).as_ref(), Some(value));
        }
    }
}
