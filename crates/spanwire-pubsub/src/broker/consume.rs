//! Taking messages: pushed to a holder, or asked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::access::Endpoint;
use super::ports::SubscriptionFacts;
use super::{Broker, Handle, Located, Shared};
use crate::error::PubSubError;
use crate::id::{Position, SubKey, SubscriptionId};
use crate::message::Message;
use crate::settings::SubscriptionSettings;
use crate::store::GapCause;
use crate::topic::{Failure, HolderId, Now, Taken, Topic};

/// A message that is handed over.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The message.
    pub message: Arc<Message>,
    /// Where it stands in its topic.
    pub position: Position,
    /// 1 at the first attempt, more at each further one.
    pub attempt: u32,
}

/// Messages that a subscriber will not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The history of the topic that the offsets belong to.
    pub epoch: u64,
    /// The first offset.
    pub from: u64,
    /// The last offset.
    pub to: u64,
    /// How many messages; `None` where that is not known.
    pub count: Option<u64>,
    /// Why.
    pub cause: GapCause,
}

/// Why there are no more messages for a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Another one holds the subscription now.
    TakenOver,
    /// There is no subscription any more.
    Unsubscribed,
    /// The broker is closed.
    Closed,
}

/// A wish to be given messages.
#[derive(Clone, Copy, Debug)]
pub struct Pull {
    /// How many at most; 0 is what the subscription says.
    pub limit: usize,
    /// How long they are the taker's without being acknowledged; `None` is: they count as acknowledged.
    pub lease: Option<Duration>,
    /// How long to wait for the first one.
    pub wait: Duration,
}

/// The one who takes the messages of a subscription.
///
/// Dropping it makes what was not acknowledged available to the next one.
pub struct Consumer {
    pub(super) shared: Arc<Shared>,
    pub(super) handle: Arc<Handle>,
    pub(super) id: SubscriptionId,
    pub(super) key: SubKey,
    pub(super) holder: HolderId,
    pub(super) wake: Arc<Notify>,
}

/// Messages that were handed over together.
///
/// Dropping it leaves them with the consumer until that is dropped, or until they are acknowledged by their offsets.
pub struct Batch {
    shared: Arc<Shared>,
    handle: Arc<Handle>,
    id: SubscriptionId,
    /// Who is told of the gaps.
    holder: Option<HolderId>,
    /// The messages, in the order of the queue.
    pub messages: Vec<Delivered>,
    /// What the subscriber has to be told that it will not get.
    pub gaps: Vec<Gap>,
    /// The subscription.
    pub facts: SubscriptionFacts,
    /// Its settings.
    pub settings: SubscriptionSettings,
}

impl Broker {
    /// Takes the messages of a subscription from now on. Whoever did before gets none any more.
    ///
    /// # Errors
    /// When the key is not the endpoint's, or the log fails.
    ///
    /// # Cancel safety
    /// Nobody holds the subscription when the future is dropped before it is ready.
    pub async fn attach(
        &self,
        by: &Endpoint,
        client_id: &str,
        key: &SubKey,
    ) -> Result<Consumer, PubSubError> {
        let located = self.0.owned(by, client_id, key)?;
        self.0.mark_in_use(&located).await?;
        Ok(self.0.hold(located, key.clone()))
    }

