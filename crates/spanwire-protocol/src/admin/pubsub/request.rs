//! What an operator asks for, and what came of it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::queue::DeliveryMethod;
use crate::time::Timestamp;

/// One message, or several with the same properties: exactly one of `data` and `data_list` is given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// The topic.
    #[cfg_attr(feature = "openapi", schema(min_length = 1))]
    pub topic_name: String,
    /// The content of one message: any value but null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub data: Option<Box<RawValue>>,
    /// The contents of several messages: all of them are published, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<serde_json::Value>>, min_items = 1, max_items = 10_000))]
    pub data_list: Option<Vec<Box<RawValue>>>,
    /// The endpoint that publishes, by whose patterns; the server itself if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1))]
    pub endpoint_name: Option<String>,
    /// 1 to 9, the highest; 5 if not given, or 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 9))]
    pub priority: Option<i64>,
    /// After how many seconds it is of no use any more; if not given, or 0, the topic says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 2147483647))]
    pub expiration: Option<i64>,
    /// Whether delivery is guaranteed; the topic says if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_gd: Option<bool>,
    /// What the content is; `application/json` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 200))]
    pub mime_type: Option<String>,
    /// The correlation id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 200))]
    pub correl_id: Option<String>,
    /// The message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 200))]
    pub in_reply_to: Option<String>,
    /// The publisher's own name for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 200))]
    pub ext_client_id: Option<String>,
    /// When it came to be, by the publisher's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_pub_time: Option<Timestamp>,
    /// The id of the message; one is made if not given. Not together with `data_list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 200))]
    pub msg_id: Option<String>,
}

/// What became of messages. A message that nobody is subscribed to, or that a hook did not want, has no id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Published {
    /// The id of the one message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg_id: Option<String>,
    /// The ids of several messages, in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg_id_list: Option<Vec<Option<String>>>,
}

/// A wish to subscribe an endpoint to a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// The endpoint, whose patterns must allow it.
    #[cfg_attr(feature = "openapi", schema(min_length = 1))]
    pub endpoint_name: String,
    /// The topic.
    #[cfg_attr(feature = "openapi", schema(min_length = 1))]
    pub topic_name: String,
    /// How messages get to the subscriber; if not given, as its type of endpoint does it. What is notified is a managed
    /// subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_method: Option<DeliveryMethod>,
    /// How many messages are delivered at once at most; 500 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 100_000))]
    pub delivery_batch_size: Option<u64>,
    /// The client that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 200))]
    pub ext_client_id: Option<String>,
    /// With which message it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartAt>,
}

/// With which message a subscription begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StartAt {
    /// With what is published from now on, and with what has waited for a first subscriber.
    #[default]
    New,
    /// With everything that the topic still holds.
    First,
}

/// A subscription that was made, or that was there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Subscribed {
    /// The key by which its subscriber names it. It is told here in full.
    pub sub_key: String,
    /// Its number.
    pub id: u64,
    /// How many messages wait in its queue.
    pub queue_depth: u64,
    /// Whether it was there before.
    pub existed: bool,
}

/// A wish to be given messages of a queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Consume {
    /// How many at most; as many as the subscription says if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 10_000))]
    pub limit: Option<u64>,
    /// How many seconds they are lent for: those that are not acknowledged by then are delivered again. If not given
    /// they count as acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(exclusive_minimum = 0, maximum = 86_400))]
    pub lease: Option<f64>,
    /// How many seconds to wait for the first one; 0 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 60))]
    pub wait: Option<f64>,
}

/// Messages that were taken from a queue and can leave it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// Their ids.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 10_000))]
    pub msg_ids: Vec<String>,
}

/// What an acknowledgement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Acknowledged {
    /// How many messages waited for it.
    pub acknowledged: u64,
}

/// Which dead messages go back into their queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Requeue {
    /// The id or the offset of one; all of them if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1))]
    pub msg_id: Option<String>,
}

/// What went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Requeued {
    /// How many messages.
    pub requeued: u64,
}

/// What was thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cleared {
    /// How many messages.
    pub cleared: u64,
}

/// What a compaction led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Compacted {
    /// What the message log takes on disk now, in bytes.
    pub disk_bytes: u64,
}

/// What is looked for that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CleanUp {
    /// Messages whose time is over. True if not given.
    #[serde(default = "yes")]
    pub messages: bool,
    /// Subscriptions whose subscribers stay away for too long. True if not given.
    #[serde(default = "yes")]
    pub subscriptions: bool,
}

impl Default for CleanUp {
    fn default() -> Self {
        Self { messages: true, subscriptions: true }
    }
}

const fn yes() -> bool {
    true
}

/// What was due and is gone now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cleaned {
    /// Messages whose time was over, by their own expiration or the retention of their topic.
    pub expired: u64,
    /// Subscriptions whose subscribers stayed away for too long.
    pub subscriptions: u64,
}
