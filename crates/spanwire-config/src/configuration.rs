//! The configuration: what holds now, and every change that led to it.
//!
//! Reading is free of locks that anybody holds for long: [`Configuration::snapshot`] is a value. Changing is one at a
//! time: decide ([`crate::Edit`]), encrypt, store, then show. Who puts a change to work compares the two snapshots of
//! its [`Outcome`].
//!
//! **Invariants:** a snapshot is valid as a whole; what it shows is stored; ids and version numbers are never given
//! twice.

mod history;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::Value as Json;
use spanwire_crypto::{KeyRing, random};
use spanwire_protocol::Timestamp;

pub use self::history::{Revision, Version};
use crate::change::{Author, ChangedObject};
use crate::edit::{Edit, EditError, Outcome, Plan, plan};
use crate::snapshot::{Meta, Snapshot};
use crate::store::{ConfigStore, StoredChange, StoredRevision, StoredVersion};
use crate::{Kind, Object, Password};

/// The configuration of a server, with its history. Every call that changes or reads history blocks on the store.
#[derive(Debug)]
pub struct Configuration {
    store: Arc<dyn ConfigStore>,
    keys: Arc<KeyRing>,
    snapshot: RwLock<Arc<Snapshot>>,
    /// Held by whoever changes something.
    changing: Mutex<()>,
}

impl Configuration {
    /// Reads what is stored.
    ///
    /// # Errors
    /// [`EditError::Store`] when the store fails or is damaged, [`EditError::Secret`] when the keys do not fit, and
    /// [`EditError::Invalid`] when an object is not valid in this release.
    pub fn open(store: Arc<dyn ConfigStore>, keys: Arc<KeyRing>) -> Result<Self, EditError> {
        let snapshot = RwLock::new(Arc::new(Self::read(&*store, &keys)?));
        Ok(Self { store, keys, snapshot, changing: Mutex::new(()) })
    }

