//! The port to the message log, and what goes through it.
//!
//! The broker decides, a [`MessageStore`] performs: it applies batches in the order they are given, each as a whole, and
//! says when one is on disk. It decides nothing and knows no queues.

#[cfg(feature = "store")]
pub mod key_value;
pub mod memory;

use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::{EndpointId, SubKey, SubscriptionId, TopicId};
use crate::message::StoredMessage;
use crate::settings::{EndpointKind, SubscriptionSettings};

/// A future that can be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A message log.
pub trait MessageStore: Send + Sync + 'static {
    /// Hands everything over but contents, in the order of [`Record`]. A broker calls it once, before anything else; it
    /// may be called whenever no batch is under way. May block.
    ///
    /// # Errors
    /// When it cannot be read. Nothing damaged is handed over.
    fn load(&self, visit: &mut dyn FnMut(Record)) -> Result<(), StoreError>;

    /// Applies a batch behind all batches that were given before, as a whole.
    ///
    /// With [`Durability::Forced`] it is on disk when the future is ready, and so is everything before it. With
    /// [`Durability::Lazy`] a crash may undo it, together with all that follows it.
    ///
    /// The order is that of the calls, not of the polls.
    ///
    /// # Errors
    /// [`StoreError::Full`] when nothing was applied and a later batch may be; any other error says that what was
    /// applied is not known, and that no later batch will be.
    ///
    /// # Cancel safety
    /// A batch is applied whether or not the future is polled to its end.
    fn commit(
        &self,
        batch: Vec<Change>,
        durability: Durability,
    ) -> BoxFuture<'static, Result<(), StoreError>>;

    /// Reads messages of a topic; `None` in place of one that is not there.
    ///
    /// # Errors
    /// When they cannot be read, or one of them is damaged.
    fn fetch(
        &self,
        topic: TopicId,
        offsets: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Option<StoredMessage>>, StoreError>>;

    /// Why it takes no batches any more.
    ///
    /// # Errors
    /// The reason, for people.
    fn health(&self) -> Result<(), String>;

    /// What it takes on disk, in bytes; 0 in memory.
    fn disk_bytes(&self) -> u64;

    /// Gives space back that nothing needs; tells how much is left to be taken on disk. Blocks.
    ///
    /// # Errors
    /// When it cannot, such as while it is open; the text says what to do.
    fn compact(&self) -> Result<u64, StoreError>;
}

/// Whether a batch has to be on disk before anybody is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It has to be.
    Forced,
    /// It follows with the next one that has to be.
    Lazy,
}

/// One change of what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A topic is made or has another name, floor or first free offset.
    PutTopic(TopicId, TopicRecord),
    /// A topic is gone. Its messages and subscriptions are deleted by changes of their own.
    DeleteTopic(TopicId),
    /// The first offset of a topic that was never given to anybody.
    PutNext(TopicId, u64),
    /// A message is published.
    Append(TopicId, u64, StoredMessage),
    /// Nobody will get a message any more.
    Delete(TopicId, u64),
    /// A subscription is made or is another one.
    PutSubscription(SubscriptionId, Box<SubscriptionRecord>),
    /// A subscription is gone, with everything that was stored of it.
    DeleteSubscription(SubscriptionId),
    /// A subscription is done with everything below an offset.
    PutFloor(SubscriptionId, u64),
    /// Which of 4,096 offsets a subscription is done with, a bit each; `None` is none above its floor.
    PutAcked(SubscriptionId, u64, Option<Box<[u64; 64]>>),
    /// How often the delivery of a message was tried in vain; 0 is never.
    PutAttempts(SubscriptionId, u64, u32),
    /// A message is put aside as undeliverable, or no longer.
    PutDead(SubscriptionId, u64, Option<DeadLetter>),
    /// A subscriber has to be told of messages that it will not get, or was told.
    PutGap(SubscriptionId, u64, Option<GapRecord>),
    /// A publisher's own id of a message, or one whose time is over.
    PutOwnId(TopicId, u128, Option<OwnIdRecord>),
}

/// What is stored of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicRecord {
    /// Its name.
    pub name: String,
    /// Which history it has.
    pub epoch: u64,
    /// Messages below this offset were cleared.
    pub floor: u64,
}

