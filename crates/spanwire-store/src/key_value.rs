//! The face every store has, whatever engine is underneath.
//!
//! It is object-safe: upper crates hold an `Arc<dyn KeyValue>`. What each method promises is tested for
//! every implementation by `testing::contract`. It has no cursors and no compare-and-set: a caller that
//! must read before it writes holds a lock of its own, since one process owns a store.

use std::fmt;
use std::ops::Bound;
use std::sync::mpsc::sync_channel;

use crate::{Batch, StoreError};

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Gets the outcome of a batch that was [submitted](KeyValue::submit).
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// When a batch counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on the device.
    Forced,
    /// Once reads see it. It reaches the device with the next forced batch, when much has gathered, or
    /// when the store is dropped. A crash before that loses it with all that came after it: what is left
    /// of the lazy batches is always a prefix.
    Lazy,
}

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

    /// Reads entries of `tree` between two keys, ascending, `limit` of them at most; the memory of one
    /// answer is bounded by `limit` values. A range that ends before it starts is empty.
    ///
    /// For the rest call again with [`Bound::Excluded`] of the last key, until fewer than `limit` come:
    ///
    /// ```
    /// # use std::ops::Bound;
    /// # use spanwire_store::{KeyValue, MemoryStore, StoreError};
    /// # fn all(store: &dyn KeyValue) -> Result<usize, StoreError> {
    /// let (mut from, mut count) = (Bound::Unbounded, 0);
    /// loop {
    ///     let page = store.scan_range("t", from.as_ref().map(Vec::as_slice), Bound::Unbounded, 100)?;
    ///     count += page.len();
    ///     match page.into_iter().nth(99) {
    ///         Some((last, _)) => from = Bound::Excluded(last),
    ///         None => return Ok(count),
    ///     }
    /// }
    /// # }
    /// # assert_eq!(all(&MemoryStore::new()), Ok(0));
    /// ```
    ///
    /// # Errors
    ///
    /// As [`KeyValue::get`], for the first entry that fails.
    fn scan_range(
        &self,
        tree: &'static str,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// Reads several values of one tree, in the order of `keys`; `None` where a key is not there. It is
    /// cheaper than so many single reads, and not more consistent: commits may come in between.
    ///
    /// # Errors
    ///
    /// As [`KeyValue::get`], for the first key that fails.
    fn get_many(
        &self,
        tree: &'static str,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Hands in a batch to be written as a whole or not at all, and returns; `done` gets the outcome,
    /// exactly once. An empty batch writes nothing and succeeds unless the store is poisoned.
    ///
    /// All batches take effect in the order in which they were handed in, whatever their durability: a
    /// [`Durability::Forced`] one that succeeded says that every earlier lazy one is on the device too.
    ///
    /// It blocks while the queue of the store is full. `done` runs on the thread that writes, or inside
    /// this call when the outcome is known at once; nothing else is written meanwhile. It must be short,
    /// must not hand in more by itself, and the caller must hold no lock that `done` takes.
    ///
    /// # Errors
    ///
    /// What `done` gets. [`StoreError::Size`] when a limit is broken and [`StoreError::Full`] when the
    /// disk is nearly full: nothing of this batch was written, others are unharmed.
    /// [`StoreError::Poisoned`] when this or an earlier write did not reach the disk.
    fn submit(&self, batch: Batch, durability: Durability, done: Done);

    /// Writes the whole batch or nothing of it, and returns when it is as durable as this store gets:
    /// [`KeyValue::submit`] of a forced batch, and the wait for its outcome.
    ///
    /// # Errors
    ///
    /// As what `done` of [`KeyValue::submit`] gets.
    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let (sender, answer) = sync_channel(1);
        let done = move |outcome| {
            // The receiver waits below.
            let _ = sender.send(outcome);
        };
        self.submit(batch, Durability::Forced, Box::new(done));
        answer.recv().unwrap_or_else(|_| {
            Err(StoreError::Poisoned { why: "the write was given up without an answer".to_owned() })
        })
    }

    /// The bytes the store takes on the disk, as the file system counts them; 0 when it has none or when
    /// that cannot be read. It looks at each file, so ask now and then, not for every write.
    fn disk_bytes(&self) -> u64 {
        0
    }

    /// Gives back to the disk what the store no longer needs. Reads and writes wait meanwhile; it takes
    /// about as long as writing all that is stored once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unsupported`] when this store cannot do it while it is open,
    /// [`StoreError::Busy`] when an export is running, [`StoreError::Poisoned`] as for writes.
    fn compact(&self) -> Result<Compaction, StoreError> {
        Err(StoreError::Unsupported { what: "a store in memory has nothing to compact" })
    }

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

/// What a store took on the disk before and after a [compaction](KeyValue::compact), in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compaction {
    /// Before it.
    pub before: u64,
    /// After it.
    pub after: u64,
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
