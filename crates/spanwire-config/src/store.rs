//! The port to where configuration is kept, and the implementation over a key-value store.
//!
//! What crosses it is encrypted already: a store knows nothing of keys, and little of objects. A change is stored as a
//! whole or not at all, together with its place in the history, and only if it was made on the newest one.
//! The module `testing` (feature `testing`) is the suite that every implementation passes.

mod key_value;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use thiserror::Error;

pub use self::key_value::KeyValueConfigStore;
use crate::Kind;

/// Keeps objects with all their versions. Every call blocks.
///
/// Several servers may share one store: [`ConfigStore::commit`] refuses what was decided without knowing the newest
/// revision, and the loser loads again.
pub trait ConfigStore: std::fmt::Debug + Send + Sync {
    /// Reads the newest version of every object.
    ///
    /// # Errors
    /// When the store fails or holds what nobody wrote.
    fn load(&self) -> Result<StoredState, ConfigStoreError>;

    /// Stores a change; on disk when this returns.
    ///
    /// # Errors
    /// [`ConfigStoreError::Conflict`] when the revision is not the next one, or a version is there already; then, and
    /// with every other error, nothing of the change is stored.
    fn commit(&self, change: &StoredChange) -> Result<(), ConfigStoreError>;

    /// Reads one revision; `None` when there is no such one.
    ///
    /// # Errors
    /// As [`ConfigStore::load`].
    fn revision(&self, number: u64) -> Result<Option<StoredRevision>, ConfigStoreError>;

    /// Reads every version of an object, oldest first; empty when there never was one.
    ///
    /// # Errors
    /// As [`ConfigStore::load`].
    fn versions(&self, id: u64) -> Result<Vec<StoredVersion>, ConfigStoreError>;

    /// Reads one version of an object.
    ///
    /// # Errors
    /// As [`ConfigStore::load`].
    fn version(&self, id: u64, version: u64) -> Result<Option<StoredVersion>, ConfigStoreError>;

    /// Replaces the content of versions that exist, for encrypting them again. History does not change by it.
    ///
    /// # Errors
    /// As [`ConfigStore::commit`]; nothing is replaced then.
    fn rewrite(&self, versions: &[StoredVersion]) -> Result<(), ConfigStoreError>;
}

/// Everything that is stored now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoredState {
    /// The newest revision; 0 when nothing was ever stored.
    pub head: u64,
    /// The greatest id that was ever given.
    pub last_id: u64,
    /// The newest version of each object that is not deleted, by id.
    pub objects: Vec<StoredVersion>,
}

/// One version of one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredVersion {
    /// The object.
    pub id: u64,
    /// From 1, without gaps.
    pub version: u64,
    /// The revision that made it.
    pub revision: u64,
    /// When, in microseconds since 1970 (UTC).
    pub at: i64,
    /// Who.
    pub who: String,
    /// The object's kind; the same in all versions.
    pub kind: Kind,
    /// The object's name in this version.
    pub name: String,
    /// The object with its secrets encrypted; `None` where this version is its end.
    pub object: Option<Json>,
}

/// One change of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRevision {
    /// From 1, without gaps.
    pub revision: u64,
    /// When, in microseconds since 1970 (UTC).
    pub at: i64,
    /// Who.
    pub who: String,
    /// From where.
    pub from: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The objects and the version that each got.
    pub versions: Vec<(u64, u64)>,
}

/// A revision with the versions that it made.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredChange {
    /// The revision.
    pub revision: StoredRevision,
    /// Exactly the versions that the revision lists.
    pub versions: Vec<StoredVersion>,
}

/// Why configuration could not be read or stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigStoreError {
    /// Somebody else changed the configuration first.
    #[error("the configuration was changed by somebody else at the same time: try again")]
    Conflict,
    /// The store failed.
    #[error("the configuration cannot be stored: {0}")]
    Store(String),
    /// What was read is not what was written.
    #[error("the stored configuration is damaged ({0}): restore the folder store/ from a backup")]
    Damaged(&'static str),
}
