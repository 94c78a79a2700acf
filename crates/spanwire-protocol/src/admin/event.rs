//! What `GET /api/v1/events` streams, as server-sent events: the name is the event's type, the data its JSON.

use serde::{Deserialize, Serialize};

use super::{ClosedConnection, ConnectionInfo, ObjectState, Revision};
use crate::time::Timestamp;

/// Something that happened on the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum Event {
    /// The configuration changed; the event's id is the revision. Differences of more than 64 KiB are left out: the history
    /// has them.
    Change(Revision),
    /// An object went into another state.
    State(StateEvent),
    /// A client logged in, or its connection ended.
    Connection(ConnectionEvent),
}

impl Event {
    /// The name of the event.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Change(_) => "change",
            Self::State(_) => "state",
            Self::Connection(_) => "connection",
        }
    }
}

/// An object went into another state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StateEvent {
    /// The kind of the object.
    pub kind: String,
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The state.
    pub state: ObjectState,
    /// Why the state is `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// A client came or went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ConnectionEvent {
    /// A client logged in.
    Opened {
        /// Its connection.
        connection: Box<ConnectionInfo>,
    },
    /// A connection ended.
    Closed {
        /// How.
        connection: Box<ClosedConnection>,
    },
}
