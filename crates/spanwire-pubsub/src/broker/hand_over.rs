//! Between taking messages and giving them to their subscriber: they are read, the hook is asked, and at the end it is
//! looked whether they still are the taker's. Whatever happens on the way, they go back or on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::consume::{Batch, Consumer, Delivered};
use super::ports::{HookAction, SubscriptionFacts};
use super::{Handle, Located, Shared};
use crate::error::PubSubError;
use crate::id::{Position, SubKey, TopicId};
use crate::message::{Message, StoredMessage};
use crate::settings::SubscriptionSettings;
use crate::store::{Change, GapCause, StoreError};
use crate::topic::{Content, Failure, Taken, Topic};

/// Gives messages back if it is dropped before they are handed over.
struct Guard<'a> {
    shared: &'a Arc<Shared>,
    located: &'a Located,
    taken: Vec<(u64, u32)>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.taken.is_empty() {
            let id = self.located.id;
            self.shared.with(&self.located.handle, |topic| topic.give_back(id, &self.taken));
        }
    }
}

impl Shared {
    pub(super) fn hold(self: &Arc<Self>, located: Located, key: SubKey) -> Consumer {
        let (holder, wake) = (self.new_holder(), Arc::new(Notify::new()));
        let Located { handle, id } = located;
        let now = self.clock.now().wall;
        self.with(&handle, |topic| {
            topic.attach(id, holder, Arc::clone(&wake));
            topic.seen(id, now, 0);
        });
        Consumer { shared: Arc::clone(self), handle, id, key, holder, wake }
    }