    /// Asks for messages of a subscription.
    ///
    /// # Errors
    /// When the key is not the endpoint's, or the log cannot be read.
    ///
    /// # Cancel safety
    /// Messages that were taken are available again when the future is dropped before it is ready.
    pub async fn pull(
        &self,
        by: &Endpoint,
        client_id: &str,
        key: &SubKey,
        pull: Pull,
    ) -> Result<Vec<Delivered>, PubSubError> {
        let shared = &self.0;
        let mut located = shared.owned(by, client_id, key)?;
        shared.mark_in_use(&located).await?;
        let until = tokio::time::Instant::now() + pull.wait.min(MAX_WAIT);
        loop {
            if shared.is_closing() {
                return Err(PubSubError::Closed);
            }
            let wake = Arc::new(Notify::new());
            let now = shared.clock.now();
            let (taken, settings, facts) = shared.with(&located.handle, |topic| {
                topic.seen(located.id, now.wall, SEEN_EVERY);
                let subscription = topic.subscription(located.id).ok_or(PubSubError::Forbidden)?;
                let settings = subscription.record.settings.clone();
                let facts = shared.facts(topic, subscription);
                let limit = if pull.limit == 0 { settings.batch_size } else { pull.limit };
                let bytes = shared.settings.batch_bytes;
                let taken = topic.take(located.id, limit, bytes, pull.lease, now);
                if taken.is_empty() {
                    topic.await_messages(located.id, Arc::clone(&wake));
                }
                Ok::<_, PubSubError>((taken, settings, facts))
            })?;
            if !taken.is_empty() {
                let mut batch = shared.complete(&located, taken, facts, settings).await?;
                if batch.messages.is_empty() {
                    continue;
                }
                match pull.lease {
                    None => batch.acknowledge_all(),
                    Some(_) => batch.remember_ids(),
                }
                batch.count();
                return Ok(std::mem::take(&mut batch.messages));
            }
            let due = shared.next_due(&located);
            let next = until.min(due.map_or(until, |at| shared.clock.instant(at)));
            if tokio::time::timeout_at(next, wake.notified()).await.is_err()
                && tokio::time::Instant::now() >= until
            {
                return Ok(Vec::new());
            }
            // What it was allowed when it asked may have been taken away since.
            let by = shared.endpoints.load().by_id(by.settings().id).cloned();
            located = shared.owned(&*by.ok_or(PubSubError::Forbidden)?, client_id, key)?;
        }
    }

    /// The subscriber has these messages, by their offsets; tells how many of them waited for that.
    ///
    /// # Errors
    /// When the key is not the endpoint's, or the broker is closed: what is said then would not be stored.
    pub fn acknowledge(
        &self,
        by: &Endpoint,
        client_id: &str,
        key: &SubKey,
        offsets: &[u64],
    ) -> Result<usize, PubSubError> {
        let located = self.0.answerable(by, client_id, key)?;
        Ok(self.0.with(&located.handle, |topic| topic.acknowledge(located.id, offsets)))
    }

    /// The subscriber has these messages, by their ids; tells how many of them waited for that. Ids are known of
    /// messages that were handed over since the start.
    ///
    /// # Errors
    /// When the key is not the endpoint's, or the broker is closed: what is said then would not be stored.
    pub fn acknowledge_ids(
        &self,
        by: &Endpoint,
        client_id: &str,
        key: &SubKey,
        ids: &[&str],
    ) -> Result<usize, PubSubError> {
        let located = self.0.answerable(by, client_id, key)?;
        Ok(self.0.with(&located.handle, |topic| {
            let offsets = topic.offsets_of(located.id, ids);
            topic.acknowledge(located.id, &offsets)
        }))
    }

    /// The subscriber has everything up to a position. One of another history says nothing, and is ignored.
    ///
    /// # Errors
    /// When the key is not the endpoint's, or the broker is closed: what is said then would not be stored.
    pub fn acknowledge_up_to(
        &self,
        by: &Endpoint,
        client_id: &str,
        key: &SubKey,
        position: Position,
    ) -> Result<usize, PubSubError> {
        let located = self.0.answerable(by, client_id, key)?;
        Ok(self.0.with(&located.handle, |topic| match position.epoch == topic.record.epoch {
            true => topic.acknowledge_up_to(located.id, position.offset),
            false => 0,
        }))
    }

    /// The subscriber could not work with these messages: they are tried again after a pause.
    ///
    /// # Errors
    /// When the key is not the endpoint's, or the broker is closed: what is said then would not be stored.
    pub fn refuse_ids(
        &self,
        by: &Endpoint,
        client_id: &str,
        key: &SubKey,
        ids: &[&str],
        reason: &str,
    ) -> Result<(), PubSubError> {
        let located = self.0.answerable(by, client_id, key)?;
        let now = self.0.clock.now();
        self.0.with(&located.handle, |topic| {
            let offsets = topic.offsets_of(located.id, ids);
            let taken = topic.under_way(located.id, &offsets);
            topic.fail(located.id, &taken, Failure::Refused, reason, now);
        });
        Ok(())
    }

    /// How many messages wait in queues, by key. Keys of others are left out.
    #[must_use]
    pub fn depths(
        &self,
        by: &Endpoint,
        client_id: &str,
        keys: &[SubKey],
    ) -> HashMap<SubKey, usize> {
        let depth = |key: &SubKey| {
            let located = self.0.owned(by, client_id, key).ok()?;
            let depth = located.handle.lock().subscription(located.id)?.depth();
            Some((key.clone(), depth))
        };
        keys.iter().filter_map(depth).collect()
    }
}

