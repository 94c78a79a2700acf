//! Refusing the one key that means something to the JSON library itself.
//!
//! With its raw values, serde_json takes an object `{"$serde_json::private::RawValue": "<JSON>"}` for the JSON in that
//! text, wherever a value of any type is read. Nested in itself it would carry values of any depth past
//! [`MAX_DEPTH`](crate::limits::MAX_DEPTH), which is checked on the text of a message. Nobody has a use for that key.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::codec::Codec;

const RESERVED: &str = "$serde_json::private::RawValue";

/// Whether a message holds the reserved key, however it is written.
pub(crate) fn has_reserved_key(codec: Codec, bytes: &[u8]) -> bool {
    match codec {
        Codec::MsgPack => contains(bytes, RESERVED.as_bytes()),
        Codec::Json => {
            // Nearly every message has neither a dollar nor an escaped printable ASCII character.
            if !bytes.iter().any(|byte| matches!(byte, b'$' | b'\\')) {
                return false;
            }
            contains(bytes, RESERVED.as_bytes()) || (escapes_ascii(bytes) && has_key(bytes))
        }
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// Whether a printable ASCII character is written as `\u00..`, as the reserved key could be.
fn escapes_ascii(bytes: &[u8]) -> bool {
    bytes.windows(5).any(|window| matches!(window, [b'\\', b'u', b'0', b'0', b'2'..=b'7']))
}

/// Looks at every key. What is no JSON is somebody else's business.
fn has_key(bytes: &[u8]) -> bool {
    let mut found = false;
    // An error leaves what was found before it.
    drop(Keys(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(bytes)));
    found
}

struct Keys<'f>(&'f mut bool);

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            *self.0 |= key == RESERVED;
            map.next_value_seed(Keys(&mut *self.0))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Keys(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found_however_it_is_written() {
        let nested = r#"{"a":[{"$serde_json::private::RawValue":"[1]"}]}"#;
        let escaped = r#"{"a":[{"\u0024serde_json::private::Raw\u0056alue":"[1]"}]}"#;
        for text in [nested, escaped] {
            assert!(has_reserved_key(Codec::Json, text.as_bytes()), "{text}");
        }
        let harmless = [
            r#"{"a":"\u0024 \u003c"}"#,
            r#"{"price":"$5"}"#,
            r#"{"k":"\u017c\\"}"#,
            r#"{"\u0024a":1}"#,
        ];
        for text in harmless {
            assert!(!has_reserved_key(Codec::Json, text.as_bytes()), "{text}");
        }
        let packed = rmp_serde::to_vec(&[("$serde_json::private::RawValue", "[1]")]).unwrap();
        assert!(has_reserved_key(Codec::MsgPack, &packed));
    }
}
