//! The `data` of a message: bytes in the codec they arrived in, parsed only by whoever wants to look inside.

mod compose;

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::Codec;

/// A value of any type, encoded. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    codec: Codec,
    bytes: Bytes,
}

impl Payload {
    /// The value `null`.
    #[must_use]
    pub fn null(codec: Codec) -> Self {
        let bytes: &[u8] = match codec {
            Codec::Json => b"null",
            Codec::MsgPack => &[0xc0],
        };
        Self { codec, bytes: Bytes::from_static(bytes) }
    }

    /// The value `{}`, which stands for "nothing to say" on the wire.
    #[must_use]
    pub fn empty(codec: Codec) -> Self {
        let bytes: &[u8] = match codec {
            Codec::Json => b"{}",
            Codec::MsgPack => &[0x80],
        };
        Self { codec, bytes: Bytes::from_static(bytes) }
    }

    /// Encodes a value.
    ///
    /// # Errors
    /// When the value cannot be written, for example a map whose keys are not text.
    pub fn from_serialize<T: Serialize + ?Sized>(
        codec: Codec,
        value: &T,
    ) -> Result<Self, PayloadError> {
        let bytes = match codec {
            Codec::Json => {
                serde_json::to_vec(value).map_err(|e| PayloadError::Write(e.to_string()))?
            }
            Codec::MsgPack => {
                rmp_serde::to_vec_named(value).map_err(|e| PayloadError::Write(e.to_string()))?
            }
        };
        Ok(Self { codec, bytes: bytes.into() })
    }

    /// Takes JSON text that came from elsewhere, after checking that it is one value within the depth limit.
    ///
    /// # Errors
    /// When it is not.
    pub fn from_json(text: impl Into<Bytes>) -> Result<Self, PayloadError> {
        let bytes = text.into();
        if !crate::envelope::json_depth_is_fine(&bytes) {
            return Err(PayloadError::TooDeep);
        }
        if crate::envelope::has_reserved_key(Codec::Json, &bytes) {
            return Err(PayloadError::Read("it has a reserved key".to_owned()));
        }
        let parsed: Result<&serde_json::value::RawValue, _> = serde_json::from_slice(&bytes);
        parsed.map_err(|e| PayloadError::Read(e.to_string()))?;
        Ok(Self { codec: Codec::Json, bytes })
    }

    /// Trusts that `bytes` is exactly one value in this codec: they were cut out of a message that was read.
    pub(crate) fn from_span(codec: Codec, bytes: Bytes) -> Self {
        Self { codec, bytes }
    }

