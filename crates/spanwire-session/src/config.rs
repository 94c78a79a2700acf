//! What is set per channel.

use std::time::Duration;

use spanwire_protocol::limits;

/// Times and limits of a server session. The defaults are those of wsx-protocol 1.4 and 3.1 and of DESIGN 10.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// How long a client may take to log in after the upgrade; 5 s. Then it is refused.
    pub new_token_wait_time: Duration,
    /// The life of a token, counted anew from each accepted message; 3,600 s.
    pub token_ttl: Duration,
    /// How often a logged-in client is pinged; 45 s.
    pub ping_interval: Duration,
    /// How long a pong may take before the ping counts as missed; 5 s.
    pub ping_timeout: Duration,
    /// How many pings in a row may be missed before the connection is closed with 4002; 2.
    pub pings_missed_threshold: u32,
    /// How many calls run at once; 64. Further ones wait.
    pub max_in_flight: usize,
    /// How many calls may wait for their turn; 1,024. Further ones are answered 429.
    pub max_waiting: usize,
    /// How many bytes of input the calls that run or wait may hold together; 32 MiB. A call that would go over it is
    /// answered 429, unless it is the only one.
    pub max_call_bytes: usize,
    /// How many requests to the client may be unanswered; 1,024. Further ones fail at once.
    pub max_asked: usize,
    /// Whether replies go out in the order of their requests; no. On in the `compat` profile.
    pub ordered_replies: bool,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            new_token_wait_time: Duration::from_secs(5),
            token_ttl: Duration::from_secs(3600),
            ping_interval: Duration::from_secs(45),
            ping_timeout: Duration::from_secs(5),
            pings_missed_threshold: 2,
            max_in_flight: limits::DEFAULT_MAX_IN_FLIGHT,
            max_waiting: 1024,
            max_call_bytes: 2 * limits::DEFAULT_MAX_MESSAGE_SIZE,
            max_asked: 1024,
            ordered_replies: false,
        }
    }
}
