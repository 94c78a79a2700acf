//! A batch: writes to any number of trees that are applied as a whole or not at all.
//!
//! It only collects; limits are checked when it is committed, so that building one cannot fail.

use std::borrow::Cow;
use std::fmt;

use crate::StoreError;

/// The longest key, in bytes; the shortest is 1.
///
/// sled writes an index page of up to 320 keys as one record, and a record above 128 KiB into a file
/// that it never flushes. This limit keeps every page below that.
pub const MAX_KEY_BYTES: usize = 384;

/// The longest name of a tree, in bytes; the shortest is 1.
pub const MAX_TREE_NAME_BYTES: usize = 64;

/// The most a batch may hold: the bytes of its keys and values and 64 for each operation.
///
/// This is also what bounds one value: 64 MiB less its key and 64 bytes.
pub const MAX_BATCH_BYTES: usize = 64 * 1024 * 1024;

/// Writes that are applied together, in the order they were added.
///
/// Where one key occurs several times the last write wins.
#[derive(Default)]
pub struct Batch {
    operations: Vec<Operation>,
    bytes: usize,
    is_urgent: bool,
}

/// One write: a value, or `None` for a delete.
pub(crate) struct Operation {
    pub(crate) tree: Cow<'static, str>,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Batch {
    /// Starts an empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds: `key` in `tree` gets `value`, whatever it had before. The tree comes into being.
    pub fn put(&mut self, tree: &'static str, key: &[u8], value: impl Into<Vec<u8>>) -> &mut Self {
        self.add(Cow::Borrowed(tree), key, Some(value.into()))
    }

    /// Adds a put to a tree whose name was read from somewhere.
    pub(crate) fn put_named(&mut self, tree: &str, key: &[u8], value: &[u8]) {
        self.add(Cow::Owned(tree.to_owned()), key, Some(value.to_owned()));
    }

    /// Adds: `key` in `tree` is gone. Deleting what is not there is no error.
    pub fn delete(&mut self, tree: &'static str, key: &[u8]) -> &mut Self {
        self.add(Cow::Borrowed(tree), key, None)
    }

    /// Lets the batch into the room that is kept free on the disk: for small notes without which nothing could go on,
    /// or be given back.
    pub fn urgent(&mut self) -> &mut Self {
        self.is_urgent = true;
        self
    }

    pub(crate) fn is_urgent(&self) -> bool {
        self.is_urgent
    }

    /// The number of operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The bytes that count towards [`MAX_BATCH_BYTES`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn has_puts(&self) -> bool {
        self.operations.iter().any(|operation| operation.value.is_some())
    }

    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    pub(crate) fn into_operations(self) -> Vec<Operation> {
        self.operations
    }

    /// Refuses a batch that breaks a limit.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        check_size("a batch", self.bytes, 0, MAX_BATCH_BYTES)?;
        for operation in &self.operations {
            check_size("a tree name", operation.tree.len(), 1, MAX_TREE_NAME_BYTES)?;
            check_size("a key", operation.key.len(), 1, MAX_KEY_BYTES)?;
        }
        Ok(())
    }

    fn add(&mut self, tree: Cow<'static, str>, key: &[u8], value: Option<Vec<u8>>) -> &mut Self {
        self.bytes += OPERATION_BYTES + key.len() + value.as_ref().map_or(0, Vec::len);
        self.operations.push(Operation { tree, key: key.to_vec(), value });
        self
    }
}

impl fmt::Debug for Batch {
    /// Sizes only: what is stored does not belong in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("operations", &self.operations.len())
            .field("bytes", &self.bytes)
            .finish()
    }
}

fn check_size(
    what: &'static str,
    size: usize,
    least: usize,
    most: usize,
) -> Result<(), StoreError> {
    if (least..=most).contains(&size) {
        Ok(())
    } else {
        Err(StoreError::Size { what, size, least, most })
    }
}

/// What an operation costs beside its bytes, so that a million deletes are not free.
const OPERATION_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_sizes_and_no_content() {
        let mut batch = Batch::new();
        batch.put("user", b"ada", "secret").delete("user", b"bob");
        assert_eq!(format!("{batch:?}"), "Batch { operations: 2, bytes: 140 }");
    }

    #[test]
    fn limits_are_inclusive() {
        let check = |tree: &'static str, key: &[u8]| Batch::new().delete(tree, key).check();
        assert_eq!(check("t", &[0; MAX_KEY_BYTES]), Ok(()));
        assert!(check("t", &[0; MAX_KEY_BYTES + 1]).is_err());
        assert!(check("t", b"").is_err());
        assert!(check("", b"k").is_err());
        assert_eq!(Batch::new().check(), Ok(()));
    }
}
