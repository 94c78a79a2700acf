//! sled 0.34 as an engine, by the rules that make it durable.
//!
//! - `Db::flush` does not reach the device on Linux: [`Engine::force`] follows it with `fdatasync` on a
//!   handle of our own to the file `db`.
//! - Records above 128 KiB go to files that sled never flushes: values are stored in pieces of 4 KiB
//!   (`record`) and keys are short ([`crate::MAX_KEY_BYTES`]), so that no page gets that large.
//! - Only transactions over all trees are atomic, so a group of batches is one such transaction. The one
//!   writer thread makes conflicts impossible.
//! - sled panics on some damage: opening and reading are wrapped, the writer wraps writing.
//! - Its own periodic flush is off.
//!
//! In sled, a tree `user` is named `t:user`; `chunks` has the pieces of long values; `meta` has the format
//! version, whose absence tells a store that lost its data from a new one, and the number of the last group.

mod changes;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::ops::Bound;
use std::path::Path;
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use sled::{Db, Tree};

use self::changes::Changes;
use crate::engine::{
    CompactError, Engine, VisitError, Visitor, check_format, corrupt, damaged, guarded,
    parse_number, shown,
};
use crate::record::{self, Place, Record};
use crate::{Batch, Durability, Entry, MAX_BATCH_BYTES, OpenError, StoreError};

/// An open sled database.
pub(crate) struct SledEngine {
    db: Db,
    /// Our own handle to sled's file, for `fdatasync`.
    file: File,
    chunks: Tree,
    meta: Tree,
    /// The trees that exist. Readers only look, so that a read never creates a tree.
    trees: RwLock<BTreeMap<String, Tree>>,
}

