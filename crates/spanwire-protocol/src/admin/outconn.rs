//! Outgoing WebSocket connections, as they stand.

use serde::{Deserialize, Serialize};

/// How an outgoing WebSocket connection stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutconnInfo {
    /// The number of its object.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its address, without secrets.
    pub address: String,
    /// The best of its sockets' states: `connected`, `connecting`, `waiting`, `authentication-failed` or `down`;
    /// `inactive` when it is switched off, `failed` when it cannot be put to work.
    pub state: String,
    /// Its sockets.
    pub sockets: Vec<OutconnSocket>,
}

/// How one socket of an outgoing connection stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutconnSocket {
    /// As of the connection.
    pub state: String,
    /// For how many seconds.
    pub for_seconds: f64,
    /// In how many seconds it is tried again; null when it is not waiting.
    pub next_try_seconds: Option<f64>,
    /// How often it was tried in vain since it was last open.
    pub attempts: u32,
    /// What went wrong last.
    pub problem: Option<String>,
    /// How many calls wait for replies.
    pub in_flight: usize,
}

/// What came of a ping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pinged {
    /// Whether the peer answered.
    pub is_success: bool,
    /// How long it took, or why it did not.
    pub info: String,
}
