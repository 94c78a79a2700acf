//! What an engine must do for a [`Store`](crate::Store).
//!
//! An engine neither queues nor groups, checks no limits and remembers no failure: the writer does.
//! A further engine is a further implementation of this trait and a name in [`EngineKind`].

use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use crate::folder::FORMAT;
use crate::redb_engine::RedbEngine;
use crate::sled_engine::SledEngine;
use crate::{Batch, Durability, EngineKind, Entry, OpenError, Options, StoreError};

/// An embedded database. Reads come from any thread, writes from the writer thread only.
pub(crate) trait Engine: Send + Sync {
    /// As [`KeyValue::get`](crate::KeyValue::get).
    fn get(&self, tree: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// As [`KeyValue::scan`](crate::KeyValue::scan).
    fn scan(&self, tree: &'static str, prefix: &[u8]) -> Result<Vec<Entry>, StoreError>;

    /// As [`KeyValue::scan_range`](crate::KeyValue::scan_range), for a range that
    /// [does not end before it starts](is_backwards).
    fn scan_range(
        &self,
        tree: &'static str,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// As [`KeyValue::get_many`](crate::KeyValue::get_many).
    fn get_many(
        &self,
        tree: &'static str,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Applies all batches of a group, in order, as one transaction that reads see from then on; `number` is
    /// stored with them. A forced one is on the device when this returns, with all before it; a lazy one is so
    /// after the next [`Engine::force`] or forced one.
    fn apply(&self, batches: &[&Batch], number: u64, durability: Durability) -> Result<(), String>;

    /// Forces everything applied so far to the device.
    fn force(&self) -> Result<(), String>;

    /// Whether [`Engine::visit`] sees one moment while writes go on.
    fn snapshots(&self) -> bool;

    /// Shows every entry of every tree, the trees by name and their entries by key, until the visitor
    /// fails. Without [snapshots](Engine::snapshots) nothing may be written meanwhile.
    fn visit(&self, visitor: &mut Visitor<'_>) -> Result<(), VisitError>;

    /// Gives space back; for the writer thread.
    fn compact(&self) -> Result<(), CompactError>;

    /// The number of the last group that was applied, 0 before the first.
    fn number(&self) -> Result<u64, String>;
}

/// Gets tree, key and value.
pub(crate) type Visitor<'a> = dyn FnMut(&str, &[u8], &[u8]) -> io::Result<()> + 'a;

/// A visit ended early.
#[derive(Debug)]
pub(crate) enum VisitError {
    /// An entry could not be read.
    Read(StoreError),
    /// The visitor failed.
    Stopped(io::Error),
}

impl From<StoreError> for VisitError {
    fn from(error: StoreError) -> Self {
        Self::Read(error)
    }
}

/// A compaction did not take place.
#[derive(Debug)]
pub(crate) enum CompactError {
    /// This engine has none; what to do instead.
    Unsupported(&'static str),
    /// A visit is going on.
    Busy,
    /// It failed on the way.
    Failed(String),
}

/// Opens the engine of that kind in the folder `dir`, which exists; `fresh` says that it should not have a
/// database yet.
pub(crate) fn open(
    kind: EngineKind,
    dir: &Path,
    options: &Options,
    fresh: bool,
) -> Result<Arc<dyn Engine>, OpenError> {
    Ok(match kind {
        EngineKind::Sled => Arc::new(SledEngine::open(dir, options.cache_bytes, FORMAT, fresh)?),
        EngineKind::Redb => Arc::new(RedbEngine::open(dir, options.cache_bytes, FORMAT, fresh)?),
    })
}

/// Whether no key lies between the two, whatever the keys. Maps and engines panic on such ranges.
pub(crate) fn is_backwards(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (
            Bound::Included(from) | Bound::Excluded(from),
            Bound::Included(to) | Bound::Excluded(to),
        ) => from >= to,
    }
}

/// Turns a panic of an engine into its text. Nothing that was being changed is used again.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| panic_text(payload.as_ref()))
}

/// Refuses the format version inside an engine when this release does not read it.
pub(crate) fn check_format(dir: &Path, found: &[u8], supported: u64) -> Result<(), OpenError> {
    let found = std::str::from_utf8(found).ok().and_then(|text| text.parse().ok());
    match found {
        Some(found) if found > supported => {
            Err(OpenError::NewerFormat { dir: dir.to_owned(), found, supported })
        }
        Some(_) => Ok(()),
        None => Err(corrupt(dir, "its format version is not a number".to_owned())),
    }
}

/// The number of the last group in the engine of `dir`.
pub(crate) fn number(dir: &Path, engine: &dyn Engine) -> Result<u64, OpenError> {
    engine.number().map_err(|why| corrupt(dir, why))
}

/// The number of a group as engines store it, in digits; `None` is that before the first.
pub(crate) fn parse_number(found: Option<&[u8]>) -> Result<u64, String> {
    let Some(found) = found else { return Ok(0) };
    let number = std::str::from_utf8(found).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| "the number of its last group is not a number".to_owned())
}

pub(crate) fn corrupt(dir: &Path, reason: String) -> OpenError {
    OpenError::Corrupt { dir: dir.to_owned(), reason }
}

/// The error of a damaged value in a tree whose name is not known at compile time.
pub(crate) fn damaged(tree: &str, key: &[u8], reason: &str) -> StoreError {
    StoreError::Read { why: format!("key {} in tree {tree} is damaged: {reason}", shown(key)) }
}

/// The start of a key, for an error.
pub(crate) fn shown(key: &[u8]) -> String {
    let start: String = key.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    if key.len() > 16 { start + "…" } else { start }
}

/// The text of a caught panic.
fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "the storage engine stopped without a message".to_owned())
}
