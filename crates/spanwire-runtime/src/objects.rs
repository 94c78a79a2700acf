//! Managed objects in the store: one entry each, secrets encrypted.

use std::collections::HashMap;
use std::convert::Infallible;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use spanwire_config::{Action, Applied, Kind, Object, ObjectSet};
use spanwire_crypto::KeyRing;
use spanwire_store::{Batch, KeyValue};

use crate::error::StartError;

/// The tree the objects are in, keyed by a number that each gets once: names can be longer than keys may be.
const TREE: &str = "objects";

/// What is known of the environment itself.
const ENVIRONMENT: &str = "environment";
const CREATED: &[u8] = b"created";

/// Stored objects, and where each one is.
#[derive(Debug, Default)]
pub(crate) struct StoredObjects {
    pub(crate) set: ObjectSet,
    places: HashMap<(Kind, String), u64>,
    last: u64,
    is_new: bool,
}

#[derive(Serialize, Deserialize)]
struct Record {
    kind: String,
    object: Value,
}

impl StoredObjects {
    /// Reads everything that is stored.
    pub(crate) fn load(store: &dyn KeyValue, keys: &KeyRing) -> Result<Self, StartError> {
        let is_new = store.get(ENVIRONMENT, CREATED).map_err(StartError::data)?.is_none();
        let mut stored = Self { is_new, ..Self::default() };
        for (key, value) in store.scan(TREE, &[]).map_err(StartError::data)? {
            let place = <[u8; 8]>::try_from(&*key)
                .map(u64::from_be_bytes)
                .map_err(|_| damaged("its key"))?;
            let record: Record = serde_json::from_slice(&value).map_err(|_| damaged("its form"))?;
            let kind = Kind::from_key(&record.kind).ok_or_else(|| damaged("its kind"))?;
            let object = Object::from_stored(kind, &record.object, &|text: &str| {
                keys.decrypt(text).map_err(StartError::data).and_then(|plain| {
                    String::from_utf8(plain).map_err(|_| damaged("a secret in it"))
                })
            });
            let object = object.map_err(StartError::data)?;
            stored.places.insert((kind, object.name()), place);
            stored.last = stored.last.max(place);
            stored.set.insert(object);
        }
        Ok(stored)
    }

    /// Whether nothing was ever applied: the environment is being created.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Creates or updates objects, all of them or none; on disk when this returns.
    pub(crate) fn apply(
        &mut self,
        objects: Vec<Object>,
        store: &dyn KeyValue,
        keys: &KeyRing,
    ) -> Result<Applied, StartError> {
        let mut set = self.set.clone();
        let applied = set.apply(objects);
        let mut batch = Batch::new();
        for change in applied.changes.iter().filter(|change| change.action != Action::Unchanged) {
            let Some(object) = set.get(change.kind, &change.name) else { continue };
            let encrypt = |plain: &str| Ok::<_, Infallible>(keys.encrypt(plain.as_bytes()));
            let Ok(stored) = object.to_stored(&encrypt);
            let record = Record { kind: change.kind.as_str().to_owned(), object: stored };
            let value = serde_json::to_vec(&record).map_err(StartError::data)?;
            let place =
                *self.places.entry((change.kind, change.name.clone())).or_insert_with(|| {
                    self.last += 1;
                    self.last
                });
            batch.put(TREE, &place.to_be_bytes(), value);
        }
        if self.is_new {
            // In the same step as the first objects: a start that fails before this one is no first start.
            batch.put(ENVIRONMENT, CREATED, Vec::new());
        }
        if !batch.is_empty() {
            store.commit(batch).map_err(StartError::data)?;
        }
        self.set = set;
        self.is_new = false;
        Ok(applied)
    }
}

fn damaged(what: &str) -> StartError {
    StartError::Data(format!(
        "a stored object is damaged ({what}): restore the folder store/ from a backup"
    ))
}

#[cfg(test)]
mod tests {
    use spanwire_config::{Existing, Security, parse_str};
    use spanwire_store::MemoryStore;

    use super::*;

    fn objects(password: &str) -> Vec<Object> {
        let text = format!(
            "security: [{{name: app1, type: basic_auth, username: u, password: {password}}}]"
        );
        parse_str("t.yaml", &text, &|_| None, Existing::nothing()).unwrap().objects
    }

    #[test]
    fn secrets_are_stored_encrypted_and_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyRing::open_or_create(dir.path().join("secret.key")).unwrap();
        let store = MemoryStore::new();
        let mut stored = StoredObjects::load(&store, &keys).unwrap();
        assert_eq!(stored.apply(objects("hidden-1"), &store, &keys).unwrap().created, 1);
        assert_eq!(stored.apply(objects("hidden-1"), &store, &keys).unwrap().unchanged, 1);
        assert_eq!(stored.apply(objects("hidden-2"), &store, &keys).unwrap().updated, 1);
        let entries = store.scan(TREE, &[]).unwrap();
        assert_eq!(entries.len(), 1);
        assert!(!String::from_utf8_lossy(&entries[0].1).contains("hidden"));
        let again = StoredObjects::load(&store, &keys).unwrap();
        let password = again.set.find::<Security>("app1").unwrap().password.as_ref().unwrap();
        assert_eq!(password.reveal(), "hidden-2");
    }
}
