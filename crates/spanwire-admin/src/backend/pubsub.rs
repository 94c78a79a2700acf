//! The port to publish/subscribe. The host maps it onto whatever keeps the messages.
//!
//! Topics are named by their names, queues by their numbers, messages by their ids or offsets. Keys of subscriptions
//! pass in full and are masked by the API.

use std::time::Duration;

use spanwire_protocol::admin::pubsub::{
    CleanUp, Cleaned, EditMessage, MessageInfo, PubSubInfo, Publish, Published, QueueInfo,
    QueueState, Subscribe, Subscribed, TopicInfo,
};

use super::{BoxFuture, Failure};

/// Publish/subscribe, as the admin API sees it. Methods that return no future must not block.
///
/// A [`Failure`] of 404 says that there is no such topic, queue or message (any more).
pub trait PubSubBackend: Send + Sync + 'static {
    /// What all topics come to.
    fn totals(&self) -> PubSubInfo;

    /// Every topic that is in force, by name.
    fn topics(&self) -> Vec<TopicInfo>;

    /// One topic.
    fn topic(&self, name: &str) -> Option<TopicInfo>;

    /// Empties a topic and all of its queues; tells how many messages that were.
    fn clear_topic(&self, name: String) -> BoxFuture<'_, Result<u64, Failure>>;

    /// Every subscription, or those of a topic, oldest first.
    fn queues(&self, topic: Option<&str>) -> Vec<QueueInfo>;

    /// One subscription.
    fn queue(&self, id: u64) -> Option<QueueInfo>;

    /// Ends a subscription, with everything in its queue.
    fn remove_queue(&self, id: u64) -> BoxFuture<'_, Result<(), Failure>>;

    /// Empties a queue; tells how many messages that were.
    fn clear_queue(&self, id: u64) -> BoxFuture<'_, Result<u64, Failure>>;

    /// Puts dead messages back into their queue, one or all; tells how many.
    fn requeue(&self, id: u64, message: Option<String>) -> BoxFuture<'_, Result<u64, Failure>>;

    /// At most `limit` messages behind an offset, in the order of offsets, without their `data`. None means that
    /// there are no more.
    fn messages(
        &self,
        place: Place,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<MessageInfo>, Failure>>;

    /// One message with its `data`. In a queue it is found whatever its state.
    fn message(&self, place: Place, message: String)
    -> BoxFuture<'_, Result<MessageInfo, Failure>>;

    /// Changes a message that waits, for every queue that it is in; returns it as it is then, with its `data`.
    fn edit_message(
        &self,
        topic: String,
        message: String,
        edit: EditMessage,
    ) -> BoxFuture<'_, Result<MessageInfo, Failure>>;

    /// Deletes a message from its topic and every queue, or from one queue.
    fn delete_message(&self, place: Place, message: String) -> BoxFuture<'_, Result<(), Failure>>;

    /// Publishes messages, all or none. When it is done, those with guaranteed delivery are stored.
    ///
    /// # Cancel safety
    /// Messages may be published or not when the future is dropped; none is published in part.
    fn publish(&self, wish: Publish) -> BoxFuture<'_, Result<Published, Failure>>;

    /// Subscribes an endpoint as an administrator, or finds the subscription that it has.
    fn subscribe(&self, wish: Subscribe) -> BoxFuture<'_, Result<Subscribed, Failure>>;

    /// Takes messages from a queue, with their `data`; none when there are none in time.
    ///
    /// # Cancel safety
    /// Messages that were taken are available again when the future is dropped before it is ready.
    fn consume(&self, id: u64, take: Take) -> BoxFuture<'_, Result<Vec<MessageInfo>, Failure>>;

    /// Messages that were taken are done with; tells how many of them waited for that.
    fn acknowledge(&self, id: u64, messages: Vec<String>) -> BoxFuture<'_, Result<u64, Failure>>;

    /// Gives space back on disk that nothing needs; tells what is taken then, in bytes. May take a while.
    fn compact(&self) -> BoxFuture<'_, Result<u64, Failure>>;

    /// Removes now what is due, as far as it is asked for.
    fn clean_up(&self, what: CleanUp) -> BoxFuture<'_, Result<Cleaned, Failure>>;
}

/// Where messages are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a topic, by its name.
    Topic(String),
    /// In a queue.
    Queue {
        /// Its number.
        id: u64,
        /// Which messages of it.
        state: QueueState,
    },
}

/// How messages are taken from a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    /// How many at most; `None` is what the subscription says.
    pub limit: Option<usize>,
    /// How long they are lent for; `None` is: they count as acknowledged.
    pub lease: Option<Duration>,
    /// How long to wait for the first one.
    pub wait: Duration,
}
