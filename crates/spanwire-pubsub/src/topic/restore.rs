//! A topic as it was, from what is stored.
//!
//! Feed it what the store has, then [`finish`](Restored::finish). What no subscription has to get any more is not taken
//! up again, and deleted.

use std::collections::BTreeMap;

use super::log::{Content, Entry};
use super::subscribe::{missing, ranges, wants};
use super::{MemoryGauge, Subscription, Topic, raise_floor};
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
            subscription.attempts.insert(offset, attempts);
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
        topic.last_order = topic.last_order.max(header.order);
        topic.next = topic.next.max(offset + 1);
        if offset < topic.record.floor {
            topic.changes.push(Change::Delete(topic.id, offset));
            return;
        }
        let mut entry = Entry::new(offset, header, Content::Stored, true);
        let claimed = |it: &&Subscription| {
            it.record.claims.iter().any(|(from, to)| (*from..=*to).contains(&offset))
        };
        let claimer = topic.subscriptions.values().find(claimed).map(|it| it.id);
        if let Some(id) = claimer.filter(|_| entry.waiting) {
            entry.waiting = false;
            entry.recipients = Some([id].into());
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

    /// The topic, ready for what comes.
    pub(crate) fn finish(self) -> Topic {
        let Self { mut topic } = self;
        topic.stored_next = topic.stored_next.max(topic.next);
        let next = topic.next;
        for subscription in topic.subscriptions.values_mut() {
            let id = subscription.id;
            subscription.attempts.retain(|offset, _| topic.log.get(*offset).is_some());
            let lost: BTreeMap<u64, DeadLetter> =
                subscription.dead.extract_if(.., |it, _| topic.log.get(*it).is_none()).collect();
            for offset in lost.into_keys() {
                subscription.changes.push(Change::PutDead(id, offset, None));
            }
            if subscription.record.in_use {
                // The last process ended without a word: what waits may have been handed over already.
                subscription.record.in_use = false;
                subscription.record.crashes = subscription.record.crashes.saturating_add(1);
                subscription.record.crashed_below = next;
                let record = Box::new(subscription.record.clone());
                subscription.changes.push(Change::PutSubscription(id, record));
            }
            if subscription.record.settings.positions {
                // What is neither done with nor there was in memory only. How many of these offsets were ever given is
                // not known: a reserve of them was stored.
                for (from, to) in missing(&topic.log, subscription.acked.floor(), next) {
                    let lost = (from..=to).filter(|offset| !subscription.acked.contains(*offset));
                    for (from, to) in ranges(lost) {
                        let gap = GapRecord { to, count: 0, cause: GapCause::Restart };
                        subscription.note_gaps(from, gap);
                    }
                }
            }
            raise_floor(&topic.log, next, subscription);
            topic.touched.insert(id);
        }
        topic
    }
}
