//! Subscribers come and go.

use std::sync::Arc;

use tokio::sync::Notify;

use super::Topic;
use super::log::Log;
use super::subscription::{Holder, HolderId, Subscription};
use crate::id::{Position, SubscriptionId};
use crate::store::{Change, GapCause, GapRecord, SubscriptionRecord};

/// Where a new subscription begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Start {
    /// With what is published from now on, and with what had waited for a first subscriber.
    #[default]
    New,
    /// With everything that the topic still holds.
    First,
    /// Behind a message that the subscriber has.
    After(Position),
}

impl Topic {
    /// Makes a subscription, without showing it to anybody. Its changes have to be stored before it is
    /// [added](Self::add).
    pub(crate) fn draft(
        &self,
        id: SubscriptionId,
        mut record: SubscriptionRecord,
        start: Start,
    ) -> (Subscription, Vec<Change>) {
        record.claims = ranges(self.log.waiting());
        record.start = match start {
            Start::New => self.next,
            Start::First => 0,
            Start::After(position) if position.epoch == self.record.epoch => {
                position.offset.saturating_add(1).min(self.next)
            }
            Start::After(_) => 0,
        };
        let first_claim = record.claims.first().map_or(u64::MAX, |(from, _)| *from);
        let floor = record.start.min(first_claim);
        let floor = self.log.from(floor).next().map_or(self.next, |(offset, _)| offset);
        let mut subscription = Subscription::new(id, record, floor);
        let mut expected = floor;
        for (offset, entry) in self.log.from(floor) {
            // What is not there is done with, too: only what is in the log is pending.
            subscription.acked.insert_range(expected, offset);
            expected = offset + 1;
            if !wants(&subscription.record, offset) || !(entry.waiting || entry.is_for(id)) {
                subscription.acked.insert(offset);
            }
        }
        subscription.acked.insert_range(expected, self.next);
        subscription.raise_floor(self.next);
        let floor = subscription.acked.floor();
        if matches!(start, Start::After(_)) {
            for (from, to) in missing(&self.log, subscription.record.start.max(1), self.next) {
                let gap = GapRecord { to, count: to - from + 1, cause: GapCause::Gone };
                subscription.note_gaps(from, gap);
            }
        }
        let record = Box::new(subscription.record.clone());
        let mut changes = vec![Change::PutSubscription(id, record), Change::PutFloor(id, floor)];
        subscription.take_changes(&mut changes);
        (subscription, changes)
    }

    /// Shows a subscription that was made of this very state.
    pub(crate) fn add(&mut self, mut subscription: Subscription) {
        let id = subscription.id;
        let pending: Vec<u64> = subscription.pending(self.next).collect();
        for offset in pending {
            self.log.claim(offset, id);
            match self.log.get_mut(offset) {
                Some(entry) => {
                    entry.references += 1;
                    subscription.depth += 1;
                }
                // Gone while the subscription was being stored.
                None => drop(subscription.acked.insert(offset)),
            }
        }
        subscription.raise_floor(self.next);
        self.touched.insert(id);
        self.subscriptions.insert(id, subscription);
    }

    /// What a subscription that ends leaves behind. It has to be stored before the subscription is
    /// [removed](Self::remove).
    pub(crate) fn removal(&self, id: SubscriptionId) -> Vec<Change> {
        let Some(subscription) = self.subscriptions.get(&id) else { return Vec::new() };
        // What only it was to get goes with it: what had waited for a first subscriber would wait again after a crash.
        let is_last = |offset: &u64| self.log.get(*offset).is_some_and(|it| it.references == 1);
        let last = subscription.pending(self.next).filter(is_last);
        let last = last.map(|offset| Change::Delete(self.id, offset));
        last.chain([Change::DeleteSubscription(id)]).collect()
    }

    /// Ends a subscription, with its queue.
    pub(crate) fn remove(&mut self, id: SubscriptionId) -> Option<Subscription> {
        let mut subscription = self.subscriptions.remove(&id)?;
        let pending: Vec<u64> = subscription.pending(self.next).collect();
        for offset in pending {
            self.dereference(offset);
        }
        // What was to be stored of it is gone with it.
        subscription.changes.clear();
        subscription.wake();
        Some(subscription)
    }

    /// Somebody takes messages from now on, and nobody else does.
    pub(crate) fn attach(
        &mut self,
        id: SubscriptionId,
        holder: HolderId,
        wake: Arc<Notify>,
    ) -> bool {
        self.release(id);
        let Some(subscription) = self.touch(id) else { return false };
        if let Some(former) = subscription.holder.replace(Holder { id: holder, wake }) {
            former.wake.notify_one();
        }
        subscription.wake();
        true
    }

    /// The holder takes no more messages; tells whether it still was the holder.
    pub(crate) fn detach(&mut self, id: SubscriptionId, holder: HolderId, now: i64) -> bool {
        let Some(subscription) = self.touch(id) else { return false };
        if !subscription.is_held_by(holder) {
            return false;
        }
        subscription.holder = None;
        self.seen(id, now, 0);
        self.release(id);
        true
    }

    /// The subscriber was there; stored if it was last stored this long ago.
    pub(crate) fn seen(&mut self, id: SubscriptionId, now: i64, at_most_every: i64) {
        let Some(subscription) = self.touch(id) else { return };
        if now.saturating_sub(subscription.record.last_seen) >= at_most_every {
            subscription.record.last_seen = now;
            subscription.record_changed = true;
        }
    }

    /// Somebody asked and found nothing: it is woken with the next message.
    pub(crate) fn await_messages(&mut self, id: SubscriptionId, wake: Arc<Notify>) {
        if let Some(subscription) = self.touch(id) {
            subscription.waiters.retain(|waiter| Arc::strong_count(waiter) > 1);
            subscription.waiters.push(wake);
        }
    }
}

/// Whether a subscription may get a message at all, going by its offset.
pub(super) fn wants(record: &SubscriptionRecord, offset: u64) -> bool {
    offset >= record.start || claims(record, offset)
}

/// Whether a message had waited for this subscription to come.
pub(super) fn claims(record: &SubscriptionRecord, offset: u64) -> bool {
    let behind = record.claims.partition_point(|(from, _)| *from <= offset);
    let last = behind.checked_sub(1).and_then(|it| record.claims.get(it));
    last.is_some_and(|(_, to)| offset <= *to)
}

/// Runs of offsets, first and last.
pub(super) fn ranges(offsets: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for offset in offsets {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == offset => *to = offset,
            _ => ranges.push((offset, offset)),
        }
    }
    ranges
}

/// Runs of offsets between two that the topic does not hold.
pub(super) fn missing(log: &Log, from: u64, next: u64) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut expected = from;
    for (offset, _) in log.from(from) {
        if offset > expected {
            gaps.push((expected, offset - 1));
        }
        expected = offset + 1;
    }
    if expected < next {
        gaps.push((expected, next - 1));
    }
    gaps
}
