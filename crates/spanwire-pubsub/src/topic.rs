//! One topic as a state machine: the messages it holds and the subscriptions that are to get them.
//!
//! It decides who gets what, in which order, and what has to be stored; it reads no clock, has no sockets and writes
//! nothing. Times come in as [`Now`]; what has to be stored leaves through `take_changes`, or comes back from the calls
//! whose changes have to be on disk before anybody hears of them.
//!
//! | file | what happens there |
//! |---|---|
//! | `log` | the messages, by offset, by order, by expiry |
//! | `subscription` | where one subscriber stands |
//! | `acked` | which offsets it is done with |
//! | `attempts` | how often delivery was tried, and what of it counts |
//! | `publish` | a message comes in |
//! | `deliver` | messages are taken, acknowledged, given back, put aside |
//! | `doubt` | messages are gone while nobody knows whether they arrived |
//! | `subscribe` | subscribers come and go |
//! | `operate` | a person looks, deletes, corrects, puts back |
//! | `restore` | all of it again after a start |
//!
//! **Invariants**: a message is held as long as somebody has to get it or it waits for a first subscriber, and not
//! longer; what was acknowledged is never taken again; a message is with one taker at a time; depths are what a count
//! would give; what a subscription is not done with is in the log.

mod acked;
mod attempts;
mod deliver;
mod doubt;
mod log;
#[cfg(test)]
mod model;
mod operate;
mod publish;
mod restore;
mod subscribe;
mod subscription;
mod touched;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use self::deliver::Failure;
pub(crate) use self::deliver::Taken;
pub(crate) use self::log::Content;
pub use self::operate::{MessageView, QueueFilter};
pub(crate) use self::publish::{Admitted, Draft, Outcome, Plan};
pub(crate) use self::restore::Restored;
pub(crate) use self::subscribe::Start;
pub use self::subscription::Counters;
pub(crate) use self::subscription::{HolderId, Subscription};

pub(crate) use self::log::Entry;
use self::log::Log;
use self::touched::Touched;
use crate::id::{SubscriptionId, TopicId};
use crate::settings::TopicSettings;
use crate::store::{Change, GapCause, TopicRecord};

/// A moment, on both clocks, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since the epoch. Only expiry and what people read depend on it.
    pub wall: i64,
    /// Since some moment before the start. Never goes back.
    pub monotonic: i64,
}

/// What messages that are nowhere but in memory take, all topics together.
pub(crate) type MemoryGauge = Arc<AtomicUsize>;

/// What has happened to a topic since the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicCounters {
    pub(crate) published: u64,
    pub(crate) expired: u64,
    pub(crate) dead: u64,
    pub(crate) gaps: BTreeMap<GapCause, u64>,
    pub(crate) last: Option<LastPublication>,
}

impl TopicCounters {
    /// Adds what has happened to another topic.
    pub(crate) fn add(&mut self, other: &Self) {
        self.published += other.published;
        self.expired += other.expired;
        self.dead += other.dead;
        for (cause, count) in &other.gaps {
            *self.gaps.entry(*cause).or_default() += count;
        }
    }
}

/// The last publication of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastPublication {
    /// When, in microseconds since the epoch.
    pub at: i64,
    /// The message.
    pub msg_id: Arc<str>,
    /// The endpoint that published it.
    pub endpoint: Arc<str>,
    /// Whether its delivery is guaranteed.
    pub has_gd: bool,
}

#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) id: TopicId,
    pub(crate) record: TopicRecord,
    pub(crate) settings: TopicSettings,
    /// The offset of the next message.
    next: u64,
    /// The first offset that was never given to anybody, as the store has it.
    stored_next: u64,
    /// What the last message without a time of its own was ordered by: wall clocks go back, topics do not.
    last_order: i64,
    log: Log,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// Ids that publishers gave: offset and time of the message.
    own_ids: HashMap<u128, (u64, i64)>,
    own_ids_by_time: BTreeSet<(i64, u128)>,
    memory: MemoryGauge,
    changes: Vec<Change>,
    /// Subscriptions that may have changes.
    touched: Touched,
    /// When something was next due of a subscription, at the end of the last tick.
    due: Option<i64>,
    pub(crate) counters: TopicCounters,
    /// How many messages were edited: what was read before an edit is not kept at hand after it.
    edits: u64,
    /// Nobody takes anything any more.
    stopped: bool,
    /// It was removed: nothing comes in any more.
    removed: bool,
}

