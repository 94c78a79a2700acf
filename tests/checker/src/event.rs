//! What a client-side history consists of.
//!
//! One [`Record`] is one line of a file. A harness writes an event *before* it asks for something
//! (`…_started`) and one when the answer was read (`…_confirmed`, `…_acknowledged`, …), so that
//! what the server did lies between the two. This module only names the events; what they mean
//! together is decided by [`check`](fn@crate::check).
//!
//! Invariants: `at` and `seq` never go back within one client; a name of a subscription is used
//! for one subscription to one topic and never again, a name of a connection for one connection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::report::Invariant;

/// One line: who saw what, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The process or task that recorded it.
    pub client: String,
    /// Counts the records of this client, strictly increasing.
    pub seq: u64,
    /// Monotonic time in microseconds, comparable across the clients of one machine.
    pub at: u64,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Event {
    /// A remark, ignored. The only event that needs neither client, seq nor at.
    Note {
        /// For people.
        text: String,
        /// For the crate's own test data: what must be reported.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        violates: Vec<Invariant>,
    },
    /// How exact time is in this history; the last one counts.
    Settings {
        /// The longest time in microseconds that a frame lies between the server's decision to
        /// send it and the record of its receiver. Default 1 s.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transit: Option<u64>,
        /// How much later than its expiry a message may be recorded. Default 1 s.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expiry: Option<u64>,
    },
    /// A publish call is about to be sent.
    PublishStarted {
        /// Names the call; unique within the client.
        call: String,
        /// Topic.
        topic: String,
        /// What an acknowledgement will promise.
        level: Level,
        /// One, or the batch in input order.
        messages: Vec<Message>,
        /// The only subscriptions it is meant for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deliver_to: Option<Vec<String>>,
    },
    /// The call succeeded.
    PublishAcknowledged {
        /// The call.
        call: String,
        /// One per message, in input order.
        messages: Vec<Published>,
    },
    /// The call was definitely refused.
    PublishRefused {
        /// The call.
        call: String,
        /// The error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Nobody knows whether the call succeeded. A call without an end counts as this.
    PublishUnknown {
        /// The call.
        call: String,
        /// The error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A subscribe call is about to be sent.
    SubscribeStarted {
        /// The harness's name for it (not reused; one per key and topic).
        subscription: String,
        /// Topic.
        topic: String,
        /// The connection that it attaches to, if the call attaches.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<String>,
        /// Positions and gap receipts were asked for.
        #[serde(default, skip_serializing_if = "is_false")]
        positions: bool,
        /// False for routes that do not deliver in queue order.
        #[serde(default = "yes", skip_serializing_if = "is_true")]
        ordered: bool,
        /// Messages from before the subscription were asked for.
        #[serde(default, skip_serializing_if = "is_false")]
        replay: bool,
    },
    /// The subscription exists.
    SubscribeConfirmed {
        /// The subscription.
        subscription: String,
    },
    /// The subscription was definitely refused.
    SubscribeRefused {
        /// The subscription.
        subscription: String,
    },
    /// A connection is about to attach, resume or take over.
    AttachStarted {
        /// The subscription.
        subscription: String,
        /// The connection.
        connection: String,
    },
    /// The connection has the subscription.
    Attached {
        /// The subscription.
        subscription: String,
        /// The connection.
        connection: String,
    },
    /// The connection ended or let go, as its client saw it.
    Detached {
        /// The subscription.
        subscription: String,
        /// The connection.
        connection: String,
    },
    /// A message came. To be recorded by the task that reads the connection, in reading order.
    Delivered(Delivery),
    /// An acknowledgement is about to be sent.
    AckSent {
        /// The subscription.
        subscription: String,
        /// Message ids.
        ids: Vec<String>,
    },
    /// The server confirmed the acknowledgement.
    AckConfirmed {
        /// The subscription.
        subscription: String,
        /// Message ids.
        ids: Vec<String>,
        /// Where the confirmation was read; lets the checker use the order of frames.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<String>,
    },
    /// A gap receipt came.
    Gap(Gap),
    /// The messages are known to lie in the dead-letter queue of the subscription.
    DeadLettered {
        /// The subscription.
        subscription: String,
        /// Message ids.
        ids: Vec<String>,
    },
    /// An unsubscribe call is about to be sent.
    UnsubscribeStarted {
        /// The subscription.
        subscription: String,
    },
    /// The subscription is gone.
    UnsubscribeConfirmed {
        /// The subscription.
        subscription: String,
        /// Where the confirmation was read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<String>,
    },
    /// The server ended the subscription by itself (inactivity, revoked access).
    SubscriptionEnded {
        /// The subscription.
        subscription: String,
        /// The earliest moment at which it may have ended.
        since: u64,
    },
    /// The server is about to be stopped; for a crash of its own, the last moment before it.
    ServerStopping {
        /// In which way.
        how: Stop,
    },
    /// The server serves again.
    ServerRunning {},
    /// An operator is about to remove something.
    OperatorStarted {
        /// Names the call; unique within the client.
        call: String,
        /// `clear` removes messages, `delete` also ends the subscriptions.
        action: OperatorAction,
        /// Topic.
        topic: String,
        /// This subscription alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subscription: Option<String>,
        /// These messages alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ids: Option<Vec<String>>,
    },
    /// The operator's call succeeded. Without it the call may have had its effect or not.
    OperatorConfirmed {
        /// The call.
        call: String,
    },
    /// The harness made sure that the subscription has nothing left to deliver.
    Drained {
        /// The subscription.
        subscription: String,
    },
}

/// What an acknowledgement promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Survives power loss.
    Disk,
    /// Survives nothing.
    Memory,
}

/// A message as its publisher gave it. What is `None` was not given and is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Text or hash; unique per message, or unknown outcomes cannot be told apart.
    pub content: String,
    /// 1 to 9; counts as 5 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// The publisher's own time, any unit, as far as it orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher_time: Option<i64>,
    /// Start of the call plus lifetime, on the clock of `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// The id that the publisher chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Whatever else must arrive unchanged: MIME type, correlation id, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

/// What the server answered for one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Message id.
    pub id: String,
    /// Where the message stands, when the server said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

/// A place in the history of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Changes when the topic's history is recreated.
    pub epoch: String,
    /// Increases within the epoch.
    pub offset: u64,
}

