//! A store in memory: the face without the disk.
//!
//! For tests, and for what need not survive a restart. Commits are atomic to readers of a single value
//! and across trees; nothing is durable, and nothing fails unless a test asks for it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::engine::is_backwards;
use crate::{Batch, Done, Durability, Entry, Health, KeyValue, StoreError};

/// An empty store that forgets everything when dropped.
#[derive(Default)]
pub struct MemoryStore {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    trees: HashMap<Cow<'static, str>, BTreeMap<Vec<u8>, Vec<u8>>>,
    poison: Option<String>,
}

impl MemoryStore {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every later commit fail, as a disk that stopped working would. For tests of what is above.
    #[cfg(any(test, feature = "testing"))]
    pub fn poison(&self, why: &str) {
        self.write().poison.get_or_insert_with(|| why.to_owned());
    }

    // A panic of another thread leaves no half-made state behind: changes are plain map operations.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyValue for MemoryStore {
    fn get(&self, tree: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read().trees.get(tree).and_then(|tree| tree.get(key)).cloned())
    }

    fn scan(&self, tree: &'static str, prefix: &[u8]) -> Result<Vec<Entry>, StoreError> {
        let state = self.read();
        let Some(tree) = state.trees.get(tree) else {
            return Ok(Vec::new());
        };
        let entries = tree
            .range(prefix.to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()));
        Ok(entries.collect())
    }

    fn scan_range(
        &self,
        tree: &'static str,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let state = self.read();
        let Some(tree) = state.trees.get(tree).filter(|_| !is_backwards(from, to)) else {
            return Ok(Vec::new());
        };
        let entries = tree.range::<[u8], _>((from, to)).take(limit);
        Ok(entries.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn get_many(
        &self,
        tree: &'static str,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let state = self.read();
        let tree = state.trees.get(tree);
        Ok(keys.iter().map(|key| tree.and_then(|tree| tree.get(key)).cloned()).collect())
    }

    fn submit(&self, batch: Batch, _: Durability, done: Done) {
        done(self.write_batch(batch));
    }

    fn health(&self) -> Health {
        match &self.read().poison {
            Some(why) => Health::Poisoned { why: why.clone() },
            None => Health::Healthy,
        }
    }
}

impl MemoryStore {
    fn write_batch(&self, batch: Batch) -> Result<(), StoreError> {
        batch.check()?;
        let mut state = self.write();
        if let Some(why) = &state.poison {
            return Err(StoreError::Poisoned { why: why.clone() });
        }
        for operation in batch.into_operations() {
            let tree = state.trees.entry(operation.tree).or_default();
            match operation.value {
                Some(value) => tree.insert(operation.key, value),
                None => tree.remove(&operation.key),
            };
        }
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("trees", &self.read().trees.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_contract() {
        crate::testing::contract(|| Box::new(MemoryStore::new()));
    }

    #[test]
    fn a_poisoned_store_reads_and_refuses_writes() {
        let store = MemoryStore::new();
        store.put("t", b"k", b"v").unwrap();
        store.poison("test");
        let poisoned = StoreError::Poisoned { why: "test".to_owned() };
        assert_eq!(store.put("t", b"k", b"w"), Err(poisoned));
        assert_eq!(store.health(), Health::Poisoned { why: "test".to_owned() });
        assert_eq!(store.get("t", b"k").unwrap().unwrap(), b"v");
    }
}
