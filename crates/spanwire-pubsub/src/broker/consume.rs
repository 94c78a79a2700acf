//! Taking messages: pushed to a holder, or asked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::access::Endpoint;
use super::ports::{HookAction, SubscriptionFacts};
use super::{Broker, Handle, Located, Shared};
use crate::error::PubSubError;
use crate::id::{Position, SubKey, SubscriptionId};
use crate::message::Message;
use crate::settings::SubscriptionSettings;
use crate::store::{Change, GapCause, GapRecord};
use crate::topic::{Content, Failure, HolderId, Now, Taken, Topic};

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
    shared: Arc<Shared>,
    handle: Arc<Handle>,
    id: SubscriptionId,
    key: SubKey,
    holder: HolderId,
    wake: Arc<Notify>,
}

/// Messages that were handed over together.
///
/// Dropping it leaves them with the consumer until that is dropped, or until they are acknowledged by their offsets.
pub struct Batch {
    shared: Arc<Shared>,
    handle: Arc<Handle>,
    id: SubscriptionId,
    /// The messages, in the order of the queue.
    pub messages: Vec<Delivered>,
    /// What the subscriber has to be told that it will not get.
    pub gaps: Vec<Gap>,
    told: Vec<(u64, GapRecord)>,
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
        let located = shared.owned(by, client_id, key)?;
        shared.mark_in_use(&located).await?;
        let until = tokio::time::Instant::now() + pull.wait;
        loop {
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
                batch.count(now);
                return Ok(std::mem::take(&mut batch.messages));
            }
            let due = shared.next_due(&located);
            let next = until.min(due.map_or(until, |at| shared.clock.instant(at)));
            if tokio::time::timeout_at(next, wake.notified()).await.is_err()
                && tokio::time::Instant::now() >= until
            {
                return Ok(Vec::new());
            }
        }
    }

    /// The subscriber has these messages, by their offsets; tells how many of them waited for that.
    ///
    /// # Errors
    /// When the key is not the endpoint's.
    pub fn acknowledge(
        &self,
        by: &Endpoint,
        client_id: &str,
        key: &SubKey,
        offsets: &[u64],
    ) -> Result<usize, PubSubError> {
        let located = self.0.owned(by, client_id, key)?;
        Ok(self.0.with(&located.handle, |topic| topic.acknowledge(located.id, offsets)))
    }

    /// The subscriber has these messages, by their ids; tells how many of them waited for that. Ids are known of
    /// messages that were handed over since the start.
    ///
    /// # Errors
    /// When the key is not the endpoint's.
    pub fn acknowledge_ids(
        &self,
        by: &Endpoint,
        client_id: &str,
        key: &SubKey,
        ids: &[&str],
    ) -> Result<usize, PubSubError> {
        let located = self.0.owned(by, client_id, key)?;
        Ok(self.0.with(&located.handle, |topic| {
            let offsets = topic.offsets_of(located.id, ids);
            topic.acknowledge(located.id, &offsets)
        }))
    }

    /// The subscriber has everything up to a position. One of another history says nothing, and is ignored.
    ///
    /// # Errors
    /// When the key is not the endpoint's.
    pub fn acknowledge_up_to(
        &self,
        by: &Endpoint,
        client_id: &str,
        key: &SubKey,
        position: Position,
    ) -> Result<usize, PubSubError> {
        let located = self.0.owned(by, client_id, key)?;
        Ok(self.0.with(&located.handle, |topic| match position.epoch == topic.record.epoch {
            true => topic.acknowledge_up_to(located.id, position.offset),
            false => 0,
        }))
    }

    /// The subscriber could not work with these messages: they are tried again after a pause.
    ///
    /// # Errors
    /// When the key is not the endpoint's.
    pub fn refuse_ids(
        &self,
        by: &Endpoint,
        client_id: &str,
        key: &SubKey,
        ids: &[&str],
        reason: &str,
    ) -> Result<(), PubSubError> {
        let located = self.0.owned(by, client_id, key)?;
        let now = self.0.clock.now();
        self.0.with(&located.handle, |topic| {
            let offsets = topic.offsets_of(located.id, ids);
            topic.fail(located.id, &offsets, Failure::Refused, reason, now);
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
                Turn::Deliver { taken, gaps, facts, settings } => {
                    let completed = shared.complete(&located, taken, facts, *settings).await;
                    match completed {
                        Ok(mut batch) if !batch.messages.is_empty() || !gaps.is_empty() => {
                            batch.add_gaps(gaps);
                            batch.count(now);
                            return Ok(batch);
                        }
                        // A hook wanted none of them.
                        Ok(_) => {}
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
                most.saturating_sub(subscription.in_flight())
            }
            false => settings.batch_size,
        };
        let limit = room.min(settings.batch_size);
        let bytes = self.shared.settings.batch_bytes;
        let taken = match limit {
            0 => Vec::new(),
            limit => topic.take(self.id, limit, bytes, None, now),
        };
        let gaps = topic.gaps(self.id);
        if taken.is_empty() && gaps.is_empty() {
            let due = topic.subscription(self.id).and_then(|it| it.next_due());
            return Ok(Turn::Wait(due));
        }
        let subscription = topic.subscription(self.id).ok_or(Ended::Unsubscribed)?;
        let facts = self.shared.facts(topic, subscription);
        let gaps = gaps.into_iter().map(|(from, gap)| (topic.record.epoch, from, gap)).collect();
        Ok(Turn::Deliver { taken, gaps, facts, settings })
    }
}

enum Turn {
    Deliver {
        taken: Vec<Taken>,
        gaps: Vec<(u64, u64, GapRecord)>,
        facts: SubscriptionFacts,
        settings: Box<SubscriptionSettings>,
    },
    Wait(Option<i64>),
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let now = self.shared.clock.now().wall;
        self.shared.with(&self.handle, |topic| topic.detach(self.id, self.holder, now));
    }
}

