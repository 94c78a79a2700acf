//! Looking at topics and queues, and putting things right by hand.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::{Broker, Handle, Located, Shared};
use crate::error::PubSubError;
use crate::id::{EndpointId, SubKey, SubscriptionId, TopicId};
use crate::message::{Message, MessageEdit};
use crate::settings::{EndpointKind, SubscriptionSettings};
use crate::store::{GapCause, StoreError};
use crate::topic::{
    Counters, LastPublication, MessageView, QueueFilter, Subscription, Topic, TopicCounters,
};

/// A topic, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its number.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// Which history it has.
    pub epoch: u64,
    /// The offset of the next message.
    pub next_offset: u64,
    /// Undelivered guaranteed messages.
    pub depth_gd: usize,
    /// Undelivered messages that are not guaranteed.
    pub depth_non_gd: usize,
    /// Bytes of the contents of undelivered messages.
    pub bytes: u64,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Messages published since the start.
    pub published: u64,
    /// The last of them.
    pub last: Option<LastPublication>,
}

/// A subscription, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionInfo {
    /// Its number, which is no secret.
    pub id: SubscriptionId,
    /// Its key.
    pub key: SubKey,
    /// The topic.
    pub topic: String,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The name of the endpoint.
    pub endpoint_name: String,
    /// The type of the endpoint.
    pub kind: EndpointKind,
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
    /// Whether somebody takes messages now.
    pub is_held: bool,
    /// Messages in its queue, those under way included.
    pub depth: usize,
    /// Messages that were handed over and not acknowledged.
    pub in_flight: usize,
    /// Messages that were put aside as undeliverable.
    pub dead: usize,
    /// What has happened since the start.
    pub counters: Counters,
    /// Its settings.
    pub settings: SubscriptionSettings,
}

/// What all topics come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Topics.
    pub topics: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Undelivered guaranteed messages.
    pub depth_gd: usize,
    /// Other undelivered messages.
    pub depth_non_gd: usize,
    /// Bytes of the contents of undelivered messages.
    pub bytes: u64,
    /// Messages published since the start, also to topics that were removed; so are the numbers that follow.
    pub published: u64,
    /// Messages whose time was over.
    pub expired: u64,
    /// Messages that were put aside as undeliverable.
    pub dead: u64,
    /// Messages that subscribers did not get, by cause.
    pub gaps: BTreeMap<GapCause, u64>,
    /// What the message log takes on disk, in bytes.
    pub disk_bytes: u64,
}

