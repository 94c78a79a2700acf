//! A topic as it was, from what is stored.
//!
//! Feed it what the store has, then [`finish`](Restored::finish). What no subscription has to get any more is not taken
//! up again, and deleted.

use super::log::{Content, Entry};
use super::subscribe::{claims, missing, wants};
use super::{MemoryGauge, Subscription, Topic};
use crate::id::{SubscriptionId, TopicId};
use crate::message::Header;
use crate::settings::TopicSettings;
use crate::store::{
    Change, DeadLetter, GapCause, GapRecord, OwnIdRecord, SubscriptionRecord, TopicRecord,
};

/// A topic that is being restored.
#[derive(Debug)]
pub(crate) struct Restored {
    topic: Topic,
}

impl Restored {
    pub(crate) fn new(id: TopicId, record: TopicRecord, next: u64, memory: MemoryGauge) -> Self {
        let mut topic = Topic::new(id, record, TopicSettings::default(), memory);
        topic.next = next.max(1);
        topic.stored_next = topic.next;
        Self { topic }
    }

    pub(crate) fn subscription(
        &mut self,
        id: SubscriptionId,
        record: SubscriptionRecord,
        floor: u64,
    ) {
        let subscription = Subscription::new(id, record, floor.max(self.topic.record.floor));
        self.topic.subscriptions.insert(id, subscription);
    }

    pub(crate) fn acked(&mut self, id: SubscriptionId, chunk: u64, bits: Box<[u64; 64]>) {
        if let Some(subscription) = self.topic.subscriptions.get_mut(&id) {
            subscription.acked.restore(chunk, bits);
        }
    }

    pub(crate) fn attempts(&mut self, id: SubscriptionId, offset: u64, attempts: u32) {
        if let Some(subscription) = self.topic.subscriptions.get_mut(&id) {
            subscription.restore_attempts(offset, attempts);
        }
    }

    pub(crate) fn dead(&mut self, id: SubscriptionId, offset: u64, letter: DeadLetter) {
        if let Some(subscription) = self.topic.subscriptions.get_mut(&id) {
            subscription.dead.insert(offset, letter);
        }
    }

    pub(crate) fn gap(&mut self, id: SubscriptionId, from: u64, gap: GapRecord) {
        if let Some(subscription) = self.topic.subscriptions.get_mut(&id) {
            subscription.gaps.insert(from, gap);
        }
    }

    pub(crate) fn own_id(&mut self, hash: u128, record: &OwnIdRecord) {
        self.topic.own_ids.insert(hash, (record.offset, record.at));
        self.topic.own_ids_by_time.insert((record.at, hash));
    }

    /// The next message, in the order of offsets.
    pub(crate) fn message(&mut self, offset: u64, header: &Header) {
        let topic = &mut self.topic;
        if !header.has_own_time {
            topic.last_order = topic.last_order.max(header.order);
        }
        topic.next = topic.next.max(offset + 1);
        if offset < topic.record.floor {
            topic.changes.push(Change::Delete(topic.id, offset));
            return;
        }
        let mut entry = Entry::new(offset, header, Content::Stored, true);
        if entry.waiting {
            let claimer = topic.subscriptions.values().find(|it| claims(&it.record, offset));
            if let Some(id) = claimer.map(|it| it.id) {
                entry.waiting = false;
                entry.recipients = Some([id].into());
            }
        }
        for subscription in topic.subscriptions.values_mut() {
            if subscription.acked.contains(offset) {
                continue;
            }
            if !wants(&subscription.record, offset) || !entry.is_for(subscription.id) {
                subscription.acked.insert(offset);
                continue;
            }
            entry.references += 1;
            if !subscription.dead.contains_key(&offset) {
                subscription.depth += 1;
            }
        }
        match entry.references > 0 || entry.waiting {
            true => topic.log.insert(entry),
            false => topic.changes.push(Change::Delete(topic.id, offset)),
        }
    }

    /// The topic, ready for what comes. `wall` is the time of the start.
    pub(crate) fn finish(self, wall: i64) -> Topic {
        let Self { mut topic } = self;
        topic.stored_next = topic.stored_next.max(topic.next);
        let next = topic.next;
        for subscription in topic.subscriptions.values_mut() {
            let id = subscription.id;
            let is_gone = |offset: &u64| topic.log.get(*offset).is_none();
            let lost: Vec<u64> = subscription.attempts.keys().copied().filter(is_gone).collect();
            for offset in lost {
                subscription.forget_attempts(offset);
            }
            let lost: Vec<u64> = subscription.dead.keys().copied().filter(is_gone).collect();
            for offset in lost {
                subscription.dead.remove(&offset);
                subscription.changes.push(Change::PutDead(id, offset, None));
                // Its subscriber was told, or is going to be, that it is dead.
                subscription.acked.insert(offset);
            }
            if subscription.record.in_use {
                // The last process ended without a word: what waits may have been handed over already.
                subscription.record.in_use = false;
                subscription.record.crashes = subscription.record.crashes.saturating_add(1);
                subscription.record.crashed_below = next;
                // Nobody knows how long its subscriber was there: it has its time from now on.
                subscription.record.last_seen = subscription.record.last_seen.max(wall);
                subscription.record_changed = true;
            }
            // What is neither done with nor there was in memory only. How many of these offsets were ever given is not
            // known: a reserve of them was stored. From now on it is done with them, so that this is said once.
            for (from, to) in missing(&topic.log, subscription.acked.floor(), next) {
                let mut at = from;
                while let Some(from) = subscription.acked.next_unmarked(at, to + 1) {
                    let end = subscription.acked.next_marked(from, to + 1);
                    let gap = GapRecord { to: end - 1, count: 0, cause: GapCause::Restart };
                    subscription.note_gaps(from, gap);
                    subscription.acked.insert_range(from, end);
                    at = end;
                }
            }
            subscription.raise_floor(next);
            topic.touched.insert(id);
        }
        topic
    }
}