    /// What holds now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a change: all of the edits or none; stored when this returns. Without any difference nothing is stored and
    /// no revision made. `built_in` tells what exists without being stored; `now` is the time of the change.
    ///
    /// A new security definition without a password gets a random one that nobody knows.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub fn change(
        &self,
        edits: Vec<Edit>,
        author: &Author,
        now: Timestamp,
        built_in: &dyn Fn(Kind, &str) -> bool,
    ) -> Result<Outcome, EditError> {
        let _one_at_a_time = self.lock();
        let (before, Plan { objects, changes, warnings }) = self.decide(edits, built_in)?;
        if changes.is_empty() {
            let after = Arc::clone(&before);
            return Ok(Outcome { revision: None, before, after, changes, warnings });
        }
        let revision = before.revision() + 1;
        self.store.commit(&self.stored(revision, &changes, author, now))?;
        let after = Arc::new(before.after(objects, &changes, revision, author, now));
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&after);
        Ok(Outcome { revision: Some(revision), before, after, changes, warnings })
    }

    /// What [`Configuration::change`] would do; nothing is stored.
    ///
    /// # Errors
    /// As [`Configuration::change`].
    pub fn preview(
        &self,
        edits: Vec<Edit>,
        author: &Author,
        now: Timestamp,
        built_in: &dyn Fn(Kind, &str) -> bool,
    ) -> Result<Outcome, EditError> {
        let (before, Plan { objects, changes, warnings }) = self.decide(edits, built_in)?;
        let after = before.after(objects, &changes, before.revision() + 1, author, now);
        Ok(Outcome { revision: None, before, after: Arc::new(after), changes, warnings })
    }

    /// Encrypts every stored secret with the newest key, as after a rotation; returns how many objects' versions that
    /// were. Nothing else can change meanwhile.
    ///
    /// # Errors
    /// [`EditError::Store`] or [`EditError::Secret`]; what was encrypted again by then stays so, and the rest stays
    /// readable with the older keys.
    pub fn encrypt_again(&self) -> Result<usize, EditError> {
        let _one_at_a_time = self.lock();
        let mut count = 0;
        for id in 1..=self.snapshot().last_id() {
            let mut versions = self.store.versions(id)?;
            versions.retain(|version| self.has_old_secret(version));
            for version in &mut versions {
                if let Some(object) = self.object(version)? {
                    version.object = Some(self.encrypted(&object));
                }
            }
            if !versions.is_empty() {
                self.store.rewrite(&versions)?;
                count += versions.len();
            }
        }
        Ok(count)
    }

    fn decide(
        &self,
        edits: Vec<Edit>,
        built_in: &dyn Fn(Kind, &str) -> bool,
    ) -> Result<(Arc<Snapshot>, Plan), EditError> {
        let now = self.snapshot();
        let edits = edits.into_iter().map(|edit| self.counted(edit)).collect::<Result<_, _>>()?;
        let plan = plan(&now, edits, built_in, &unusable_password)?;
        Ok((now, plan))
    }

    /// Looks up how far the versions of an object went that is to be restored: that may have changed since it was asked.
    fn counted(&self, edit: Edit) -> Result<Edit, EditError> {
        Ok(match edit {
            Edit::Restore { id, object, .. } => {
                let last_version = self.store.versions(id)?.last().map_or(0, |last| last.version);
                Edit::Restore { id, last_version, object }
            }
            other => other,
        })
    }

    fn read(store: &dyn ConfigStore, keys: &KeyRing) -> Result<Snapshot, EditError> {
        let state = store.load()?;
        let mut objects = Vec::with_capacity(state.objects.len());
        for version in state.objects {
            let Some(stored) = &version.object else { continue };
            let object = decrypted(keys, version.kind, stored)?;
            objects.push((Meta::of(&version, &object), object));
        }
        Ok(Snapshot::new(state.head, state.last_id, objects))
    }

    fn stored(
        &self,
        revision: u64,
        changes: &[ChangedObject],
        author: &Author,
        now: Timestamp,
    ) -> StoredChange {
        let at = now.as_microseconds();
        let version = |change: &ChangedObject| StoredVersion {
            id: change.id,
            version: change.version,
            revision,
            at,
            who: author.who.clone(),
            kind: change.kind,
            name: change.name(),
            object: change.after.as_ref().map(|object| self.encrypted(object)),
        };
        let versions: Vec<_> = changes.iter().map(version).collect();
        let revision = StoredRevision {
            revision,
            at,
            who: author.who.clone(),
            from: author.from.clone(),
            reason: author.reason.clone(),
            versions: versions.iter().map(|version| (version.id, version.version)).collect(),
        };
        StoredChange { revision, versions }
    }

    fn encrypted(&self, object: &Object) -> Json {
        let encrypt =
            |plain: &str| Ok::<_, std::convert::Infallible>(self.keys.encrypt(plain.as_bytes()));
        let Ok(stored) = object.to_stored(&encrypt);
        stored
    }

    fn object(&self, version: &StoredVersion) -> Result<Option<Object>, EditError> {
        let stored = version.object.as_ref();
        stored.map(|stored| decrypted(&self.keys, version.kind, stored)).transpose()
    }

    fn has_old_secret(&self, version: &StoredVersion) -> bool {
        let fields = version.object.as_ref().and_then(Json::as_object);
        fields.into_iter().flatten().any(|(_, value)| {
            let secret = value.get(crate::object::ENCRYPTED).and_then(Json::as_str);
            secret.is_some_and(|secret| !self.keys.is_newest(secret))
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn decrypted(keys: &KeyRing, kind: Kind, stored: &Json) -> Result<Object, EditError> {
    let decrypt = |text: &str| {
        let plain = keys.decrypt(text).map_err(|_| EditError::Secret)?;
        String::from_utf8(plain).map_err(|_| EditError::Secret)
    };
    Object::from_stored(kind, stored, &decrypt).map_err(|error| match error {
        crate::StoredError::Decrypt(error) => error,
        crate::StoredError::Invalid(problems) => EditError::Invalid(problems),
    })
}

/// A password that nobody knows.
fn unusable_password() -> Result<Password, EditError> {
    let password = random::password().map_err(|error| EditError::Randomness(error.to_string()))?;
    Ok(Password::new(password.expose()))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
