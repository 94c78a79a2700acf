//! What was changed when, by whom and why; and going back.

use std::sync::Arc;

use spanwire_protocol::Timestamp;

use super::Configuration;
use crate::change::ChangedObject;
use crate::edit::{Edit, EditError};
use crate::snapshot::{Meta, Snapshot};
use crate::store::{StoredRevision, StoredVersion};
use crate::{Kind, Object};

/// One change of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// From 1, without gaps.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// From where.
    pub from: String,
    /// Why.
    pub reason: Option<String>,
    /// What it changed.
    pub changes: Vec<ChangedObject>,
}

/// One version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// From 1, without gaps.
    pub version: u64,
    /// The revision that made it.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// From where.
    pub from: String,
    /// Why.
    pub reason: Option<String>,
    /// The name that the object had.
    pub name: String,
    /// What it was before; `None` if it was not there.
    pub before: Option<Arc<Object>>,
    /// What it was then; `None` if it was deleted.
    pub after: Option<Arc<Object>>,
}

impl Configuration {
    /// Reads one revision with what it changed; `None` when there is no such one.
    ///
    /// # Errors
    /// [`EditError::Store`] or [`EditError::Secret`].
    pub fn revision(&self, number: u64) -> Result<Option<Revision>, EditError> {
        let Some(stored) = self.store.revision(number)? else { return Ok(None) };
        let mut changes = Vec::with_capacity(stored.versions.len());
        for (id, version) in &stored.versions {
            let Some(made) = self.store.version(*id, *version)? else {
                return Err(missing(*id, *version));
            };
            let before = match version.checked_sub(1).filter(|version| *version > 0) {
                Some(version) => self.store.version(*id, version)?,
                None => None,
            };
            let before = before.map(|before| self.object(&before)).transpose()?.flatten();
            changes.push(ChangedObject {
                id: *id,
                kind: made.kind,
                version: *version,
                before: before.map(Arc::new),
                after: self.object(&made)?.map(Arc::new),
            });
        }
        let StoredRevision { revision: number, at, who, from, reason, .. } = stored;
        let at = Timestamp::from_microseconds(at);
        Ok(Some(Revision { number, at, who, from, reason, changes }))
    }

    /// Reads every version of an object, newest first; empty when there never was such an id.
    ///
    /// # Errors
    /// [`EditError::Store`] or [`EditError::Secret`].
    pub fn versions(&self, id: u64) -> Result<Vec<Version>, EditError> {
        let mut versions = Vec::new();
        let mut before = None;
        for stored in self.store.versions(id)? {
            let after = self.object(&stored)?.map(Arc::new);
            let revision = self.store.revision(stored.revision)?;
            let StoredRevision { from, reason, .. } = revision
                .ok_or_else(|| EditError::NoVersion(format!("revision {}", stored.revision)))?;
            let StoredVersion { version, revision, at, who, name, .. } = stored;
            let at = Timestamp::from_microseconds(at);
            let entry = Version {
                version,
                revision,
                at,
                who,
                from,
                reason,
                name,
                before: std::mem::replace(&mut before, after.clone()),
                after,
            };
            versions.push(entry);
        }
        versions.reverse();
        Ok(versions)
    }

    /// Returns the edit that makes an object what it was in one of its versions.
    ///
    /// # Errors
    /// [`EditError::NotFound`], [`EditError::NoVersion`], [`EditError::Store`] or [`EditError::Secret`].
    pub fn restoring(&self, kind: Kind, name: &str, version: u64) -> Result<Edit, EditError> {
        let id = self.identify(kind, name)?;
        let id = id.ok_or_else(|| EditError::NotFound { kind, name: name.to_owned() })?;
        let stored = self.store.version(id, version)?;
        let stored = stored
            .ok_or_else(|| EditError::NoVersion(format!("version {version} of {kind} '{name}'")))?;
        let object = self.object(&stored)?;
        // How far its versions went is looked up when the edit is made.
        Ok(Edit::Restore { id, last_version: version, object })
    }

    /// Finds the object that has a name, or had it last: deleted and renamed ones are found under their former names.
    /// Looks back at most 10,000 revisions.
    ///
    /// # Errors
    /// [`EditError::Store`].
    pub fn identify(&self, kind: Kind, name: &str) -> Result<Option<u64>, EditError> {
        let snapshot = self.snapshot();
        if let Some(meta) = snapshot.meta(kind, name) {
            return Ok(Some(meta.id));
        }
        let newest_first = (1..=snapshot.revision()).rev().take(LOOKED_BACK);
        for number in newest_first {
            let Some(revision) = self.store.revision(number)? else { continue };
            for (id, version) in revision.versions {
                let stored = self.store.version(id, version)?;
                if stored.is_some_and(|stored| stored.kind == kind && stored.name == name) {
                    return Ok(Some(id));
                }
            }
        }
        Ok(None)
    }

    /// Returns the edits that undo a revision: every object becomes what it was before it.
    ///
    /// # Errors
    /// [`EditError::ChangedSince`] when an object is neither as that revision left it nor as it was before, because
    /// undoing it would undo somebody else's change as well; otherwise as [`Configuration::restoring`].
    pub fn undoing(&self, number: u64) -> Result<Vec<Edit>, EditError> {
        let revision = self.revision(number)?;
        let revision =
            revision.ok_or_else(|| EditError::NoVersion(format!("revision {number}")))?;
        let snapshot = self.snapshot();
        let edit = |change: ChangedObject| {
            let now = snapshot.by_id(change.id).map(|(object, _)| object);
            // As the revision left it, or as it was before: in either case nothing of anybody else is undone.
            if now != change.after.as_ref() && now != change.before.as_ref() {
                let (kind, name) = (change.kind, change.name());
                return Err(EditError::ChangedSince { revision: number, kind, name });
            }
            let last = change.version;
            let object = change.before.as_deref().cloned();
            Ok(Edit::Restore { id: change.id, last_version: last, object })
        };
        // The other way round: what refers to others came after them.
        revision.changes.into_iter().rev().map(edit).collect()
    }

    /// Goes through the whole history from its beginning and returns what it leads to.
    ///
    /// # Errors
    /// [`EditError::Store`], also where a part of the history is missing, or [`EditError::Secret`].
    pub fn replay(&self) -> Result<Snapshot, EditError> {
        let head = self.snapshot().revision();
        let mut objects = std::collections::BTreeMap::new();
        for number in 1..=head {
            let revision = self.store.revision(number)?;
            let revision =
                revision.ok_or_else(|| EditError::NoVersion(format!("revision {number}")))?;
            for (id, version) in revision.versions {
                let stored = self.store.version(id, version)?;
                let stored = stored.ok_or_else(|| missing(id, version))?;
                match self.object(&stored)? {
                    Some(object) => objects.insert(id, (Meta::of(&stored, &object), object)),
                    None => objects.remove(&id),
                };
            }
        }
        let last_id = self.snapshot().last_id();
        Ok(Snapshot::new(head, last_id, objects.into_values().collect()))
    }
}

const LOOKED_BACK: usize = 10_000;

fn missing(id: u64, version: u64) -> EditError {
    EditError::NoVersion(format!("version {version} of object {id}"))
}
