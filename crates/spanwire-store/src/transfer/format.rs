//! The bytes of an export: written one after the other, and read back with every check.
//!
//! Memory is bounded by the largest entry. It opens no files and knows no engine.

use std::io::{self, ErrorKind, Read, Write};

use super::Transfer;
use crate::{ImportError, MAX_BATCH_BYTES, MAX_KEY_BYTES, MAX_TREE_NAME_BYTES};

/// Writes an export.
pub(super) struct Writer<'a> {
    out: &'a mut dyn Write,
    sum: crc32fast::Hasher,
    transfer: Transfer,
}

impl<'a> Writer<'a> {
    pub(super) fn start(out: &'a mut dyn Write) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        let transfer = Transfer { entries: 0, bytes: 0 };
        Ok(Self { out, sum: crc32fast::Hasher::new(), transfer })
    }

    pub(super) fn entry(&mut self, tree: &str, key: &[u8], value: &[u8]) -> io::Result<()> {
        let too_long = |_| io::Error::from(ErrorKind::InvalidInput);
        let bytes = tree.len() + key.len() + value.len();
        let length = u32::try_from(3 + bytes).map_err(too_long)?;
        self.write(&length.to_be_bytes())?;
        self.write(&[u8::try_from(tree.len()).map_err(too_long)?])?;
        self.write(tree.as_bytes())?;
        self.write(&u16::try_from(key.len()).map_err(too_long)?.to_be_bytes())?;
        self.write(key)?;
        self.write(value)?;
        self.out.write_all(&self.sum.clone().finalize().to_be_bytes())?;
        self.transfer.entries += 1;
        self.transfer.bytes += u64::from(length - 3);
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<Transfer> {
        let Transfer { entries, bytes } = self.transfer;
        self.write(&END.to_be_bytes())?;
        self.write(&entries.to_be_bytes())?;
        self.write(&bytes.to_be_bytes())?;
        self.out.write_all(&self.sum.clone().finalize().to_be_bytes())?;
        self.out.flush()?;
        Ok(self.transfer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Reads an export.
pub(super) struct Reader<'a> {
    input: &'a mut dyn Read,
    sum: crc32fast::Hasher,
    transfer: Transfer,
    /// Bytes read so far.
    place: u64,
    body: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn start(input: &'a mut dyn Read) -> Result<Self, ImportError> {
        let transfer = Transfer { entries: 0, bytes: 0 };
        let sum = crc32fast::Hasher::new();
        let mut reader = Self { input, sum, transfer, place: 0, body: Vec::new() };
        let mut start = [0; MAGIC.len()];
        reader.fill(&mut start)?;
        if start == *MAGIC {
            reader.sum = crc32fast::Hasher::new();
            return Ok(reader);
        }
        reader.place = 0;
        Err(reader.damaged("it does not start with `spanwire-export 1`"))
    }

    /// What was read; of the whole export once there is no further entry.
    pub(super) fn transfer(&self) -> Transfer {
        self.transfer
    }

    /// The next entry: tree, key and value; `None` after the end, which was checked.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry<'_>>, ImportError> {
        let length = u32::from_be_bytes(self.number()?);
        if length == END {
            return self.end().map(|()| None);
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MAX_BODY_BYTES {
            return Err(self.damaged("an entry has an impossible length"));
        }
        // Not all at once: a damaged length must not take memory that no entry fills.
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        while body.len() < length {
            let start = body.len();
            body.resize(length.min(start + STEP_BYTES), 0);
            self.fill(body.get_mut(start..).unwrap_or_default())?;
        }
        self.body = body;
        self.check_sum()?;
        let Some((tree, key, value)) = split(&self.body) else {
            return Err(self.damaged("an entry is not one"));
        };
        self.transfer.entries += 1;
        let bytes = tree.len() + key.len() + value.len();
        self.transfer.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        Ok(Some((tree, key, value)))
    }

    fn end(&mut self) -> Result<(), ImportError> {
        let entries = u64::from_be_bytes(self.number()?);
        let bytes = u64::from_be_bytes(self.number()?);
        self.check_sum()?;
        if self.transfer != (Transfer { entries, bytes }) {
            return Err(self.damaged("the counts at its end do not match"));
        }
        match self.input.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.damaged("something comes after its end")),
            Err(error) => Err(ImportError::Read(error)),
        }
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], ImportError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn check_sum(&mut self) -> Result<(), ImportError> {
        let expected = self.sum.clone();
        let found = u32::from_be_bytes(self.number()?);
        // The checksums themselves are not part of it.
        self.sum = expected.clone();
        if expected.finalize() == found {
            Ok(())
        } else {
            Err(self.damaged("a checksum does not match"))
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ImportError> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => self.damaged("it is cut off"),
            _ => ImportError::Read(error),
        })?;
        self.sum.update(bytes);
        self.place += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    fn damaged(&self, reason: &'static str) -> ImportError {
        ImportError::Damaged { place: self.place, entries: self.transfer.entries, reason }
    }
}

/// Tree, key and value.
type Entry<'a> = (&'a str, &'a [u8], &'a [u8]);

/// Takes a body apart; `None` when it is not what any store could have.
fn split(body: &[u8]) -> Option<Entry<'_>> {
    let (length, rest) = body.split_first()?;
    let (tree, rest) = rest.split_at_checked(usize::from(*length))?;
    let (length, rest) = rest.split_first_chunk()?;
    let (key, value) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let tree = std::str::from_utf8(tree).ok()?;
    let allowed =
        (1..=MAX_TREE_NAME_BYTES).contains(&tree.len()) && (1..=MAX_KEY_BYTES).contains(&key.len());
    allowed.then_some((tree, key, value))
}

const MAGIC: &[u8; 18] = b"spanwire-export 1\n";
/// In the place of a length.
const END: u32 = u32::MAX;
const MAX_BODY_BYTES: usize = 3 + MAX_TREE_NAME_BYTES + MAX_BATCH_BYTES;
const STEP_BYTES: usize = 1024 * 1024;
