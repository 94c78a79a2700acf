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
    /// Leases that end by themselves.
    pub(super) leases: BTreeSet<(i64, u64)>,
    /// Messages that wait before they are tried again.
    pub(super) delayed: BTreeSet<(i64, QueueKey)>,
    /// Nothing is taken before this moment, because the first message failed.
    pub(super) paused_until: Option<i64>,
    /// How many messages are taken one by one, because they failed together.
    pub(super) isolate: usize,
    pub(super) attempts: HashMap<u64, u32>,
    /// Offsets of messages that are acknowledged by their ids.
    ids: HashMap<Arc<str>, u64>,
    pub(super) dead: BTreeMap<u64, DeadLetter>,
    pub(super) gaps: BTreeMap<u64, GapRecord>,
    /// Messages that have yet to be acknowledged, without dead letters.
    pub(super) depth: usize,
    pub(crate) holder: Option<Holder>,
    /// Somebody asked and found nothing.
    pub(super) waiters: Vec<Arc<Notify>>,
    /// Changes that are not given to the store yet.
    pub(super) changes: Vec<Change>,
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
            leases: BTreeSet::new(),
            delayed: BTreeSet::new(),
            paused_until: None,
            isolate: 0,
            attempts: HashMap::new(),
            ids: HashMap::new(),
            dead: BTreeMap::new(),
            gaps: BTreeMap::new(),
            depth: 0,
            holder: None,
            waiters: Vec::new(),
            changes: Vec::new(),
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

    pub(crate) fn dead(&self) -> &BTreeMap<u64, DeadLetter> {
        &self.dead
    }

    pub(crate) fn is_held_by(&self, holder: HolderId) -> bool {
        self.holder.as_ref().is_some_and(|it| it.id == holder)
    }

    /// How often delivery was tried before.
    pub(super) fn attempts_before(&self, offset: u64) -> u32 {
        let crashes = if offset < self.record.crashed_below { self.record.crashes } else { 0 };
        self.attempts.get(&offset).copied().unwrap_or(0).saturating_add(crashes)
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

    /// Makes a message that is behind the cursor ready again.
    pub(super) fn put_back(&mut self, key: QueueKey) {
        self.ready.insert(key);
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

    pub(super) fn set_attempts(&mut self, offset: u64, attempts: u32) {
        // Those that crashes account for are not counted twice.
        let crashes = if offset < self.record.crashed_below { self.record.crashes } else { 0 };
        let attempts = attempts.saturating_sub(crashes);
        self.attempts.insert(offset, attempts);
        self.changes.push(Change::PutAttempts(self.id, offset, attempts));
    }

    /// Forgets everything about a message but that it is done with.
    pub(super) fn forget(&mut self, key: QueueKey) {
        let offset = key.offset;
        self.end_lease(offset);
        self.ready.remove(&key);
        if !self.delayed.is_empty() {
            self.delayed.retain(|(_, delayed)| *delayed != key);
        }
        if self.attempts.remove(&offset).is_some() {
            self.changes.push(Change::PutAttempts(self.id, offset, 0));
        }
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
        let previous = self.gaps.range_mut(..from).next_back();
        let (from, gap) = match previous {
            Some((start, before)) if before.to + 1 == from && before.cause == gap.cause => {
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
    }

    /// Messages that were handed over and are going to be acknowledged by their ids.
    pub(super) fn remember_ids(&mut self, ids: impl Iterator<Item = (Arc<str>, u64)>) {
        self.ids.extend(ids);
        if self.ids.len() > 2 * self.in_flight.len() + FORGOTTEN_IDS {
            let acked = &self.acked;
            self.ids.retain(|_, offset| !acked.contains(*offset));
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
        into.append(&mut self.changes);
        let (floor, chunks) = self.acked.changes();
        into.extend(floor.map(|floor| Change::PutFloor(self.id, floor)));
        into.extend(chunks.into_iter().map(|(chunk, bits)| Change::PutAcked(self.id, chunk, bits)));
    }
}

/// How many ids of messages that are acknowledged are put up with before they are forgotten.
const FORGOTTEN_IDS: usize = 1_000;
