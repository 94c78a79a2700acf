//! What topics, endpoints and subscriptions are told about themselves. Managed objects become these; embedders write
//! them down.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use spanwire_protocol::TopicPattern;

use crate::id::EndpointId;

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// Whether it takes messages; what it holds is delivered all the same. Default true.
    pub is_active: bool,
    /// Whether delivery is guaranteed where a message does not say. Default false.
    pub has_gd: bool,
    /// Whether others than administrators may subscribe. Default true.
    pub is_api_sub_allowed: bool,
    /// How many guaranteed messages may be undelivered. Default 10,000. Holds exactly.
    pub max_depth_gd: usize,
    /// How many other messages may be undelivered. Default 1,000. Holds exactly.
    pub max_depth_non_gd: usize,
    /// How long messages are kept at most, delivered or not; none is as long as it takes.
    pub limit_retention: Option<Duration>,
    /// The longest expiration of a message, and that of messages that name none.
    pub limit_message_expiry: Option<Duration>,
    /// After how long a subscription whose subscriber is away ends; none is never. Default one day. Counts for
    /// subscriptions that WebSocket clients made.
    pub limit_sub_inactivity: Option<Duration>,
    /// Whether messages wait while nobody is subscribed, or are dropped. Default: they wait.
    pub keeps_without_subscribers: bool,
    /// Called around publication and delivery.
    pub hook: Option<Arc<str>>,
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self {
            is_active: true,
            has_gd: false,
            is_api_sub_allowed: true,
            max_depth_gd: 10_000,
            max_depth_non_gd: 1_000,
            limit_retention: None,
            limit_message_expiry: None,
            limit_sub_inactivity: Some(Duration::from_secs(86_400)),
            keeps_without_subscribers: true,
            hook: None,
        }
    }
}

/// What an endpoint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It publishes.
    PubOnly,
    /// It subscribes.
    SubOnly,
    /// It publishes and subscribes.
    PubSub,
}

/// How an application takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointKind {
    /// Through REST: one subscription a topic.
    Rest,
    /// Through WebSockets: one subscription a client and topic.
    Wsx,
    /// As a service.
    Srv,
    /// As the server itself.
    Internal,
}

impl EndpointKind {
    /// The word in subscription keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Wsx => "wsx",
            Self::Srv => "srv",
            Self::Internal => "internal",
        }
    }
}

/// An application that publishes or subscribes, and what it may.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// Its number.
    pub id: EndpointId,
    /// Its name.
    pub name: Arc<str>,
    /// How it takes part.
    pub kind: EndpointKind,
    /// Whether it may do anything.
    pub is_active: bool,
    /// Whether it publishes, subscribes, or both: goes before its patterns.
    pub role: Role,
    /// Which topics, in the order in which they are tried; the first match counts.
    pub patterns: Vec<TopicPattern>,
    /// The credentials it is recognised by.
    pub security_name: Option<Arc<str>>,
    /// The WebSocket channel it is recognised by.
    pub channel_name: Option<Arc<str>>,
    /// The service that it is.
    pub service_name: Option<Arc<str>>,
    /// Whether a key works only for the client id that it was given to.
    pub bind_to_client: bool,
}

/// What happens to the messages of a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

impl ActiveStatus {
    pub(crate) fn queues(self) -> bool {
        matches!(self, Self::PubSub | Self::PubOnly)
    }

    pub(crate) fn delivers(self) -> bool {
        matches!(self, Self::PubSub | Self::SubOnly)
    }
}

/// How messages get to a subscriber.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// It asks for them.
    #[default]
    Pull,
    /// They are pushed to the WebSocket client that has the key.
    WebSocket,
    /// They are sent through an outgoing REST connection.
    Rest {
        /// The connection.
        connection: String,
        /// The HTTP method.
        method: String,
    },
    /// A service is called with them.
    Service {
        /// Its name.
        name: String,
    },
}

/// A subscription, beside who subscribes to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubscriptionSettings {
    /// How messages get to the subscriber.
    pub delivery: Delivery,
    /// What happens to messages.
    pub active_status: ActiveStatus,
    /// How many messages are delivered at once at most. Default 500.
    pub batch_size: usize,
    /// Whether a single message is delivered in an array; the way of delivery decides if none.
    pub wrap_one: Option<bool>,
    /// After how many attempts a message is put aside as undeliverable. Default 123,456,789.
    pub max_attempts: u32,
    /// The least pause after a network error. Default 10 s.
    pub wait_network_error: Duration,
    /// The least pause after another error. Default 3 s.
    pub wait_other_error: Duration,
    /// Whether a message that fails holds the others up. Default true.
    pub blocks_on_error: bool,
    /// Whether it ends with the connection of its client. Default false.
    pub ends_with_connection: bool,
    /// Whether the subscriber acknowledges what it gets; otherwise what was written to it is delivered.
    pub acknowledges: bool,
    /// Whether the subscriber wants positions, and receipts for what it will not get.
    pub positions: bool,
}

impl Default for SubscriptionSettings {
    fn default() -> Self {
        Self {
            delivery: Delivery::Pull,
            active_status: ActiveStatus::PubSub,
            batch_size: 500,
            wrap_one: None,
            max_attempts: 123_456_789,
            wait_network_error: Duration::from_secs(10),
            wait_other_error: Duration::from_secs(3),
            blocks_on_error: true,
            ends_with_connection: false,
            acknowledges: false,
            positions: false,
        }
    }
}