impl Broker {
    /// A topic as it stands.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<TopicInfo> {
        self.0.handle_by_name(name).map(|handle| topic_info(&handle.lock()))
    }

    /// All topics, by name.
    #[must_use]
    pub fn topics(&self) -> Vec<TopicInfo> {
        let handles = self.0.handles().into_iter();
        let mut all: Vec<_> = handles.map(|handle| topic_info(&handle.lock())).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// A subscription as it stands.
    #[must_use]
    pub fn subscription(&self, key: &SubKey) -> Option<SubscriptionInfo> {
        let located = self.0.locate(key)?;
        let topic = located.handle.lock();
        let subscription = topic.subscription(located.id)?;
        Some(self.0.subscription_info(&topic, subscription))
    }

    /// The key of a subscription that is known by its number.
    #[must_use]
    pub fn key_of(&self, id: SubscriptionId) -> Option<SubKey> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|(_, located)| located.id == id).map(|(key, _)| key.clone())
    }

    /// All subscriptions, or those of a topic, oldest first.
    #[must_use]
    pub fn subscriptions(&self, topic: Option<&str>) -> Vec<SubscriptionInfo> {
        let handles = match topic {
            Some(name) => self.0.handle_by_name(name).into_iter().collect(),
            None => self.0.handles(),
        };
        let of_handle = |handle: Arc<Handle>| {
            let topic = handle.lock();
            let all = topic.subscriptions().map(|it| self.0.subscription_info(&topic, it));
            all.collect::<Vec<_>>()
        };
        let mut all: Vec<_> = handles.into_iter().flat_map(of_handle).collect();
        all.sort_by(|a, b| (a.created, &a.key).cmp(&(b.created, &b.key)));
        all
    }

    /// What all topics come to.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { disk_bytes: self.0.store.disk_bytes(), ..Totals::default() };
        let (handles, mut counters) = {
            let topics = self.0.topics.read().unwrap_or_else(PoisonError::into_inner);
            (topics.by_id.values().cloned().collect::<Vec<_>>(), topics.removed.clone())
        };
        for handle in handles {
            let topic = handle.lock();
            totals.topics += 1;
            totals.subscriptions += topic.subscriptions().count();
            totals.depth_gd += topic.depth_gd();
            totals.depth_non_gd += topic.depth_non_gd();
            totals.bytes += topic.bytes();
            counters.add(&topic.counters);
        }
        let TopicCounters { published, expired, dead, gaps, .. } = counters;
        Totals { published, expired, dead, gaps, ..totals }
    }

    /// Messages of a topic behind an offset, in the order of offsets.
    ///
    /// # Errors
    /// When there is no such topic, or the log cannot be read.
    pub async fn browse_topic(
        &self,
        topic: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<MessageView>, PubSubError> {
        let handle = self.topic_handle(topic)?;
        let views = handle.lock().browse(after, limit);
        self.0.fill(&handle, views).await
    }

    /// Messages of a queue behind an offset, in the order of offsets.
    ///
    /// # Errors
    /// When there is no such subscription, or the log cannot be read.
    pub async fn browse_queue(
        &self,
        key: &SubKey,
        filter: QueueFilter,
        after: u64,
        limit: usize,
    ) -> Result<Vec<MessageView>, PubSubError> {
        let located = self.located(key)?;
        let views = located.handle.lock().browse_queue(located.id, filter, after, limit);
        self.0.fill(&located.handle, views).await
    }

    /// A message of a topic, found by its offset or its id, and in a queue if one is given.
    ///
    /// # Errors
    /// When there is none, or the log cannot be read.
    pub async fn message(
        &self,
        topic: &str,
        queue: Option<&SubKey>,
        which: &str,
    ) -> Result<MessageView, PubSubError> {
        let handle = self.topic_handle(topic)?;
        let offset = self.0.find_message(&handle, which).await?;
        let id = match queue {
            None => None,
            Some(key) => Some(self.located(key)?.id),
        };
        let view = handle.lock().look(id, offset);
        let view = view.ok_or_else(|| PubSubError::NoSuchMessage(which.to_owned()))?;
        let filled = self.0.fill(&handle, vec![view]).await?;
        filled.into_iter().next().ok_or_else(|| PubSubError::NoSuchMessage(which.to_owned()))
    }

    /// Deletes a message, found by its offset or its id: from one queue, or from its topic and all queues.
    ///
    /// # Errors
    /// When there is none, or the log fails.
    pub async fn delete_message(
        &self,
        topic: &str,
        queue: Option<&SubKey>,
        which: &str,
    ) -> Result<(), PubSubError> {
        let handle = self.topic_handle(topic)?;
        let offset = self.0.find_message(&handle, which).await?;
        let id = match queue {
            None => None,
            Some(key) => Some(self.located(key)?.id),
        };
        if !self.0.with(&handle, |topic| topic.delete(id, offset)) {
            return Err(PubSubError::NoSuchMessage(which.to_owned()));
        }
        self.flush().await
    }

    /// Changes a message that waits: the next attempt delivers what it is then.
    ///
    /// # Errors
    /// When there is none, the edit is wrong, or the log fails.
    pub async fn edit_message(
        &self,
        topic: &str,
        which: &str,
        edit: MessageEdit,
    ) -> Result<MessageView, PubSubError> {
        let handle = self.topic_handle(topic)?;
        let offset = self.0.find_message(&handle, which).await?;
        let view = handle.lock().look(None, offset);
        let view = view.ok_or_else(|| PubSubError::NoSuchMessage(which.to_owned()))?;
        let filled = self.0.fill(&handle, vec![view]).await?.into_iter().next();
        let before = filled.and_then(|view| view.message);
        let before = before.ok_or_else(|| PubSubError::NoSuchMessage(which.to_owned()))?;
        let message = Arc::new(edit.apply(&before, self.0.clock.now().wall)?);
        let (shared, edited, name) = (Arc::clone(&self.0), Arc::clone(&message), which.to_owned());
        let target = Arc::clone(&handle);
        let prepare = move || {
            let (header, changes) = target
                .lock()
                .replacement(offset, &edited)
                .ok_or(PubSubError::NoSuchMessage(name))?;
            Ok((changes, move || {
                shared.with(&target, |topic| topic.replace(offset, &header, edited));
            }))
        };
        self.0.structural(prepare).await?;
        self.message(topic, None, &offset.to_string()).await
    }

    /// Puts messages that were put aside back into their queue: one of them, or all.
    ///
    /// # Errors
    /// When there is no such subscription or message, or the log fails.
    pub async fn requeue(&self, key: &SubKey, which: Option<&str>) -> Result<usize, PubSubError> {
        let located = self.located(key)?;
        let offsets: Vec<u64> = match which {
            Some(which) => vec![self.0.find_message(&located.handle, which).await?],
            None => {
                let topic = located.handle.lock();
                let dead = topic.subscription(located.id).map(Subscription::dead);
                dead.into_iter().flat_map(|dead| dead.keys().copied()).collect()
            }
        };
        let count = self.0.with(&located.handle, |topic| {
            offsets.iter().filter(|offset| topic.requeue(located.id, **offset)).count()
        });
        if let (0, Some(which)) = (count, which) {
            return Err(PubSubError::NoSuchMessage(which.to_owned()));
        }
        self.flush().await?;
        Ok(count)
    }

    /// Empties a queue; tells how many messages that were.
    ///
    /// # Errors
    /// When there is no such subscription, or the log fails.
    pub async fn clear_queue(&self, key: &SubKey) -> Result<usize, PubSubError> {
        let located = self.located(key)?;
        let count = self.0.with(&located.handle, |topic| topic.clear_queue(located.id));
        self.flush().await?;
        Ok(count)
    }

    /// Empties a topic and all its queues; tells how many messages that were.
    ///
    /// # Errors
    /// When there is no such topic, or the log fails.
    pub async fn clear_topic(&self, topic: &str) -> Result<usize, PubSubError> {
        let (shared, handle) = (Arc::clone(&self.0), self.topic_handle(topic)?);
        let (told, tell) = std::sync::mpsc::sync_channel(1);
        let name = topic.to_owned();
        let prepare = move || {
            if handle.lock().is_removed() {
                return Err(PubSubError::NoSuchTopic(name));
            }
            // Whoever asked may have given up.
            let _ = told.send(shared.with(&handle, Topic::clear));
            Ok((Vec::new(), || {}))
        };
        self.0.structural(prepare).await?;
        self.flush().await?;
        Ok(tell.try_recv().unwrap_or_default())
    }

    /// Does now what would be done soon: removes messages whose time is over, and ends subscriptions whose subscribers
    /// stay away for too long. Tells how many of each.
    pub async fn clean_up(&self, messages: bool, subscriptions: bool) -> (u64, usize) {
        let expired_before = self.totals().expired;
        if messages {
            for handle in self.0.handles() {
                self.0.with(&handle, |topic| topic.tick(self.0.clock.now()));
            }
        }
        let expired = self.totals().expired.saturating_sub(expired_before);
        let ended = if subscriptions { self.0.end_inactive().await } else { 0 };
        (expired, ended)
    }

    /// Gives space back on disk that nothing needs; tells what is taken then. May take a while.
    ///
    /// # Errors
    /// When the log cannot do that while it is open; the text says what to do.
    pub async fn compact(&self) -> Result<u64, StoreError> {
        let store = Arc::clone(&self.0.store);
        let compacted = tokio::task::spawn_blocking(move || store.compact()).await;
        compacted.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
    }

    fn topic_handle(&self, name: &str) -> Result<Arc<Handle>, PubSubError> {
        self.0.handle_by_name(name).ok_or_else(|| PubSubError::NoSuchTopic(name.to_owned()))
    }

    fn located(&self, key: &SubKey) -> Result<Located, PubSubError> {
        self.0.locate(key).ok_or(PubSubError::NoSuchSubscription)
    }
}

