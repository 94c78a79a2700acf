//! Changes of the configuration: what one did, and the history of all of them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Timestamp;

/// What a request changed, or would change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Changed {
    /// Whether nothing was done because only a preview was asked for.
    pub dry_run: bool,
    /// The revision it made; absent when nothing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// The objects, in the order in which they were changed.
    pub changes: Vec<ObjectChange>,
    /// What is probably not as it was meant.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// How many open connections were closed, because they would not be let in any more.
    #[serde(default)]
    pub closed_connections: usize,
}

/// What happened to one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObjectChange {
    /// The kind.
    pub kind: String,
    /// The number that stays when the object is renamed.
    pub id: u64,
    /// Its name, the new one after a rename.
    pub name: String,
    /// The version that the change made.
    pub version: u64,
    /// What happened.
    pub action: ObjectAction,
    /// The keys that differ; secrets are masked.
    #[serde(default)]
    pub diff: Vec<FieldChange>,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ObjectAction {
    /// It is new, or was deleted and is back.
    Created,
    /// It differs from what it was.
    Updated,
    /// It is gone.
    Deleted,
}

impl ObjectAction {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

/// One key that differs. A key that is not there is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldChange {
    /// The key.
    pub field: String,
    /// What it was.
    pub from: Value,
    /// What it is.
    pub to: Value,
}

/// One change of the configuration; all of it happened, or nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Revision {
    /// Its number, from 1, without gaps.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// From where: an address, a program.
    pub from: String,
    /// Why, as far as somebody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened. `diff` is empty in lists.
    pub changes: Vec<ObjectChange>,
}

/// One version in the history of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObjectVersion {
    /// The version.
    pub version: u64,
    /// The change that made it.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// From where.
    pub from: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The name it had.
    pub name: String,
    /// What happened.
    pub action: ObjectAction,
    /// What differs from the version before.
    pub diff: Vec<FieldChange>,
    /// The object as it was, secrets masked; absent after a delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Value>,
}

/// What came of going through the whole history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryVerified {
    /// The newest revision.
    pub revision: u64,
    /// The hash of the state that the history leads to.
    pub state_hash: String,
    /// Whether that is the state in force.
    pub matches: bool,
}
