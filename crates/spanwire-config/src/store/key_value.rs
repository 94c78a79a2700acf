//! Configuration in a key-value store.
//!
//! | tree | key | value |
//! |---|---|---|
//! | `objects` | id | the newest version of an object that is not deleted |
//! | `object_versions` | id, version | every version |
//! | `revisions` | revision | who, when, why, and which versions |
//! | `configuration` | `head` | the newest revision and the greatest id |
//!
//! Numbers in keys are 8 bytes, big-endian. A change is one batch, hence wholly there after a crash, or wholly not.

mod unversioned;

use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use spanwire_store::{Batch, KeyValue, StoreError};

use super::{
    ConfigStore, ConfigStoreError, StoredChange, StoredRevision, StoredState, StoredVersion,
};

const OBJECTS: &str = "objects";
const VERSIONS: &str = "object_versions";
const REVISIONS: &str = "revisions";
const CONFIGURATION: &str = "configuration";
const HEAD: &[u8] = b"head";

/// Configuration in a store that this process owns.
#[derive(Debug)]
pub struct KeyValueConfigStore {
    store: Arc<dyn KeyValue>,
    /// Held from reading the head to replacing it.
    writing: Mutex<()>,
}

#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
struct Head {
    format: u32,
    revision: u64,
    last_id: u64,
}

impl KeyValueConfigStore {
    /// Keeps configuration in these trees of a store.
    #[must_use]
    pub fn new(store: Arc<dyn KeyValue>) -> Self {
        Self { store, writing: Mutex::new(()) }
    }

    fn head(&self) -> Result<Head, ConfigStoreError> {
        let head: Head = match self.store.get(CONFIGURATION, HEAD).map_err(failed)? {
            Some(value) => parse(&value, "its head")?,
            None => Head { format: FORMAT, ..Head::default() },
        };
        if head.format > FORMAT {
            let text = "it was written by a newer version of spanwire: use that one";
            return Err(ConfigStoreError::Store(text.to_owned()));
        }
        Ok(head)
    }
}

impl ConfigStore for KeyValueConfigStore {
    fn load(&self) -> Result<StoredState, ConfigStoreError> {
        let mut head = self.head()?;
        let mut entries = self.store.scan(OBJECTS, &[]).map_err(failed)?;
        if head.revision == 0 && !entries.is_empty() {
            self.commit(&unversioned::adopt(&entries)?)?;
            head = self.head()?;
            entries = self.store.scan(OBJECTS, &[]).map_err(failed)?;
        }
        let objects = entries.iter().map(|(_, value)| parse(value, "an object"));
        let objects = objects.collect::<Result<_, _>>()?;
        Ok(StoredState { head: head.revision, last_id: head.last_id, objects })
    }

    fn commit(&self, change: &StoredChange) -> Result<(), ConfigStoreError> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let head = self.head()?;
        if change.revision.revision != head.revision + 1 {
            return Err(ConfigStoreError::Conflict);
        }
        let mut batch = Batch::new();
        let mut last_id = head.last_id;
        for version in &change.versions {
            let value = to_bytes(version)?;
            let key = version_key(version.id, version.version);
            if self.store.get(VERSIONS, &key).map_err(failed)?.is_some() {
                return Err(ConfigStoreError::Conflict);
            }
            batch.put(VERSIONS, &key, value.clone());
            match &version.object {
                Some(_) => batch.put(OBJECTS, &version.id.to_be_bytes(), value),
                None => batch.delete(OBJECTS, &version.id.to_be_bytes()),
            };
            last_id = last_id.max(version.id);
        }
        let revision = change.revision.revision;
        batch.put(REVISIONS, &revision.to_be_bytes(), to_bytes(&change.revision)?);
        let head = Head { format: FORMAT, revision, last_id };
        batch.put(CONFIGURATION, HEAD, to_bytes(&head)?);
        self.store.commit(batch).map_err(failed)
    }

    fn revision(&self, number: u64) -> Result<Option<StoredRevision>, ConfigStoreError> {
        let value = self.store.get(REVISIONS, &number.to_be_bytes()).map_err(failed)?;
        value.map(|value| parse(&value, "a revision")).transpose()
    }

    fn versions(&self, id: u64) -> Result<Vec<StoredVersion>, ConfigStoreError> {
        let entries = self.store.scan(VERSIONS, &id.to_be_bytes()).map_err(failed)?;
        entries.iter().map(|(_, value)| parse(value, "a version")).collect()
    }

    fn version(&self, id: u64, version: u64) -> Result<Option<StoredVersion>, ConfigStoreError> {
        let value = self.store.get(VERSIONS, &version_key(id, version)).map_err(failed)?;
        value.map(|value| parse(&value, "a version")).transpose()
    }

    fn rewrite(&self, versions: &[StoredVersion]) -> Result<(), ConfigStoreError> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = Batch::new();
        for version in versions {
            let known = self.version(version.id, version.version)?;
            if known.is_none_or(|known| known.revision != version.revision) {
                return Err(ConfigStoreError::Conflict);
            }
            let value = to_bytes(version)?;
            batch.put(VERSIONS, &version_key(version.id, version.version), value.clone());
            let newest = self.store.get(OBJECTS, &version.id.to_be_bytes()).map_err(failed)?;
            let newest: Option<StoredVersion> =
                newest.map(|value| parse(&value, "an object")).transpose()?;
            if newest.is_some_and(|newest| newest.version == version.version) {
                batch.put(OBJECTS, &version.id.to_be_bytes(), value);
            }
        }
        self.store.commit(batch).map_err(failed)
    }
}

