//! How often something may happen because of one address: failed logins, sign-ups, mails.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often something may happen because of one address in a span of time.
#[derive(Debug)]
pub(crate) struct AddressBudget {
    most: AtomicU32,
    span: Duration,
    spent: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl AddressBudget {
    pub(crate) fn per_minute(most: u32) -> Self {
        Self { most: AtomicU32::new(most), span: Duration::from_secs(60), spent: Mutex::default() }
    }

    pub(crate) fn per_hour(most: u32) -> Self {
        Self {
            most: AtomicU32::new(most),
            span: Duration::from_secs(3_600),
            spent: Mutex::default(),
        }
    }

    pub(crate) fn set(&self, most: u32) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Whether it may happen once more.
    pub(crate) fn has_room(&self, from: Option<IpAddr>, now: Instant) -> bool {
        let Some(from) = from.map(network) else { return true };
        self.is_below(&self.spent(), from, now)
    }

    /// It happened.
    pub(crate) fn spend(&self, from: Option<IpAddr>, now: Instant) {
        let Some(from) = from.map(network) else { return };
        self.count(&mut self.spent(), from, now);
    }

    fn count(&self, spent: &mut HashMap<IpAddr, (Instant, u32)>, from: IpAddr, now: Instant) {
        if spent.len() >= MOST_ADDRESSES {
            spent.retain(|_, (since, _)| now.duration_since(*since) < self.span);
            if spent.len() >= MOST_ADDRESSES {
                // An attack from very many addresses: counting anew is better than not counting.
                spent.clear();
            }
        }
        let entry = spent.entry(from).or_insert((now, 0));
        if now.duration_since(entry.0) >= self.span {
            *entry = (now, 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }

    /// Both, at once; tells whether it may.
    pub(crate) fn take(&self, from: Option<IpAddr>, now: Instant) -> bool {
        let Some(from) = from.map(network) else { return true };
        let mut spent = self.spent();
        let has_room = self.is_below(&spent, from, now);
        if has_room {
            self.count(&mut spent, from, now);
        }
        has_room
    }

    fn spent(&self) -> MutexGuard<'_, HashMap<IpAddr, (Instant, u32)>> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_below(
        &self,
        spent: &HashMap<IpAddr, (Instant, u32)>,
        from: IpAddr,
        now: Instant,
    ) -> bool {
        spent.get(&from).is_none_or(|(since, count)| {
            now.duration_since(*since) >= self.span || *count < self.most.load(Ordering::Relaxed)
        })
    }
}

/// One network of IPv6 is one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(std::net::Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

const MOST_ADDRESSES: usize = 100_000;
