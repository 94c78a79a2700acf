//! Live connections, and how connections ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::ConnectionId;
use crate::time::Timestamp;

/// One live connection, with the field names of outconn-and-platform 3.1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionInfo {
    /// Where the connection stands.
    pub state: ConnectionState,
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
    /// The user name it logged in with; empty on a channel without credentials.
    pub username: String,
    /// Address and port of the client, as far as trusted proxies tell.
    pub peer_address: String,
    /// Who told that address.
    pub peer_address_source: AddressSource,
    /// The host name of the client, `(Unknown)` until it was looked up, or when there is none.
    pub peer_fqdn: String,
    /// Where that name comes from.
    pub peer_fqdn_source: NameSource,
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
    /// How long the last answered ping took, in milliseconds; absent before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping_round_trip_ms: Option<f64>,
    /// How many calls of the client run at this moment.
    pub in_flight: u32,
    /// Bytes that wait to be sent.
    pub outgoing_queue_bytes: u64,
    /// How the last connection of the same `ext_client_id` ended, as far as it is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_close: Option<LastClose>,
    /// The subscriptions that are delivered to it. One may be older than the connection: its client resumed it.
    #[serde(default)]
    pub subscriptions: Vec<ConnectionSubscription>,
    /// Whether it belongs to the platform itself.
    pub is_internal: bool,
}

/// A subscription of a connection (outconn-and-platform 3.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionSubscription {
    /// When it was made.
    pub creation_time: Timestamp,
    /// The id of the client that made it.
    pub ext_client_id: String,
    /// Its key, without the secret.
    pub sub_key: String,
    /// The topic.
    pub topic_name: String,
    /// The pattern that allowed it.
    pub sub_pattern_matched: String,
}

/// Where a live connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// The client is logged in.
    Established,
    /// Running calls finish, then it is closed.
    Draining,
    /// It is being closed, and its end was not confirmed yet.
    Closing,
}

/// Who told the address of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AddressSource {
    /// The TCP connection itself.
    #[default]
    Socket,
    /// A PROXY protocol header of a trusted proxy.
    ProxyProtocol,
    /// `Forwarded` or `X-Forwarded-For` of a trusted proxy.
    Header,
}

/// Where the host name of a client comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NameSource {
    /// A PTR record.
    Dns,
    /// Nobody knows it: the lookup did not end yet, or there is no name.
    Unknown,
}

/// How an earlier connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LastClose {
    /// When.
    pub close_time: Timestamp,
    /// `client`, `server` or `network`.
    pub closed_by: String,
    /// The close code.
    pub code: u16,
    /// The close reason; text from outside when the client closed.
    pub reason: String,
}

/// One connection that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InvokeConnection {
    /// What the client is asked; any JSON value.
    #[serde(default)]
    pub request: serde_json::Value,
    /// How many seconds to wait; 5 when not given.
    #[serde(default)]
    pub timeout: Option<f64>,
}

/// Which connections are to be closed, and how.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Disconnect {
    /// The attributes that must match, as in the list of connections.
    #[serde(default)]
    pub filter: BTreeMap<String, String>,
    /// Whether every connection is meant; needed when the filter is empty.
    #[serde(default)]
    pub all: bool,
    /// Whether only to tell which ones would be closed.
    #[serde(default)]
    pub dry_run: bool,
    /// The close code; 4005 when not given.
    #[serde(default)]
    pub code: Option<u16>,
    /// The close reason; at most 123 bytes.
    #[serde(default)]
    pub reason: String,
}

/// Which connections were closed, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Disconnected {
    /// Whether nothing was done because only a preview was asked for.
    pub dry_run: bool,
    /// How many there are.
    pub count: usize,
    /// Their ids, newest first; the first 1,000.
    pub connections: Vec<ConnectionId>,
}
