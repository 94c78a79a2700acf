//! Messages of topics and queues, as a person sees them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::time::Timestamp;

/// A message. Lists show the beginning of its content, and `data` only where it is looked at alone or consumed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessageInfo {
    /// Its id.
    pub msg_id: String,
    /// Where it stands in its topic.
    pub offset: u64,
    /// The topic, as it was called when the message was published.
    pub topic_name: String,
    /// Whether its delivery is guaranteed.
    pub has_gd: bool,
    /// 1 to 9, the highest.
    pub priority: u8,
    /// Bytes of its content.
    pub size: u64,
    /// The first 64 characters of its content.
    pub data_prefix_short: String,
    /// Its content, byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub data: Option<Box<RawValue>>,
    /// What the content is.
    pub mime_type: String,
    /// When it was published.
    pub pub_time: Timestamp,
    /// When it was received.
    pub recv_time: Timestamp,
    /// When it came to be, by the publisher's clock.
    #[serde(default)]
    pub ext_pub_time: Option<Timestamp>,
    /// Seconds from its publication to its expiry; null is never.
    #[serde(default)]
    pub expiration: Option<u64>,
    /// When it expires.
    #[serde(default)]
    pub expiration_time: Option<Timestamp>,
    /// The correlation id.
    #[serde(default)]
    pub correl_id: Option<String>,
    /// The message that this one answers.
    #[serde(default)]
    pub in_reply_to: Option<String>,
    /// The publisher's own name for itself.
    pub ext_client_id: String,
    /// The endpoint that published it.
    pub endpoint_name: String,
    /// The pattern that allowed that.
    pub pub_pattern_matched: String,
    /// The group it belongs to.
    #[serde(default)]
    pub group_id: String,
    /// Its place in the group.
    #[serde(default)]
    pub position_in_group: i64,
    /// In a queue, how often its delivery was tried.
    #[serde(default)]
    pub delivery_count: u32,
    /// In a queue, whether somebody has taken it.
    #[serde(default)]
    pub is_in_flight: bool,
    /// In a queue, why it was put aside as undeliverable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_reason: Option<String>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_time: Option<Timestamp>,
}

/// What is changed of a message that waits; what is not named stays. The next attempt delivers what it is then.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EditMessage {
    /// Another content: any value but null, as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub data: Option<Box<RawValue>>,
    /// Another MIME type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 200))]
    pub mime_type: Option<String>,
    /// Another priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 9))]
    pub priority: Option<i64>,
    /// Seconds from now to its expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 2147483647))]
    pub expiration: Option<i64>,
    /// Another correlation id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 200))]
    pub correl_id: Option<String>,
    /// Another message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 200))]
    pub in_reply_to: Option<String>,
}

impl EditMessage {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let texts = [&self.mime_type, &self.correl_id, &self.in_reply_to];
        let numbers = [self.priority, self.expiration];
        self.data.is_none()
            && texts.iter().all(|text| text.is_none())
            && numbers.iter().all(Option::is_none)
    }
}
