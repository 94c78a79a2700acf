//! The number of the last forced group, outside of the engine: it tells a lost end from one that was never written.
//!
//! Behind a crash every engine takes an end that it cannot read for a write that was cut off, and forgets it. It is
//! right most of the time; where a bit turned over in what had been forced, it forgets what was acknowledged. The
//! writer numbers its groups, an engine stores the number with its group, and this file has the number of the last
//! forced one. An engine that has a smaller one at the next open has lost something.
//!
//! The file is one line of fixed length, number and checksum, written in place behind each forced group. It is not
//! forced itself: a process that is killed leaves it exact, and after a loss of power it may be behind, never ahead.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::files;

/// The open file; for the writer thread.
#[derive(Debug)]
pub(crate) struct Witness(File);

impl Witness {
    /// Begins with the number that the engine has, on disk when this returns.
    pub(super) fn start(path: &Path, number: u64) -> io::Result<Self> {
        files::replace(path, &text(number))?;
        OpenOptions::new().write(true).open(path).map(Self)
    }

    /// Notes that the group of this number, and all before it, are on the device.
    pub(crate) fn note(&mut self, number: u64) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(text(number).as_bytes())
    }

    /// Notes the last number of all, on disk when this returns.
    pub(crate) fn close(&mut self, number: u64) -> io::Result<()> {
        self.note(number)?;
        self.0.sync_data()
    }
}

/// The number in the text of a witness; `None` when it is damaged.
pub(super) fn parse(found: &str) -> Option<u64> {
    let number = found.split_whitespace().next()?.parse().ok()?;
    (text(number) == found).then_some(number)
}

fn text(number: u64) -> String {
    let number = format!("{number:020}");
    let crc = crc32fast::hash(number.as_bytes());
    format!("{number} {crc:08x}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_that_has_a_flipped_bit_or_no_end_is_none() {
        for number in [0, 1, 4711, u64::MAX] {
            let sound = text(number).into_bytes();
            assert_eq!(parse(&text(number)), Some(number));
            for bit in 0..sound.len() * 8 {
                let mut damaged = sound.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(parse(&String::from_utf8_lossy(&damaged)), None, "bit {bit}");
            }
            for end in 0..sound.len() {
                let cut = String::from_utf8_lossy(sound.get(..end).unwrap()).into_owned();
                assert_eq!(parse(&cut), None, "{end} bytes");
            }
        }
    }

    #[test]
    fn it_has_the_number_noted_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("witness");
        let mut witness = Witness::start(&path, 7).unwrap();
        let read = || parse(&files::read(&path).unwrap().unwrap());
        assert_eq!(read(), Some(7));
        for number in [8, 1_000_000, 9] {
            witness.note(number).unwrap();
            assert_eq!(read(), Some(number));
        }
        witness.close(u64::MAX).unwrap();
        assert_eq!(read(), Some(u64::MAX));
    }
}
