//! The file `format`: which engine wrote the store, in which folder, in which version.
//!
//! ```text
//! spanwire-store 1 sled                  the data is in the folder `sled`
//! spanwire-store 1 redb redb-2 5d2e0a17  it is in `redb-2`; CRC-32 of the text before it
//! ```
//!
//! The second form is written when the store was rewritten or imported. Its checksum is there because the
//! folder that it does not name gets removed.

use std::path::Path;

use super::FORMAT;
use crate::{EngineKind, OpenError};

/// Where the data of a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Data {
    pub(crate) engine: EngineKind,
    /// How often the store was rewritten.
    pub(crate) generation: u64,
}

impl Data {
    pub(crate) fn first(engine: EngineKind) -> Self {
        Self { engine, generation: 0 }
    }

    /// The name of its folder.
    pub(crate) fn folder(&self) -> String {
        match self.generation {
            0 => self.engine.name().to_owned(),
            generation => format!("{}-{generation}", self.engine),
        }
    }

    /// The data whose folder has that name.
    pub(crate) fn from_folder(name: &str) -> Option<Self> {
        let (engine, generation) = name.split_once('-').unwrap_or((name, "0"));
        let data =
            Self { engine: EngineKind::from_name(engine)?, generation: generation.parse().ok()? };
        (data.folder() == name).then_some(data)
    }

    /// The text of the file.
    pub(super) fn to_text(&self) -> String {
        let start = format!("{NAME} {FORMAT} {}", self.engine);
        if self.generation == 0 {
            return start + "\n";
        }
        let text = format!("{start} {}", self.folder());
        format!("{text} {:08x}\n", crc32fast::hash(text.as_bytes()))
    }

    /// Reads the text of the file; refuses one that this release does not read.
    pub(super) fn parse(dir: &Path, text: &str) -> Result<Self, OpenError> {
        let dir = dir.to_owned();
        let mut words = text.split_whitespace();
        let version = words.next().filter(|word| *word == NAME).and(words.next());
        match version.and_then(|word| word.parse().ok()) {
            Some(found) if found > FORMAT => {
                return Err(OpenError::NewerFormat { dir, found, supported: FORMAT });
            }
            Some(1..) => {}
            _ => {
                let reason = "its file `format` does not start with `spanwire-store 1`".to_owned();
                return Err(OpenError::Corrupt { dir, reason });
            }
        }
        let engine = words.next().unwrap_or_default();
        let Some(engine) = EngineKind::from_name(engine) else {
            return Err(OpenError::OtherEngine { dir, engine: engine.to_owned() });
        };
        let data = words.next().map_or(Some(Self::first(engine)), Self::from_folder);
        match data {
            // What was written says the same; the version is part of it, so this is version 1 only.
            Some(data) if data.to_text().split_whitespace().eq(text.split_whitespace()) => Ok(data),
            _ => {
                let reason = "its file `format` is damaged".to_owned();
                Err(OpenError::Corrupt { dir, reason })
            }
        }
    }
}

const NAME: &str = "spanwire-store";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_read_as_it_was_written_and_no_flipped_bit_passes() {
        for engine in [EngineKind::Sled, EngineKind::Redb] {
            for generation in [0, 1, 27] {
                let data = Data { engine, generation };
                let text = data.to_text();
                assert_eq!(Data::parse(Path::new("d"), &text).unwrap(), data);
                for bit in 0..text.len() * 8 {
                    let mut bytes = text.clone().into_bytes();
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    let text = String::from_utf8_lossy(&bytes);
                    // A flip may turn one blank into another.
                    assert!(
                        Data::parse(Path::new("d"), &text).is_ok_and(|read| read == data)
                            || Data::parse(Path::new("d"), &text).is_err(),
                        "{text}"
                    );
                }
            }
        }
    }

    #[test]
    fn names_that_are_not_ours_are_no_data() {
        for name in ["", "sled-", "sled-0", "sled-01", "sled-x", "lmdb", "sled-1-2", "redb.new"] {
            assert_eq!(Data::from_folder(name), None, "{name}");
        }
    }
}
