//! The server, its services and its keys.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The answer of a client or of a service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Invoked {
    /// The correlation id of the call.
    pub cid: String,
    /// What was answered.
    pub response: serde_json::Value,
}

/// One service that can be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceInfo {
    /// The name it is called by.
    pub name: String,
    /// Where it comes from: `builtin`, `native`, `http` or `gateway`. Services behind outgoing connections are not listed.
    pub source: String,
}

/// What the server says about itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerInfo {
    /// The server's name.
    pub name: String,
    /// The version of spanwire.
    pub version: String,
    /// The machine's name.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// `dev`, `production` or `compat`.
    pub profile: String,
    /// When it started.
    pub start_time: Timestamp,
    /// The time on the server.
    pub current_time: Timestamp,
    /// Where channels and health are served.
    pub listen: String,
    /// How many clients are logged in.
    pub connections: usize,
    /// The newest revision of the configuration; 0 when nothing was ever configured.
    pub revision: u64,
    /// How many managed objects there are.
    pub objects: usize,
    /// How many of them could not be put to work.
    pub failed_objects: usize,
    /// A hash of every object with its id and version, secrets left out: equal states have equal hashes.
    pub state_hash: String,
    /// The same of what was put to work last, objects that failed included: equal to `state_hash` unless a change is
    /// being applied.
    pub running_hash: String,
}

/// What a rotation of the key ring did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyRotated {
    /// How many stored values are encrypted with the new key now.
    pub encrypted_again: usize,
    /// How many keys the ring has.
    pub keys: usize,
}