impl Topic {
    pub(crate) fn new(
        id: TopicId,
        record: TopicRecord,
        settings: TopicSettings,
        memory: MemoryGauge,
    ) -> Self {
        Self {
            id,
            record,
            settings,
            next: 1,
            stored_next: 1,
            last_order: i64::MIN,
            log: Log::default(),
            subscriptions: BTreeMap::new(),
            own_ids: HashMap::new(),
            own_ids_by_time: BTreeSet::new(),
            memory,
            changes: Vec::new(),
            touched: Touched::default(),
            due: None,
            counters: TopicCounters::default(),
            edits: 0,
            stopped: false,
            removed: false,
        }
    }

    /// The topic is no more; whoever still knows it publishes nothing.
    pub(crate) fn end(&mut self) {
        self.removed = true;
        self.wipe();
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.removed
    }

    /// How many messages were edited since the start.
    pub(crate) fn edits(&self) -> u64 {
        self.edits
    }

    pub(crate) fn name(&self) -> &str {
        &self.record.name
    }

    /// The offset of the next message.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Undelivered guaranteed messages.
    pub(crate) fn depth_gd(&self) -> usize {
        self.log.guaranteed()
    }

    /// Undelivered messages that are not guaranteed.
    pub(crate) fn depth_non_gd(&self) -> usize {
        self.log.others()
    }

    /// Bytes of the contents of undelivered messages.
    pub(crate) fn bytes(&self) -> u64 {
        self.log.bytes()
    }

    /// What undelivered messages take in the log, about.
    pub(crate) fn stored_bytes(&self) -> u64 {
        /// Beside its content.
        const EACH: u64 = 1024;
        self.bytes().saturating_add(self.log.len() as u64 * EACH)
    }

