//! One subscription of a topic: where it stands, what is under way, what has to be tried again.
//!
//! The queue itself is that of the topic: a subscription has a cursor in each priority and knows only the exceptions
//! behind it. So a message costs the same whether one or a thousand are subscribed.
//!
//! Everything here is bounded by what is under way, except for dead letters and failed attempts, which are bounded by
//! the depth of the topic.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::Notify;

use super::acked::Acked;
use super::doubt::Doubt;
use super::log::{LANES, QueueKey};
use crate::id::SubscriptionId;
use crate::store::{Change, DeadLetter, GapCause, GapRecord, SubscriptionRecord};

/// Who takes messages of a subscription right now. A later one silences an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct HolderId(pub(crate) u64);

/// The one who takes messages, and how it is woken.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) id: HolderId,
    pub(crate) wake: Arc<Notify>,
}

/// A message that somebody has taken and not acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub(super) key: QueueKey,
    pub(super) attempts: u32,
    /// Until when, on the monotonic clock; `None` for as long as its holder is there.
    pub(super) until: Option<i64>,
    /// Whether the subscriber has been given it, so that its loss is no gap as long as that may have arrived.
    pub(super) is_handed_over: bool,
}

#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) id: SubscriptionId,
    pub(crate) record: SubscriptionRecord,
    pub(super) acked: Acked,
    /// How far each priority was taken.
    pub(super) cursors: [Option<QueueKey>; LANES],
    /// Behind the cursors, and to be taken before anything else of its order.
    pub(super) ready: BTreeSet<QueueKey>,
    pub(super) in_flight: BTreeMap<u64, Lease>,
    /// Messages that are gone and may have arrived.
    pub(super) doubts: BTreeMap<u64, Doubt>,
    /// Leases that end by themselves, also of messages that are in doubt.
    pub(super) leases: BTreeSet<(i64, u64)>,
    /// Messages that wait before they are tried again.
    pub(super) delayed: BTreeSet<(i64, QueueKey)>,
    /// The same by offset.
    delayed_until: HashMap<u64, i64>,
    /// Nothing is taken before this moment, because the first message failed.
    pub(super) paused_until: Option<i64>,
    /// How many messages are taken one by one, because they failed together.
    pub(super) isolate: usize,
    pub(super) attempts: HashMap<u64, u32>,
    /// Attempts that do not count any more, because somebody has put the message back.
    pub(super) pardoned: HashMap<u64, u32>,
    /// Offsets of messages that are acknowledged by their ids.
    ids: HashMap<Arc<str>, u64>,
    /// With how many of them those that are done with are forgotten.
    ids_limit: usize,
    pub(super) dead: BTreeMap<u64, DeadLetter>,
    pub(super) gaps: BTreeMap<u64, GapRecord>,
    /// Gaps that the holder is being told of: they do not grow, and are not shown again.
    gaps_shown: BTreeSet<u64>,
    /// Messages that have yet to be acknowledged, without dead letters.
    pub(super) depth: usize,
    pub(crate) holder: Option<Holder>,
    /// Somebody asked and found nothing.
    pub(super) waiters: Vec<Arc<Notify>>,
    /// Changes that are not given to the store yet, beside that of the record.
    pub(super) changes: Vec<Change>,
    /// Stored as it is then, so that it is never older than what was stored with a change of its own.
    pub(crate) record_changed: bool,
    /// Whether it is on disk that somebody takes messages.
    pub(crate) in_use_stored: bool,
    pub(crate) counters: Counters,
}

/// What has happened to a subscription since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that were handed over, repeats included.
    pub delivered: u64,
    /// Repeats among them.
    pub redelivered: u64,
    /// Messages that were acknowledged.
    pub acknowledged: u64,
    /// When something was last handed over, in microseconds since the epoch.
    pub last_delivery: Option<i64>,
}

impl Subscription {
    pub(crate) fn new(id: SubscriptionId, record: SubscriptionRecord, floor: u64) -> Self {
        Self {
            id,
            record,
            acked: Acked::starting_at(floor),
            cursors: [None; LANES],
            ready: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            doubts: BTreeMap::new(),
            leases: BTreeSet::new(),
            delayed: BTreeSet::new(),
            delayed_until: HashMap::new(),
            paused_until: None,
            isolate: 0,
            attempts: HashMap::new(),
            pardoned: HashMap::new(),
            ids: HashMap::new(),
            ids_limit: FORGOTTEN_IDS,
            dead: BTreeMap::new(),
            gaps: BTreeMap::new(),
            gaps_shown: BTreeSet::new(),
            depth: 0,
            holder: None,
            waiters: Vec::new(),
            changes: Vec::new(),
            record_changed: false,
            in_use_stored: false,
            counters: Counters::default(),
        }
    }

    /// How many messages wait or are under way.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// How many messages may still be acknowledged.
    pub(crate) fn unanswered(&self) -> usize {
        self.in_flight.len() + self.doubts.len()
    }