impl Batch {
    fn offsets(&self) -> Vec<u64> {
        self.messages.iter().map(|it| it.position.offset).collect()
    }

    /// The subscriber has them all, and was told of all gaps.
    pub fn acknowledge(mut self) {
        self.acknowledge_all();
    }

    /// The subscriber was told of the gaps; it acknowledges the messages itself.
    pub fn sent(mut self) {
        self.remember_ids();
        let told = std::mem::take(&mut self.told);
        self.shared.with(&self.handle, |topic| topic.gaps_told(self.id, &told));
    }

    /// The delivery failed: the messages are tried again after a pause, or put aside.
    pub fn fail(self, failure: Failure, reason: &str) {
        let (offsets, now) = (self.offsets(), self.shared.clock.now());
        self.shared.with(&self.handle, |topic| {
            topic.fail(self.id, &offsets, failure, reason, now);
        });
    }

    /// Nothing of it was handed over, and no attempt was made.
    pub fn give_back(self) {
        let offsets = self.offsets();
        self.shared.with(&self.handle, |topic| topic.give_back(self.id, &offsets));
    }

    fn acknowledge_all(&mut self) {
        let (offsets, told) = (self.offsets(), std::mem::take(&mut self.told));
        self.shared.with(&self.handle, |topic| {
            topic.acknowledge(self.id, &offsets);
            topic.gaps_told(self.id, &told);
        });
    }

    fn remember_ids(&self) {
        let mut topic = self.handle.lock();
        let ids = self.messages.iter().map(|it| (Arc::clone(&it.message.id), it.position.offset));
        topic.remember_ids(self.id, ids);
    }

    fn add_gaps(&mut self, gaps: Vec<(u64, u64, GapRecord)>) {
        for (epoch, from, gap) in gaps {
            let count = (gap.count > 0).then_some(gap.count);
            self.gaps.push(Gap { epoch, from, to: gap.to, count, cause: gap.cause });
            self.told.push((from, gap));
        }
    }

    fn count(&self, now: Now) {
        for delivered in &self.messages {
            let since = now.wall.saturating_sub(delivered.message.pub_time.as_microseconds());
            let age = Duration::from_micros(u64::try_from(since).unwrap_or(0));
            let (message, attempt) = (&delivered.message, delivered.attempt);
            self.shared.observer.delivered(&self.facts, message, attempt, age);
        }
    }
}

/// Gives messages back if it is dropped before they are handed over.
struct Guard<'a> {
    shared: &'a Arc<Shared>,
    located: &'a Located,
    offsets: Vec<u64>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.offsets.is_empty() {
            let offsets = std::mem::take(&mut self.offsets);
            let id = self.located.id;
            self.shared.with(&self.located.handle, |topic| topic.give_back(id, &offsets));
        }
    }
}

impl Shared {
    fn hold(self: &Arc<Self>, located: Located, key: SubKey) -> Consumer {
        let (holder, wake) = (self.new_holder(), Arc::new(Notify::new()));
        let Located { handle, id } = located;
        self.with(&handle, |topic| topic.attach(id, holder, Arc::clone(&wake)));
        Consumer { shared: Arc::clone(self), handle, id, key, holder, wake }
    }

    /// From now on a crash may leave doubt about what was handed over: that has to be on disk before anything is.
    async fn mark_in_use(self: &Arc<Self>, located: &Located) -> Result<(), PubSubError> {
        let is_marked = |topic: &Topic| {
            topic.subscription(located.id).is_none_or(|subscription| subscription.record.in_use)
        };
        if is_marked(&located.handle.lock()) {
            return Ok(());
        }
        let (shared, located) = (Arc::clone(self), located.clone());
        let prepare = move || {
            let topic = located.handle.lock();
            let record = topic.subscription(located.id).map(|it| it.record.clone());
            drop(topic);
            let record = record.map(|mut record| {
                record.in_use = true;
                record
            });
            let changes = record.map(|it| Change::PutSubscription(located.id, Box::new(it)));
            Ok((changes.into_iter().collect(), move || {
                shared.with(&located.handle, |topic| {
                    if let Some(subscription) = topic.touch(located.id) {
                        subscription.record.in_use = true;
                    }
                });
            }))
        };
        self.structural(prepare).await
    }

