//! Writing an object entry by entry, from values that are encoded already.

use super::read::write_text;
use crate::codec::Codec;

/// An object of at most fifteen entries under construction. Keys are the protocol's own names and need no escaping.
pub(crate) struct ObjectWriter {
    codec: Codec,
    out: Vec<u8>,
    /// Where MessagePack's header of the object stands; its size is filled in at the end.
    header: usize,
    entries: u8,
}

impl ObjectWriter {
    pub(crate) fn new(codec: Codec) -> Self {
        Self::append_to(codec, Vec::with_capacity(64))
    }

    /// Starts an object behind what was written before.
    pub(super) fn append_to(codec: Codec, mut out: Vec<u8>) -> Self {
        let header = out.len();
        out.push(match codec {
            Codec::Json => b'{',
            Codec::MsgPack => 0x80,
        });
        Self { codec, out, header, entries: 0 }
    }

    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        write_text(self.codec, &mut self.out, text);
    }

    pub(super) fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        // Writing into memory cannot fail.
        match self.codec {
            Codec::Json => drop(serde_json::to_writer(&mut self.out, &number)),
            Codec::MsgPack => drop(rmp::encode::write_uint(&mut self.out, number)),
        }
    }

    pub(crate) fn raw(&mut self, key: &str, encoded: &[u8]) {
        self.key(key);
        self.out.extend_from_slice(encoded);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        match self.codec {
            Codec::Json => self.out.push(b'}'),
            Codec::MsgPack => {
                if let Some(header) = self.out.get_mut(self.header) {
                    *header = 0x80 | (self.entries & 0x0f);
                }
            }
        }
        self.out
    }

    fn key(&mut self, key: &str) {
        match self.codec {
            Codec::Json => {
                if self.entries > 0 {
                    self.out.push(b',');
                }
                self.out.push(b'"');
                self.out.extend_from_slice(key.as_bytes());
                self.out.extend_from_slice(b"\":");
            }
            Codec::MsgPack => write_text(self.codec, &mut self.out, key),
        }
        self.entries += 1;
    }
}
