//! What goes wrong, in the words that existing clients know (pubsub 1.9).

use spanwire_crypto::RandomError;
use spanwire_protocol::Status;
use thiserror::Error;

/// A call to the broker was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PubSubError {
    /// Wrong role, no pattern, unknown topic without a pattern, unknown or foreign key: all look the same.
    #[error("You are not allowed to access this resource")]
    Forbidden,
    /// The caller may know of the topic, and there is none.
    #[error("No such topic `{0}`")]
    NoSuchTopic(String),
    /// There is no such subscription, or not any more.
    #[error("No such subscription")]
    NoSuchSubscription,
    /// The caller has no subscription of this topic.
    #[error("You are not subscribed to topic `{0}`")]
    NotSubscribed(String),
    /// There is no such message, or not any more.
    #[error("Message not found `{0}`")]
    NoSuchMessage(String),
    /// The topic takes no messages.
    #[error("Topic is inactive `{0}`")]
    Inactive(String),
    /// The topic holds as many messages as it may.
    #[error("Publication rejected - would exceed {kind} max depth for `{topic}`")]
    Depth {
        /// `GD` or `non-GD`.
        kind: &'static str,
        /// The topic.
        topic: String,
    },
    /// Messages that are kept in memory take as much as they may.
    #[error(
        "Publication rejected - too many messages are kept in memory; publish with guaranteed delivery or later"
    )]
    Memory,
    /// A message without content.
    #[error("No data sent on input")]
    NoData,
    /// Something about the input; the text says what and what is accepted.
    #[error("{0}")]
    Input(String),
    /// The message is larger than allowed.
    #[error("The message has {size} bytes, allowed are {limit}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The most bytes allowed.
        limit: usize,
    },
    /// Another object has the name already.
    #[error("A pub/sub topic `{0}` already exists in this cluster")]
    TopicExists(String),
    /// A hook refused, or its service failed.
    #[error("{0}")]
    Hook(String),
    /// The disk has no room. Nothing was stored; it works again once there is room.
    #[error("Publication rejected - the disk is full")]
    DiskFull,
    /// The message log failed: whether anything was stored is not known.
    #[error("The message log is not available: {0}")]
    Store(String),
    /// The broker has been closed.
    #[error("The server is shutting down")]
    Closed,
}

impl PubSubError {
    /// The status that callers see.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Forbidden => Status::FORBIDDEN,
            Self::NoSuchTopic(_) | Self::NoSuchSubscription | Self::NoSuchMessage(_) => {
                Status::NOT_FOUND
            }
            Self::NotSubscribed(_) | Self::NoData | Self::Input(_) | Self::Hook(_) => {
                Status::BAD_REQUEST
            }
            Self::TooLarge { .. } => Status::PAYLOAD_TOO_LARGE,
            Self::TopicExists(_) => Status::CONFLICT,
            Self::Inactive(_)
            | Self::Depth { .. }
            | Self::Memory
            | Self::DiskFull
            | Self::Store(_)
            | Self::Closed => Status::UNAVAILABLE,
        }
    }
}

impl From<RandomError> for PubSubError {
    fn from(error: RandomError) -> Self {
        Self::Store(error.to_string())
    }
}
