//! Managed objects as the admin API shows them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::time::Timestamp;

/// One managed object: its own keys, secrets masked, and what the server knows about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManagedObject {
    /// The keys of the object's kind.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
    /// What the server says about the object; not accepted in requests.
    pub meta: ObjectMeta,
}

/// What the server knows about a managed object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ObjectMeta {
    /// The kind, such as `web_socket`.
    pub kind: String,
    /// The number that stays when the object is renamed, and is never given again.
    pub id: u64,
    /// How often the object was changed, from 1; also its `ETag`.
    pub version: u64,
    /// The change of the whole configuration that made this version.
    pub revision: u64,
    /// When that was.
    pub changed_at: Timestamp,
    /// Who did it.
    pub changed_by: String,
    /// How the running server stands to this version.
    pub state: ObjectState,
    /// Why the state is `failed`, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Since when the object is in that state.
    pub since: Timestamp,
}

/// How the running server stands to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ObjectState {
    /// It is in force.
    Running,
    /// It is switched off (`is_active` is false).
    Inactive,
    /// It could not be put to work; `error` says why, and it is tried again.
    Failed,
}

impl ObjectState {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
        }
    }
}