impl SledEngine {
    /// Opens the database in `dir`, which exists. `format` is the format to write into a new one, and
    /// `fresh` says that there should not be one yet.
    ///
    /// When this returns the database is on disk, except for the entry of `dir` in its parent.
    pub(crate) fn open(
        dir: &Path,
        cache_bytes: u64,
        format: u64,
        fresh: bool,
    ) -> Result<Self, OpenError> {
        let path = dir.join("db");
        if !fresh && !path.exists() {
            return Err(corrupt(dir, "the data file `db` is missing".to_owned()));
        }
        let config = sled::Config::default()
            .path(dir)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None)
            .print_profile_on_drop(false);
        let db = guarded(|| open_unlocked(&config))
            .map_err(|why| corrupt(dir, why))?
            .map_err(|error| open_error(dir, error))?;
        guarded(|| Self::prepare(dir, db, format, fresh)).map_err(|why| corrupt(dir, why))?
    }

    /// Checks or writes the format, then collects the trees.
    fn prepare(dir: &Path, db: Db, format: u64, fresh: bool) -> Result<Self, OpenError> {
        let failed = |error| open_error(dir, error);
        let meta = db.open_tree(META).map_err(failed)?;
        match meta.get(FORMAT_KEY).map_err(failed)? {
            Some(found) => check_format(dir, &found, format)?,
            None if fresh => {
                let new = format.to_string().into_bytes();
                meta.insert(FORMAT_KEY, new).map_err(failed)?;
            }
            None => return Err(corrupt(dir, "its content is gone".to_owned())),
        }
        let mut trees = BTreeMap::new();
        for name in db.tree_names() {
            if let Some(name) = std::str::from_utf8(&name).ok().and_then(|n| n.strip_prefix(PREFIX))
            {
                let tree = db.open_tree(tree_name(name)).map_err(failed)?;
                trees.insert(name.to_owned(), tree);
            }
        }
        let path = dir.join("db");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|source| OpenError::Io { action: "open", path, source })?;
        let chunks = db.open_tree(CHUNKS).map_err(failed)?;
        let engine = Self { db, file, chunks, meta, trees: RwLock::new(trees) };
        engine.force().map_err(|why| corrupt(dir, why))?;
        sync_files(dir).map_err(|source| OpenError::Io {
            action: "flush",
            path: dir.to_owned(),
            source,
        })?;
        Ok(engine)
    }

    fn existing_tree(&self, name: &str) -> Option<Tree> {
        self.trees.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn tree_to_write(&self, name: &str) -> Result<Tree, sled::Error> {
        if let Some(tree) = self.existing_tree(name) {
            return Ok(tree);
        }
        let tree = self.db.open_tree(tree_name(name))?;
        let mut trees = self.trees.write().unwrap_or_else(PoisonError::into_inner);
        trees.insert(name.to_owned(), tree.clone());
        Ok(tree)
    }

    /// Reads the value of a record.
    fn value(&self, key: &[u8], bytes: &[u8]) -> Result<Vec<u8>, ValueError> {
        let record = Record::parse(bytes).map_err(ValueError::Damaged)?;
        let value = match record.place {
            Place::Inline(value) => value.to_vec(),
            Place::Chunked { id, length } => self.chunked_value(id, length)?,
        };
        record.check(key, &value).map_err(ValueError::Damaged)?;
        Ok(value)
    }

    fn chunked_value(&self, id: u64, length: usize) -> Result<Vec<u8>, ValueError> {
        if length > MAX_BATCH_BYTES {
            return Err(ValueError::Damaged("its length is impossible"));
        }
        let mut value = Vec::with_capacity(length);
        for key in record::chunk_keys(id, length) {
            let chunk = self.chunks.get(key).map_err(ValueError::Engine)?;
            value.extend_from_slice(&chunk.ok_or(ValueError::Damaged("a part of it is missing"))?);
        }
        Ok(value)
    }

    /// Reads a value, again where it is replaced while its chunks are being read.
    fn read(
        &self,
        name: &'static str,
        tree: &Tree,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut current = tree.get(key).map_err(|error| read_error(&error))?;
        while let Some(bytes) = current {
            let reason = match self.value(key, &bytes) {
                Ok(value) => return Ok(Some(value)),
                Err(ValueError::Engine(error)) => return Err(read_error(&error)),
                Err(ValueError::Damaged(reason)) => reason,
            };
            current = tree.get(key).map_err(|error| read_error(&error))?;
            if current.as_ref() == Some(&bytes) {
                return Err(StoreError::Corrupt { tree: name, key: shown(key), reason });
            }
        }
        Ok(None)
    }

    fn read_all(
        &self,
        name: &'static str,
        tree: &Tree,
        items: sled::Iter,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        for item in items {
            if entries.len() >= limit {
                break;
            }
            let (key, bytes) = item.map_err(|error| read_error(&error))?;
            let value = match self.value(&key, &bytes) {
                Ok(value) => Some(value),
                Err(ValueError::Engine(error)) => return Err(read_error(&error)),
                // Replaced meanwhile, or really damaged: reading it alone tells.
                Err(ValueError::Damaged(_)) => self.read(name, tree, &key)?,
            };
            if let Some(value) = value {
                entries.push((key.to_vec(), value));
            }
        }
        Ok(entries)
    }
}

impl Engine for SledEngine {
    fn get(&self, tree: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(found) = self.existing_tree(tree) else {
            return Ok(None);
        };
        guarded(|| self.read(tree, &found, key)).map_err(|why| StoreError::Read { why })?
    }

    fn scan(&self, tree: &'static str, prefix: &[u8]) -> Result<Vec<Entry>, StoreError> {
        let Some(found) = self.existing_tree(tree) else {
            return Ok(Vec::new());
        };
        let all = || self.read_all(tree, &found, found.scan_prefix(prefix), usize::MAX);
        guarded(all).map_err(|why| StoreError::Read { why })?
    }

