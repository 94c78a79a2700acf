//! Publish/subscribe: what topics and queues hold, and what an operator does with it.
//!
//! What a person configures of topics, endpoints and subscriptions are managed objects; this is what the running server
//! knows of them. The key of a subscription is a secret: bodies are masked unless it was asked for.

mod message;
mod queue;
mod request;
mod topic;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::message::{EditMessage, MessageInfo};
pub use self::queue::{ActiveStatus, DeliveryMethod, QueueInfo, QueueState};
pub use self::request::{
    Acknowledge, Acknowledged, CleanUp, Cleaned, Cleared, Compacted, Consume, Publish, Published,
    Requeue, Requeued, StartAt, Subscribe, Subscribed,
};
pub use self::topic::TopicInfo;

/// How many characters of its content a list shows of a message.
pub const DATA_PREFIX: usize = 64;
/// The longest id or label that a publisher may give, in bytes.
pub const MAX_LABEL: usize = 200;
/// The highest priority of a message; the lowest is 1.
pub const MAX_PRIORITY: i64 = 9;
/// The longest expiration of a message, in seconds.
pub const MAX_EXPIRATION: i64 = 2_147_483_647;
/// How many messages are taken from a queue at once at most.
pub const MAX_CONSUMED: u64 = 10_000;
/// How long taking messages waits for the first one at most, in seconds.
pub const MAX_WAIT: f64 = 60.0;
/// How long messages are lent at most, in seconds.
pub const MAX_LEASE: f64 = 86_400.0;

/// What all topics come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PubSubInfo {
    /// Topics.
    pub topics: u64,
    /// Subscriptions, each with its queue.
    pub subscriptions: u64,
    /// Undelivered messages with guaranteed delivery.
    pub current_depth_gd: u64,
    /// Other undelivered messages.
    pub current_depth_non_gd: u64,
    /// Bytes of the contents of undelivered messages.
    pub bytes: u64,
    /// Messages that were published since the start.
    pub published: u64,
    /// Messages whose time was over, since the start.
    pub expired: u64,
    /// Messages that were put aside as undeliverable, since the start.
    pub dead: u64,
    /// Messages that subscribers did not get, by cause, since the start.
    pub gaps: BTreeMap<String, u64>,
    /// What the message log takes on disk, in bytes.
    pub disk_bytes: u64,
    /// What the message log is kept with.
    pub store: String,
    /// Whether messages can be published and delivered.
    pub is_healthy: bool,
    /// Why not, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
