//! Export and import: all entries of a store as one stream, the backup and the way to another machine.
//!
//! ```text
//! spanwire-export 1 LF
//! length(4) body(length) crc32(4)      for each entry; the checksum covers all from the first length on
//! ff ff ff ff entries(8) bytes(8) crc32(4)                              the end; nothing comes after it
//!
//! body   tree length(1) tree  key length(2) key  value
//! ```
//!
//! Numbers are big-endian. The checksums build on each other, so an entry that is missing, twice or out of
//! place is found like a damaged one. It does not know what is stored, and compresses and encrypts nothing:
//! an export is as secret as the store.

mod format;

use std::io::{Read, Write};
use std::path::Path;

use self::format::{Reader, Writer};
use crate::engine::{self, VisitError};
use crate::folder::Folder;
use crate::rewrite::Loader;
use crate::{ExportError, ImportError, OpenError, Options, Store};

/// What an export or an import was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transfer {
    /// How many entries.
    pub entries: u64,
    /// The bytes of their tree names, keys and values.
    pub bytes: u64,
}

impl Store {
    /// Writes all entries to `writer` as they are at one moment. The caller buffers, and forces the file
    /// to disk.
    ///
    /// With redb reads and writes go on meanwhile, and a [compaction](crate::KeyValue::compact) is refused.
    /// sled has no such view: there writes wait until the export is done, so a thread that takes part in
    /// writing to this store must not make it.
    ///
    /// # Errors
    ///
    /// [`ExportError`] when an entry cannot be read or the writer fails. What was written is then refused
    /// by [`import`].
    pub fn export(&self, writer: &mut dyn Write) -> Result<Transfer, ExportError> {
        let engine = self.engine();
        let _pause = (!engine.snapshots()).then(|| self.writer().pause());
        let mut out = Writer::start(writer).map_err(ExportError::Write)?;
        engine.visit(&mut |tree, key, value| out.entry(tree, key, value)).map_err(|error| {
            match error {
                VisitError::Read(error) => ExportError::Read(error),
                VisitError::Stopped(error) => ExportError::Write(error),
            }
        })?;
        out.finish().map_err(ExportError::Write)
    }
}

/// Makes a store in the folder `dir` from an [export](Store::export), with the engine of the options. The
/// folder must be empty or missing. Everything is read and forced to disk before it becomes a store; after
/// a failure or a crash there is none.
///
/// # Errors
///
/// [`ImportError`] when there is something in the folder, when the export is damaged or cut off, with the
/// place, and when it cannot be read or the store not written.
#[expect(clippy::needless_pass_by_value, reason = "options are made for one call")]
pub fn import(
    dir: &Path,
    options: Options,
    reader: &mut dyn Read,
) -> Result<Transfer, ImportError> {
    let mut entries = Reader::start(reader)?;
    let mut folder = Folder::open(dir)?;
    if !folder.is_empty()? {
        return Err(ImportError::NotEmpty { dir: dir.to_owned() });
    }
    let imported = load(&mut folder, &options, &mut entries);
    let ended = folder.end_building();
    let transfer = imported?;
    ended?;
    Ok(transfer)
}

fn load(
    folder: &mut Folder,
    options: &Options,
    entries: &mut Reader<'_>,
) -> Result<Transfer, ImportError> {
    let (data, dir) = folder.begin_building(options.engine)?;
    let engine = engine::open(options.engine, &dir, options, true)?;
    let mut loader = Loader::new(engine.as_ref());
    let failed = |source| OpenError::Io { action: "write the store in", path: dir.clone(), source };
    while let Some((tree, key, value)) = entries.next_entry()? {
        loader.add(tree, key, value).map_err(failed)?;
    }
    loader.finish().map_err(failed)?;
    drop(engine);
    folder.switch(data)?;
    Ok(entries.transfer())
}

#[cfg(test)]
mod tests;
