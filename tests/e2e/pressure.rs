//! Slow clients (reliability R-27) and floods of wrong logins against the real server, while good clients work.

mod logins;
mod slow;

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use spanwire_tests::{Client, Server};

/// Allows this process, and the servers it starts, as many descriptors as may be; returns how many that is.
fn raise_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    limit.maximum.map_or(usize::MAX, |maximum| usize::try_from(maximum).unwrap())
}

/// How long anything of a good client may take.
const AT_MOST: Duration = Duration::from_secs(1);

/// Works as a good client all the time: calls on an old connection, logins and calls on new ones. Returns the longest
/// time that one of them took.
async fn work(server: &Server, until: impl Future<Output = ()>) -> Duration {
    let mut longest = Duration::ZERO;
    let mut held = Client::log_in(&server.ws("/ws/good"), "good", "secret1").await;
    let mut until = std::pin::pin!(until);
    loop {
        let begun = Instant::now();
        let reply = held.call(&json!({"n": 1})).await;
        assert_eq!(reply["data"], json!({"n": 1}));
        let called = Instant::now();
        let mut new = Client::log_in(&server.ws("/ws/good"), "good", "secret1").await;
        let logged_in = Instant::now();
        assert_eq!(new.call(&json!(2)).await["data"], 2);
        let times = [called - begun, logged_in - called, logged_in.elapsed()];
        longest = times.into_iter().fold(longest, Duration::max);
        drop(new);
        tokio::select! {
            () = &mut until => return longest,
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
}