impl Shared {
    pub(super) fn subscription_info(
        &self,
        topic: &Topic,
        subscription: &Subscription,
    ) -> SubscriptionInfo {
        let record = &subscription.record;
        let endpoint = self.endpoints.load().by_id(record.endpoint).map(|it| it.name().to_string());
        SubscriptionInfo {
            id: subscription.id,
            key: record.key.clone(),
            topic: topic.name().to_owned(),
            endpoint: record.endpoint,
            endpoint_name: endpoint.unwrap_or_default(),
            kind: record.kind,
            managed: record.managed,
            client_id: record.client_id.clone(),
            pattern: record.pattern.clone(),
            created: record.created,
            last_seen: record.last_seen,
            is_held: subscription.holder.is_some(),
            depth: subscription.depth(),
            in_flight: subscription.in_flight(),
            dead: subscription.dead().len(),
            counters: subscription.counters,
            settings: record.settings.clone(),
        }
    }

    /// Reads the messages that are not at hand. What was deleted meanwhile is left out.
    async fn fill(
        &self,
        handle: &Handle,
        mut views: Vec<MessageView>,
    ) -> Result<Vec<MessageView>, PubSubError> {
        let missing: Vec<u64> =
            views.iter().filter(|view| view.message.is_none()).map(|view| view.offset).collect();
        if missing.is_empty() {
            return Ok(views);
        }
        let failed = |error: StoreError| PubSubError::Store(error.to_string());
        let found = self.store.fetch(handle.id, missing).await.map_err(failed)?;
        let waiting = views.iter_mut().filter(|view| view.message.is_none());
        for (view, stored) in waiting.zip(found) {
            let message = match stored {
                Some(stored) => Some(stored.message().map_err(|error| failed(error.into()))?),
                None => None,
            };
            view.message = message.map(Arc::new);
        }
        views.retain(|view| view.message.is_some());
        Ok(views)
    }

