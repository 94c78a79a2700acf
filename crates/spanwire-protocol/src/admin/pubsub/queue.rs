//! Subscriptions with their queues as they stand.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A subscription with its queue, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueInfo {
    /// Its number, which is no secret and by which paths name it.
    pub id: u64,
    /// The key by which its subscriber names it; a secret, masked unless it was asked for.
    pub sub_key: String,
    /// The number of the managed object that it comes from; null when somebody subscribed by the API.
    #[serde(default)]
    pub object_id: Option<u64>,
    /// The topic.
    pub topic_name: String,
    /// The endpoint.
    pub endpoint_name: String,
    /// How the endpoint takes part: `rest`, `wsx`, `srv` or `internal`.
    pub endpoint_type: String,
    /// How messages get to the subscriber.
    pub delivery_method: DeliveryMethod,
    /// What happens to messages.
    pub active_status: ActiveStatus,
    /// How many messages are delivered at once at most.
    pub delivery_batch_size: u64,
    /// After how many attempts a message is put aside as undeliverable.
    pub delivery_max_retry: u64,
    /// The client that it was given to; empty where there is none.
    pub ext_client_id: String,
    /// When it was made.
    pub creation_time: Timestamp,
    /// When its subscriber was last there.
    pub last_interaction_time: Timestamp,
    /// The pattern of the endpoint that allowed it.
    pub sub_pattern_matched: String,
    /// Messages in its queue, those under way included and dead ones left out.
    pub current_depth: u64,
    /// Messages that were handed over and not acknowledged.
    pub in_flight: u64,
    /// Messages that were put aside as undeliverable.
    pub dead: u64,
    /// Messages that were handed over since the start, repeats included.
    pub delivered: u64,
    /// Repeats among them.
    pub redelivered: u64,
    /// Messages that were acknowledged since the start.
    pub acknowledged: u64,
    /// When something was last handed over since the start.
    #[serde(default)]
    pub last_delivery_time: Option<Timestamp>,
    /// Whether somebody takes its messages at this moment.
    pub is_attached: bool,
}

impl QueueInfo {
    /// The same without the secret of its key.
    #[must_use]
    pub fn masked(mut self) -> Self {
        let (start, _) = self.sub_key.rsplit_once('.').unwrap_or_default();
        self.sub_key = format!("{start}.***");
        self
    }
}

/// How messages get to a subscriber.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryMethod {
    /// It asks for them.
    #[default]
    Pull,
    /// They are sent to a REST connection or a service.
    Notify,
    /// They are sent over the WebSocket of the client.
    WebSocket,
}

/// What happens to the messages of a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ActiveStatus {
    /// They are queued and consumed.
    #[default]
    PubSub,
    /// They are queued and cannot be consumed.
    PubOnly,
    /// Queued ones are consumed, none is added.
    SubOnly,
    /// Neither.
    Disabled,
}

/// Which messages of a queue are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum QueueState {
    /// Those that wait, are under way or wait to be tried again.
    #[default]
    Current,
    /// Those that were put aside as undeliverable.
    Dead,
}

impl QueueState {
    /// Every state.
    pub const ALL: [Self; 2] = [Self::Current, Self::Dead];

    /// The word in queries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Dead => "dead",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_masked_key_shows_everything_but_its_secret() {
        for (key, masked) in [
            ("zpsk.rest.0123456789abcdef", "zpsk.rest.***"),
            ("zpsk.wsx.crm.1.0123456789abcdef", "zpsk.wsx.crm.1.***"),
            ("odd", ".***"),
        ] {
            let queue: QueueInfo = serde_json::from_value(json!({
                "id": 1, "sub_key": key, "topic_name": "/a", "endpoint_name": "a",
                "endpoint_type": "rest", "delivery_method": "web-socket",
                "active_status": "pub-sub", "delivery_batch_size": 1, "delivery_max_retry": 1,
                "ext_client_id": "", "creation_time": "2026-01-02T03:04:05.000000",
                "last_interaction_time": "2026-01-02T03:04:05.000000",
                "sub_pattern_matched": "sub=/**", "current_depth": 0, "in_flight": 0, "dead": 0,
                "delivered": 0, "redelivered": 0, "acknowledged": 0, "is_attached": false,
            }))
            .unwrap();
            assert_eq!(queue.masked().sub_key, masked);
        }
    }
}
