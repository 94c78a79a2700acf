//! Messages are taken, acknowledged, given back, tried again, put aside.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::log::{LANES, Log, QueueKey};
use super::subscription::{Lease, Subscription};
use super::{Now, Topic, microseconds};
use crate::id::SubscriptionId;
use crate::message::Message;
use crate::store::{Change, DeadLetter, GapCause, GapRecord};

/// A message that somebody has taken.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) offset: u64,
    /// Which attempt this is, the first being 1.
    pub(crate) attempt: u32,
    /// The message, if it is at hand; otherwise it has to be fetched.
    pub(crate) message: Option<Arc<Message>>,
}

/// Why a delivery failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The network or the connection: the subscriber may not have seen it.
    Network,
    /// The subscriber refused it, or said nothing in time.
    Refused,
    /// It will never take it.
    Rejected,
}

impl Topic {
    /// Takes the next messages, at most so many and about so many bytes.
    pub(crate) fn take(
        &mut self,
        id: SubscriptionId,
        limit: usize,
        bytes: usize,
        lease: Option<Duration>,
        now: Now,
    ) -> Vec<Taken> {
        self.expire(now);
        self.end_waits(id, now);
        self.touched.insert(id);
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return Vec::new() };
        if self.stopped
            || !subscription.record.settings.active_status.delivers()
            || subscription.paused_until.is_some()
        {
            return Vec::new();
        }
        let max = subscription.record.settings.max_attempts.max(1);
        let limit = if subscription.isolate > 0 { limit.min(1) } else { limit };
        let until = lease.map(|lease| now.monotonic.saturating_add(microseconds(lease)));
        let (mut taken, mut size, mut dead) = (Vec::new(), 0_usize, Vec::new());
        while taken.len() < limit && size < bytes {
            let Some(key) = next_key(&self.log, subscription) else { break };
            let Some(entry) = self.log.get(key.offset) else { continue };
            let before = subscription.attempts_before(key.offset);
            let attempt = before.saturating_add(1);
            if subscription.own_attempts(key.offset) >= max {
                dead.push(Lease { key, attempts: before, until: None, is_handed_over: true });
                continue;
            }
            let lease = Lease { key, attempts: attempt, until, is_handed_over: false };
            subscription.in_flight.insert(key.offset, lease);
            if let Some(until) = until {
                subscription.leases.insert((until, key.offset));
            }
            size = size.saturating_add(entry.size as usize);
            subscription.counters.delivered += 1;
            subscription.counters.redelivered += u64::from(attempt > 1);
            subscription.counters.last_delivery = Some(now.wall);
            taken.push(Taken { offset: key.offset, attempt, message: entry.message().cloned() });
        }
        for lease in dead {
            self.put_aside(id, lease, "its subscriber went away each time", now);
        }
        taken
    }

    /// Messages that were taken are given to the subscriber now, as far as they are still its: what has expired, was
    /// deleted or went to another taker meanwhile is not.
    pub(crate) fn hand_over(
        &mut self,
        id: SubscriptionId,
        taken: &[(u64, u32)],
        now: Now,
    ) -> HashSet<u64> {
        self.expire(now);
        let stopped = self.stopped;
        let Some(subscription) = self.touch(id) else { return HashSet::new() };
        let mut handed = HashSet::with_capacity(taken.len());
        for (offset, attempt) in taken {
            if let Some(lease) = subscription.in_flight.get_mut(offset)
                && lease.attempts == *attempt
                && !stopped
            {
                lease.is_handed_over = true;
                handed.insert(*offset);
            }
        }
        handed
    }

    /// Those of these messages that are still with their taker, also if they are gone otherwise.
    pub(crate) fn still_taken(&self, id: SubscriptionId, taken: &[(u64, u32)]) -> Vec<u64> {
        let Some(subscription) = self.subscriptions.get(&id) else { return Vec::new() };
        let is_its = |it| subscription.is_taken(it) || subscription.is_in_doubt(it);
        let still = taken.iter().filter(|it| is_its(**it));
        still.map(|(offset, _)| *offset).collect()
    }

    /// Messages that somebody has taken, with their attempts.
    pub(crate) fn under_way(&self, id: SubscriptionId, offsets: &[u64]) -> Vec<(u64, u32)> {
        let in_flight = self.subscriptions.get(&id).map(|it| &it.in_flight);
        let attempt = |offset: &u64| Some((*offset, in_flight?.get(offset)?.attempts));
        offsets.iter().filter_map(attempt).collect()
    }

    /// The subscriber has these. What it has acknowledged before does not count; what it acknowledges without having
    /// taken it, it has from before a restart, or does not want.
    pub(crate) fn acknowledge(&mut self, id: SubscriptionId, offsets: &[u64]) -> usize {
        let (mut done, mut had) = (0, 0);
        for offset in offsets {
            match self.finish(id, *offset).is_continue() {
                true => done += 1,
                false => had += self.touch(id).map_or(0, |it| usize::from(it.had(*offset))),
            }
        }
        self.touched.insert(id);
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.counters.acknowledged += done as u64;
            subscription.isolate = subscription.isolate.saturating_sub(done);
            subscription.raise_floor(self.next);
            if done + had > 0 {
                subscription.wake_with_room();
            }
        }
        done
    }

    /// The subscriber has these, at these attempts. What somebody else has by now it says nothing of.
    pub(crate) fn acknowledge_taken(&mut self, id: SubscriptionId, taken: &[(u64, u32)]) -> usize {
        let still = self.still_taken(id, taken);
        self.acknowledge(id, &still)
    }

    /// Messages that were handed over and are going to be acknowledged by their ids.
    pub(crate) fn remember_ids(
        &mut self,
        id: SubscriptionId,
        ids: impl Iterator<Item = (Arc<str>, u64)>,
    ) {
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.remember_ids(ids);
        }
    }

    /// Where messages stand that were handed over; unknown ids are left out.
    pub(crate) fn offsets_of(&self, id: SubscriptionId, ids: &[&str]) -> Vec<u64> {
        let Some(subscription) = self.subscriptions.get(&id) else { return Vec::new() };
        ids.iter().filter_map(|id| subscription.offset_of(id)).collect()
    }

    /// The subscriber has everything up to an offset. What was put aside it does not have.
    pub(crate) fn acknowledge_up_to(&mut self, id: SubscriptionId, offset: u64) -> usize {
        let Some(subscription) = self.subscriptions.get(&id) else { return 0 };
        let end = offset.saturating_add(1).min(self.next);
        let pending = subscription.acked.unmarked(subscription.acked.floor(), end);
        let pending = pending.filter(|it| !subscription.dead.contains_key(it));
        let doubts = subscription.doubts.range(..end).map(|(offset, _)| *offset);
        let these: Vec<u64> = pending.chain(doubts).collect();
        self.acknowledge(id, &these)
    }

    /// Takes one message off a queue; breaks where it is not in it.
    pub(super) fn finish(&mut self, id: SubscriptionId, offset: u64) -> ControlFlow<()> {
        self.touched.insert(id);
        let (Some(subscription), Some(entry)) =
            (self.subscriptions.get_mut(&id), self.log.get(offset))
        else {
            return ControlFlow::Break(());
        };
        if subscription.acked.contains(offset) {
            return ControlFlow::Break(());
        }
        if !subscription.dead.contains_key(&offset) {
            subscription.depth -= 1;
        }
        subscription.forget(entry.key);
        self.dereference(offset);
        ControlFlow::Continue(())
    }

    /// The delivery of these failed: they are tried again later, or put aside.
    pub(crate) fn fail(
        &mut self,
        id: SubscriptionId,
        taken: &[(u64, u32)],
        failure: Failure,
        reason: &str,
        now: Now,
    ) {
        let Some(subscription) = self.touch(id) else { return };
        let settings = &subscription.record.settings;
        let (max, blocks) = (settings.max_attempts, settings.blocks_on_error);
        let least = match failure {
            Failure::Network => settings.wait_network_error,
            Failure::Refused | Failure::Rejected => settings.wait_other_error,
        };
        let (mut dead, mut tried) = (Vec::new(), 0);
        for it in taken.iter().copied() {
            // Somebody else may have it by now.
            if !subscription.is_taken(it) {
                continue;
            }
            let (offset, _) = it;
            let Some(lease) = subscription.end_lease(offset) else { continue };
            subscription.set_attempts(offset, lease.attempts);
            if failure == Failure::Rejected || subscription.own_attempts(offset) >= max {
                dead.push(lease);
                continue;
            }
            tried += 1;
            let at = now.monotonic.saturating_add(microseconds(backoff(least, lease.attempts)));
            if blocks {
                subscription.put_back(lease.key);
                subscription.paused_until =
                    Some(subscription.paused_until.map_or(at, |it| it.max(at)));
            } else {
                subscription.delay(lease.key, at);
            }
        }
        if tried > 1 && failure == Failure::Refused {
            // Perhaps one of them is to blame: the others need not suffer with it.
            subscription.isolate = tried;
        }
        for lease in dead {
            self.put_aside(id, lease, reason, now);
        }
        self.lose_taken(id, taken);
    }

    /// The holder is not there any more: what it has not acknowledged goes to the next.
    pub(crate) fn release(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.touch(id) else { return };
        let held: Vec<(u64, Lease)> = subscription
            .in_flight
            .iter()
            .filter(|(_, lease)| lease.until.is_none())
            .map(|(offset, lease)| (*offset, *lease))
            .collect();
        for (offset, lease) in held {
            subscription.end_lease(offset);
            subscription.set_attempts(offset, lease.attempts);
            subscription.put_back(lease.key);
        }
        subscription.hide_gaps();
        subscription.wake();
        let doubts = subscription.doubts_of_holder();
        self.lose(id, doubts);
    }

    /// Gives back what was taken and never handed over: no attempt was made.
    pub(crate) fn give_back(&mut self, id: SubscriptionId, taken: &[(u64, u32)]) {
        let Some(subscription) = self.touch(id) else { return };
        for it in taken.iter().filter(|it| subscription.is_taken(**it)).copied().collect::<Vec<_>>()
        {
            if let Some(lease) = subscription.end_lease(it.0) {
                subscription.put_back(lease.key);
            }
        }
        subscription.wake();
        self.lose_taken(id, taken);
    }

    /// Lets a message wait before it is tried again, because a hook says so.
    pub(crate) fn postpone(
        &mut self,
        id: SubscriptionId,
        taken: (u64, u32),
        wait: Duration,
        now: Now,
    ) {
        let Some(subscription) = self.touch(id) else { return };
        if subscription.is_taken(taken)
            && let Some(lease) = subscription.end_lease(taken.0)
        {
            let at = now.monotonic.saturating_add(microseconds(wait));
            subscription.delay(lease.key, at);
        }
    }

    /// Ends leases and waits whose time is over.
    pub(super) fn end_waits(&mut self, id: SubscriptionId, now: Now) {
        let Some(subscription) = self.touch(id) else { return };
        let mut woken = subscription.paused_until.take_if(|at| *at <= now.monotonic).is_some();
        while let Some((_, key)) =
            subscription.delayed.first().copied().filter(|(at, _)| *at <= now.monotonic)
        {
            subscription.end_delay(key);
            subscription.put_back(key);
            woken = true;
        }
        let (mut dead, mut lost) = (Vec::new(), Vec::new());
        while let Some((_, offset)) =
            subscription.leases.first().copied().filter(|(at, _)| *at <= now.monotonic)
        {
            subscription.leases.pop_first();
            let Some(lease) = subscription.in_flight.remove(&offset) else {
                lost.push(offset);
                continue;
            };
            subscription.set_attempts(offset, lease.attempts);
            woken = true;
            match subscription.own_attempts(offset) >= subscription.record.settings.max_attempts {
                true => dead.push(lease),
                false => subscription.put_back(lease.key),
            }
        }
        if woken {
            subscription.wake();
        }
        for lease in dead {
            self.put_aside(id, lease, "it was not acknowledged in time", now);
        }
        self.lose(id, lost);
    }

    fn put_aside(&mut self, id: SubscriptionId, lease: Lease, reason: &str, now: Now) {
        let Some(subscription) = self.touch(id) else { return };
        let offset = lease.key.offset;
        let reason = reason.chars().take(MAX_REASON).collect();
        let letter = DeadLetter { reason, attempts: lease.attempts, at: now.wall };
        subscription.depth -= 1;
        subscription.isolate = subscription.isolate.saturating_sub(1);
        subscription.dead.insert(offset, letter.clone());
        subscription.changes.push(Change::PutDead(id, offset, Some(letter)));
        subscription.note_gap(offset, GapCause::Dead);
        self.counters.dead += 1;
        *self.counters.gaps.entry(GapCause::Dead).or_default() += 1;
    }

    /// What the subscriber has to be told that it will not get, and is not being told yet.
    pub(crate) fn show_gaps(&mut self, id: SubscriptionId) -> Vec<(u64, GapRecord)> {
        self.subscriptions.get_mut(&id).map(Subscription::show_gaps).unwrap_or_default()
    }

    /// The subscriber was told of gaps that begin at these offsets.
    pub(crate) fn gaps_told(&mut self, id: SubscriptionId, told: &[u64]) {
        let Some(subscription) = self.touch(id) else { return };
        told.iter().for_each(|from| subscription.gap_told(*from));
    }

    /// The subscriber could not be told.
    pub(crate) fn gaps_not_told(&mut self, id: SubscriptionId, gaps: &[u64]) {
        let Some(subscription) = self.touch(id) else { return };
        gaps.iter().for_each(|from| subscription.hide_gap(*from));
        subscription.wake();
    }
}