    /// Parses the value.
    ///
    /// # Errors
    /// When it is not of the type asked for.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, PayloadError> {
        match self.codec {
            Codec::Json => {
                serde_json::from_slice(&self.bytes).map_err(|e| PayloadError::Read(e.to_string()))
            }
            Codec::MsgPack => {
                rmp_serde::from_slice(&self.bytes).map_err(|e| PayloadError::Read(e.to_string()))
            }
        }
    }

    /// The same value in another codec; free when it already is in it.
    ///
    /// # Errors
    /// When the other codec has no form for it: JSON has none for binary values and for keys that are not text.
    pub fn into_codec(self, codec: Codec) -> Result<Self, PayloadError> {
        if self.codec == codec {
            return Ok(self);
        }
        let value: serde_json::Value = self.parse()?;
        Self::from_serialize(codec, &value)
    }

    /// What a gateway takes (wsx-protocol 4.4): `{"service": …, "request": …}`, in the codec of the request.
    #[must_use]
    pub fn for_gateway(service: &str, request: &Self) -> Self {
        let codec = request.codec();
        // A text, and what is encoded already, have a form in every codec.
        let name = Self::from_serialize(codec, service).unwrap_or_else(|_| Self::null(codec));
        Self::object(codec, [("service", &name), ("request", request)])
            .unwrap_or_else(|_| Self::empty(codec))
    }

    /// An object of up to fifteen values that are encoded already, in any codec.
    ///
    /// # Errors
    /// When a value has no form in this codec.
    pub fn object<'a>(
        codec: Codec,
        entries: impl IntoIterator<Item = (&'a str, &'a Self)>,
    ) -> Result<Self, PayloadError> {
        let mut object = crate::envelope::ObjectWriter::new(codec);
        for (key, value) in entries {
            object.raw(key, &value.clone().into_codec(codec)?.bytes);
        }
        Ok(Self { codec, bytes: object.finish().into() })
    }

    /// An array of values that are encoded already, in any codec.
    ///
    /// # Errors
    /// When a value has no form in this codec.
    pub fn array<'a>(
        codec: Codec,
        items: impl ExactSizeIterator<Item = &'a Self>,
    ) -> Result<Self, PayloadError> {
        let mut out = Vec::with_capacity(64);
        match codec {
            Codec::Json => out.push(b'['),
            Codec::MsgPack => {
                let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
                // Writing into memory cannot fail.
                drop(rmp::encode::write_array_len(&mut out, count));
            }
        }
        for (number, item) in items.enumerate() {
            if codec == Codec::Json && number > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&item.clone().into_codec(codec)?.bytes);
        }
        if codec == Codec::Json {
            out.push(b']');
        }
        Ok(Self { codec, bytes: out.into() })
    }

    /// Takes what the caller has encoded: exactly one value in this codec. Whatever else it is goes out as it is.
    #[must_use]
    pub fn from_encoded(codec: Codec, bytes: Bytes) -> Self {
        Self { codec, bytes }
    }

    /// The value under one key of an object, sharing the bytes; `None` when this is no object or has no such key.
    ///
    /// A gateway takes its request apart with this, so that the request itself is never parsed.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<Self> {
        let span = crate::envelope::entry_span(self.codec, &self.bytes, key)?;
        Some(Self { codec: self.codec, bytes: self.bytes.slice_ref(span) })
    }

    /// The codec of [`bytes`](Self::bytes).
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The encoded value.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many bytes the encoded value takes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the value is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        match self.codec {
            Codec::Json => self.bytes.trim_ascii() == b"null",
            Codec::MsgPack => *self.bytes == [0xc0],
        }
    }

    /// Whether the value carries nothing: `null` or `{}`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_null() || *self == Self::empty(self.codec)
    }
}

/// Shows the size and never the content: payloads do not belong into logs.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({:?}, {} bytes)", self.codec, self.bytes.len())
    }
}

/// Why a payload could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The value is not of the expected type, or not well-formed.
    #[error("cannot read the value: {0}")]
    Read(String),
    /// The value has no form in the codec.
    #[error("cannot write the value: {0}")]
    Write(String),
    /// The value nests deeper than [`MAX_DEPTH`](crate::limits::MAX_DEPTH).
    #[error("the value nests deeper than {} levels", crate::limits::MAX_DEPTH)]
    TooDeep,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives_both_codecs() {
        let json = Payload::from_json(r#"{"k":"Zażółć 😀","n":[1,-2,3.5,null,true]}"#).unwrap();
        let packed = json.clone().into_codec(Codec::MsgPack).unwrap();
        let back: serde_json::Value = packed.into_codec(Codec::Json).unwrap().parse().unwrap();
        assert_eq!(back, json.parse::<serde_json::Value>().unwrap());
    }

    #[test]
    fn binary_values_have_no_json_form() {
        let binary = Payload::from_span(Codec::MsgPack, Bytes::from_static(&[0xc4, 1, 0xff]));
        assert!(binary.into_codec(Codec::Json).is_err());
    }

    #[test]
    fn deep_json_is_refused_before_parsing() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert!(matches!(Payload::from_json(deep), Err(PayloadError::TooDeep)));
        assert!(Payload::from_json("[".repeat(128) + &"]".repeat(128)).is_ok());
        assert!(Payload::from_json(format!("\"{}\"", "[".repeat(1000))).is_ok());
    }

    #[test]
    fn entries_share_the_bytes() {
        for codec in [Codec::Json, Codec::MsgPack] {
            let value = serde_json::json!({"a": [1], "service": "x", "request": {"k": null}});
            let object = Payload::from_serialize(codec, &value).unwrap();
            let request = object.entry("request").unwrap();
            assert_eq!(request.parse::<serde_json::Value>().unwrap(), value["request"]);
            assert!(object.entry("missing").is_none());
            assert!(object.entry("a").unwrap().entry("x").is_none());
        }
    }

    #[test]
    fn debug_shows_no_content() {
        assert_eq!(
            format!("{:?}", Payload::from_json("\"secret\"").unwrap()),
            "Payload(Json, 8 bytes)"
        );
    }
}
