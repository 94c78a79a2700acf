//! A person looks at what waits, deletes it, corrects it, puts it back, clears everything.

use std::sync::Arc;

use super::Topic;
use super::log::{Content, Entry};
use super::subscribe::ranges;
use super::subscription::{Lease, Subscription};
use crate::id::SubscriptionId;
use crate::message::{EncodedMessage, Header, Message, StoredMessage};
use crate::store::{Change, GapCause, GapRecord};

/// Which messages of a queue are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueFilter {
    /// Those that wait, are under way or wait to be tried again.
    Current,
    /// Those that were put aside as undeliverable.
    Dead,
}

/// A message of a topic or of a queue, as a person sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageView {
    /// Its offset.
    pub offset: u64,
    /// Whether its delivery is guaranteed.
    pub has_gd: bool,
    /// Bytes of its content.
    pub size: u32,
    /// How often its delivery was tried, to the end of the last attempt.
    pub attempts: u32,
    /// Whether somebody has taken it.
    pub in_flight: bool,
    /// Why it was put aside, and when, in microseconds since the epoch.
    pub dead: Option<(String, i64)>,
    /// The message, where it is at hand.
    pub message: Option<Arc<Message>>,
}

impl Topic {
    /// Messages of the topic behind an offset, in the order of offsets.
    pub(crate) fn browse(&self, after: u64, limit: usize) -> Vec<MessageView> {
        let entries = self.log.from(after.saturating_add(1)).take(limit);
        entries.map(|(_, entry)| view(entry, None)).collect()
    }

    /// Messages of a queue behind an offset, in the order of offsets.
    pub(crate) fn browse_queue(
        &self,
        id: SubscriptionId,
        filter: QueueFilter,
        after: u64,
        limit: usize,
    ) -> Vec<MessageView> {
        let Some(subscription) = self.subscriptions.get(&id) else { return Vec::new() };
        let from = after.saturating_add(1).max(subscription.acked.floor());
        let is_meant =
            |offset: &u64| subscription.dead.contains_key(offset) == (filter == QueueFilter::Dead);
        let offsets = subscription.acked.unmarked(from, self.next).filter(is_meant);
        let entries = offsets.filter_map(|offset| self.log.get(offset)).take(limit);
        entries.map(|entry| view(entry, Some(subscription))).collect()
    }

    /// Whether a message is in a queue, and how it stands there.
    pub(crate) fn look(&self, id: Option<SubscriptionId>, offset: u64) -> Option<MessageView> {
        let entry = self.log.get(offset)?;
        let subscription = match id {
            None => None,
            Some(id) => Some(self.subscriptions.get(&id).filter(|it| !it.acked.contains(offset))?),
        };
        Some(view(entry, subscription))
    }

