//! The configuration at one moment.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use spanwire_protocol::Timestamp;

use crate::change::{Author, ChangedObject};
use crate::store::StoredVersion;
use crate::{Kind, Object, ObjectSet};

/// All objects at one revision, valid as a whole. Cloning is cheap: what did not change is shared.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    revision: u64,
    last_id: u64,
    objects: ObjectSet,
    metas: Arc<HashMap<Kind, Arc<Metas>>>,
    ids: Arc<HashMap<u64, (Kind, Arc<str>)>>,
    hash: StateHash,
}

/// What is known of the objects of one kind, by name.
type Metas = HashMap<Arc<str>, Arc<Meta>>;

/// What is known of an object beside its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The number that stays when the object is renamed.
    pub id: u64,
    /// How often it was changed, from 1.
    pub version: u64,
    /// The revision that made this version.
    pub revision: u64,
    /// When that was.
    pub at: Timestamp,
    /// Who did it.
    pub who: String,
    hash: StateHash,
}

/// A hash of objects with their ids and versions, secrets left out; equal configurations have equal hashes.
///
/// The hashes of single objects (SHA-256) are added up bit by bit, so that a change costs only what changed. It finds
/// mistakes; it does not withstand somebody who makes up objects to that end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StateHash([u8; 32]);

impl StateHash {
    fn of(id: u64, version: u64, object: &Object) -> Self {
        let mut hash = Sha256::new();
        hash.update(id.to_be_bytes());
        hash.update(version.to_be_bytes());
        hash.update(object.kind().as_str());
        hash.update(object.to_masked().to_string());
        Self(hash.finalize().into())
    }

    /// Adds a hash that is not in, or takes one out that is.
    fn toggle(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(own, other)| *own ^= other);
    }
}

impl fmt::Display for StateHash {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Meta {
    pub(crate) fn of(version: &StoredVersion, object: &Object) -> Self {
        Self {
            id: version.id,
            version: version.version,
            revision: version.revision,
            at: Timestamp::from_microseconds(version.at),
            who: version.who.clone(),
            hash: StateHash::of(version.id, version.version, object),
        }
    }
}

impl Snapshot {
    pub(crate) fn new(revision: u64, last_id: u64, objects: Vec<(Meta, Object)>) -> Self {
        let mut snapshot = Self { revision, last_id, ..Self::default() };
        for (meta, object) in objects {
            snapshot.put(meta, Arc::new(object));
        }
        snapshot
    }

    /// The snapshot that a change leads to; `objects` are all of them.
    pub(crate) fn after(
        &self,
        objects: ObjectSet,
        changes: &[ChangedObject],
        revision: u64,
        author: &Author,
        at: Timestamp,
    ) -> Self {
        let mut next = Self { revision, ..self.clone() };
        // Every former name goes before any new one comes: two objects may have swapped theirs.
        for change in changes {
            if let Some(before) = &change.before {
                next.take(change.kind, &before.name());
            }
        }
        for change in changes {
            next.last_id = next.last_id.max(change.id);
            if let Some(object) = &change.after {
                let hash = StateHash::of(change.id, change.version, object);
                let (id, version, who) = (change.id, change.version, author.who.clone());
                next.put(Meta { id, version, revision, at, who, hash }, Arc::clone(object));
            }
        }
        next.objects = objects;
        next
    }

    fn put(&mut self, meta: Meta, object: Arc<Object>) {
        let (kind, name): (_, Arc<str>) = (object.kind(), object.name().into());
        self.hash.toggle(meta.hash);
        self.last_id = self.last_id.max(meta.id);
        Arc::make_mut(&mut self.ids).insert(meta.id, (kind, Arc::clone(&name)));
        let metas = Arc::make_mut(&mut self.metas).entry(kind).or_default();
        Arc::make_mut(metas).insert(name, Arc::new(meta));
        self.objects.insert(object);
    }

    fn take(&mut self, kind: Kind, name: &str) {
        let metas = Arc::make_mut(&mut self.metas).entry(kind).or_default();
        if let Some(meta) = Arc::make_mut(metas).remove(name) {
            self.hash.toggle(meta.hash);
            Arc::make_mut(&mut self.ids).remove(&meta.id);
            self.objects.remove(kind, name);
        }
    }

    /// The number of the change that led here; 0 when nothing was ever configured.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The greatest id that was ever given.
    #[must_use]
    pub fn last_id(&self) -> u64 {
        self.last_id
    }

    /// All objects.
    #[must_use]
    pub fn objects(&self) -> &ObjectSet {
        &self.objects
    }

    /// What is known of an object beside its keys.
    #[must_use]
    pub fn meta(&self, kind: Kind, name: &str) -> Option<&Arc<Meta>> {
        self.metas.get(&kind)?.get(name)
    }

    /// Finds an object by the number that it keeps when it is renamed.
    #[must_use]
    pub fn by_id(&self, id: u64) -> Option<(&Arc<Object>, &Arc<Meta>)> {
        let (kind, name) = self.ids.get(&id)?;
        Some((self.objects.get(*kind, name)?, self.meta(*kind, name)?))
    }

    /// The hash of everything.
    #[must_use]
    pub fn hash(&self) -> StateHash {
        self.hash
    }
}
