//! What both directions share: finding `meta` and `data`, and reading the fields of `meta`.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::DecodeError;
use super::reserved::has_reserved_key;
use crate::codec::Codec;
use crate::limits::MAX_DEPTH;
use crate::msgpack::{Cursor, Malformed};
use crate::payload::Payload;

/// The fields of `meta`, whichever direction; a field that a direction does not have stays empty.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) action: Text<'a>,
    pub(super) token: Text<'a>,
    pub(super) client_id: Text<'a>,
    pub(super) client_name: Text<'a>,
    pub(super) username: Text<'a>,
    pub(super) secret: Text<'a>,
    pub(super) totp_code: Text<'a>,
    pub(super) attrs: Text<'a>,
    pub(super) timestamp: Text<'a>,
    pub(super) msg_type: Text<'a>,
    pub(super) status: Text<'a>,
    pub(super) error_message: Text<'a>,
    pub(super) deadline_ms: Text<'a>,
    pub(super) traceparent: Text<'a>,
    pub(super) hops: Text<'a>,
}

impl<'a> Fields<'a> {
    fn slot(&mut self, key: &str) -> Option<&mut Text<'a>> {
        Some(match key {
            "action" => &mut self.action,
            "token" => &mut self.token,
            "client_id" => &mut self.client_id,
            "client_name" => &mut self.client_name,
            "username" => &mut self.username,
            "secret" => &mut self.secret,
            "totp_code" => &mut self.totp_code,
            "attrs" => &mut self.attrs,
            "timestamp" => &mut self.timestamp,
            "msg_type" => &mut self.msg_type,
            "status" => &mut self.status,
            "error_message" => &mut self.error_message,
            "deadline_ms" => &mut self.deadline_ms,
            "traceparent" => &mut self.traceparent,
            "hops" => &mut self.hops,
            _ => return None,
        })
    }
}

/// A message cut into its parts.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    /// Whether there was a `meta` at all; without one a message carries no token.
    pub(super) has_meta: bool,
    pub(super) id: Option<&'a [u8]>,
    pub(super) in_reply_to: Option<&'a [u8]>,
    pub(super) ctx: Option<&'a [u8]>,
    pub(super) fields: Fields<'a>,
    pub(super) data: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    pub(super) fn read(codec: Codec, bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if has_reserved_key(codec, bytes) {
            return Err(DecodeError::Malformed("a reserved key".to_owned()));
        }
        match codec {
            Codec::Json => Self::read_json(bytes),
            Codec::MsgPack => Self::read_msgpack(bytes),
        }
    }

    fn read_json(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if !json_depth_is_fine(bytes) {
            return Err(DecodeError::TooDeep);
        }
        if matches!(bytes.trim_ascii_start().first(), Some(b'[' | b'"' | b'0'..=b'9' | b'-')) {
            return Err(DecodeError::NotAnEnvelope);
        }
        // Checked once as a whole, which is quicker than text by text.
        let text = std::str::from_utf8(bytes)
            .map_err(|_| DecodeError::Malformed("not UTF-8".to_owned()))?;
        serde_json::from_str(text).map_err(|e| DecodeError::Malformed(describe(&e)))
    }

    fn read_msgpack(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        let mut parts = Self::default();
        for _ in 0..cursor.map()? {
            match cursor.text()? {
                "meta" => parts.read_msgpack_meta(cursor.value()?)?,
                "data" => parts.data = Some(cursor.value()?).filter(|data| *data != [0xc0]),
                _ => drop(cursor.value()?),
            }
        }
        if cursor.is_at_end() { Ok(parts) } else { Err(Malformed::Broken.into()) }
    }

    fn read_msgpack_meta(&mut self, meta: &'a [u8]) -> Result<(), DecodeError> {
        if meta == [0xc0] {
            return Ok(());
        }
        // The last of several counts, as a whole.
        *self = Self { has_meta: true, data: self.data, ..Self::default() };
        let mut cursor = Cursor::new(meta);
        for _ in 0..cursor.map()? {
            let key = cursor.text()?;
            let value = cursor.value()?;
            match key {
                "id" => self.id = Some(value).filter(|id| *id != [0xc0]),
                "in_reply_to" => self.in_reply_to = Some(value).filter(|id| *id != [0xc0]),
                "ctx" => self.ctx = Some(value).filter(|ctx| *ctx != [0xc0]),
                _ => {
                    if let Some(slot) = self.fields.slot(key) {
                        *slot = rmp_serde::from_slice(value).unwrap_or_default();
                    }
                }
            }
        }
        Ok(())
    }

    /// `data` as a payload that shares the message's bytes; `{}` when there was none.
    pub(super) fn payload(&self, codec: Codec, message: &Bytes) -> Payload {
        self.data.map_or_else(
            || Payload::empty(codec),
            |data| Payload::from_span(codec, message.slice_ref(data)),
        )
    }
}

impl From<Malformed> for DecodeError {
    fn from(error: Malformed) -> Self {
        match error {
            Malformed::Broken => Self::Malformed("not MessagePack".to_owned()),
            Malformed::TooDeep => Self::TooDeep,
            Malformed::Type => Self::NotAnEnvelope,
        }
    }
}

