//! `pubsub_topic`, `pubsub_endpoint` and `pubsub_subscription` in their typed form.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time;

/// A topic that messages are published to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PubSubTopic {
    /// The name, unique within the kind.
    pub name: String,
    /// Whether the object is in use.
    pub is_active: bool,
    /// Whether the object belongs to the platform.
    pub is_internal: bool,
    /// Whether delivery is guaranteed where a message does not say.
    pub has_gd: bool,
    /// Whether others than administrators may subscribe.
    pub is_api_sub_allowed: bool,
    /// How many guaranteed messages may wait.
    pub max_depth_gd: u64,
    /// How many other messages may wait.
    pub max_depth_non_gd: u64,
    /// The depth is checked with one publication in so many.
    pub depth_check_freq: u64,
    /// How long messages are kept; until delivered or expired if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    pub limit_retention: Option<Duration>,
    /// The longest expiration of a message; without a bound if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    pub limit_message_expiry: Option<Duration>,
    /// After how long inactive subscriptions end.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    pub limit_sub_inactivity: Option<Duration>,
    /// The service that is called around publication and delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_service_name: Option<String>,
    /// What becomes of messages while nobody is subscribed.
    pub on_no_subs_pub: NoSubscribers,
    /// The service that the topic was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_service_name: Option<String>,
    /// Words by which objects are grouped, such as for `--prune`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// An application that publishes or subscribes, and what it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PubSubEndpoint {
    /// The name, unique within the kind.
    pub name: String,
    /// Whether the object is in use.
    pub is_active: bool,
    /// Whether the object belongs to the platform.
    pub is_internal: bool,
    /// How the application takes part.
    pub endpoint_type: EndpointType,
    /// Whether it publishes, subscribes, or both.
    pub role: Role,
    /// Patterns with their prefix `pub=` or `sub=`, in the order in which they are tried.
    pub topic_patterns: Vec<String>,
    /// The name of the credentials by which the endpoint is recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_name: Option<String>,
    /// The name of the WebSocket channel by which the endpoint is recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ws_channel_name: Option<String>,
    /// The service that the endpoint is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// Whether a subscription key works only for the client id it was given to.
    pub bind_to_client: bool,
    /// Words by which objects are grouped, such as for `--prune`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// The subscription of an endpoint to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PubSubSubscription {
    /// The endpoint that subscribes.
    pub endpoint_name: String,
    /// The topic that is subscribed to.
    pub topic_name: String,
    /// Whether the object is in use.
    pub is_active: bool,
    /// Whether the object belongs to the platform.
    pub is_internal: bool,
    /// What happens to messages.
    pub active_status: ActiveStatus,
    /// How messages get to the endpoint; the type of the endpoint decides if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_method: Option<DeliveryMethod>,
    /// The `outgoing_rest` connection by which the endpoint is notified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest_connection: Option<String>,
    /// The HTTP method of notifications, in capitals.
    pub rest_method: String,
    /// The service that is notified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// How many messages are delivered at once at most.
    pub delivery_batch_size: u32,
    /// Whether a single message is delivered in an array; if `None`, not to WebSocket clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrap_one_msg_in_list: Option<bool>,
    /// After how many attempts a message is given up.
    pub delivery_max_retry: u32,
    /// The pause after a network error.
    #[serde(with = "time")]
    pub wait_sock_err: Duration,
    /// The pause after another error.
    #[serde(with = "time")]
    pub wait_non_sock_err: Duration,
    /// Whether a message that fails holds the others of its queue up.
    pub delivery_err_should_block: bool,
    /// Whether the subscription ends with the connection of its client.
    pub unsub_on_wsx_close: bool,
    /// Words by which objects are grouped, such as for `--prune`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl PubSubSubscription {
    /// Returns the name that stands for the subscription: `endpoint_name/topic_name`.
    #[must_use]
    pub fn name(&self) -> String {
        subscription_name(&self.endpoint_name, &self.topic_name)
    }
}

/// Returns the name of the subscription of an endpoint to a topic.
pub(crate) fn subscription_name(endpoint: &str, topic: &str) -> String {
    format!("{endpoint}/{topic}")
}

/// How an application takes part in publish/subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EndpointType {
    /// Through REST.
    Rest,
    /// Through a WebSocket channel.
    Wsx,
    /// As a service.
    Srv,
    /// As the server itself.
    Internal,
}

/// What an endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Role {
    /// It publishes.
    PubOnly,
    /// It subscribes.
    SubOnly,
    /// It publishes and subscribes.
    PubSub,
}

/// What becomes of a message that nobody is subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NoSubscribers {
    /// It waits in the topic.
    Accept,
    /// It is dropped.
    Drop,
}

/// What happens to the messages of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ActiveStatus {
    /// They are queued and consumed.
    PubSub,
    /// They are queued and cannot be consumed.
    PubOnly,
    /// Queued ones are consumed, none is added.
    SubOnly,
    /// Neither.
    Disabled,
}

/// How messages get to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DeliveryMethod {
    /// The endpoint asks for them.
    Pull,
    /// They are sent to a REST connection or a service.
    Notify,
    /// They are sent over the WebSocket of the client.
    WebSocket,
}