    /// Deletes a message, from one queue or from all.
    pub(crate) fn delete(&mut self, id: Option<SubscriptionId>, offset: u64) -> bool {
        let Some(id) = id else {
            let is_there = self.log.get(offset).is_some();
            self.drop_message(offset, GapCause::Deleted);
            return is_there;
        };
        let Some(subscription) = self.touch(id) else { return false };
        let handed = subscription.handed_over(offset);
        let is_dead = subscription.dead.contains_key(&offset);
        if self.finish(id, offset).is_break() {
            return false;
        }
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            if let Some(lease) = handed {
                subscription.doubt(lease, GapCause::Deleted);
            } else if !is_dead {
                subscription.note_gap(offset, GapCause::Deleted);
                *self.counters.gaps.entry(GapCause::Deleted).or_default() += 1;
            }
            subscription.raise_floor(self.next);
            subscription.wake_with_room();
        }
        true
    }

    /// Puts a message that was put aside back into its queue, with all its attempts ahead.
    pub(crate) fn requeue(&mut self, id: SubscriptionId, offset: u64) -> bool {
        self.touched.insert(id);
        let (Some(subscription), Some(entry)) =
            (self.subscriptions.get_mut(&id), self.log.get(offset))
        else {
            return false;
        };
        if subscription.dead.remove(&offset).is_none() {
            return false;
        }
        subscription.changes.push(Change::PutDead(id, offset, None));
        // Repeats stay marked as such; only the attempts to come are counted from here.
        subscription.pardon(offset);
        subscription.unnote_gap(offset, GapCause::Dead);
        subscription.depth += 1;
        subscription.put_back(entry.key);
        subscription.wake();
        true
    }

    /// Empties a queue; what is under way is not delivered again.
    pub(crate) fn clear_queue(&mut self, id: SubscriptionId) -> usize {
        let Some(subscription) = self.subscriptions.get(&id) else { return 0 };
        let pending: Vec<u64> = subscription.pending(self.next).collect();
        pending.iter().filter(|offset| self.delete(Some(id), **offset)).count()
    }

    /// Empties the topic and all its queues, for good.
    pub(crate) fn clear(&mut self) -> usize {
        let count = self.wipe();
        self.record.floor = self.next;
        self.changes.push(Change::PutTopic(self.id, self.record.clone()));
        // Also an offset that is in no message any more is not given again.
        self.stored_next = self.stored_next.max(self.next);
        self.changes.push(Change::PutNext(self.id, self.stored_next));
        count
    }

    pub(super) fn wipe(&mut self) -> usize {
        let count = self.log.len();
        let offsets: Vec<u64> = self.log.from(0).map(|(offset, _)| offset).collect();
        for subscription in self.subscriptions.values_mut() {
            self.touched.insert(subscription.id);
            let handed = subscription.in_flight.values().filter(|lease| lease.is_handed_over);
            let handed: Vec<Lease> = handed.copied().collect();
            let untold = (subscription.depth - handed.len()) as u64;
            if untold > 0 {
                *self.counters.gaps.entry(GapCause::Deleted).or_default() += untold;
            }
            if subscription.record.settings.positions {
                let is_untold = |offset: &u64| {
                    let lease = subscription.in_flight.get(offset);
                    !lease.is_some_and(|lease| lease.is_handed_over)
                        && !subscription.dead.contains_key(offset)
                };
                let untold = ranges(subscription.pending(self.next).filter(is_untold));
                for (from, to) in untold {
                    let (count, cause) = (to - from + 1, GapCause::Deleted);
                    subscription.note_gaps(from, GapRecord { to, count, cause });
                }
            }
            for lease in handed {
                subscription.doubt(lease, GapCause::Deleted);
            }
            subscription.forget_all(self.next);
        }
        for offset in offsets {
            self.remove_entry(offset);
        }
        count
    }

    /// What an edited message needs to be stored as, in place of the one that is there.
    pub(crate) fn replacement(
        &self,
        offset: u64,
        message: &Message,
    ) -> Option<(Header, Vec<Change>)> {
        let entry = self.log.get(offset)?;
        let order = self.log_order(offset)?;
        let header = Header {
            priority: message.priority,
            order,
            expires_at: message.expires_at.map(|at| at.as_microseconds()),
            by_retention: entry.by_retention
                && message.expires_at.map(|at| at.as_microseconds()) == Some(entry.expires_at),
            size: u32::try_from(message.size).unwrap_or(u32::MAX),
            waiting: entry.waiting,
            recipients: entry.recipients.as_ref().map(|these| these.to_vec()),
            has_own_time: message.ext_pub_time.is_some(),
        };
        let stored = entry
            .guaranteed
            .then(|| StoredMessage::new(&header, &EncodedMessage::of(message)))
            .map(|stored| Change::Append(self.id, offset, stored));
        Some((header, stored.into_iter().collect()))
    }

    fn log_order(&self, offset: u64) -> Option<i64> {
        self.log.get(offset).map(|entry| entry.key.order())
    }

    /// Puts an edited message in the place of the one that is there.
    pub(crate) fn replace(&mut self, offset: u64, header: &Header, message: Arc<Message>) -> bool {
        let Some(former) = self.log.remove(offset) else { return false };
        self.edits += 1;
        let content = match &former.content {
            Content::Memory(before) => {
                use std::sync::atomic::Ordering;
                self.memory.fetch_add(message.weight(), Ordering::Relaxed);
                self.memory.fetch_sub(before.weight(), Ordering::Relaxed);
                Content::Memory(message)
            }
            Content::Stored | Content::Cached(_) => Content::Stored,
        };
        let mut entry = Entry::new(offset, header, content, former.guaranteed);
        entry.references = former.references;
        entry.waiting = former.waiting;
        entry.recipients = former.recipients;
        let (old, new) = (former.key, entry.key);
        self.log.insert(entry);
        for subscription in self.subscriptions.values_mut() {
            if subscription.acked.contains(offset) || old == new {
                continue;
            }
            if let Some(lease) = subscription.in_flight.get_mut(&offset) {
                lease.key = new;
            } else if subscription.dead.contains_key(&offset) {
                continue;
            } else if let Some(at) = subscription.end_delay(old) {
                subscription.delay(new, at);
            } else {
                subscription.ready.remove(&old);
                subscription.put_back(new);
            }
            subscription.wake();
        }
        true
    }
}

fn view(entry: &Entry, subscription: Option<&Subscription>) -> MessageView {
    let offset = entry.key.offset;
    let lease = subscription.and_then(|it| it.in_flight.get(&offset));
    let dead = subscription.and_then(|it| it.dead.get(&offset));
    MessageView {
        offset,
        has_gd: entry.guaranteed,
        size: entry.size,
        attempts: lease.map(|lease| lease.attempts).unwrap_or_else(|| {
            subscription.map_or(0, |subscription| subscription.attempts_before(offset))
        }),
        in_flight: lease.is_some(),
        dead: dead.map(|dead| (dead.reason.clone(), dead.at)),
        message: entry.message().cloned(),
    }
}
