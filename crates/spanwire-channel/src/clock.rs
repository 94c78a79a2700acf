//! The one place of this crate that reads clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use spanwire_protocol::Timestamp;

/// The monotonic clock; the runtime's, so that tests can pause it.
#[must_use]
pub fn instant() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The wall clock.
#[must_use]
pub fn timestamp() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_microseconds(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// Both clocks at once.
#[cfg(feature = "session")]
#[must_use]
pub fn now() -> spanwire_session::Now {
    spanwire_session::Now { instant: instant(), timestamp: timestamp() }
}
