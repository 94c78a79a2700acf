//! The durable store: folder, engine and writer put together.
//!
//! It adds nothing of its own to reading and writing. **Invariant:** the fields are dropped in their
//! order — writer (finishes what is queued), engine (closes its files), folder (releases the lock).

use std::fmt;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use crate::engine::{self, Engine, is_backwards};
use crate::folder::Folder;
use crate::rewrite;
use crate::space::{self, Gate};
use crate::writer::{Groups, Writer};
use crate::{
    Batch, Compaction, Done, Durability, Entry, Health, KeyValue, OpenError, Options, StoreError,
};

/// Trees of keys and values in a folder; a commit that returned `Ok` is on the device.
///
/// Dropping it finishes the queued writes, closes the files and releases the folder.
pub struct Store {
    writer: Writer,
    engine: Arc<dyn Engine>,
    folder: Folder,
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
        folder.choose(options.engine)?;
        let fresh = folder.is_fresh();
        let mut inner = engine::open(options.engine, &folder.engine_dir()?, options, fresh)?;
        let mut number = engine::number(dir, inner.as_ref())?;
        folder.check_witness(number)?;
        folder.finish()?;
        if rewrite::when_due(&mut folder, inner.as_ref(), options) {
            inner = engine::open(options.engine, &folder.engine_dir()?, options, false)?;
            folder.end_building()?;
            number = engine::number(dir, inner.as_ref())?;
        }
        let groups = Groups::new(number, folder.start_witness(number)?);
        let on_disk = dir.to_owned();
        let available = Box::new(move || space::available(&on_disk));
        let gate = Gate::new(available, options.reserve_bytes);
        let engine = wrap(inner);
        let writer =
            Writer::start(Arc::clone(&engine), options.queue, gate, groups).map_err(|source| {
                OpenError::Io {
                    action: "start the writer thread for",
                    path: dir.to_owned(),
                    source,
                }
            })?;
        Ok(Self { writer, engine, folder })
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        self.engine.as_ref()
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
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

    fn disk_bytes(&self) -> u64 {
        space::taken(self.folder.dir()).unwrap_or(0)
    }

    fn compact(&self) -> Result<Compaction, StoreError> {
        let before = self.disk_bytes();
        let (sender, answer) = sync_channel(1);
        self.writer.compact(Box::new(move |outcome| {
            // The receiver waits below.
            let _ = sender.send(outcome);
        }));
        let why = "the compaction was given up without an answer";
        answer.recv().unwrap_or_else(|_| Err(StoreError::Poisoned { why: why.to_owned() }))?;
        Ok(Compaction { before, after: self.disk_bytes() })
    }

    fn health(&self) -> Health {
        self.writer.health()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("dir", &self.folder.dir())
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
