//! How often the delivery of a message was tried, and how many of these attempts count.
//!
//! Attempts are never taken back, so that repeats stay marked. When a person puts a message back, those before do not
//! count any more.

use super::subscription::Subscription;
use crate::store::Change;

impl Subscription {
    /// How often delivery was tried before.
    pub(super) fn attempts_before(&self, offset: u64) -> u32 {
        self.attempts.get(&offset).copied().unwrap_or(0).saturating_add(self.crashes(offset))
    }

    /// Attempts that were seen to fail, since the message was last put back; those of crashes are guesses.
    pub(super) fn own_attempts(&self, offset: u64) -> u32 {
        let attempts = self.attempts.get(&offset).copied().unwrap_or(0);
        attempts.saturating_sub(self.pardoned.get(&offset).copied().unwrap_or(0))
    }

    pub(super) fn set_attempts(&mut self, offset: u64, attempts: u32) {
        // Those that crashes account for are not counted twice.
        let attempts = attempts.saturating_sub(self.crashes(offset));
        self.attempts.insert(offset, attempts);
        self.store_attempts(offset, attempts);
    }

    /// The attempts so far do not count any more.
    pub(super) fn pardon(&mut self, offset: u64) {
        if let Some(attempts) = self.attempts.get(&offset).copied() {
            self.pardoned.insert(offset, attempts);
            self.store_attempts(offset, attempts);
        }
    }

    pub(super) fn restore_attempts(&mut self, offset: u64, stored: u32) {
        let (attempts, pardoned) = unpack(stored);
        self.attempts.insert(offset, attempts);
        if pardoned > 0 {
            self.pardoned.insert(offset, pardoned);
        }
    }

    /// Nothing is known of a message any more.
    pub(super) fn forget_attempts(&mut self, offset: u64) {
        self.pardoned.remove(&offset);
        if self.attempts.remove(&offset).is_some() {
            self.changes.push(Change::PutAttempts(self.id, offset, 0));
        }
    }

    pub(super) fn forget_all_attempts(&mut self) {
        self.pardoned.clear();
        for offset in std::mem::take(&mut self.attempts).into_keys() {
            self.changes.push(Change::PutAttempts(self.id, offset, 0));
        }
    }

    fn store_attempts(&mut self, offset: u64, attempts: u32) {
        let pardoned = self.pardoned.get(&offset).copied().unwrap_or(0);
        self.changes.push(Change::PutAttempts(self.id, offset, pack(attempts, pardoned)));
    }

    fn crashes(&self, offset: u64) -> u32 {
        if offset < self.record.crashed_below { self.record.crashes } else { 0 }
    }
}

/// Both as one number: the attempts alone where all of them count; otherwise a one, how many count in 15 bits, and all of
/// them in 16.
fn pack(attempts: u32, pardoned: u32) -> u32 {
    match attempts.saturating_sub(pardoned) {
        _ if pardoned == 0 => attempts.min(!PARDONED),
        counted => PARDONED | counted.min(0x7FFF) << 16 | attempts.min(0xFFFF),
    }
}

fn unpack(stored: u32) -> (u32, u32) {
    if stored & PARDONED == 0 {
        return (stored, 0);
    }
    let (counted, attempts) = ((stored & !PARDONED) >> 16, stored & 0xFFFF);
    (attempts, attempts.saturating_sub(counted))
}

const PARDONED: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_read_as_they_were_stored() {
        for both in [(0, 0), (7, 0), (u32::MAX >> 1, 0), (7, 7), (9, 7), (40_000, 39_000)] {
            assert_eq!(unpack(pack(both.0, both.1)), both);
        }
        assert_eq!(pack(7, 0), 7, "as it was before anything could be pardoned");
        assert_eq!(unpack(pack(1_000_000, 3)), (0xFFFF, 0x8000));
    }
}