/// Says where, and not what: the text around an error may be a secret.
fn describe(error: &serde_json::Error) -> String {
    format!("not JSON at line {} column {}", error.line(), error.column())
}

/// Whether JSON nests within [`MAX_DEPTH`]; brackets inside of strings do not count. Says nothing about correctness.
pub(crate) fn json_depth_is_fine(bytes: &[u8]) -> bool {
    // Few brackets in all cannot nest too deep; counting them is much quicker than following strings.
    // Both opening brackets become `{` with the bit 0x20 set, and 255 of them fit into a byte: that is what a compiler
    // turns into vector instructions.
    let opening = |chunk: &[u8]| chunk.iter().map(|b| u8::from(b | 0x20 == b'{')).sum::<u8>();
    if bytes.chunks(255).map(|chunk| usize::from(opening(chunk))).sum::<usize>() <= MAX_DEPTH {
        return true;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// Writes a text in a codec.
pub(super) fn write_text(codec: Codec, out: &mut Vec<u8>, text: &str) {
    // Neither can fail: the sink is memory, and every text has a form in both codecs.
    match codec {
        Codec::Json => drop(serde_json::to_writer(out, text)),
        Codec::MsgPack => drop(rmp::encode::write_str(out, text)),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Parts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Envelope;
        impl<'de> Visitor<'de> for Envelope {
            type Value = Parts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the keys meta and data")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut parts = Parts::default();
                while let Some(key) = map.next_key::<Text<'_>>()? {
                    match key.as_str() {
                        "meta" => {
                            let meta: Option<Meta<'de>> = map.next_value()?;
                            if let Some(meta) = meta {
                                parts.has_meta = true;
                                parts.id = meta.id;
                                parts.in_reply_to = meta.in_reply_to;
                                parts.ctx = meta.ctx;
                                parts.fields = meta.fields;
                            }
                        }
                        "data" => parts.data = json_span(map.next_value()?),
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(parts)
            }
        }
        deserializer.deserialize_map(Envelope)
    }
}

#[derive(Default)]
struct Meta<'a> {
    id: Option<&'a [u8]>,
    in_reply_to: Option<&'a [u8]>,
    ctx: Option<&'a [u8]>,
    fields: Fields<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Meta<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Meta<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut meta = Meta::default();
                while let Some(key) = map.next_key::<Text<'_>>()? {
                    match key.as_str() {
                        "id" => meta.id = json_span(map.next_value()?),
                        "in_reply_to" => meta.in_reply_to = json_span(map.next_value()?),
                        "ctx" => meta.ctx = json_span(map.next_value()?),
                        key => match meta.fields.slot(key) {
                            Some(slot) => *slot = map.next_value()?,
                            None => drop(map.next_value::<IgnoredAny>()?),
                        },
                    }
                }
                Ok(meta)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The bytes of the value under one key of an object, wherever in the object it stands.
pub(crate) fn entry_span<'a>(codec: Codec, object: &'a [u8], key: &str) -> Option<&'a [u8]> {
    match codec {
        Codec::Json => {
            let mut deserializer = serde_json::Deserializer::from_slice(object);
            deserializer.deserialize_map(Entry(key)).ok().flatten()
        }
        Codec::MsgPack => {
            let mut cursor = Cursor::new(object);
            let mut found = None;
            for _ in 0..cursor.map().ok()? {
                let name = cursor.value().ok()?;
                let value = cursor.value().ok()?;
                if Cursor::new(name).text() == Ok(key) {
                    found = Some(value);
                }
            }
            found
        }
    }
}

struct Entry<'k>(&'k str);

impl<'de> Visitor<'de> for Entry<'_> {
    type Value = Option<&'de [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Text<'_>>()? {
            if name.as_str() == self.0 {
                found = Some(map.next_value::<&RawValue>()?.get().as_bytes());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

fn json_span(raw: Option<&RawValue>) -> Option<&[u8]> {
    raw.map(|raw| raw.get().as_bytes())
}

/// A field that should be text and is taken as text whatever it is: numbers and booleans by their digits, objects as
/// `k: v; k2: v2` sorted by key (wsx-protocol 2.1, `client_name`); null and lists count as absent.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(Option<Cow<'a, str>>);

impl<'a> Text<'a> {
    pub(super) fn into_inner(self) -> Option<Cow<'a, str>> {
        self.0
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(if flag { "true" } else { "false" })))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries: Vec<(Text<'de>, Text<'de>)> = Vec::new();
        while let Some(entry) = map.next_entry()? {
            if entries.len() == MAX_NAME_PARTS {
                return Err(A::Error::custom(
                    "an object with too many keys where a text is expected",
                ));
            }
            entries.push(entry);
        }
        entries.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        let parts: Vec<String> = entries
            .iter()
            .map(|(key, value)| format!("{}: {}", key.as_str(), value.as_str()))
            .collect();
        Ok(Some(Cow::Owned(parts.join("; "))))
    }
}

/// A client name given as an object may have this many keys.
const MAX_NAME_PARTS: usize = 64;
