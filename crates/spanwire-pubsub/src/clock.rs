//! The clocks a broker reads, so that tests can set them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::topic::Now;

/// Where a broker reads the time.
pub trait Clock: Send + Sync + 'static {
    /// Both clocks at once.
    fn now(&self) -> Now;

    /// When the monotonic clock will show a moment.
    fn instant(&self, monotonic: i64) -> Instant;
}

/// The clocks of the system. The wall clock is read once and then follows the monotonic one: whoever sets it while the
/// broker runs makes no message expire, and none live longer.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    wall: i64,
    started: Instant,
}

impl SystemClock {
    /// Reads the wall clock.
    #[must_use]
    pub fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall: crate::topic::microseconds(wall), started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let monotonic = crate::topic::microseconds(self.started.elapsed());
        Now { wall: self.wall.saturating_add(monotonic), monotonic }
    }

    fn instant(&self, monotonic: i64) -> Instant {
        self.started + Duration::from_micros(u64::try_from(monotonic).unwrap_or(0))
    }
}
