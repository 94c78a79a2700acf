//! redb 4 as an engine.
//!
//! - A group is one write transaction; a forced one is an `Immediate` commit, which ends with `fdatasync`,
//!   a lazy one a `None` commit, which the next forced one takes along.
//! - redb checks the checksums of its pages only when told to: every open does ([`builder`]). A flipped bit
//!   in a key would otherwise be a key that is silently not there.
//! - redb may panic on damage that appears while it is open: every call is wrapped. After a failed write it
//!   refuses reads too, until it is opened again.
//! - Two-phase commit and quick repair stay off: they cost a second flush per commit, a fifth to a third of
//!   the commits of few writers. The first guards against forged checksums, the second saves the check at
//!   open after a crash, which we want anyway.
//!
//! In redb, a tree `user` is the table `t:user`, and the table `meta` has the format version and the number
//! of the last group. Values are inline records (`record`) whatever their length.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::ops::Bound;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use redb::{
    Builder, CompactionError, Database, DatabaseError, ReadOnlyTable, ReadTransaction,
    ReadableDatabase as _, StorageError, TableDefinition, TableError, TableHandle as _,
};

use crate::engine::{
    CompactError, Engine, VisitError, Visitor, check_format, corrupt, damaged, guarded,
    parse_number, shown,
};
use crate::{Batch, Durability, Entry, OpenError, StoreError, record};

/// An open redb database.
pub(crate) struct RedbEngine {
    /// Exclusive for a compaction only.
    db: RwLock<Database>,
}

type Bytes = &'static [u8];
type Table = ReadOnlyTable<Bytes, Bytes>;

impl RedbEngine {
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
        let path = dir.join(FILE);
        if fresh {
            remove_unfinished(&path).map_err(|source| io_error("read", &path, source))?;
        } else if !path.exists() {
            return Err(corrupt(dir, format!("the data file `{FILE}` is missing")));
        }
        let builder = builder(cache_bytes);
        let opened = guarded(|| if fresh { builder.create(&path) } else { builder.open(&path) });
        let engine = Self::prepare(dir, opened, format, fresh)?;
        crate::folder::sync_folder(dir).map_err(|source| io_error("flush", dir, source))?;
        Ok(engine)
    }

    /// Checks or writes the format.
    fn prepare(
        dir: &Path,
        opened: Result<Result<Database, DatabaseError>, String>,
        format: u64,
        fresh: bool,
    ) -> Result<Self, OpenError> {
        let db =
            opened.map_err(|why| corrupt(dir, why))?.map_err(|error| open_error(dir, error))?;
        let engine = Self { db: RwLock::new(db) };
        match engine.meta(FORMAT_KEY).map_err(|why| corrupt(dir, why))? {
            Some(found) => check_format(dir, &found, format)?,
            None if fresh => {
                let new = format.to_string().into_bytes();
                engine.set_meta(FORMAT_KEY, &new).map_err(|why| corrupt(dir, why))?;
            }
            None => return Err(corrupt(dir, "its content is gone".to_owned())),
        }
        Ok(engine)
    }

    /// Runs a read in a transaction of its own. It keeps a compaction waiting, so it must end.
    fn reading<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        guarded(|| work(&db.begin_read().map_err(read_error)?))
            .map_err(|why| StoreError::Read { why })?
    }

    /// Runs a read of a tree; `None` where there is no such tree.
    fn reading_tree<T>(
        &self,
        tree: &'static str,
        work: impl FnOnce(&Table) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.reading(|transaction| {
            open_table(transaction, &table_name(tree))?.as_ref().map(work).transpose()
        })
    }

    fn range(
        &self,
        tree: &'static str,
        (from, to): (Bound<&[u8]>, Bound<&[u8]>),
        limit: usize,
        belongs: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<Entry>, StoreError> {
        let found = self.reading_tree(tree, |table| {
            let mut entries = Vec::new();
            for item in table.range::<&[u8]>((from, to)).map_err(read_error)? {
                let (key, bytes) = item.map_err(read_error)?;
                let key = key.value();
                if entries.len() >= limit || !belongs(key) {
                    break;
                }
                entries.push((key.to_vec(), value(tree, key, bytes.value())?));
            }
            Ok(entries)
        });
        Ok(found?.unwrap_or_default())
    }

    /// One transaction with the batches, and with the number of their group where they are one.
    fn write(
        &self,
        batches: &[&Batch],
        number: Option<u64>,
        durability: Durability,
    ) -> Result<(), redb::Error> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let mut transaction = db.begin_write()?;
        transaction.set_durability(match durability {
            Durability::Forced => redb::Durability::Immediate,
            Durability::Lazy => redb::Durability::None,
        })?;
        {
            let mut tables = HashMap::new();
            for operation in batches.iter().flat_map(|batch| batch.operations()) {
                let table = match tables.entry(operation.tree.as_ref()) {
                    Slot::Occupied(slot) => slot.into_mut(),
                    Slot::Vacant(slot) => slot
                        .insert(transaction.open_table(definition(&table_name(&operation.tree)))?),
                };
                let key = operation.key.as_slice();
                match operation.value.as_deref() {
                    Some(value) => table.insert(key, record::inline(key, value).as_slice())?,
                    None => table.remove(key)?,
                };
            }
        }
        if let Some(number) = number {
            let mut meta = transaction.open_table(definition(META))?;
            meta.insert(NUMBER_KEY.as_bytes(), number.to_string().as_bytes())?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        self.reading(|transaction| {
            let Some(table) = open_table(transaction, META)? else {
                return Ok(None);
            };
            Ok(table.get(key.as_bytes()).map_err(read_error)?.map(|value| value.value().to_vec()))
        })
        .map_err(|error| error.to_string())
    }

    fn set_meta(&self, key: &str, value: &[u8]) -> Result<(), String> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let write = || -> Result<(), redb::Error> {
            let transaction = db.begin_write()?;
            transaction.open_table(definition(META))?.insert(key.as_bytes(), value)?;
            Ok(transaction.commit()?)
        };
        guarded(write)?.map_err(|error| error.to_string())
    }
}