/// The next message to be taken, in the order of the queue; it counts as taken.
fn next_key(log: &Log, subscription: &mut Subscription) -> Option<QueueKey> {
    let mut ahead = None;
    for lane in 0..LANES {
        let Some(cursor) = subscription.cursors.get(lane).copied() else { continue };
        let mut skipped = None;
        for key in log.lane_after(lane, cursor) {
            let offset = key.offset;
            if subscription.acked.contains(offset) || subscription.is_set_apart(offset) {
                skipped = Some(key);
                continue;
            }
            ahead = Some(key);
            break;
        }
        // What was skipped once need not be looked at again.
        if let (Some(_), Some(cursor)) = (skipped, subscription.cursors.get_mut(lane)) {
            *cursor = skipped;
        }
        if ahead.is_some() {
            break;
        }
    }
    match (subscription.ready.first().copied(), ahead) {
        (Some(ready), Some(ahead)) if ahead < ready => take_ahead(subscription, ahead),
        (Some(ready), _) => {
            subscription.ready.pop_first();
            Some(ready)
        }
        (None, Some(ahead)) => take_ahead(subscription, ahead),
        (None, None) => None,
    }
}

fn take_ahead(subscription: &mut Subscription, key: QueueKey) -> Option<QueueKey> {
    if let Some(cursor) = subscription.cursors.get_mut(key.lane()) {
        *cursor = Some(key);
    }
    Some(key)
}

/// Twice as long each time, up to five minutes or what was asked for.
fn backoff(least: Duration, attempts: u32) -> Duration {
    let factor = 1_u32 << attempts.saturating_sub(1).min(16);
    least.saturating_mul(factor).min(MAX_BACKOFF.max(least))
}

const MAX_BACKOFF: Duration = Duration::from_secs(300);
const MAX_REASON: usize = 500;