/// A message as a subscriber received it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// The subscription.
    pub subscription: String,
    /// The connection it came on.
    pub connection: String,
    /// Message id.
    pub id: String,
    /// Text or hash.
    pub content: String,
    /// Starts at 1.
    pub delivery_count: u32,
    /// Priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// The publisher's own time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher_time: Option<i64>,
    /// Position, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// The other fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

/// A gap receipt: what the subscription can no longer get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// The subscription.
    pub subscription: String,
    /// The connection it came on.
    pub connection: String,
    /// Epoch of the offsets.
    pub epoch: String,
    /// First offset.
    pub from: u64,
    /// Last offset, inclusive.
    pub to: u64,
    /// Messages between the two, where the server knows how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Why.
    pub cause: Cause,
}

/// Why a message can no longer be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// Its time was over.
    Expired,
    /// An operator cleared the queue or the topic.
    Cleared,
    /// An operator deleted the message.
    Deleted,
    /// Tried too often.
    Dead,
    /// A queue was full; never for `disk`.
    Dropped,
    /// Gone with a stop of the server; never for `disk`.
    Lost,
}

/// How a server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stop {
    /// Killed.
    Kill,
    /// Killed, and what was not synced is gone.
    Power,
    /// Asked to stop.
    Stop,
}

/// What an operator removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OperatorAction {
    /// Messages.
    Clear,
    /// Messages and the subscriptions themselves.
    Delete,
}

const fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_true(value: &bool) -> bool {
    *value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_false(value: &bool) -> bool {
    !*value
}