    fn scan_range(
        &self,
        tree: &'static str,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(found) = self.existing_tree(tree) else {
            return Ok(Vec::new());
        };
        let page = || self.read_all(tree, &found, found.range::<&[u8], _>((from, to)), limit);
        guarded(page).map_err(|why| StoreError::Read { why })?
    }

    fn get_many(
        &self,
        tree: &'static str,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let Some(found) = self.existing_tree(tree) else {
            return Ok(vec![None; keys.len()]);
        };
        let many = || keys.iter().map(|key| self.read(tree, &found, key)).collect();
        guarded(many).map_err(|why| StoreError::Read { why })?
    }

    fn apply(&self, batches: &[&Batch], number: u64, durability: Durability) -> Result<(), String> {
        let changes = Changes::prepare(self, batches, number).map_err(|error| error.to_string())?;
        changes.apply()?;
        match durability {
            Durability::Forced => self.force(),
            Durability::Lazy => Ok(()),
        }
    }

    fn force(&self) -> Result<(), String> {
        self.db.flush().map_err(|error| error.to_string())?;
        self.file.sync_data().map_err(|error| error.to_string())
    }

    fn snapshots(&self) -> bool {
        false
    }

    fn visit(&self, visitor: &mut Visitor<'_>) -> Result<(), VisitError> {
        let trees = self.trees.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut visit = || -> Result<(), VisitError> {
            for (name, tree) in &trees {
                for item in tree.iter() {
                    let (key, bytes) = item.map_err(|error| read_error(&error))?;
                    let value = self.value(&key, &bytes).map_err(|error| match error {
                        ValueError::Engine(error) => read_error(&error),
                        ValueError::Damaged(reason) => damaged(name, &key, reason),
                    })?;
                    visitor(name, &key, &value).map_err(VisitError::Stopped)?;
                }
            }
            Ok(())
        };
        guarded(&mut visit).map_err(|why| StoreError::Read { why })?
    }

    fn compact(&self) -> Result<(), CompactError> {
        Err(CompactError::Unsupported(
            "sled gives nothing back while it is open; rewrite the store while no server uses it",
        ))
    }

    fn number(&self) -> Result<u64, String> {
        let found = guarded(|| self.meta.get(NUMBER_KEY))?.map_err(|error| error.to_string())?;
        parse_number(found.as_deref())
    }
}

/// Why the bytes of a record did not give its value.
enum ValueError {
    Engine(sled::Error),
    Damaged(&'static str),
}

/// Opens sled, waiting a little for its lock: a background task of a database that was just closed in
/// this process may hold it for a moment. Other processes are kept out by the lock of the store.
fn open_unlocked(config: &sled::Config) -> sled::Result<Db> {
    let mut attempts = LOCK_ATTEMPTS;
    loop {
        match config.open() {
            Err(sled::Error::Io(error))
                if attempts > 0 && error.to_string().contains("could not acquire lock") =>
            {
                attempts -= 1;
                thread::park_timeout(LOCK_PAUSE);
            }
            opened => return opened,
        }
    }
}

/// Forces sled's files and their names to disk. sled itself does neither for the small ones.
fn sync_files(dir: &Path) -> std::io::Result<()> {
    for entry in dir.read_dir()? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    crate::folder::sync_folder(dir)
}

fn open_error(dir: &Path, error: sled::Error) -> OpenError {
    match error {
        sled::Error::Io(source) if source.kind() != std::io::ErrorKind::InvalidData => {
            OpenError::Io { action: "open", path: dir.to_owned(), source }
        }
        other => corrupt(dir, other.to_string()),
    }
}

fn read_error(error: &sled::Error) -> StoreError {
    StoreError::Read { why: error.to_string() }
}

fn tree_name(name: &str) -> String {
    format!("{PREFIX}{name}")
}

const PREFIX: &str = "t:";
const CHUNKS: &str = "chunks";
const META: &str = "meta";
const FORMAT_KEY: &str = "format";
const NUMBER_KEY: &str = "group";
const LOCK_ATTEMPTS: u32 = 400;
const LOCK_PAUSE: Duration = Duration::from_millis(5);
