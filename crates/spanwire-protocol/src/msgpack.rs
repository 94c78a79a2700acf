//! Walking over MessagePack without building anything: where a value ends, and whether it nests too deep.
//!
//! rmp-serde has no raw value, so the spans of `meta.id` and `data` are found here (MessagePack specification,
//! "Formats").

use rmp::Marker;

use crate::limits::MAX_DEPTH;

/// A position in an encoded message. Every method refuses to go past the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Why a message is not MessagePack within the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It ends too early, or a marker has no meaning.
    Broken,
    /// It nests deeper than [`MAX_DEPTH`].
    TooDeep,
    /// Another type was expected at this place.
    Type,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Reads the header of a map and returns its number of entries.
    pub(crate) fn map(&mut self) -> Result<usize, Malformed> {
        match self.marker()? {
            Marker::FixMap(n) => Ok(usize::from(n)),
            Marker::Map16 => self.length(2),
            Marker::Map32 => self.length(4),
            _ => Err(Malformed::Type),
        }
    }

    /// Reads a text.
    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = match self.marker()? {
            Marker::FixStr(n) => usize::from(n),
            Marker::Str8 => self.length(1)?,
            Marker::Str16 => self.length(2)?,
            Marker::Str32 => self.length(4)?,
            _ => return Err(Malformed::Type),
        };
        std::str::from_utf8(self.take(length)?).map_err(|_| Malformed::Broken)
    }

    /// Skips one whole value and returns its bytes.
    pub(crate) fn value(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        // How many values are still to come on each open level.
        let mut open = Vec::with_capacity(8);
        open.push(1_usize);
        while let Some(left) = open.last_mut() {
            if *left == 0 {
                open.pop();
                continue;
            }
            *left -= 1;
            if let Some(inner) = self.scalar_or_inner()? {
                // The envelope around the value is one level, too.
                if open.len() >= MAX_DEPTH {
                    return Err(Malformed::TooDeep);
                }
                open.push(inner);
            }
        }
        self.bytes.get(start..self.at).ok_or(Malformed::Broken)
    }

    /// Skips a scalar, or reads the header of a collection and returns how many values it holds.
    fn scalar_or_inner(&mut self) -> Result<Option<usize>, Malformed> {
        let skip = match self.marker()? {
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => {
                0
            }
            Marker::U8 | Marker::I8 => 1,
            Marker::U16 | Marker::I16 => 2,
            Marker::U32 | Marker::I32 | Marker::F32 => 4,
            Marker::U64 | Marker::I64 | Marker::F64 => 8,
            Marker::FixStr(n) => usize::from(n),
            Marker::Str8 | Marker::Bin8 => self.length(1)?,
            Marker::Str16 | Marker::Bin16 => self.length(2)?,
            Marker::Str32 | Marker::Bin32 => self.length(4)?,
            Marker::FixExt1 => 2,
            Marker::FixExt2 => 3,
            Marker::FixExt4 => 5,
            Marker::FixExt8 => 9,
            Marker::FixExt16 => 17,
            Marker::Ext8 => self.length(1)? + 1,
            Marker::Ext16 => self.length(2)? + 1,
            Marker::Ext32 => self.length(4)? + 1,
            Marker::FixArray(n) => return Ok(Some(usize::from(n))),
            Marker::Array16 => return self.length(2).map(Some),
            Marker::Array32 => return self.length(4).map(Some),
            Marker::FixMap(n) => return Ok(Some(usize::from(n) * 2)),
            Marker::Map16 => return Ok(Some(self.length(2)? * 2)),
            Marker::Map32 => return Ok(Some(self.length(4)?.saturating_mul(2))),
            Marker::Reserved => return Err(Malformed::Broken),
        };
        self.take(skip)?;
        Ok(None)
    }

    fn marker(&mut self) -> Result<Marker, Malformed> {
        let byte = self.take(1)?.first().copied().ok_or(Malformed::Broken)?;
        Ok(Marker::from_u8(byte))
    }

    fn length(&mut self, width: usize) -> Result<usize, Malformed> {
        Ok(self.take(width)?.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(count).ok_or(Malformed::Broken)?;
        let taken = self.bytes.get(self.at..end).ok_or(Malformed::Broken)?;
        self.at = end;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_byte_with_every_truncation_is_handled() {
        for first in 0..=255_u8 {
            for length in 0..40 {
                let mut bytes = vec![first];
                bytes.resize(1 + length, 0x01);
                let _ = Cursor::new(&bytes).value();
            }
        }
    }

    #[test]
    fn announced_lengths_are_not_believed() {
        for bytes in [
            &[0xdd, 0xff, 0xff, 0xff, 0xff][..],
            &[0xdf, 0xff, 0xff, 0xff, 0xff],
            &[0xdb, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(Cursor::new(bytes).value(), Err(Malformed::Broken));
        }
    }

    #[test]
    fn depth_is_limited() {
        assert_eq!(Cursor::new(&[0x91; 100_000]).value(), Err(Malformed::TooDeep));
    }

    #[test]
    fn spans_are_exact() {
        let mut cursor = Cursor::new(&[0x93, 1, 0xa1, b'x', 0xc0, 0x07]);
        assert_eq!(cursor.value(), Ok(&[0x93, 1, 0xa1, b'x', 0xc0][..]));
        assert_eq!(cursor.value(), Ok(&[7][..]));
        assert!(cursor.is_at_end());
    }
}