impl Consumer {
    /// The key of the subscription.
    #[must_use]
    pub fn key(&self) -> &SubKey {
        &self.key
    }

    /// The topic, as it is called now.
    #[must_use]
    pub fn topic(&self) -> String {
        self.handle.lock().name().to_owned()
    }

    /// The subscription, as it stands; `None` when it is over, or somebody else's.
    #[must_use]
    pub fn info(&self) -> Option<super::SubscriptionInfo> {
        let topic = self.handle.lock();
        let subscription = topic.subscription(self.id).filter(|it| it.is_held_by(self.holder))?;
        Some(self.shared.subscription_info(&topic, subscription))
    }

    /// The next messages, as soon as there are any.
    ///
    /// # Errors
    /// [`Ended`] when there will be none any more.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped: what was taken is available again.
    pub async fn next(&mut self) -> Result<Batch, Ended> {
        loop {
            if self.shared.is_closing() {
                return Err(Ended::Closed);
            }
            let (shared, now) = (&self.shared, self.shared.clock.now());
            let turn = shared.with(&self.handle, |topic| self.turn(topic, now))?;
            let located = Located { handle: Arc::clone(&self.handle), id: self.id };
            match turn {
                Turn::Deliver { taken, facts, settings } => {
                    let completed = shared.complete(&located, taken, facts, *settings).await;
                    match completed {
                        Ok(mut batch) => {
                            batch.add_gaps(self.holder);
                            if !batch.messages.is_empty() || !batch.gaps.is_empty() {
                                return Ok(batch);
                            }
                            // A hook wanted none of them, or they are gone.
                        }
                        Err(error) => {
                            tracing::error!(%error, "messages cannot be read");
                            tokio::time::sleep(READ_PAUSE).await;
                        }
                    }
                }
                Turn::Wait(Some(at)) => {
                    let at = shared.clock.instant(at);
                    // Either way it is time to look again.
                    drop(tokio::time::timeout_at(at, self.wake.notified()).await);
                }
                Turn::Wait(None) => self.wake.notified().await,
            }
        }
    }

    fn turn(&self, topic: &mut Topic, now: Now) -> Result<Turn, Ended> {
        let subscription = topic.subscription(self.id).ok_or(Ended::Unsubscribed)?;
        if !subscription.is_held_by(self.holder) {
            return Err(Ended::TakenOver);
        }
        let settings = Box::new(subscription.record.settings.clone());
        let room = match settings.acknowledges {
            true => {
                let most = self.shared.settings.max_unacknowledged;
                most.saturating_sub(subscription.unanswered())
            }
            false => settings.batch_size,
        };
        let limit = room.min(settings.batch_size.max(1));
        let bytes = self.shared.settings.batch_bytes;
        // Also with no room: what is due comes to an end.
        let taken = topic.take(self.id, limit, bytes, None, now);
        let subscription = topic.subscription(self.id).ok_or(Ended::Unsubscribed)?;
        if taken.is_empty() && !subscription.has_gaps() {
            return Ok(Turn::Wait(subscription.next_due()));
        }
        let facts = self.shared.facts(topic, subscription);
        Ok(Turn::Deliver { taken, facts, settings })
    }
}

enum Turn {
    Deliver { taken: Vec<Taken>, facts: SubscriptionFacts, settings: Box<SubscriptionSettings> },
    Wait(Option<i64>),
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let now = self.shared.clock.now().wall;
        self.shared.with(&self.handle, |topic| topic.detach(self.id, self.holder, now));
    }
}

impl Batch {
    pub(super) fn new(
        shared: &Arc<Shared>,
        located: &Located,
        messages: Vec<Delivered>,
        facts: SubscriptionFacts,
        settings: SubscriptionSettings,
    ) -> Self {
        let (shared, handle) = (Arc::clone(shared), Arc::clone(&located.handle));
        let (id, holder, gaps) = (located.id, None, Vec::new());
        Self { shared, handle, id, holder, messages, gaps, facts, settings }
    }

    fn taken(&self) -> Vec<(u64, u32)> {
        self.messages.iter().map(|it| (it.position.offset, it.attempt)).collect()
    }

