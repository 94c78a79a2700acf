//! Counting failed logins in a row, per user and address, in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use spanwire_channel::clock;

/// The failures of the last quarter of an hour.
pub(super) struct Throttle {
    free: AtomicU32,
    hasher: RandomState,
    entries: Mutex<HashMap<u64, Entry>>,
}

#[derive(Clone, Copy)]
struct Entry {
    failures: u32,
    last: Instant,
    blocked_until: Instant,
}

const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);
const LONGEST_BLOCK: Duration = Duration::from_secs(30);
/// At about 40 bytes each.
const MAX_ENTRIES: usize = 100_000;

impl Throttle {
    /// Blocks after more than `free` failures in a row.
    pub(super) fn new(free: u32) -> Self {
        Self { free: AtomicU32::new(free), hasher: RandomState::new(), entries: Mutex::default() }
    }

    /// After how many failures in a row it blocks.
    pub(super) fn set_free(&self, free: u32) {
        self.free.store(free, Ordering::Relaxed);
    }

    /// Who fails. A hash, because the user name is text of any length from outside; one network of IPv6 is one address.
    pub(super) fn key(&self, definition: &str, username: &str, from: IpAddr) -> u64 {
        let from = match from.to_canonical() {
            IpAddr::V6(v6) => v6.to_bits() >> 64,
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
        };
        self.hasher.hash_one((definition, username, from))
    }

    pub(super) fn is_blocked(&self, key: u64) -> bool {
        self.entries().get(&key).is_some_and(|entry| clock::instant() < entry.blocked_until)
    }

    pub(super) fn succeeded(&self, key: u64) {
        self.entries().remove(&key);
    }

    /// Counts a failure; tells whether it was one too many. The block doubles with each further one.
    pub(super) fn failed(&self, key: u64) -> bool {
        let now = clock::instant();
        let mut entries = self.entries();
        if entries.len() >= MAX_ENTRIES {
            entries.retain(|_, entry| now.duration_since(entry.last) < FORGET_AFTER);
            if entries.len() >= MAX_ENTRIES {
                // An attack from very many addresses. Half of the counts start anew, rather than none being kept.
                let mut keep = false;
                entries.retain(|_, _| {
                    keep = !keep;
                    keep
                });
            }
        }
        let fresh = Entry { failures: 0, last: now, blocked_until: now };
        let entry = entries.entry(key).or_insert(fresh);
        if now.duration_since(entry.last) >= FORGET_AFTER {
            *entry = fresh;
        }
        entry.failures += 1;
        entry.last = now;
        let Some(excess) =
            entry.failures.checked_sub(self.free.load(Ordering::Relaxed).saturating_add(1))
        else {
            return false;
        };
        let block = Duration::from_secs(1) * 2_u32.saturating_pow(excess.min(10));
        entry.blocked_until = now + block.min(LONGEST_BLOCK);
        true
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::new(5);
        for n in 0..250_000 {
            throttle.failed(n);
        }
        assert!(throttle.entries().len() <= MAX_ENTRIES);
    }

    #[tokio::test(start_paused = true)]
    async fn blocks_double_up_to_a_bound_and_are_forgotten() {
        let throttle = Throttle::new(0);
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            assert!(throttle.failed(7));
            tokio::time::advance(Duration::from_secs(expected) - Duration::from_millis(1)).await;
            assert!(throttle.is_blocked(7));
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(!throttle.is_blocked(7));
        }
        tokio::time::advance(FORGET_AFTER).await;
        throttle.failed(7);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!throttle.is_blocked(7));
    }
}
