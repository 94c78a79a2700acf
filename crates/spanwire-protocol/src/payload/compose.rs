//! Putting values together that are encoded already, by their bytes.

use super::{Payload, PayloadError};
use crate::codec::Codec;
use crate::msgpack::Cursor;

impl Payload {
    /// One object with the entries of several, none of which is looked at.
    ///
    /// The parts are objects that the caller itself encoded in this codec, without a key that two of them have. What
    /// many receivers are told alike is encoded once and joined with what only one is told.
    ///
    /// ```
    /// use spanwire_protocol::{Codec, Payload};
    /// let joined = Payload::from_objects(Codec::Json, &[br#"{"a":1}"#, b"{}", br#"{"b":2}"#])?;
    /// assert_eq!(&**joined.bytes(), br#"{"a":1,"b":2}"#);
    /// # Ok::<(), spanwire_protocol::PayloadError>(())
    /// ```
    ///
    /// # Errors
    /// When a part is no object.
    pub fn from_objects(codec: Codec, parts: &[&[u8]]) -> Result<Self, PayloadError> {
        let no_object = || PayloadError::Write("a part is no object".to_owned());
        let mut out = Vec::with_capacity(8 + parts.iter().map(|part| part.len()).sum::<usize>());
        match codec {
            Codec::Json => {
                out.push(b'{');
                for part in parts {
                    let inner = part.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}"));
                    let inner = inner.ok_or_else(no_object)?;
                    if out.len() > 1 && !inner.is_empty() {
                        out.push(b',');
                    }
                    out.extend_from_slice(inner);
                }
                out.push(b'}');
            }
            Codec::MsgPack => {
                let mut entries = 0;
                let mut bodies = Vec::with_capacity(parts.len());
                for part in parts {
                    let mut cursor = Cursor::new(part);
                    entries += cursor.map().map_err(|_| no_object())?;
                    bodies.push(cursor.rest());
                }
                // Writing into memory cannot fail.
                drop(rmp::encode::write_map_len(&mut out, length(entries)?));
                bodies.into_iter().for_each(|body| out.extend_from_slice(body));
            }
        }
        Ok(Self { codec, bytes: out.into() })
    }

    /// An array of values that are encoded already, in any codec.
    ///
    /// # Errors
    /// When a value has no form in this codec.
    pub fn from_items(codec: Codec, items: Vec<Self>) -> Result<Self, PayloadError> {
        let mut out = Vec::with_capacity(8 + items.iter().map(|it| it.len() + 1).sum::<usize>());
        match codec {
            Codec::Json => out.push(b'['),
            // Writing into memory cannot fail.
            Codec::MsgPack => {
                drop(rmp::encode::write_array_len(&mut out, length(items.len())?));
            }
        }
        for (index, item) in items.into_iter().enumerate() {
            if codec == Codec::Json && index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&item.into_codec(codec)?.bytes);
        }
        if codec == Codec::Json {
            out.push(b']');
        }
        Ok(Self { codec, bytes: out.into() })
    }
}

fn length(count: usize) -> Result<u32, PayloadError> {
    u32::try_from(count).map_err(|_| PayloadError::Write("it has too many entries".to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    #[test]
    fn objects_of_any_size_are_joined_in_both_codecs() {
        for codec in [Codec::Json, Codec::MsgPack] {
            for (first, second) in [(0, 0), (0, 1), (1, 0), (7, 8), (8, 8), (15, 1), (20, 70_000)] {
                let object = |name: &str, count: usize| -> Value {
                    let entries = (0..count).map(|it| (format!("{name}{it}"), json!([it, "}"])));
                    entries.collect::<Map<_, _>>().into()
                };
                let (a, b) = (object("a", first), object("b", second));
                let encoded = |value| Payload::from_serialize(codec, value).unwrap();
                let parts = [encoded(&a), encoded(&b)];
                let joined =
                    Payload::from_objects(codec, &[parts[0].bytes(), parts[1].bytes()]).unwrap();
                let mut expected = a.as_object().unwrap().clone();
                expected.extend(b.as_object().unwrap().clone());
                assert_eq!(joined.parse::<Value>().unwrap(), Value::Object(expected));
            }
            let array = Payload::from_serialize(codec, &[1]).unwrap();
            assert!(Payload::from_objects(codec, &[array.bytes()]).is_err());
        }
    }

    #[test]
    fn arrays_take_values_of_either_codec() {
        for codec in [Codec::Json, Codec::MsgPack] {
            for count in [0, 1, 2, 16] {
                let of =
                    |it: usize| if it.is_multiple_of(2) { Codec::Json } else { Codec::MsgPack };
                let item = |it| Payload::from_serialize(of(it), &json!({"n": it})).unwrap();
                let items = (0..count).map(item).collect();
                let array = Payload::from_items(codec, items).unwrap();
                let expected: Vec<Value> = (0..count).map(|it| json!({"n": it})).collect();
                assert_eq!(array.parse::<Vec<Value>>().unwrap(), expected);
            }
        }
    }
}