    /// A message that was given to the subscriber.
    pub(super) fn handed_over(&self, offset: u64) -> Option<Lease> {
        self.in_flight.get(&offset).copied().filter(|lease| lease.is_handed_over)
    }

    pub(crate) fn dead(&self) -> &BTreeMap<u64, DeadLetter> {
        &self.dead
    }

    pub(crate) fn is_held_by(&self, holder: HolderId) -> bool {
        self.holder.as_ref().is_some_and(|it| it.id == holder)
    }

    /// Wakes whoever may take messages.
    pub(crate) fn wake(&mut self) {
        if let Some(holder) = &self.holder {
            holder.wake.notify_one();
        }
        for waiter in self.waiters.drain(..) {
            waiter.notify_one();
        }
    }

    /// Whether somebody asked, found nothing and still waits.
    pub(super) fn has_waiters(&self) -> bool {
        self.waiters.iter().any(|waiter| Arc::strong_count(waiter) > 1)
    }

    /// Makes a message ready again. One that the cursor has yet to come to is so already.
    pub(super) fn put_back(&mut self, key: QueueKey) {
        if self.is_behind_cursor(key) {
            self.ready.insert(key);
        }
    }

    /// Lets a message wait.
    pub(super) fn delay(&mut self, key: QueueKey, at: i64) {
        self.delayed.insert((at, key));
        self.delayed_until.insert(key.offset, at);
    }

    /// Ends the wait of a message; tells until when it would have lasted.
    pub(super) fn end_delay(&mut self, key: QueueKey) -> Option<i64> {
        let at = self.delayed_until.remove(&key.offset)?;
        self.delayed.remove(&(at, key));
        Some(at)
    }

    /// Whether a message is not to be taken now although it is not done with.
    pub(super) fn is_set_apart(&self, offset: u64) -> bool {
        self.in_flight.contains_key(&offset)
            || self.dead.contains_key(&offset)
            || self.delayed_until.contains_key(&offset)
    }

    /// Whether somebody has taken a message, at this very attempt.
    pub(super) fn is_taken(&self, (offset, attempt): (u64, u32)) -> bool {
        self.in_flight.get(&offset).is_some_and(|lease| lease.attempts == attempt)
    }