    fn next_due(&self, located: &Located) -> Option<i64> {
        located.handle.lock().subscription(located.id).and_then(|it| it.next_due())
    }

    /// Reads what is not at hand, asks the hook, and sees to it that repeats are marked whatever happens.
    async fn complete(
        self: &Arc<Self>,
        located: &Located,
        taken: Vec<Taken>,
        facts: SubscriptionFacts,
        settings: SubscriptionSettings,
    ) -> Result<Batch, PubSubError> {
        let offsets = taken.iter().map(|it| it.offset).collect();
        let mut guard = Guard { shared: self, located, offsets };
        if taken.iter().any(|it| it.attempt > 1) {
            // How often a message was tried has to be on disk before it is tried again, or a crash would forget it.
            self.flush().await?;
        }
        let missing: Vec<u64> =
            taken.iter().filter(|it| it.message.is_none()).map(|it| it.offset).collect();
        let mut read = HashMap::new();
        if !missing.is_empty() {
            let found = self.store.fetch(located.handle.id, missing.clone()).await;
            let found = found.map_err(|error| PubSubError::Store(error.to_string()))?;
            for (offset, stored) in missing.into_iter().zip(found) {
                let Some(stored) = stored else { continue };
                let message = stored.message();
                let message = message.map_err(|error| PubSubError::Store(error.to_string()))?;
                read.insert(offset, Arc::new(message));
            }
        }
        let (epoch, hook) = {
            let topic = located.handle.lock();
            (topic.record.epoch, topic.settings.hook.clone())
        };
        let mut messages = Vec::with_capacity(taken.len());
        let mut gone = Vec::new();
        for Taken { offset, attempt, message } in taken {
            match message.or_else(|| read.get(&offset).cloned()) {
                Some(message) => {
                    let position = Position { epoch, offset };
                    messages.push(Delivered { message, position, attempt });
                }
                // Deleted meanwhile, and so off the queue.
                None => gone.push(offset),
            }
        }
        self.keep_read(&located.handle, read);
        if let Some(hook) = hook {
            messages = self.ask_hook(located, &hook, &facts, messages).await?;
        }
        guard.offsets.clear();
        drop(guard);
        if !gone.is_empty() {
            self.with(&located.handle, |topic| topic.acknowledge(located.id, &gone));
        }
        Ok(Batch {
            shared: Arc::clone(self),
            handle: Arc::clone(&located.handle),
            id: located.id,
            messages,
            gaps: Vec::new(),
            told: Vec::new(),
            facts,
            settings,
        })
    }

    /// Keeps what was read at hand where others are about to need it too.
    fn keep_read(&self, handle: &Arc<Handle>, read: HashMap<u64, Arc<Message>>) {
        let mut topic = handle.lock();
        if topic.subscriptions().nth(1).is_none() {
            return;
        }
        let mut kept = Vec::new();
        for (offset, message) in read {
            kept.push((offset, message.weight()));
            topic.set_content(offset, Content::Cached(message));
        }
        drop(topic);
        for (offset, weight) in kept {
            self.note_cached(handle, &[offset], weight);
        }
        self.trim_cache();
    }

    async fn ask_hook(
        self: &Arc<Self>,
        located: &Located,
        hook: &Arc<str>,
        facts: &SubscriptionFacts,
        messages: Vec<Delivered>,
    ) -> Result<Vec<Delivered>, PubSubError> {
        let mut wanted = Vec::with_capacity(messages.len());
        for delivered in messages {
            let message = Arc::clone(&delivered.message);
            let (hook, facts) = (Arc::clone(hook), facts.clone());
            let offset = delivered.position.offset;
            let asked = self.hooks.before_delivery(hook, facts, message, delivered.attempt).await;
            let now = self.clock.now();
            match asked {
                Ok(HookAction::Deliver) => wanted.push(delivered),
                Ok(HookAction::Skip) => self.with(&located.handle, |topic| {
                    topic.postpone(located.id, offset, SKIP_PAUSE, now);
                }),
                Ok(HookAction::Delete) => self.with(&located.handle, |topic| {
                    topic.acknowledge(located.id, &[offset]);
                }),
                Err(error) => self.with(&located.handle, |topic| {
                    let reason = error.to_string();
                    topic.fail(located.id, &[offset], Failure::Refused, &reason, now);
                }),
            }
        }
        Ok(wanted)
    }
}

/// How long a message waits that a hook does not want now.
const SKIP_PAUSE: Duration = Duration::from_secs(1);
/// How long to wait before a failed read is tried again.
const READ_PAUSE: Duration = Duration::from_secs(1);
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