    /// The offset that somebody means by an offset or an id.
    async fn find_message(&self, handle: &Handle, which: &str) -> Result<u64, PubSubError> {
        if let Ok(offset) = which.parse::<u64>() {
            return Ok(offset);
        }
        let mut after = 0;
        loop {
            let views = handle.lock().browse(after, PAGE);
            let Some(last) = views.last().map(|view| view.offset) else {
                return Err(PubSubError::NoSuchMessage(which.to_owned()));
            };
            let views = self.fill(handle, views).await?;
            let is_it = |message: &Arc<Message>| &*message.id == which;
            if let Some(view) = views.iter().find(|view| view.message.as_ref().is_some_and(is_it)) {
                return Ok(view.offset);
            }
            after = last;
        }
    }

    /// Stores what is left, after which nothing is.
    pub(super) async fn close(self: &Arc<Self>) -> Result<(), PubSubError> {
        use std::sync::atomic::Ordering;
        self.closing.store(true, Ordering::Release);
        for handle in self.handles() {
            self.with(&handle, Topic::stop_taking);
        }
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.give(super::Op::Close(reply)).await?;
        answer.await.unwrap_or(Err(PubSubError::Closed))
    }
}

fn topic_info(topic: &Topic) -> TopicInfo {
    TopicInfo {
        id: topic.id,
        name: topic.name().to_owned(),
        epoch: topic.record.epoch,
        next_offset: topic.next(),
        depth_gd: topic.depth_gd(),
        depth_non_gd: topic.depth_non_gd(),
        bytes: topic.bytes(),
        subscriptions: topic.subscriptions().count(),
        published: topic.counters.published,
        last: topic.counters.last.clone(),
    }
}

/// How many messages are read at once to find one.
const PAGE: usize = 200;