/// What is stored of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionRecord {
    /// The topic.
    pub topic: TopicId,
    /// Who subscribes.
    pub endpoint: EndpointId,
    /// The type of the endpoint.
    pub kind: EndpointKind,
    /// The key.
    pub key: SubKey,
    /// The managed object that it comes from.
    pub managed: Option<u64>,
    /// The client that it was given to.
    pub client_id: String,
    /// The pattern that allowed it.
    pub pattern: String,
    /// When it was made, in microseconds since the epoch.
    pub created: i64,
    /// When its subscriber was last there, in microseconds since the epoch.
    pub last_seen: i64,
    /// The first offset that came after it.
    pub start: u64,
    /// Messages that had waited for a first subscriber: offsets from, to and including.
    pub claims: Vec<(u64, u64)>,
    /// Whether somebody takes messages: after a crash it is not known which ones.
    pub in_use: bool,
    /// How many crashes there were while somebody took messages …
    pub crashes: u32,
    /// … and the first offset that came after the last of them.
    pub crashed_below: u64,
    /// Everything else.
    pub settings: SubscriptionSettings,
}

/// A message that was put aside as undeliverable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was put aside, in microseconds since the epoch.
    pub at: i64,
}

/// Messages that a subscriber will not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapRecord {
    /// The last offset.
    pub to: u64,
    /// How many messages; 0 where that is not known.
    pub count: u64,
    /// Why.
    pub cause: GapCause,
}

/// Why a subscriber will not get messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapCause {
    /// Their time was over.
    Expired,
    /// The topic keeps messages for a limited time.
    Retention,
    /// A person deleted them.
    Deleted,
    /// They were not guaranteed and the subscriber was too slow.
    Overflow,
    /// They were not guaranteed and the server was restarted.
    Restart,
    /// Too many attempts failed; they are among the dead letters.
    Dead,
    /// They were gone before the subscription began at its position.
    Gone,
}

impl GapCause {
    /// Every cause.
    pub const ALL: [Self; 7] = [
        Self::Expired,
        Self::Retention,
        Self::Deleted,
        Self::Overflow,
        Self::Restart,
        Self::Dead,
        Self::Gone,
    ];

    /// The word on the wire and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Retention => "retention",
            Self::Deleted => "deleted",
            Self::Overflow => "overflow",
            Self::Restart => "restart",
            Self::Dead => "dead",
            Self::Gone => "gone",
        }
    }
}

/// A publisher's own id of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnIdRecord {
    /// The message.
    pub offset: u64,
    /// When it was published, in microseconds since the epoch.
    pub at: i64,
}

/// What a start reads, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A topic, with the first offset that was never given to anybody.
    Topic(TopicId, TopicRecord, u64),
    /// A subscription, with the offset it is done with everything below.
    Subscription(SubscriptionId, Box<SubscriptionRecord>, u64),
    /// See [`Change::PutAcked`].
    Acked(SubscriptionId, u64, Box<[u64; 64]>),
    /// See [`Change::PutAttempts`].
    Attempts(SubscriptionId, u64, u32),
    /// See [`Change::PutDead`].
    Dead(SubscriptionId, u64, DeadLetter),
    /// See [`Change::PutGap`].
    Gap(SubscriptionId, u64, GapRecord),
    /// See [`Change::PutOwnId`].
    OwnId(TopicId, u128, OwnIdRecord),
    /// A message: topic by topic, in the order of offsets.
    Message(TopicId, u64, StoredMessage),
}

/// The message log failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk has no room; nothing of the batch was applied.
    #[error("the disk has no room for the message log: make room, then it goes on by itself")]
    Full,
    /// It takes no batches any more: what was on disk before is kept.
    #[error("{0}")]
    Failed(String),
    /// What is stored cannot be read.
    #[error("{0}")]
    Read(String),
    /// A stored record is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// It cannot do this, and why.
    #[error("{0}")]
    Unsupported(String),
}

impl From<crate::message::DecodeError> for StoreError {
    fn from(error: crate::message::DecodeError) -> Self {
        Self::Damaged(error.to_string())
    }
}
