//! Counting guesses that failed in a row, in bounded memory, and how long to wait after too many.
//!
//! Who fails is a key of the caller's: a user name from an address, or an address alone. A success forgets what was counted
//! for its key, so that nobody who knows the secret is kept out for longer than a pause.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The failures of the last quarter of an hour.
#[derive(Debug)]
pub struct Throttle {
    free: AtomicU32,
    hasher: RandomState,
    entries: Mutex<HashMap<u64, Entry>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    failures: u32,
    last: Instant,
    blocked_until: Instant,
}

/// Who fails: a hash, because what is hashed may be text of any length from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guesser(u64);

const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);
const LONGEST_BLOCK: Duration = Duration::from_secs(30);
/// At about 40 bytes each.
const MAX_ENTRIES: usize = 100_000;

impl Throttle {
    /// Blocks after more than `free` failures in a row.
    #[must_use]
    pub fn new(free: u32) -> Self {
        Self { free: AtomicU32::new(free), hasher: RandomState::new(), entries: Mutex::default() }
    }

    /// After how many failures in a row it blocks.
    pub fn set_free(&self, free: u32) {
        self.free.store(free, Ordering::Relaxed);
    }

    /// Whoever guesses for `what` from an address; one network of IPv6 (a /64) is one address.
    pub fn guesser(&self, what: impl Hash, from: Option<IpAddr>) -> Guesser {
        let from = from.map(|from| match from.to_canonical() {
            IpAddr::V6(v6) => v6.to_bits() >> 64,
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
        });
        Guesser(self.hasher.hash_one((what, from)))
    }

    /// Whether a guess would not even be looked at.
    #[must_use]
    pub fn is_blocked(&self, who: Guesser, now: Instant) -> bool {
        self.entries().get(&who.0).is_some_and(|entry| now < entry.blocked_until)
    }

    /// A guess was right.
    pub fn succeeded(&self, who: Guesser) {
        self.entries().remove(&who.0);
    }

    /// Counts a failure; tells whether it was one too many. The block doubles with each further one, from 1 s to 30 s.
    pub fn failed(&self, who: Guesser, now: Instant) -> bool {
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
        let entry = entries.entry(who.0).or_insert(fresh);
        if now.duration_since(entry.last) >= FORGET_AFTER {
            *entry = fresh;
        }
        entry.failures = entry.failures.saturating_add(1);
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
        let now = Instant::now();
        for n in 0..250_000 {
            throttle.failed(Guesser(n), now);
        }
        assert!(throttle.entries().len() <= MAX_ENTRIES);
    }

    #[test]
    fn blocks_double_up_to_a_bound_and_are_forgotten() {
        let throttle = Throttle::new(0);
        let who = throttle.guesser("joe", Some([192, 0, 2, 1].into()));
        let mut now = Instant::now();
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            assert!(throttle.failed(who, now));
            now += Duration::from_secs(expected) - Duration::from_millis(1);
            assert!(throttle.is_blocked(who, now));
            now += Duration::from_millis(1);
            assert!(!throttle.is_blocked(who, now));
        }
        now += FORGET_AFTER;
        throttle.failed(who, now);
        assert!(!throttle.is_blocked(who, now + Duration::from_secs(1)));
        assert_ne!(who, throttle.guesser("joe", Some([192, 0, 2, 2].into())));
        assert_ne!(who, throttle.guesser("joe", None));
        let network = |text: &str| throttle.guesser("joe", Some(text.parse().unwrap()));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_eq!(network("::ffff:192.0.2.1"), who);
    }
}
