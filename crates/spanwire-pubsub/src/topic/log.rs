//! The messages a topic holds, in memory without their contents: by offset, by order, by expiry.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::id::SubscriptionId;
use crate::message::{Header, Message};

/// How a message stands in a queue: the highest priority first, then the publisher's time or that of publication, then
/// the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct QueueKey {
    lane: u8,
    order: i64,
    pub(crate) offset: u64,
}

/// How many lanes there are: one a priority, the highest first.
pub(crate) const LANES: usize = 9;

impl QueueKey {
    fn new(priority: u8, order: i64, offset: u64) -> Self {
        Self { lane: 9_u8.saturating_sub(priority).min(8), order, offset }
    }

    pub(super) fn order(self) -> i64 {
        self.order
    }

    pub(crate) fn lane(self) -> usize {
        usize::from(self.lane)
    }
}

/// What is known of a message without looking at it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: QueueKey,
    pub(crate) expires_at: i64,
    pub(crate) by_retention: bool,
    pub(crate) guaranteed: bool,
    /// Whether the first to subscribe gets it.
    pub(crate) waiting: bool,
    pub(crate) size: u32,
    /// How many subscriptions still have to get it.
    pub(crate) references: u32,
    /// The only ones that get it, in order.
    pub(crate) recipients: Option<Arc<[SubscriptionId]>>,
    pub(crate) content: Content,
}

/// Where the message itself is.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// In the store.
    Stored,
    /// In the store, and still at hand.
    Cached(Arc<Message>),
    /// Nowhere else.
    Memory(Arc<Message>),
}

impl Entry {
    pub(crate) fn new(offset: u64, header: &Header, content: Content, guaranteed: bool) -> Self {
        Self {
            key: QueueKey::new(header.priority, header.order, offset),
            expires_at: header.expires_at.unwrap_or(i64::MAX),
            by_retention: header.by_retention,
            guaranteed,
            waiting: header.waiting,
            size: header.size,
            references: 0,
            recipients: header.recipients.as_ref().map(|all| {
                let mut all = all.clone();
                all.sort_unstable();
                all.into()
            }),
            content,
        }
    }

    /// Whether a subscription that existed when it was published gets it.
    pub(crate) fn is_for(&self, subscription: SubscriptionId) -> bool {
        let is_among = |these: &Arc<[SubscriptionId]>| these.binary_search(&subscription).is_ok();
        !self.waiting && self.recipients.as_ref().is_none_or(is_among)
    }

    pub(crate) fn message(&self) -> Option<&Arc<Message>> {
        match &self.content {
            Content::Stored => None,
            Content::Cached(message) | Content::Memory(message) => Some(message),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: BTreeMap<u64, Entry>,
    /// Order and offset of all messages of a priority.
    lanes: [BTreeSet<(i64, u64)>; LANES],
    expiries: BTreeSet<(i64, u64)>,
    /// Offsets of messages that are nowhere but in memory.
    volatile: BTreeSet<u64>,
    /// Offsets of messages that wait for a first subscriber.
    waiting: BTreeSet<u64>,
    guaranteed: usize,
    bytes: u64,
}

impl Log {
    pub(crate) fn insert(&mut self, entry: Entry) {
        let key = entry.key;
        if let Some(lane) = self.lanes.get_mut(key.lane()) {
            lane.insert((key.order, key.offset));
        }
        if entry.expires_at < i64::MAX {
            self.expiries.insert((entry.expires_at, key.offset));
        }
        match entry.guaranteed {
            true => self.guaranteed += 1,
            false => drop(self.volatile.insert(key.offset)),
        }
        if entry.waiting {
            self.waiting.insert(key.offset);
        }
        self.bytes += u64::from(entry.size);
        self.entries.insert(key.offset, entry);
    }

    pub(crate) fn remove(&mut self, offset: u64) -> Option<Entry> {
        let entry = self.entries.remove(&offset)?;
        let key = entry.key;
        if let Some(lane) = self.lanes.get_mut(key.lane()) {
            lane.remove(&(key.order, offset));
        }
        self.expiries.remove(&(entry.expires_at, offset));
        match entry.guaranteed {
            true => self.guaranteed -= 1,
            false => drop(self.volatile.remove(&offset)),
        }
        self.waiting.remove(&offset);
        self.bytes -= u64::from(entry.size);
        Some(entry)
    }

    pub(crate) fn get(&self, offset: u64) -> Option<&Entry> {
        self.entries.get(&offset)
    }

    pub(crate) fn get_mut(&mut self, offset: u64) -> Option<&mut Entry> {
        self.entries.get_mut(&offset)
    }

    /// A message that waited for a first subscriber has found one.
    pub(crate) fn claim(&mut self, offset: u64, subscription: SubscriptionId) {
        if self.waiting.remove(&offset)
            && let Some(entry) = self.entries.get_mut(&offset)
        {
            entry.waiting = false;
            entry.recipients = Some(Arc::from([subscription]));
        }
    }

    /// Messages that wait for a first subscriber.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = u64> {
        self.waiting.iter().copied()
    }

    /// Messages from an offset on, in the order of offsets.
    pub(crate) fn from(&self, offset: u64) -> impl Iterator<Item = (u64, &Entry)> {
        self.entries.range(offset..).map(|(offset, entry)| (*offset, entry))
    }

    /// Messages of a priority behind a key, in their order.
    pub(crate) fn lane_after(
        &self,
        lane: usize,
        cursor: Option<QueueKey>,
    ) -> impl Iterator<Item = QueueKey> {
        let from = cursor.map_or(Bound::Unbounded, |key| Bound::Excluded((key.order, key.offset)));
        let number = u8::try_from(lane).unwrap_or_default();
        let keys = self.lanes.get(lane).map(|lane| lane.range((from, Bound::Unbounded)));
        keys.into_iter().flatten().map(move |(order, offset)| QueueKey {
            lane: number,
            order: *order,
            offset: *offset,
        })
    }

    /// The first message whose time is over.
    pub(crate) fn expired(&self, now: i64) -> Option<u64> {
        self.expiries.first().filter(|(at, _)| *at <= now).map(|(_, offset)| *offset)
    }

    pub(crate) fn next_expiry(&self) -> Option<i64> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Messages that are nowhere but in memory, oldest first.
    pub(crate) fn volatile(&self) -> impl Iterator<Item = u64> {
        self.volatile.iter().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn guaranteed(&self) -> usize {
        self.guaranteed
    }

    pub(crate) fn others(&self) -> usize {
        self.volatile.len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}
