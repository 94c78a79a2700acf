//! The face every store has, whatever engine is underneath.
//!
//! It is object-safe: upper crates hold an `Arc<dyn KeyValue>`. What each method promises is tested for
//! every implementation by `testing::contract`. It has no cursors and no compare-and-set: a caller that
//! must read before it writes holds a lock of its own, since one process owns a store.

use std::fmt;

use crate::{Batch, StoreError};

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Named trees of keys in byte order, written in batches. Every call blocks.
///
/// Each read stands for itself: it sees every commit that returned before it began, and may see one
/// that is being forced to disk at that moment. Two reads may have a commit between them, and so may
/// two entries of one scan; a single value is never a mixture of two.
pub trait KeyValue: fmt::Debug + Send + Sync {
    /// Reads one value; `None` where the key, or the whole tree, is not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] when the value is not what was written, [`StoreError::Read`] when the
    /// engine fails. A poisoned store still reads.
    fn get(&self, tree: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Reads every entry of `tree` whose key starts with `prefix`, in byte order of the keys. An empty
    /// prefix reads the whole tree.
    ///
    /// All of it is in memory at once: choose keys so that a prefix bounds the answer.
    ///
    /// # Errors
    ///
    /// As [`KeyValue::get`], for the first entry that fails.
    fn scan(&self, tree: &'static str, prefix: &[u8]) -> Result<Vec<Entry>, StoreError>;

    /// Writes the whole batch or nothing of it, and returns when it is as durable as this store gets.
    /// An empty batch writes nothing and succeeds unless the store is poisoned.
    ///
    /// # Errors
    ///
    /// [`StoreError::Size`] when a limit is broken and nothing was written; [`StoreError::Poisoned`]
    /// when this or an earlier write did not reach the disk.
    fn commit(&self, batch: Batch) -> Result<(), StoreError>;

    /// Says whether writes are accepted. Cheap; made for readiness checks.
    fn health(&self) -> Health;

    /// Commits a single put.
    ///
    /// # Errors
    ///
    /// As [`KeyValue::commit`].
    fn put(&self, tree: &'static str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(tree, key, value);
        self.commit(batch)
    }

    /// Commits a single delete.
    ///
    /// # Errors
    ///
    /// As [`KeyValue::commit`].
    fn delete(&self, tree: &'static str, key: &[u8]) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.delete(tree, key);
        self.commit(batch)
    }
}

/// Whether a store accepts writes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It does.
    Healthy,
    /// It does not, until the process is started again.
    Poisoned {
        /// What failed first.
        why: String,
    },
}
