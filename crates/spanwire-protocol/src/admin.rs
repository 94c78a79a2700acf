//! Bodies of the admin API under `/api/v1`, shared by the server and the command line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::ConnectionId;
use crate::time::Timestamp;

/// What a name is when nobody could find it out.
pub const UNKNOWN: &str = "(Unknown)";

/// One live connection, with the field names of outconn-and-platform 3.1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectionInfo {
    /// The id the server gave, new on each connect.
    pub pub_client_id: ConnectionId,
    /// The id the client chose; survives reconnects. Empty when it chose none.
    pub ext_client_id: String,
    /// The label the client chose; need not be unique.
    pub ext_client_name: String,
    /// What the client said about itself in `meta.attrs`.
    pub client_attrs: BTreeMap<String, serde_json::Value>,
    /// The channel it is connected to.
    pub channel_name: String,
    /// The security definition it logged in with; empty on a channel without one.
    pub security_name: String,
    /// Address and port of the client, as far as trusted proxies tell.
    pub peer_address: String,
    /// The host name of the client, `(Unknown)` until it was looked up, or when there is none.
    pub peer_fqdn: String,
    /// The `X-Forwarded-For` header as it came; text from outside.
    pub peer_forwarded_for: Option<String>,
    /// The host name of the first address in `peer_forwarded_for`.
    pub peer_forwarded_for_fqdn: String,
    /// Address and port on the server.
    pub local_address: String,
    /// The server that holds the connection.
    pub server_name: String,
    /// The process that holds the connection.
    pub server_proc_pid: u32,
    /// When the connection was made.
    pub connection_time: Timestamp,
    /// When the last message or pong came.
    pub last_seen: Timestamp,
    /// How many pings in a row went unanswered.
    pub pings_missed: u32,
    /// Bytes that wait to be sent.
    pub outgoing_queue_bytes: u64,
    /// Whether it belongs to the platform itself.
    pub is_internal: bool,
}

/// One connection that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedConnection {
    /// The id the server gave.
    pub pub_client_id: ConnectionId,
    /// The id the client chose.
    pub ext_client_id: String,
    /// The label the client chose.
    pub ext_client_name: String,
    /// The channel it was connected to.
    pub channel_name: String,
    /// Address and port of the client.
    pub peer_address: String,
    /// When the connection was made.
    pub connection_time: Timestamp,
    /// When it ended.
    pub close_time: Timestamp,
    /// Whether the client had logged in.
    pub was_logged_in: bool,
    /// `client`, `server` or `network`.
    pub closed_by: String,
    /// The close code; 1005 for a close without one, 1006 for a lost connection.
    pub code: u16,
    /// The close reason; text from outside when the client closed.
    pub reason: String,
}

/// The body that asks for an answer of a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvokeConnection {
    /// What the client is asked; any JSON value.
    #[serde(default)]
    pub request: serde_json::Value,
    /// How many seconds to wait; 5 when not given.
    #[serde(default)]
    pub timeout: Option<f64>,
}

/// The answer of a client or of a service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invoked {
    /// The correlation id of the call.
    pub cid: String,
    /// What was answered.
    pub response: serde_json::Value,
}

/// One service that can be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceInfo {
    /// The name it is called by.
    pub name: String,
    /// Where it comes from: `builtin`, `native` or `http`.
    pub source: String,
}

/// What the server says about itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerInfo {
    /// The server's name.
    pub name: String,
    /// The version of spanwire.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// `dev`, `production` or `compat`.
    pub profile: String,
    /// When it started.
    pub start_time: Timestamp,
    /// How many clients are logged in.
    pub connections: usize,
}

/// An error of the admin API (RFC 9457, problem details).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// A short, fixed summary.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here and what to do.
    pub detail: String,
    /// The correlation id to look for in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cid: Option<String>,
}