fn version_key(id: u64, version: u64) -> [u8; 16] {
    ((u128::from(id) << 64) | u128::from(version)).to_be_bytes()
}

fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>, ConfigStoreError> {
    serde_json::to_vec(value).map_err(|error| ConfigStoreError::Store(error.to_string()))
}

fn parse<T: DeserializeOwned>(value: &[u8], what: &'static str) -> Result<T, ConfigStoreError> {
    serde_json::from_slice(value).map_err(|_| ConfigStoreError::Damaged(what))
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function of map_err")]
fn failed(error: StoreError) -> ConfigStoreError {
    ConfigStoreError::Store(error.to_string())
}

/// The form of what is in the trees.
const FORMAT: u32 = 1;

#[cfg(test)]
mod tests {
    use spanwire_store::{MemoryStore, Options, Store};

    use super::*;

    #[test]
    fn it_keeps_the_contract_in_memory() {
        crate::testing::store_contract(|| {
            Box::new(KeyValueConfigStore::new(Arc::new(MemoryStore::new())))
        });
    }

    #[test]
    fn it_keeps_the_contract_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut number = 0;
        crate::testing::store_contract(|| {
            number += 1;
            let folder = folder.path().join(number.to_string());
            let store = Store::open(&folder, Options::default()).unwrap();
            Box::new(KeyValueConfigStore::new(Arc::new(store)))
        });
    }

    #[test]
    fn objects_from_before_there_was_a_history_begin_one() {
        let store = Arc::new(MemoryStore::new());
        let old =
            br#"{"kind": "security", "object": {"name": "a", "password": {"encrypted": "x"}}}"#;
        store.put(OBJECTS, &7_u64.to_be_bytes(), old).unwrap();
        let old = br#"{"kind": "pubsub_subscription", "object": {"endpoint_name": "e", "topic_name": "/t"}}"#;
        store.put(OBJECTS, &9_u64.to_be_bytes(), old).unwrap();
        let configuration = KeyValueConfigStore::new(store);
        let state = configuration.load().unwrap();
        assert_eq!((state.head, state.last_id), (1, 9));
        let names: Vec<_> = state.objects.iter().map(|it| (it.id, it.version, &*it.name)).collect();
        assert_eq!(names, [(7, 1, "a"), (9, 1, "e//t")]);
        assert_eq!(configuration.load().unwrap(), state);
        assert_eq!(configuration.versions(7).unwrap(), state.objects[..1]);
        assert!(configuration.revision(1).unwrap().unwrap().reason.is_some());
    }

    #[test]
    fn what_a_newer_release_wrote_is_refused() {
        let store = MemoryStore::new();
        store.put(CONFIGURATION, HEAD, br#"{"format":2,"revision":1,"last_id":1}"#).unwrap();
        let error = KeyValueConfigStore::new(Arc::new(store)).load().unwrap_err();
        assert!(error.to_string().contains("newer version"), "{error}");
    }
}
