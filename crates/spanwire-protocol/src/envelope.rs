//! The envelope `{"meta": …, "data": …}` in both directions (wsx-protocol section 2).
//!
//! Reading is tolerant in what real clients need and strict in what protects the server: unknown keys are ignored, the
//! last of several equal keys counts, numbers are taken for text, but nesting is limited and a message without an id
//! is refused. Writing is exact.

mod client;
mod object;
mod read;
mod reserved;
mod server;

use bytes::Bytes;
use thiserror::Error;

pub use client::{Action, ClientMessage};
pub(crate) use object::ObjectWriter;
pub(crate) use read::{entry_span, json_depth_is_fine};
pub(crate) use reserved::has_reserved_key;
pub use server::{MsgType, ServerMessage};

use crate::codec::Codec;

/// The id a peer gave to its message, kept as encoded so that `in_reply_to` is identical to it byte by byte.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageId {
    codec: Codec,
    bytes: Bytes,
}

impl MessageId {
    /// An id that is a text.
    #[must_use]
    pub fn from_text(codec: Codec, text: &str) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 2);
        read::write_text(codec, &mut bytes, text);
        Self { codec, bytes: bytes.into() }
    }

    pub(crate) fn from_span(codec: Codec, bytes: Bytes) -> Self {
        Self { codec, bytes }
    }

    /// Whether the id is this text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.to_text().is_some_and(|own| own == text)
    }

    /// The id, when it is a text.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        crate::Payload::from_span(self.codec, self.bytes.clone()).parse().ok()
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty() || *self.bytes == *b"\"\"" || *self.bytes == [0xa0]
    }

    /// Another codec than the message's cannot happen within one connection; the id is then left out.
    fn encoded(&self, codec: Codec) -> Option<&[u8]> {
        (self.codec == codec && !self.is_empty()).then_some(&*self.bytes)
    }
}

impl std::fmt::Debug for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to_text() {
            Some(text) => write!(f, "{text:?}"),
            None => write!(f, "{:?}", self.bytes),
        }
    }
}

/// Why a message could not be read. The connection stays open: the framing was right (wsx-protocol 2.6).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not JSON, or not MessagePack.
    #[error("the message is not well-formed: {0}")]
    Malformed(String),
    /// Well-formed, but not an object with an object `meta`.
    #[error("the message is not an object with the keys meta and data")]
    NotAnEnvelope,
    /// Nested deeper than [`MAX_DEPTH`](crate::limits::MAX_DEPTH).
    #[error("the message nests deeper than {} levels", crate::limits::MAX_DEPTH)]
    TooDeep,
}

#[cfg(test)]
mod tests;
