//! Messages that are gone while nobody knows whether they arrived: handed over, and expired or deleted before they were
//! acknowledged.
//!
//! Nothing is said of them as long as they may be acknowledged. When that is over, because the connection or the lease is,
//! they are gaps like others. They are stored as such at once, so that a crash leaves no doubt: whoever comes next is told.
//!
//! They take room as what is under way does, and so are bounded with it.

use super::Topic;
use super::subscription::{Lease, Subscription};
use crate::id::SubscriptionId;
use crate::store::{Change, GapCause, GapRecord};

/// What is known of such a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    attempt: u32,
    /// Until when it may be acknowledged; `None` for as long as its holder is there.
    until: Option<i64>,
    /// Why it is gone.
    cause: GapCause,
}

impl Subscription {
    /// A message that was handed over is gone.
    pub(super) fn doubt(&mut self, lease: Lease, cause: GapCause) {
        if !self.record.settings.positions {
            return;
        }
        let (offset, until) = (lease.key.offset, lease.until);
        if let Some(until) = until {
            self.leases.insert((until, offset));
        }
        self.doubts.insert(offset, Doubt { attempt: lease.attempts, until, cause });
        let gap = GapRecord { to: offset, count: 1, cause };
        self.changes.push(Change::PutGap(self.id, offset, Some(gap)));
    }

    /// It is known what became of a message.
    pub(super) fn end_doubt(&mut self, offset: u64) -> Option<Doubt> {
        let doubt = self.doubts.remove(&offset)?;
        if let Some(until) = doubt.until {
            self.leases.remove(&(until, offset));
        }
        self.changes.push(Change::PutGap(self.id, offset, None));
        Some(doubt)
    }

    /// Whether a message is in doubt, since this very attempt.
    pub(super) fn is_in_doubt(&self, (offset, attempt): (u64, u32)) -> bool {
        self.doubts.get(&offset).is_some_and(|doubt| doubt.attempt == attempt)
    }

    /// The subscriber has a message that is gone; tells whether that was in doubt.
    pub(super) fn had(&mut self, offset: u64) -> bool {
        if self.end_doubt(offset).is_some() {
            return true;
        }
        // It comes late, but not too late.
        let gap = self.gaps.range(..=offset).next_back().filter(|(_, gap)| offset <= gap.to);
        let cause = gap.map(|(_, gap)| gap.cause);
        if let Some(cause @ (GapCause::Expired | GapCause::Retention | GapCause::Deleted)) = cause {
            self.unnote_gap(offset, cause);
        }
        false
    }

    /// Messages in doubt for as long as the holder is there.
    pub(super) fn doubts_of_holder(&self) -> Vec<u64> {
        let these = self.doubts.iter().filter(|(_, doubt)| doubt.until.is_none());
        these.map(|(offset, _)| *offset).collect()
    }
}

impl Topic {
    /// Those of these messages that are in doubt did not arrive.
    pub(super) fn lose_taken(&mut self, id: SubscriptionId, taken: &[(u64, u32)]) {
        let Some(subscription) = self.subscriptions.get(&id) else { return };
        let lost = taken.iter().filter(|it| subscription.is_in_doubt(**it));
        let lost = lost.map(|(offset, _)| *offset).collect();
        self.lose(id, lost);
    }

    /// Messages in doubt will not be acknowledged any more.
    pub(super) fn lose(&mut self, id: SubscriptionId, offsets: Vec<u64>) {
        let Some(subscription) = self.touch(id) else { return };
        let mut causes = Vec::new();
        for offset in offsets {
            if let Some(doubt) = subscription.end_doubt(offset) {
                subscription.note_gap(offset, doubt.cause);
                causes.push(doubt.cause);
            }
        }
        for cause in causes {
            *self.counters.gaps.entry(cause).or_default() += 1;
        }
    }
}