impl Engine for RedbEngine {
    fn get(&self, tree: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.reading_tree(tree, |table| get(tree, table, key))?.flatten())
    }

    fn scan(&self, tree: &'static str, prefix: &[u8]) -> Result<Vec<Entry>, StoreError> {
        let range = (Bound::Included(prefix), Bound::Unbounded);
        self.range(tree, range, usize::MAX, |key| key.starts_with(prefix))
    }

    fn scan_range(
        &self,
        tree: &'static str,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.range(tree, (from, to), limit, |_| true)
    }

    fn get_many(
        &self,
        tree: &'static str,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let many = |table: &Table| keys.iter().map(|key| get(tree, table, key)).collect();
        Ok(self.reading_tree(tree, many)?.unwrap_or_else(|| vec![None; keys.len()]))
    }

    fn apply(&self, batches: &[&Batch], number: u64, durability: Durability) -> Result<(), String> {
        guarded(|| self.write(batches, Some(number), durability))?
            .map_err(|error| error.to_string())
    }

    fn force(&self) -> Result<(), String> {
        guarded(|| self.write(&[], None, Durability::Forced))?.map_err(|error| error.to_string())
    }

    fn snapshots(&self) -> bool {
        true
    }

    fn visit(&self, visitor: &mut Visitor<'_>) -> Result<(), VisitError> {
        // The transaction outlives the lock, so that reads and writes go on; a compaction finds it.
        let begin = || self.db.read().unwrap_or_else(PoisonError::into_inner).begin_read();
        let visit = || -> Result<(), VisitError> {
            let transaction = begin().map_err(read_error)?;
            for handle in transaction.list_tables().map_err(read_error)? {
                let Some(tree) = handle.name().strip_prefix(PREFIX) else { continue };
                let Some(table) = open_table(&transaction, handle.name())? else { continue };
                for item in table.range::<&[u8]>(..).map_err(read_error)? {
                    let (key, bytes) = item.map_err(read_error)?;
                    let value = record::open_inline(key.value(), bytes.value())
                        .map_err(|reason| damaged(tree, key.value(), reason))?;
                    visitor(tree, key.value(), value).map_err(VisitError::Stopped)?;
                }
            }
            Ok(())
        };
        guarded(visit).map_err(|why| StoreError::Read { why })?
    }

    fn compact(&self) -> Result<(), CompactError> {
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        match guarded(|| db.compact()) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(CompactionError::TransactionInProgress)) => Err(CompactError::Busy),
            Ok(Err(error)) => Err(CompactError::Failed(error.to_string())),
            Err(why) => Err(CompactError::Failed(why)),
        }
    }

    fn number(&self) -> Result<u64, String> {
        parse_number(self.meta(NUMBER_KEY)?.as_deref())
    }
}

fn builder(cache_bytes: u64) -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(usize::try_from(cache_bytes).unwrap_or(usize::MAX));
    builder.set_check_integrity_on_open(true);
    builder
}

/// Removes what is left of a database whose creation was interrupted before redb marked it as one, which
/// it does last and which redb itself refuses.
fn remove_unfinished(path: &Path) -> io::Result<()> {
    let mut start = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(MARKED_BYTES).read_to_end(&mut start)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if start.iter().all(|byte| *byte == 0) { fs::remove_file(path) } else { Ok(()) }
}

fn open_table(transaction: &ReadTransaction, name: &str) -> Result<Option<Table>, StoreError> {
    match transaction.open_table(definition(name)) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(StoreError::Read { why: error.to_string() }),
    }
}

fn get(tree: &'static str, table: &Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let found = table.get(key).map_err(read_error)?;
    found.map(|bytes| value(tree, key, bytes.value())).transpose()
}

/// Reads the value of a record.
fn value(tree: &'static str, key: &[u8], bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    match record::open_inline(key, bytes) {
        Ok(value) => Ok(value.to_vec()),
        Err(reason) => Err(StoreError::Corrupt { tree, key: shown(key), reason }),
    }
}

fn definition(name: &str) -> TableDefinition<'_, Bytes, Bytes> {
    TableDefinition::new(name)
}

fn table_name(tree: &str) -> String {
    format!("{PREFIX}{tree}")
}

fn read_error(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Read { why: error.into().to_string() }
}

fn open_error(dir: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::Storage(StorageError::Io(source))
            if !matches!(
                source.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            io_error("open", dir, source)
        }
        other => corrupt(dir, other.to_string()),
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> OpenError {
    OpenError::Io { action, path: path.to_owned(), source }
}

/// The one file.
const FILE: &str = "data";
const PREFIX: &str = "t:";
const META: &str = "meta";
const FORMAT_KEY: &str = "format";
const NUMBER_KEY: &str = "group";
/// The length of redb's mark at the start of its file.
const MARKED_BYTES: u64 = 9;

#[cfg(test)]
mod tests;