    /// From now on a crash may leave doubt about what was handed over: that has to be on disk before anything is.
    pub(super) async fn mark_in_use(
        self: &Arc<Self>,
        located: &Located,
    ) -> Result<(), PubSubError> {
        let is_marked = |topic: &Topic| {
            topic.subscription(located.id).is_none_or(|subscription| subscription.record.in_use)
        };
        if self.is_closing() {
            return Err(PubSubError::Closed);
        }
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

    /// Reads what is not at hand, asks the hook, and sees to it that repeats are marked whatever happens.
    pub(super) async fn complete(
        self: &Arc<Self>,
        located: &Located,
        taken: Vec<Taken>,
        facts: SubscriptionFacts,
        settings: SubscriptionSettings,
    ) -> Result<Batch, PubSubError> {
        let under_way: Vec<_> = taken.iter().map(|it| (it.offset, it.attempt)).collect();
        let mut guard = Guard { shared: self, located, taken: under_way.clone() };
        if taken.iter().any(|it| it.attempt > 1) {
            // How often a message was tried has to be on disk before it is tried again, or a crash would forget it.
            self.flush().await?;
        }
        let missing: Vec<u64> =
            taken.iter().filter(|it| it.message.is_none()).map(|it| it.offset).collect();
        let (mut read, mut damaged) = (HashMap::new(), Vec::new());
        if !missing.is_empty() {
            let edits = located.handle.lock().edits();
            for (offset, message) in self.read(located.handle.id, missing).await? {
                match message {
                    Ok(message) => drop(read.insert(offset, Arc::new(message))),
                    Err(error) => damaged.push((offset, error.to_string())),
                }
            }
            self.keep_read(&located.handle, &read, edits);
        }
        let (epoch, hook) = {
            let topic = located.handle.lock();
            (topic.record.epoch, topic.settings.hook.clone())
        };
        let mut messages = Vec::with_capacity(taken.len());
        let mut lost = Vec::new();
        for Taken { offset, attempt, message } in taken {
            match message.or_else(|| read.remove(&offset)) {
                Some(message) => {
                    let position = Position { epoch, offset };
                    messages.push(Delivered { message, position, attempt });
                }
                None if damaged.iter().any(|(at, _)| *at == offset) => {}
                // Deleted meanwhile, and so off the queue; or the log has lost it.
                None => lost.push((offset, attempt)),
            }
        }
        if let Some(hook) = hook {
            let blocks = settings.blocks_on_error;
            messages = self.ask_hook(located, &hook, &facts, messages, blocks).await;
        }
        let taken: Vec<_> = messages.iter().map(|it| (it.position.offset, it.attempt)).collect();
        let now = self.clock.now();
        let handed = self.with(&located.handle, |topic| {
            for offset in topic.still_taken(located.id, &lost) {
                tracing::error!(topic = topic.name(), offset, "a message is not in the log");
                topic.drop_message(offset, GapCause::Gone);
            }
            for (offset, reason) in &damaged {
                // Never delivered as if it were good, and in nobody's way.
                let attempt = under_way.iter().find(|(at, _)| at == offset);
                let attempt: Vec<_> = attempt.copied().into_iter().collect();
                topic.fail(located.id, &attempt, Failure::Rejected, reason, now);
            }
            topic.hand_over(located.id, &taken, now)
        });
        guard.taken.clear();
        drop(guard);
        messages.retain(|it| handed.contains(&it.position.offset));
        Ok(Batch::new(self, located, messages, facts, settings))
    }

    /// Reads messages; what is not there is left out, and what is damaged is an error of its own.
    async fn read(
        &self,
        topic: TopicId,
        offsets: Vec<u64>,
    ) -> Result<Vec<(u64, Result<Message, StoreError>)>, PubSubError> {
        let failed = |error: StoreError| PubSubError::Store(error.to_string());
        let decode = |stored: StoredMessage| stored.message().map_err(StoreError::from);
        match self.store.fetch(topic, offsets.clone()).await {
            Ok(found) => {
                let found = offsets.into_iter().zip(found);
                Ok(found.filter_map(|(at, stored)| Some((at, decode(stored?)))).collect())
            }
            Err(StoreError::Damaged(_)) => {
                let mut each = Vec::with_capacity(offsets.len());
                for offset in offsets {
                    match self.store.fetch(topic, vec![offset]).await {
                        Ok(found) => {
                            each.extend(found.into_iter().flatten().map(|it| (offset, decode(it))));
                        }
                        Err(error @ StoreError::Damaged(_)) => each.push((offset, Err(error))),
                        Err(error) => return Err(failed(error)),
                    }
                }
                Ok(each)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Keeps what was read at hand where others are about to need it too.
    fn keep_read(&self, handle: &Arc<Handle>, read: &HashMap<u64, Arc<Message>>, edits: u64) {
        let mut topic = handle.lock();
        // What was edited since is something else now.
        if topic.subscriptions().nth(1).is_none() || topic.edits() != edits {
            return;
        }
        let mut kept = Vec::new();
        for (offset, message) in read {
            if topic.set_content(*offset, Content::Cached(Arc::clone(message))) {
                kept.push((*offset, message.weight()));
            }
        }
        drop(topic);
        self.note_cached(handle, kept);
        self.trim_cache();
    }

    async fn ask_hook(
        self: &Arc<Self>,
        located: &Located,
        hook: &Arc<str>,
        facts: &SubscriptionFacts,
        messages: Vec<Delivered>,
        blocks: bool,
    ) -> Vec<Delivered> {
        let mut wanted = Vec::with_capacity(messages.len());
        let mut messages = messages.into_iter();
        while let Some(delivered) = messages.next() {
            let message = Arc::clone(&delivered.message);
            let (hook, facts) = (Arc::clone(hook), facts.clone());
            let taken = (delivered.position.offset, delivered.attempt);
            let asked = self.hooks.before_delivery(hook, facts, message, delivered.attempt).await;
            let now = self.clock.now();
            match asked {
                Ok(HookAction::Deliver) => wanted.push(delivered),
                Ok(HookAction::Skip) => self.with(&located.handle, |topic| {
                    topic.postpone(located.id, taken, SKIP_PAUSE, now);
                }),
                Ok(HookAction::Delete) => self.with(&located.handle, |topic| {
                    let offsets = topic.still_taken(located.id, &[taken]);
                    topic.acknowledge(located.id, &offsets);
                }),
                Err(error) => {
                    // What comes behind it must not overtake it.
                    let held_up = messages.by_ref().take(if blocks { usize::MAX } else { 0 });
                    let held_up: Vec<_> =
                        held_up.map(|it| (it.position.offset, it.attempt)).collect();
                    self.with(&located.handle, |topic| {
                        let reason = error.to_string();
                        topic.give_back(located.id, &held_up);
                        topic.fail(located.id, &[taken], Failure::Refused, &reason, now);
                    });
                }
            }
        }
        wanted
    }
}

/// How long a message waits that a hook does not want now.
const SKIP_PAUSE: Duration = Duration::from_secs(1);
