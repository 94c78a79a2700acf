//! What a message may carry: a value that reads the same in both codecs.
//!
//! Content is kept and delivered as JSON text, byte for byte, and once in a while as MessagePack. What one of them has no
//! form for is refused when it is published: half of a surrogate pair, a number that no subscriber reads as it was
//! written, a binary value. Nothing is decided about content that was stored before; it is never dropped.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use spanwire_protocol::{Codec, Payload};
use spanwire_pubsub::PubSubError;

/// Whether a value has the same form in both codecs.
///
/// # Errors
/// When it has not; the text says what is wrong with it.
pub fn check(content: &Payload) -> Result<(), PubSubError> {
    let refused = |why: &dyn fmt::Display| {
        PubSubError::Input(format!("the content has no form in JSON and MessagePack alike: {why}"))
    };
    content.parse::<Form>().map_err(|error| refused(&error))?;
    match content.codec() {
        Codec::Json if !whole_numbers_are_kept(content.bytes()) => {
            Err(refused(&"a whole number is out of range"))
        }
        _ => Ok(()),
    }
}

/// The content of a message on its way out.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    /// JSON text as it came in.
    Text(&'a RawValue),
    Value(Value),
    /// JSON text for those who read MessagePack, of a value that this has no form for.
    Unread(std::borrow::Cow<'a, str>),
}

impl<'a> Content<'a> {
    /// The content in a form that can be written in a codec.
    pub(super) fn of(json: &'a [u8], codec: Codec, msg_id: &str) -> Self {
        let read = match codec {
            Codec::Json => serde_json::from_slice(json).map(Content::Text),
            Codec::MsgPack => serde_json::from_slice(json).map(Content::Value),
        };
        read.unwrap_or_else(|error| {
            tracing::error!(msg_id, %error, "a content has no form in MessagePack and is sent as JSON text");
            Content::Unread(String::from_utf8_lossy(json))
        })
    }
}

/// Anything that both codecs have a form for.
struct Form;

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Form;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value that JSON and MessagePack have a form for")
            }

            fn visit_unit<E: Error>(self) -> Result<Form, E> {
                Ok(Form)
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Form, E> {
                Ok(Form)
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Form, E> {
                Ok(Form)
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Form, E> {
                Ok(Form)
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Form, E> {
                match number.is_finite() {
                    true => Ok(Form),
                    false => Err(E::custom("a number is not finite")),
                }
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Form, E> {
                Ok(Form)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Form, A::Error> {
                while items.next_element::<Form>()?.is_some() {}
                Ok(Form)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Form, A::Error> {
                while entries.next_entry::<Key, Form>()?.is_some() {}
                Ok(Form)
            }
        }
        deserializer.deserialize_any(Walk)
    }
}

/// A key, which is text.
struct Key;

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text as a key")
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Key, E> {
                Ok(Key)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Whether every whole number in JSON text is read back with the digits it was written with. Those beyond 64 bits become
/// floating-point ones, which most of them are not.
fn whole_numbers_are_kept(json: &[u8]) -> bool {
    let mut rest = json;
    while let [first, tail @ ..] = rest {
        match first {
            b'"' => rest = behind_text(tail),
            b'-' | b'0'..=b'9' => {
                let is_part =
                    |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                let end = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
                let (number, behind) = rest.split_at(end);
                if !std::str::from_utf8(number).is_ok_and(is_kept) {
                    return false;
                }
                rest = behind;
            }
            _ => rest = tail,
        }
    }
    true
}

/// What comes behind the quote that ends a text.
fn behind_text(mut rest: &[u8]) -> &[u8] {
    loop {
        rest = match rest {
            [b'"', behind @ ..] => return behind,
            [b'\\', _, behind @ ..] | [_, behind @ ..] => behind,
            [] => return rest,
        }
    }
}

fn is_kept(number: &str) -> bool {
    // Those that have at most 18 digits fit.
    number.len() <= 18
        || number.contains(['.', 'e', 'E'])
        || number.parse::<i64>().is_ok()
        || number.parse::<u64>().is_ok()
        || number.parse::<f64>().is_ok_and(|float| float.to_string() == number)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    #[test]
    fn content_that_reads_the_same_in_both_codecs_is_accepted() {
        for text in [
            r#""Zażółć \ud83d\ude00 \" 99999999999999999999999""#,
            r#"{"a\\": [1, -2, 3.25, null, true, {"k": ""}], "b": 18446744073709551615}"#,
            "-9223372036854775808",
            // As JavaScript writes a floating-point number.
            "[123456789012345680000, 1e300, 0.1]",
        ] {
            let content = Payload::from_json(text.to_owned()).unwrap();
            check(&content).unwrap();
            check(&content.into_codec(Codec::MsgPack).unwrap()).unwrap();
        }
    }

    #[test]
    fn content_that_one_codec_has_no_form_for_is_refused() {
        for text in [
            r#""abc\ud83d""#,
            r#"{"\ud83d": 1}"#,
            "1e400",
            "[-1e400]",
            "18446744073709551616",
            r#"["\\", "\"", {"a": -9223372036854775809}]"#,
        ] {
            let error = check(&Payload::from_json(text.to_owned()).unwrap()).unwrap_err();
            assert_eq!(error.status().0, 400, "{text}");
        }
        for value in [f64::NAN, f64::INFINITY] {
            check(&Payload::from_serialize(Codec::MsgPack, &[value]).unwrap()).unwrap_err();
        }
        let number_as_key =
            Payload::from_serialize(Codec::MsgPack, &std::collections::BTreeMap::from([(1, 2)]));
        check(&number_as_key.unwrap()).unwrap_err();
        let binary = Payload::from_encoded(Codec::MsgPack, Bytes::from_static(&[0xc4, 1, 0xff]));
        check(&binary).unwrap_err();
    }

    #[test]
    fn what_was_stored_before_is_never_dropped() {
        let of = |codec| {
            let content = Content::of(br#""abc\ud83d""#, codec, "zpsm1");
            Payload::from_serialize(codec, &content).unwrap()
        };
        assert_eq!(&**of(Codec::Json).bytes(), br#""abc\ud83d""#);
        assert_eq!(of(Codec::MsgPack).parse::<Value>().unwrap(), json!(r#""abc\ud83d""#));
    }
}
