//! Limits per client address: open connections and handshakes a second (DESIGN 10).

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// The limits of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// Open connections; 10,000.
    pub connections: u32,
    /// New connections a second; 200.
    pub handshakes_per_second: u32,
    /// Whether the loopback addresses are exempt; yes in the `dev` profile.
    pub loopback_exempt: bool,
    /// Open connections of all addresses together; 100,000.
    pub total_connections: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            connections: 10_000,
            handshakes_per_second: 200,
            loopback_exempt: false,
            total_connections: 100_000,
        }
    }
}

/// Counts connections of each address.
pub struct AddressLimits {
    current: ArcSwap<Current>,
    open: Mutex<Open>,
}

/// The limits in force, and the counts that belong to them.
struct Current {
    settings: LimitSettings,
    rate: DefaultKeyedRateLimiter<IpAddr>,
}

impl Current {
    fn new(settings: LimitSettings) -> Self {
        let rate = NonZeroU32::new(settings.handshakes_per_second).unwrap_or(NonZeroU32::MIN);
        Self { settings, rate: RateLimiter::keyed(Quota::per_second(rate)) }
    }
}

#[derive(Default)]
struct Open {
    total: u32,
    by_address: HashMap<IpAddr, u32>,
    since_cleaning: u32,
}

/// The place of one open connection; given back when dropped.
#[must_use]
pub struct Place {
    limits: Arc<AddressLimits>,
    address: IpAddr,
}

/// Which limit an address is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many open connections of this address.
    Connections,
    /// Too many new connections of this address in the last second.
    Rate,
    /// Too many open connections altogether.
    Total,
}

impl Refused {
    /// The word that metrics use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "address-connections",
            Self::Rate => "address-rate",
            Self::Total => "total-connections",
        }
    }
}

impl AddressLimits {
    /// Nobody has a connection yet.
    #[must_use]
    pub fn new(settings: LimitSettings) -> Arc<Self> {
        Arc::new(Self {
            current: ArcSwap::from_pointee(Current::new(settings)),
            open: Mutex::default(),
        })
    }

    /// Replaces the limits. Open connections keep their places; whoever is above a lower limit gets no new ones.
    pub fn set(&self, settings: LimitSettings) {
        if self.current.load().settings != settings {
            self.current.store(Arc::new(Current::new(settings)));
        }
    }

    /// Takes a place for a connection of a trusted proxy, which stands for many clients: only the total counts. Their
    /// own places are taken once they are known.
    ///
    /// # Errors
    /// When there are too many connections altogether.
    pub fn enter_proxy(self: &Arc<Self>, address: IpAddr) -> Result<Place, Refused> {
        self.take(address, true)
    }

    /// Takes a place for a new connection.
    ///
    /// # Errors
    /// When the address is at a limit.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, Refused> {
        // One customer gets a whole /64 of IPv6: counting single addresses would count nothing.
        let address = match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
            v4 @ IpAddr::V4(_) => v4,
        };
        let exempt = self.current.load().settings.loopback_exempt && is_loopback(address);
        self.take(address, exempt)
    }

    fn take(self: &Arc<Self>, address: IpAddr, exempt: bool) -> Result<Place, Refused> {
        let current = self.current.load();
        if !exempt && current.rate.check_key(&address).is_err() {
            return Err(Refused::Rate);
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.since_cleaning += 1;
        if open.since_cleaning >= CLEAN_EVERY {
            open.since_cleaning = 0;
            current.rate.retain_recent();
        }
        if open.total >= current.settings.total_connections {
            return Err(Refused::Total);
        }
        let own = open.by_address.entry(address).or_default();
        if !exempt && *own >= current.settings.connections {
            return Err(Refused::Connections);
        }
        *own += 1;
        open.total += 1;
        Ok(Place { limits: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.limits.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        if let Some(own) = open.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

impl std::fmt::Debug for AddressLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddressLimits")
            .field("settings", &self.current.load().settings)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Place").field(&self.address).finish()
    }
}

/// The /64 that `::1` is counted under has no other address in use.
fn is_loopback(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

/// How many new connections pass between two cleanings of the rate limiter.
const CLEAN_EVERY: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(loopback_exempt: bool) -> LimitSettings {
        LimitSettings {
            connections: 2,
            handshakes_per_second: 3,
            loopback_exempt,
            total_connections: 4,
        }
    }

    #[test]
    fn places_are_given_back() {
        let limits = AddressLimits::new(settings(false));
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let first = limits.enter(address).unwrap();
        let second = limits.enter(address).unwrap();
        assert_eq!(limits.enter(address).unwrap_err(), Refused::Connections);
        drop(first);
        assert_eq!(limits.enter(address).unwrap_err(), Refused::Rate);
        drop(second);
        assert!(limits.open.lock().unwrap().by_address.is_empty());
    }

    #[test]
    fn a_whole_ipv6_network_counts_as_one() {
        let limits = AddressLimits::new(settings(false));
        let places: Vec<_> = (1..=2)
            .map(|n| limits.enter(format!("2001:db8::{n}").parse().unwrap()).unwrap())
            .collect();
        assert_eq!(limits.enter("2001:db8::3".parse().unwrap()).unwrap_err(), Refused::Connections);
        assert_eq!(places.len(), 2);
    }

    #[test]
    fn loopback_is_exempt_where_it_is_asked_for_but_never_from_the_total() {
        let limits = AddressLimits::new(settings(true));
        let address: IpAddr = "127.0.0.1".parse().unwrap();
        let places: Vec<_> = (0..4).map(|_| limits.enter(address).unwrap()).collect();
        assert_eq!(limits.enter("192.0.2.1".parse().unwrap()).unwrap_err(), Refused::Total);
        assert_eq!(places.len(), 4);
    }
}