    /// The gaps that are this holder's to be told of: after a takeover they are the next one's.
    fn gap_starts(&self, topic: &Topic) -> Vec<u64> {
        let subscription = topic.subscription(self.id);
        let holds = subscription.zip(self.holder).is_some_and(|(it, holder)| it.is_held_by(holder));
        self.gaps.iter().filter(|_| holds).map(|gap| gap.from).collect()
    }

    /// The subscriber has them all, and was told of all gaps. After a takeover that says nothing of what the next
    /// holder is given.
    pub fn acknowledge(self) {
        self.count();
        self.acknowledge_all();
    }

    /// The subscriber was told of the gaps; it acknowledges the messages itself.
    pub fn sent(self) {
        self.count();
        self.remember_ids();
        self.shared.with(&self.handle, |topic| {
            let told = self.gap_starts(topic);
            topic.gaps_told(self.id, &told);
        });
    }

    /// The delivery failed: the messages are tried again after a pause, or put aside. The gaps are told again.
    pub fn fail(self, failure: Failure, reason: &str) {
        self.count();
        let (taken, now) = (self.taken(), self.shared.clock.now());
        self.shared.with(&self.handle, |topic| {
            topic.fail(self.id, &taken, failure, reason, now);
            let gaps = self.gap_starts(topic);
            topic.gaps_not_told(self.id, &gaps);
        });
    }

    /// Nothing of it was handed over, and no attempt was made.
    pub fn give_back(self) {
        let taken = self.taken();
        self.shared.with(&self.handle, |topic| {
            topic.give_back(self.id, &taken);
            let gaps = self.gap_starts(topic);
            topic.gaps_not_told(self.id, &gaps);
        });
    }

    fn acknowledge_all(&self) {
        let taken = self.taken();
        self.shared.with(&self.handle, |topic| {
            topic.acknowledge_taken(self.id, &taken);
            let told = self.gap_starts(topic);
            topic.gaps_told(self.id, &told);
        });
    }

    fn remember_ids(&self) {
        let mut topic = self.handle.lock();
        let ids = self.messages.iter().map(|it| (Arc::clone(&it.message.id), it.position.offset));
        topic.remember_ids(self.id, ids);
    }

    /// Adds the gaps that the holder is not being told of yet.
    fn add_gaps(&mut self, holder: HolderId) {
        self.holder = Some(holder);
        let (epoch, gaps) = self.shared.with(&self.handle, |topic| {
            let is_held = topic.subscription(self.id).is_some_and(|it| it.is_held_by(holder));
            let gaps = if is_held { topic.show_gaps(self.id) } else { Vec::new() };
            (topic.record.epoch, gaps)
        });
        self.gaps.extend(gaps.into_iter().map(|(from, gap)| {
            let count = (gap.count > 0).then_some(gap.count);
            Gap { epoch, from, to: gap.to, count, cause: gap.cause }
        }));
    }

    /// They were handed over, whatever came of it.
    fn count(&self) {
        let now = self.shared.clock.now();
        for delivered in &self.messages {
            let since = now.wall.saturating_sub(delivered.message.pub_time.as_microseconds());
            let age = Duration::from_micros(u64::try_from(since).unwrap_or(0));
            let (message, attempt) = (&delivered.message, delivered.attempt);
            self.shared.observer.delivered(&self.facts, message, attempt, age);
        }
    }
}

impl Shared {
    /// A subscription whose subscriber may still say something.
    fn answerable(
        &self,
        by: &Endpoint,
        client_id: &str,
        key: &SubKey,
    ) -> Result<Located, PubSubError> {
        if self.is_closing() { Err(PubSubError::Closed) } else { self.owned(by, client_id, key) }
    }

    fn next_due(&self, located: &Located) -> Option<i64> {
        located.handle.lock().subscription(located.id).and_then(|it| it.next_due())
    }
}

/// How long to wait before a failed read is tried again.
const READ_PAUSE: Duration = Duration::from_secs(1);
/// The longest wait: a year.
const MAX_WAIT: Duration = Duration::from_secs(365 * 86_400);
/// That a subscriber was there is stored once a minute.
const SEEN_EVERY: i64 = 60_000_000;

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("key", &self.key).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("messages", &self.messages.len()).finish_non_exhaustive()
    }
}
