//! The one place of this crate that reads clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use spanwire_protocol::Timestamp;
use spanwire_session::Now;

/// Both clocks at once; the monotonic one is the runtime's, so that tests can pause it.
pub(crate) fn now() -> Now {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let microseconds = i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX);
    Now {
        instant: tokio::time::Instant::now().into_std(),
        timestamp: Timestamp::from_microseconds(microseconds),
    }
}
