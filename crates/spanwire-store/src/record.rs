//! The form of a stored value: a version, a checksum, and the value itself or where its chunks are.
//!
//! ```text
//! inline   01 00 crc32(4) value…
//! chunked  01 01 crc32(4) id(8) length(4)          the value is in chunks (id, 0), (id, 1), …
//! ```
//!
//! Numbers are big-endian. The checksum covers key and value, so a value that turns up under another key
//! is found too. Chunks are for sled only: there a record and a chunk have at most [`CHUNK_BYTES`], because sled 0.34 puts larger pages
//! into files that it never flushes. The id of a chunked value is never used twice, which is how a reader
//! notices that the value was replaced under its hands.
//!
//! It reads and writes nothing itself.

/// The most bytes of one record or chunk.
pub(crate) const CHUNK_BYTES: usize = 4096;

/// Where the bytes of a value are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// In the record.
    Inline(&'a [u8]),
    /// In chunks of [`CHUNK_BYTES`], the last one shorter.
    Chunked {
        /// Names the chunks.
        id: u64,
        /// Of the whole value, in bytes.
        length: usize,
    },
}

/// A record taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) place: Place<'a>,
    crc: u32,
}

impl<'a> Record<'a> {
    /// Takes `bytes` apart; the reason when they are not a record.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let ([version, kind], rest) = bytes.split_first_chunk().ok_or(TOO_SHORT)?;
        if *version != VERSION {
            return Err("its record version is unknown");
        }
        let (crc, rest) = rest.split_first_chunk().ok_or(TOO_SHORT)?;
        let place = match *kind {
            INLINE => Place::Inline(rest),
            CHUNKED => {
                let (id, rest) = rest.split_first_chunk().ok_or(TOO_SHORT)?;
                let length = u32::from_be_bytes(*rest.first_chunk().ok_or(TOO_SHORT)?);
                let length = usize::try_from(length).map_err(|_| "its length is impossible")?;
                Place::Chunked { id: u64::from_be_bytes(*id), length }
            }
            _ => return Err("its record kind is unknown"),
        };
        Ok(Self { place, crc: u32::from_be_bytes(*crc) })
    }

    /// Refuses a value that is not the one this record was made for.
    pub(crate) fn check(&self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if checksum(key, value) == self.crc { Ok(()) } else { Err("its checksum does not match") }
    }
}

/// Whether a value goes into its record; otherwise it goes into chunks.
pub(crate) fn fits_inline(value: &[u8]) -> bool {
    HEADER_BYTES + value.len() <= CHUNK_BYTES
}

/// The record of a value; with sled of one that [fits](fits_inline).
pub(crate) fn inline(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut record = header(INLINE, key, value, value.len());
    record.extend_from_slice(value);
    record
}

/// The value of an inline record; the reason when it is not what was written.
pub(crate) fn open_inline<'a>(key: &[u8], bytes: &'a [u8]) -> Result<&'a [u8], &'static str> {
    let record = Record::parse(bytes)?;
    let Place::Inline(value) = record.place else {
        return Err("its record kind is unknown");
    };
    record.check(key, value)?;
    Ok(value)
}

/// The record of a value whose chunks are stored under `id`. Batches are far below 4 GiB.
pub(crate) fn chunked(key: &[u8], value: &[u8], id: u64) -> Vec<u8> {
    let mut record = header(CHUNKED, key, value, 12);
    record.extend_from_slice(&id.to_be_bytes());
    record.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    record
}

/// The keys of the chunks of a value of `length` bytes, in order.
pub(crate) fn chunk_keys(id: u64, length: usize) -> impl Iterator<Item = [u8; 12]> {
    let count = length.div_ceil(CHUNK_BYTES);
    (0..=u32::MAX).take(count).map(move |number| {
        let mut key = [0; 12];
        let (id_bytes, number_bytes) = key.split_at_mut(8);
        id_bytes.copy_from_slice(&id.to_be_bytes());
        number_bytes.copy_from_slice(&number.to_be_bytes());
        key
    })
}

fn header(kind: u8, key: &[u8], value: &[u8], room: usize) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEADER_BYTES + room);
    record.extend_from_slice(&[VERSION, kind]);
    record.extend_from_slice(&checksum(key, value).to_be_bytes());
    record
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

const VERSION: u8 = 1;
const INLINE: u8 = 0;
const CHUNKED: u8 = 1;
const HEADER_BYTES: usize = 6;
const TOO_SHORT: &str = "its record is too short";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_on_disk_does_not_change() {
        let crc = crc32fast::hash(b"kvalue").to_be_bytes();
        let mut expected = vec![1, 0];
        expected.extend_from_slice(&crc);
        expected.extend_from_slice(b"value");
        assert_eq!(inline(b"k", b"value"), expected);

        let mut expected = vec![1, 1];
        expected.extend_from_slice(&crc);
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 5]);
        assert_eq!(chunked(b"k", b"value", 258), expected);
    }

    #[test]
    fn records_are_taken_apart_as_they_were_made() {
        let bytes = inline(b"k", b"value");
        let record = Record::parse(&bytes).unwrap();
        assert_eq!(record.place, Place::Inline(b"value"));
        assert_eq!(record.check(b"k", b"value"), Ok(()));

        let bytes = chunked(b"k", b"value", 7);
        let record = Record::parse(&bytes).unwrap();
        assert_eq!(record.place, Place::Chunked { id: 7, length: 5 });
        assert_eq!(record.check(b"k", b"value"), Ok(()));
    }

    #[test]
    fn another_value_or_key_does_not_pass_the_check() {
        let bytes = inline(b"k", b"value");
        let record = Record::parse(&bytes).unwrap();
        assert!(record.check(b"k", b"valuf").is_err());
        assert!(record.check(b"l", b"value").is_err());
    }

    #[test]
    fn short_and_foreign_bytes_are_no_record() {
        let bytes = chunked(b"k", b"value", 7);
        for length in 0..bytes.len() {
            assert!(Record::parse(&bytes[..length]).is_err(), "{length}");
        }
        assert!(Record::parse(&[2, 0, 0, 0, 0, 0]).is_err());
        assert!(Record::parse(&[1, 2, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn an_inline_record_never_exceeds_a_chunk() {
        let value = vec![0; CHUNK_BYTES - HEADER_BYTES];
        assert!(fits_inline(&value));
        assert_eq!(inline(b"k", &value).len(), CHUNK_BYTES);
        assert!(!fits_inline(&vec![0; CHUNK_BYTES - HEADER_BYTES + 1]));
    }

    #[test]
    fn chunk_keys_are_in_order_and_enough() {
        for (length, expected) in [(1, 1), (4096, 1), (4097, 2), (1 << 20, 256)] {
            let keys: Vec<_> = chunk_keys(9, length).collect();
            assert_eq!(keys.len(), expected);
            assert!(keys.is_sorted());
        }
    }
}
