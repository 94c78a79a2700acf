//! Rewriting a store into a new folder that takes the place of the old: to shrink it, or to change engines.
//!
//! The store is copied beside itself, the copy is compared with the original and forced to disk, and one
//! rename decides (`folder`). A crash at any moment leaves the old store or the new one, and the next open
//! removes the other. It changes no entry and repairs nothing: damage found on the way ends it.

use std::io;
use std::path::Path;

use crate::engine::{self, Engine, VisitError, corrupt, guarded};
use crate::folder::Folder;
use crate::{Batch, CompactWhen, Compaction, Durability, EngineKind, OpenError, Options, space};

/// Copies the store in `dir`, which nobody has open, into fresh files of `options.engine`, which may be
/// another engine than it has, and puts them in its place. It needs room for both.
///
/// # Errors
///
/// [`OpenError`] as for opening it, when something in it is damaged, and when the copy cannot be written.
/// The store is then as it was.
#[expect(clippy::needless_pass_by_value, reason = "options are made for one call")]
pub fn rewrite(dir: &Path, options: Options) -> Result<Compaction, OpenError> {
    if !dir.is_dir() {
        let source = io::ErrorKind::NotFound.into();
        return Err(OpenError::Io { action: "open", path: dir.to_owned(), source });
    }
    let mut folder = Folder::open(dir)?;
    let Some(engine) = folder.data().map(|data| data.engine) else {
        return Err(corrupt(dir, "there is no store in it".to_owned()));
    };
    let before = taken(dir)?;
    let old = engine::open(engine, &folder.engine_dir()?, &options, false)?;
    folder.check_witness(engine::number(dir, old.as_ref())?)?;
    let replaced = replace(&mut folder, old.as_ref(), &options);
    drop(old);
    let ended = folder.end_building();
    replaced.and(ended)?;
    Ok(Compaction { before, after: taken(dir)? })
}

/// Rewrites a store that is being opened when its options say so, and says whether it did. It is no error
/// when that fails: the store opens as it is.
pub(crate) fn when_due(folder: &mut Folder, engine: &dyn Engine, options: &Options) -> bool {
    match options.compact_when {
        Some(when)
            if options.engine == EngineKind::Sled && is_due(folder, engine, options, when) =>
        {
            let done = replace(folder, engine, options).is_ok();
            if !done {
                // Or the next open does.
                let _ = folder.end_building();
            }
            done
        }
        _ => false,
    }
}

fn is_due(folder: &Folder, engine: &dyn Engine, options: &Options, when: CompactWhen) -> bool {
    let Ok(disk) = space::taken(folder.dir()) else { return false };
    if disk <= when.disk_bytes {
        return false;
    }
    let Ok(live) = Digest::of(folder.dir(), engine).map(|digest| digest.bytes) else {
        return false;
    };
    // The copy takes more than the bare bytes.
    let needed = options.reserve_bytes.saturating_add(live.saturating_mul(3));
    disk > live.saturating_mul(when.times_live)
        && space::available(folder.dir()).is_none_or(|available| available > needed)
}

fn replace(folder: &mut Folder, old: &dyn Engine, options: &Options) -> Result<(), OpenError> {
    let (data, dir) = folder.begin_building(options.engine)?;
    let new = engine::open(options.engine, &dir, options, true)?;
    let mut copy = Loader::new(new.as_ref());
    old.visit(&mut |tree, key, value| copy.add(tree, key, value))
        .and_then(|()| copy.finish().map_err(VisitError::Stopped))
        .map_err(|error| visit_error(folder.dir(), error))?;
    let same = Digest::of(folder.dir(), old)? == Digest::of(&dir, new.as_ref())?;
    drop(new);
    if !same {
        return Err(corrupt(folder.dir(), "its copy differs from it".to_owned()));
    }
    folder.switch(data)
}

/// Fills a new engine in forced batches of a few MiB.
pub(crate) struct Loader<'a> {
    engine: &'a dyn Engine,
    batch: Batch,
    /// Of the group written last.
    number: u64,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(engine: &'a dyn Engine) -> Self {
        Self { engine, batch: Batch::new(), number: 0 }
    }

    pub(crate) fn add(&mut self, tree: &str, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.batch.put_named(tree, key, value);
        if self.batch.bytes() < LOAD_BYTES && self.batch.len() < LOAD_OPERATIONS {
            return Ok(());
        }
        self.finish()
    }

    /// Writes what is left.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.number += 1;
        let apply = || self.engine.apply(&[&batch], self.number, Durability::Forced);
        guarded(apply).unwrap_or_else(Err).map_err(io::Error::other)
    }
}

/// Tells whether two engines have the same entries.
#[derive(Debug, PartialEq, Eq)]
struct Digest {
    entries: u64,
    bytes: u64,
    crc: u32,
}

impl Digest {
    fn of(dir: &Path, engine: &dyn Engine) -> Result<Self, OpenError> {
        let (mut entries, mut bytes) = (0_u64, 0_u64);
        let mut hasher = crc32fast::Hasher::new();
        let mut add = |tree: &str, key: &[u8], value: &[u8]| {
            entries += 1;
            for part in [tree.as_bytes(), key, value] {
                let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
                hasher.update(&length.to_be_bytes());
                hasher.update(part);
                bytes = bytes.saturating_add(length);
            }
            Ok(())
        };
        engine.visit(&mut add).map_err(|error| visit_error(dir, error))?;
        Ok(Self { entries, bytes, crc: hasher.finalize() })
    }
}

fn visit_error(dir: &Path, error: VisitError) -> OpenError {
    match error {
        VisitError::Read(error) => corrupt(dir, error.to_string()),
        VisitError::Stopped(source) => {
            OpenError::Io { action: "write a copy of", path: dir.to_owned(), source }
        }
    }
}

fn taken(dir: &Path) -> Result<u64, OpenError> {
    let failed = |source| OpenError::Io { action: "read", path: dir.to_owned(), source };
    space::taken(dir).map_err(failed)
}

const LOAD_BYTES: usize = 4 * 1024 * 1024;
const LOAD_OPERATIONS: usize = 16_384;

#[cfg(test)]
mod tests;
