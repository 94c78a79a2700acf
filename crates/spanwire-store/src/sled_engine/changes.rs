//! Batches as one sled transaction: which trees take part, and what each one gets.
//!
//! It forces nothing. Only the writer thread makes transactions, so none meets a conflict.

use std::collections::HashMap;

use sled::transaction::{ConflictableTransactionError, TransactionResult, Transactional};
use sled::{IVec, Tree};

use super::{NUMBER_KEY, SledEngine};
use crate::Batch;
use crate::record::{self, Place, Record};

/// What one transaction does.
pub(super) struct Changes<'a> {
    trees: Vec<Tree>,
    list: Vec<Change<'a>>,
    /// The number of the group, which is stored too.
    number: String,
}

impl<'a> Changes<'a> {
    /// Turns batches into changes: which trees take part, and what each one gets.
    pub(super) fn prepare(
        engine: &SledEngine,
        batches: &[&'a Batch],
        number: u64,
    ) -> Result<Self, sled::Error> {
        let trees = vec![engine.chunks.clone(), engine.meta.clone()];
        let mut changes = Self { trees, list: Vec::new(), number: number.to_string() };
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        for operation in batches.iter().flat_map(|batch| batch.operations()) {
            let number = match numbers.get(operation.tree.as_ref()) {
                Some(number) => *number,
                None => {
                    changes.trees.push(engine.tree_to_write(&operation.tree)?);
                    let number = changes.trees.len() - 1;
                    numbers.insert(&operation.tree, number);
                    number
                }
            };
            let key = operation.key.as_slice();
            let write = match operation.value.as_deref() {
                None => Write::Delete,
                Some(value) if record::fits_inline(value) => {
                    Write::Inline(record::inline(key, value).into())
                }
                Some(value) => {
                    let id = engine.db.generate_id()?;
                    Write::Chunked { id, record: record::chunked(key, value, id).into(), value }
                }
            };
            changes.list.push(Change { tree: number, key, write });
        }
        Ok(changes)
    }

    /// Does all of it, or nothing.
    pub(super) fn apply(&self) -> Result<(), String> {
        let result: TransactionResult<(), ()> = self.trees.as_slice().transaction(|trees| {
            for change in &self.list {
                change.apply(trees)?;
            }
            if let Some(meta) = trees.get(META_INDEX) {
                meta.insert(NUMBER_KEY, self.number.as_bytes())?;
            }
            Ok(())
        });
        result.map_err(|error| format!("the transaction failed: {error:?}"))
    }
}

struct Change<'a> {
    /// Index into the trees of the transaction.
    tree: usize,
    key: &'a [u8],
    write: Write<'a>,
}

enum Write<'a> {
    Delete,
    Inline(IVec),
    Chunked { id: u64, record: IVec, value: &'a [u8] },
}

impl Change<'_> {
    fn apply(
        &self,
        trees: &[sled::transaction::TransactionalTree],
    ) -> Result<(), ConflictableTransactionError<()>> {
        let (Some(tree), Some(chunks)) = (trees.get(self.tree), trees.get(CHUNKS_INDEX)) else {
            let message = "a tree of the batch is not in its transaction".to_owned();
            return Err(ConflictableTransactionError::Storage(sled::Error::ReportableBug(message)));
        };
        let previous = match &self.write {
            Write::Delete => tree.remove(self.key)?,
            Write::Inline(record) => tree.insert(self.key, record)?,
            Write::Chunked { id, record, value } => {
                let pieces = value.chunks(record::CHUNK_BYTES);
                for (key, piece) in record::chunk_keys(*id, value.len()).zip(pieces) {
                    chunks.insert(&key[..], piece)?;
                }
                tree.insert(self.key, record)?
            }
        };
        // The chunks of the value that was there. A damaged record has none to be found.
        if let Some(Ok(Record { place: Place::Chunked { id, length }, .. })) =
            previous.as_deref().map(Record::parse)
        {
            for key in record::chunk_keys(id, length) {
                chunks.remove(&key[..])?;
            }
        }
        Ok(())
    }
}

/// Where the trees are that take part in every transaction.
const CHUNKS_INDEX: usize = 0;
const META_INDEX: usize = 1;