    /// Offsets that it has yet to be done with, dead letters included.
    pub(super) fn pending(&self, next: u64) -> impl Iterator<Item = u64> + '_ {
        self.acked.unmarked(self.acked.floor(), next)
    }

    /// Moves the floor up to the first message that it has yet to be done with.
    pub(super) fn raise_floor(&mut self, next: u64) {
        let pending = self.acked.next_unmarked(self.acked.floor(), next);
        self.acked.raise(pending.unwrap_or(next));
    }

    /// Wakes the holder if there may be room for something that it has to wait for.
    pub(super) fn wake_with_room(&self) {
        if let Some(holder) = self.holder.as_ref().filter(|_| self.depth > self.in_flight.len()) {
            holder.wake.notify_one();
        }
    }

    pub(super) fn is_behind_cursor(&self, key: QueueKey) -> bool {
        self.cursors.get(key.lane()).copied().flatten().is_some_and(|cursor| key <= cursor)
    }

    /// Takes a message off the list of those under way.
    pub(super) fn end_lease(&mut self, offset: u64) -> Option<Lease> {
        let lease = self.in_flight.remove(&offset)?;
        if let Some(until) = lease.until {
            self.leases.remove(&(until, offset));
        }
        Some(lease)
    }

    /// Whatever is under way may have been handed over.
    pub(super) fn end_all_leases(&mut self) {
        let under_way: Vec<u64> = self.in_flight.keys().copied().collect();
        for offset in under_way {
            if let Some(lease) = self.end_lease(offset) {
                self.set_attempts(offset, lease.attempts);
                self.put_back(lease.key);
            }
        }
    }

    /// Forgets everything about a message but that it is done with.
    pub(super) fn forget(&mut self, key: QueueKey) {
        let offset = key.offset;
        self.end_lease(offset);
        self.ready.remove(&key);
        self.end_delay(key);
        self.forget_attempts(offset);
        if self.dead.remove(&offset).is_some() {
            self.changes.push(Change::PutDead(self.id, offset, None));
        }
        self.acked.insert(offset);
    }

    /// Notes that the subscriber will not get a message, if it wants to know.
    pub(super) fn note_gap(&mut self, offset: u64, cause: GapCause) {
        self.note_gaps(offset, GapRecord { to: offset, count: 1, cause });
    }

    pub(super) fn note_gaps(&mut self, from: u64, gap: GapRecord) {
        if !self.record.settings.positions {
            return;
        }
        let shown = &self.gaps_shown;
        let previous = self.gaps.range_mut(..from).next_back();
        let (from, gap) = match previous {
            Some((start, before))
                if before.to + 1 == from && before.cause == gap.cause && !shown.contains(start) =>
            {
                before.to = gap.to;
                before.count += gap.count;
                (*start, before.clone())
            }
            _ => {
                self.gaps.insert(from, gap.clone());
                (from, gap)
            }
        };
        self.changes.push(Change::PutGap(self.id, from, Some(gap)));
        if let Some(holder) = &self.holder {
            holder.wake.notify_one();
        }
    }

    /// The subscriber is going to get a message after all: it is not told otherwise.
    pub(super) fn unnote_gap(&mut self, offset: u64, cause: GapCause) {
        let found = self.gaps.range(..=offset).next_back().map(|(from, gap)| (*from, gap.clone()));
        let Some((from, gap)) = found else { return };
        if gap.to < offset || gap.cause != cause || self.gaps_shown.contains(&from) {
            return;
        }
        self.gaps.remove(&from);
        self.changes.push(Change::PutGap(self.id, from, None));
        for (from, end) in [(from, offset), (offset + 1, gap.to + 1)] {
            if from < end {
                let part = GapRecord { to: end - 1, count: end - from, cause };
                self.gaps.insert(from, part.clone());
                self.changes.push(Change::PutGap(self.id, from, Some(part)));
            }
        }
    }

    /// Whether there are gaps that the holder is not being told of yet.
    pub(crate) fn has_gaps(&self) -> bool {
        self.gaps.len() > self.gaps_shown.len()
    }

    /// Gaps that the holder is not being told of yet; from now on it is.
    pub(super) fn show_gaps(&mut self) -> Vec<(u64, GapRecord)> {
        let shown = &self.gaps_shown;
        let new = self.gaps.iter().filter(|(from, _)| !shown.contains(from));
        let new: Vec<_> = new.map(|(from, gap)| (*from, gap.clone())).collect();
        self.gaps_shown.extend(new.iter().map(|(from, _)| *from));
        new
    }

    /// The holder was not told of a gap.
    pub(super) fn hide_gap(&mut self, from: u64) {
        self.gaps_shown.remove(&from);
    }

    /// Whoever was being told of gaps is not there any more.
    pub(super) fn hide_gaps(&mut self) {
        self.gaps_shown.clear();
    }

    /// The subscriber was told of a gap.
    pub(super) fn gap_told(&mut self, from: u64) {
        self.gaps_shown.remove(&from);
        if self.gaps.remove(&from).is_some() {
            self.changes.push(Change::PutGap(self.id, from, None));
        }
    }

    /// Nothing waits any more, and nothing is under way.
    pub(super) fn forget_all(&mut self, next: u64) {
        self.ready.clear();
        self.in_flight.clear();
        // What was handed over may still be acknowledged, also by its id.
        let doubts = &self.doubts;
        self.leases.retain(|(_, offset)| doubts.contains_key(offset));
        self.ids.retain(|_, offset| doubts.contains_key(offset));
        self.delayed.clear();
        self.delayed_until.clear();
        self.paused_until = None;
        self.isolate = 0;
        self.depth = 0;
        self.forget_all_attempts();
        for offset in std::mem::take(&mut self.dead).into_keys() {
            self.changes.push(Change::PutDead(self.id, offset, None));
        }
        self.acked.raise(next);
    }

    /// Messages that were handed over and are going to be acknowledged by their ids.
    pub(super) fn remember_ids(&mut self, ids: impl Iterator<Item = (Arc<str>, u64)>) {
        self.ids.extend(ids);
        if self.ids.len() > self.ids_limit {
            let (acked, doubts) = (&self.acked, &self.doubts);
            self.ids.retain(|_, offset| !acked.contains(*offset) || doubts.contains_key(offset));
            self.ids_limit = 2 * self.ids.len() + FORGOTTEN_IDS;
        }
    }

    pub(super) fn offset_of(&self, id: &str) -> Option<u64> {
        self.ids.get(id).copied()
    }

    /// The next moment, on the monotonic clock, at which something is due by itself.
    pub(crate) fn next_due(&self) -> Option<i64> {
        let lease = self.leases.first().map(|(at, _)| *at);
        let delayed = self.delayed.first().map(|(at, _)| *at);
        [lease, delayed, self.paused_until].into_iter().flatten().min()
    }

    /// What has to be stored.
    pub(super) fn take_changes(&mut self, into: &mut Vec<Change>) {
        if std::mem::take(&mut self.record_changed) {
            into.push(Change::PutSubscription(self.id, Box::new(self.record.clone())));
        }
        into.append(&mut self.changes);
        let (floor, chunks) = self.acked.changes();
        into.extend(floor.map(|floor| Change::PutFloor(self.id, floor)));
        into.extend(chunks.into_iter().map(|(chunk, bits)| Change::PutAcked(self.id, chunk, bits)));
    }
}

/// How many ids of messages that are acknowledged are put up with before they are forgotten.
const FORGOTTEN_IDS: usize = 1_000;
