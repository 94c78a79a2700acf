//! What an engine must do for a [`Store`](crate::Store).
//!
//! An engine neither queues nor groups, checks no limits and remembers no failure: the writer does.
//! A second engine (redb) is a second implementation of this trait and a second name in the format file.

use std::ops::Bound;

use crate::{Batch, Durability, Entry, StoreError};

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

    /// Applies all batches, in order, as one transaction that reads see from then on. A forced one is on
    /// the device when this returns, with all before it; a lazy one is so after the next
    /// [`Engine::force`] or forced one.
    fn apply(&self, batches: &[&Batch], durability: Durability) -> Result<(), String>;

    /// Forces everything applied so far to the device.
    fn force(&self) -> Result<(), String>;
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

/// The text of a caught panic.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "the storage engine stopped without a message".to_owned())
}
