//! Topics as they stand.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A topic as it stands. What is known of its last publication is null before there was one since the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TopicInfo {
    /// The number of the managed object.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Undelivered messages with guaranteed delivery.
    pub current_depth_gd: u64,
    /// Other undelivered messages.
    pub current_depth_non_gd: u64,
    /// Bytes of the contents of undelivered messages.
    pub bytes: u64,
    /// How many subscriptions it has.
    pub sub_count: u64,
    /// The offset of the next message.
    pub next_offset: u64,
    /// Which history its offsets belong to.
    pub epoch: u64,
    /// Messages that were published since the start.
    pub published: u64,
    /// When the last message was published.
    #[serde(default)]
    pub last_pub_time: Option<Timestamp>,
    /// Its id.
    #[serde(default)]
    pub last_pub_msg_id: Option<String>,
    /// The endpoint that published it.
    #[serde(default)]
    pub last_endpoint_name: Option<String>,
    /// Whether its delivery is guaranteed.
    #[serde(default)]
    pub last_pub_has_gd: Option<bool>,
    /// The server that received it.
    #[serde(default)]
    pub last_pub_server_name: Option<String>,
    /// The process that received it.
    #[serde(default)]
    pub last_pub_server_pid: Option<u32>,
}
