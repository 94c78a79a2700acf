//! The durable store: folder, engine and writer put together.
//!
//! It adds nothing of its own to reading and writing. **Invariant:** the fields are dropped in their
//! order — writer (finishes what is queued), engine (closes its files), folder (releases the lock).

use std::fmt;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::{Engine, is_backwards};
use crate::folder::{FORMAT, Folder};
use crate::sled_engine::SledEngine;
use crate::writer::Writer;
use crate::{Batch, Done, Durability, Entry, Health, KeyValue, OpenError, StoreError};

/// How a store is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The engine's cache in bytes. Default 64 MiB; 64 to 128 MiB is sensible, and the process takes up
    /// to four times as much.
    pub cache_bytes: u64,
    /// How many commits may wait for the writer; a further one waits before it is queued. Default 1,024.
    pub queue: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: 64 * 1024 * 1024, queue: 1024 }
    }
}

/// Trees of keys and values in a folder; a commit that returned `Ok` is on the device.
///
/// Dropping it finishes the queued writes, closes the files and releases the folder.
pub struct Store {
    writer: Writer,
    engine: Arc<dyn Engine>,
    dir: PathBuf,
    _folder: Folder,
}

impl Store {
    /// Opens the store in the folder `dir`, or creates it there with mode 0700.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when somebody else has it open, when a later release or another engine wrote it, when
    /// it is damaged, and when the folder cannot be used. Nothing is repaired or deleted.
    #[expect(clippy::needless_pass_by_value, reason = "options are made for one call")]
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        Self::open_with(dir, &options, |engine| engine)
    }

    /// Opens a store whose engine is wrapped; the hook of the tests that make a flush fail.
    fn open_with(
        dir: &Path,
        options: &Options,
        wrap: impl FnOnce(Arc<dyn Engine>) -> Arc<dyn Engine>,
    ) -> Result<Self, OpenError> {
        let mut folder = Folder::open(dir)?;
        let engine_dir = folder.engine_dir()?;
        let engine = SledEngine::open(&engine_dir, options.cache_bytes, FORMAT, folder.is_fresh())?;
        folder.finish()?;
        let engine = wrap(Arc::new(engine));
        let writer = Writer::start(Arc::clone(&engine), options.queue).map_err(|source| {
            OpenError::Io { action: "start the writer thread for", path: dir.to_owned(), source }
        })?;
        Ok(Self { writer, engine, dir: dir.to_owned(), _folder: folder })
    }
}

impl KeyValue for Store {
    fn get(&self, tree: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.get(tree, key)
    }

    fn scan(&self, tree: &'static str, prefix: &[u8]) -> Result<Vec<Entry>, StoreError> {
        self.engine.scan(tree, prefix)
    }

    fn scan_range(
        &self,
        tree: &'static str,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        if limit == 0 || is_backwards(from, to) {
            return Ok(Vec::new());
        }
        self.engine.scan_range(tree, from, to, limit)
    }

    fn get_many(
        &self,
        tree: &'static str,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.engine.get_many(tree, keys)
    }

    fn submit(&self, batch: Batch, durability: Durability, done: Done) {
        match batch.check() {
            Ok(()) => self.writer.submit(batch, durability, done),
            Err(error) => done(Err(error)),
        }
    }

    fn health(&self) -> Health {
        self.writer.health()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("dir", &self.dir)
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