    pub(crate) fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.values()
    }

    pub(crate) fn subscription(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.subscriptions.get(&id)
    }

    /// A subscription that is about to change.
    pub(crate) fn touch(&mut self, id: SubscriptionId) -> Option<&mut Subscription> {
        let subscription = self.subscriptions.get_mut(&id)?;
        self.touched.insert(id);
        Some(subscription)
    }

    /// Keeps a message at hand, or lets go of it: it is in the store.
    pub(crate) fn set_content(&mut self, offset: u64, content: Content) -> bool {
        match self.log.get_mut(offset) {
            Some(entry) if !matches!(entry.content, Content::Memory(_)) => {
                entry.content = content;
                true
            }
            _ => false,
        }
    }

    /// Everything that has to be stored and that nobody waits for. A crash may keep its beginning alone, so that
    /// messages are deleted behind what says who is done with them.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for id in self.touched.take_unstored() {
            if let Some(subscription) = self.subscriptions.get_mut(&id) {
                subscription.take_changes(&mut changes);
            }
        }
        changes.append(&mut self.changes);
        changes
    }

    /// Whether there may be something to be stored.
    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.is_empty() || !self.touched.is_empty()
    }

    /// The next moment, on the monotonic clock, at which something happens by itself: to the topic, to subscriptions that
    /// were touched since this was last asked, and to any, as the last tick saw them.
    pub(crate) fn next_due(&mut self, now: Now) -> Option<i64> {
        let wall = |at: i64| now.monotonic.saturating_add(at.saturating_sub(now.wall));
        let expiry = self.log.next_expiry().map(wall);
        let ids = self.own_ids_by_time.first();
        let ids = ids.map(|(at, _)| wall(at.saturating_add(OWN_ID_WINDOW)));
        let touched = self.touched.take_unscheduled().into_iter();
        let touched = touched.filter_map(|id| self.subscriptions.get(&id)?.next_due());
        [expiry, ids, touched.min(), self.due].into_iter().flatten().min()
    }

    /// Nobody takes anything any more; whoever waits for messages looks again.
    pub(crate) fn stop_taking(&mut self) {
        self.stopped = true;
        self.subscriptions.values_mut().for_each(Subscription::wake);
    }

    /// Nobody takes anything any more, and nothing more comes: what is stored now is all.
    pub(crate) fn stop(&mut self, now: Now) {
        self.stop_taking();
        let ids: Vec<_> = self.subscriptions.keys().copied().collect();
        for id in ids {
            let Some(subscription) = self.touch(id) else { continue };
            subscription.record_changed |= std::mem::take(&mut subscription.record.in_use);
            if subscription.holder.is_some() {
                subscription.record.last_seen = now.wall;
                subscription.record_changed = true;
            }
            subscription.end_all_leases();
            let doubts = subscription.doubts.keys().copied().collect();
            self.lose(id, doubts);
        }
        if self.stored_next != self.next {
            self.stored_next = self.next;
            self.changes.push(Change::PutNext(self.id, self.next));
        }
    }

    /// Does what is due by now.
    pub(crate) fn tick(&mut self, now: Now) {
        self.expire(now);
        let is_due = |it: &&Subscription| it.next_due().is_some_and(|at| at <= now.monotonic);
        let due: Vec<_> = self.subscriptions.values().filter(is_due).map(|it| it.id).collect();
        for id in due {
            self.end_waits(id, now);
        }
        self.due = self.subscriptions.values().filter_map(Subscription::next_due).min();
        while let Some((at, _)) = self.own_ids_by_time.first()
            && at.saturating_add(OWN_ID_WINDOW) <= now.wall
        {
            self.forget_own_id();
        }
    }

    /// Forgets the oldest of the ids that publishers gave.
    fn forget_own_id(&mut self) {
        if let Some((_, id)) = self.own_ids_by_time.pop_first() {
            self.own_ids.remove(&id);
            self.changes.push(Change::PutOwnId(self.id, id, None));
        }
    }

    /// Removes messages whose time is over.
    pub(super) fn expire(&mut self, now: Now) {
        while let Some(offset) = self.log.expired(now.wall) {
            let retention = self.log.get(offset).is_some_and(|entry| entry.by_retention);
            let cause = if retention { GapCause::Retention } else { GapCause::Expired };
            self.counters.expired += 1;
            self.drop_message(offset, cause);
        }
    }

    /// Removes a message that somebody may still have to get.
    pub(crate) fn drop_message(&mut self, offset: u64, cause: GapCause) {
        let Some(entry) = self.remove_entry(offset) else { return };
        for subscription in self.subscriptions.values_mut() {
            if subscription.acked.contains(offset) {
                continue;
            }
            self.touched.insert(subscription.id);
            let handed = subscription.handed_over(offset);
            if !subscription.dead.contains_key(&offset) {
                subscription.depth -= 1;
                if handed.is_none() {
                    subscription.note_gap(offset, cause);
                    *self.counters.gaps.entry(cause).or_default() += 1;
                }
            }
            subscription.forget(entry.key);
            if let Some(lease) = handed {
                subscription.doubt(lease, cause);
            }
            subscription.raise_floor(self.next);
            subscription.wake_with_room();
        }
    }

    /// One subscription less has to get a message.
    pub(super) fn dereference(&mut self, offset: u64) {
        let Some(entry) = self.log.get_mut(offset) else { return };
        entry.references = entry.references.saturating_sub(1);
        if entry.references == 0 && !entry.waiting {
            self.remove_entry(offset);
        }
    }

    fn remove_entry(&mut self, offset: u64) -> Option<Entry> {
        let entry = self.log.remove(offset)?;
        match &entry.content {
            Content::Memory(message) => {
                self.memory.fetch_sub(message.weight(), Ordering::Relaxed);
            }
            Content::Stored | Content::Cached(_) => {
                self.changes.push(Change::Delete(self.id, offset));
            }
        }
        Some(entry)
    }
}

/// For how long the same id of a publisher means the same message: two minutes, in microseconds.
const OWN_ID_WINDOW: i64 = 120_000_000;

/// A duration in the unit of [`Now`].
pub(crate) fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
