//! Edits of the configuration: what may be asked, and what comes of it.
//!
//! [`plan`] decides and changes nothing. Several edits are judged by their common result: a channel and the credentials
//! it names may come together, in any order, and so may the deletes of both.

mod import;
mod plan;

use std::sync::Arc;

use thiserror::Error;

pub use self::import::{ImportOptions, import_edits};
pub(crate) use self::plan::{Plan, plan};
use crate::change::ChangedObject;
use crate::problem::{Problem, Warning};
use crate::snapshot::Snapshot;
use crate::store::ConfigStoreError;
use crate::{Kind, Object};

/// One wish.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Edit {
    /// Make an object. If an equal one exists, nothing happens, so that a create can be repeated.
    Create(Object),
    /// Make an object, or update the one that has its name. A security definition without a password keeps the one it
    /// has.
    Apply(Object),
    /// Make an existing object this one, which may have another name: what refers to it then follows.
    Replace {
        /// The kind of both.
        kind: Kind,
        /// The present name.
        name: String,
        /// The object as it shall be.
        object: Object,
        /// The version that the wish was based on; any if `None`.
        expect: Option<u64>,
    },
    /// Delete an object that nothing refers to afterwards.
    Delete {
        /// The kind.
        kind: Kind,
        /// The name.
        name: String,
        /// The version that the wish was based on; any if `None`.
        expect: Option<u64>,
    },
    /// Make an object what it was in an earlier version, also if it was deleted or renamed since.
    Restore {
        /// The object.
        id: u64,
        /// Its last version so far; [`Configuration`](crate::Configuration) looks it up itself.
        last_version: u64,
        /// What it was; `None` for not being there.
        object: Option<Object>,
    },
}

/// What came of edits.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The revision that was made; `None` if nothing differed, or nothing was to be done yet.
    pub revision: Option<u64>,
    /// The configuration before.
    pub before: Arc<Snapshot>,
    /// The configuration after; of a dry run, what it would be.
    pub after: Arc<Snapshot>,
    /// The objects that differ, in the order of the edits.
    pub changes: Vec<ChangedObject>,
    /// What is probably not as it was meant.
    pub warnings: Vec<Warning>,
}

/// Why edits are refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EditError {
    /// There is no such object.
    #[error("there is no {kind} '{name}'")]
    NotFound {
        /// The kind.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// The name is taken by another object.
    #[error("there is a {kind} '{name}' already: edit that one, or choose another name")]
    Exists {
        /// The kind.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// The object was changed since the wish was made.
    #[error(
        "{kind} '{name}' has version {actual}, not {expected}: look at it again before changing it"
    )]
    Version {
        /// The kind.
        kind: Kind,
        /// The name.
        name: String,
        /// The version that the wish was based on.
        expected: u64,
        /// The version that it has.
        actual: u64,
    },
    /// Objects would be wrong; every mistake.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
    /// What is to be deleted is in use; one problem for each use.
    #[error("it is in use, so nothing was deleted: {}", lines(.0))]
    InUse(Vec<Problem>),
    /// An object was changed after the revision that is to be undone.
    #[error(
        "{kind} '{name}' was changed after revision {revision}: go back to one of its versions instead"
    )]
    ChangedSince {
        /// The revision.
        revision: u64,
        /// The kind.
        kind: Kind,
        /// The name that it had in the revision.
        name: String,
    },
    /// There is no such version or revision.
    #[error("there is no {0}: see the history")]
    NoVersion(String),
    /// Secrets could not be encrypted or decrypted.
    #[error("a secret cannot be read: restore the key that it was stored with to secret.key")]
    Secret,
    /// No random password could be made.
    #[error("the system gives no randomness: {0}")]
    Randomness(String),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] ConfigStoreError),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
