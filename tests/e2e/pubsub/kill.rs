//! the server is killed at random moments while many publish and many subscribe in all ways at once; what clients
//! saw is decided on by `spanwire-checker`.
//!
//! A generation is a server with a data folder of its own and some rounds: publish, kill, start again on the same folder,
//! publish on, stop publishing, drain, check everything that was seen since the generation began.

mod publishers;
mod readers;
mod subscribers;
mod wire;

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spanwire_checker::{Event, History, Recorder, Stop, check};
use spanwire_tests::http::admin;
use spanwire_tests::{Server, is_long};
use tokio::task::JoinSet;

use crate::live::Dice;

/// Publishers, half of them over WebSockets and half over REST.
const PUBLISHERS: usize = 16;
/// Subscribers over WebSockets that are plain; that acknowledge and have positions; and over REST.
const SUBSCRIBERS: [usize; 3] = [20, 20, 10];
/// Topics; in the last ones all messages have one priority, so that what was seen is everything up to a position.
const TOPICS: [&str; 8] = ["/t/0", "/t/1", "/t/2", "/t/3", "/t/4", "/t/5", "/u/6", "/u/7"];
/// Rounds of a generation.
const ROUNDS: usize = 5;
/// A kill comes after this time at the latest.
const LATEST_KILL: Duration = Duration::from_secs(3);
/// How long a drained server may take to be drained.
const DRAIN: Duration = Duration::from_secs(60);
/// How slowly frames may be read on a machine that does something else, too.
const TRANSIT: Duration = Duration::from_secs(4);

/// What everybody of a generation shares.
struct Shared {
    address: SocketAddr,
    recorder: Recorder,
    /// Publishers go on.
    publishes: AtomicBool,
    /// Subscribers take what comes, acknowledge all of it, and do nothing odd.
    drains: AtomicBool,
    /// Subscribers end.
    ends: AtomicBool,
    /// Subscribers who have subscribed.
    subscribed: AtomicUsize,
    /// How often everybody was asked whether it has read everything.
    asked: AtomicUsize,
    /// Answers to that.
    answered: AtomicUsize,
}

impl Shared {
    fn is(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Acquire)
    }
}

fn objects() -> Value {
    let [.., rest] = SUBSCRIBERS;
    let user = |name: &str| json!({"name": name, "type": "basic_auth", "username": name, "password": "secret1"});
    let readers: Vec<String> = (0..rest).map(|number| format!("reader.{number}")).collect();
    let mut security: Vec<_> = readers.iter().map(|name| user(name)).collect();
    security.extend([user("ws"), user("publisher")]);
    let everything = "pub=/**\nsub=/**";
    let mut endpoints: Vec<_> = readers
        .iter()
        .map(|name| json!({"name": name, "endpoint_type": "rest", "security_name": name, "topic_patterns": everything}))
        .collect();
    endpoints.push(json!({
        "name": "publisher", "endpoint_type": "rest", "security_name": "publisher", "topic_patterns": everything,
    }));
    endpoints.push(json!({
        "name": "ws", "endpoint_type": "wsx", "ws_channel_name": "ws", "topic_patterns": everything,
    }));
    let topics: Vec<_> = TOPICS
        .iter()
        .map(|name| json!({"name": name, "max_depth_gd": 1_000_000, "max_depth_non_gd": 1_000_000}))
        .collect();
    json!({
        "security": security,
        "wsx_gateway": [{"name": "gate", "services_allowed": [
            "zato.ping", "zato.pubsub.pubapi.*", "zato.pubsub.resume-wsx-subscription", "zato.pubsub.publish.publish",
            "spanwire.pubsub.acknowledge",
        ]}],
        "web_socket": [{"name": "ws", "address": "/ws", "service": "gate", "sec_def": "ws"}],
        "pubsub_topic": topics,
        "pubsub_endpoint": endpoints,
    })
}

/// Runs rounds until there were so many; the number of the first seed is told when something is wrong.
async fn rounds(store: &str, count: usize) {
    let mut done = 0;
    while done < count {
        let seed = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(done as u64 + 1);
        done += generation(store, seed, ROUNDS.min(count - done)).await;
    }
}

/// One generation; returns how many rounds it had.
async fn generation(store: &str, seed: u64, count: usize) -> usize {
    let settings = format!("[pubsub]\nstore = \"{store}\"\n");
    let mut server = Server::setup().settings(&settings).objects(&objects().to_string()).start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.jsonl");
    let shared = Arc::new(Shared {
        address: server.address(),
        recorder: Recorder::create_from(&file, Instant::now()).unwrap(),
        publishes: AtomicBool::new(false),
        drains: AtomicBool::new(true),
        ends: AtomicBool::new(false),
        subscribed: AtomicUsize::new(0),
        asked: AtomicUsize::new(0),
        answered: AtomicUsize::new(0),
    });
    let transit = Some(u64::try_from(TRANSIT.as_micros()).unwrap());
    shared.recorder.record("driver", Event::Settings { transit, expiry: None });
    let mut dice = Dice(seed);
    let mut subscribers = subscribers::start(&shared, &mut dice);
    wait("all have subscribed", Duration::from_secs(30), async || {
        shared.subscribed.load(Ordering::Acquire) == SUBSCRIBERS.iter().sum::<usize>()
    })
    .await;
    for round in 0..count {
        let before = Instant::now();
        shared.drains.store(false, Ordering::Release);
        shared.publishes.store(true, Ordering::Release);
        let publishers = publishers::start(&shared, round, &mut dice);
        // Early moments are the more interesting ones, and take less time.
        let moment = f64::from(u32::try_from(dice.roll(1000)).unwrap()) / 1000.0;
        tokio::time::sleep(LATEST_KILL.mul_f64(moment * moment)).await;
        shared.recorder.record("driver", Event::ServerStopping { how: Stop::Kill });
        tokio::task::block_in_place(|| {
            server.kill();
            server.start_again();
        });
        shared.recorder.record("driver", Event::ServerRunning {});
        tokio::time::sleep(Duration::from_millis(dice.roll(300) as u64)).await;
        shared.publishes.store(false, Ordering::Release);
        publishers.join_all().await;
        drain(&server, &shared, &mut subscribers).await;
        judge(store, seed, round, &file, &shared);
        println!("{store} {seed:x} round {round} took {:?}", before.elapsed());
    }
    shared.ends.store(true, Ordering::Release);
    subscribers.join_all().await;
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
    count
}

/// Has everything delivered, acknowledged, and read.
async fn drain(server: &Server, shared: &Shared, subscribers: &mut JoinSet<String>) {
    shared.drains.store(true, Ordering::Release);
    wait("nothing waits any more", DRAIN, async || {
        let totals = admin(server, "GET", "/api/v1/pubsub", "").await.json();
        totals["current_depth_gd"] == 0 && totals["current_depth_non_gd"] == 0
    })
    .await;
    let (plain, v1) = (SUBSCRIBERS[0], SUBSCRIBERS[1]);
    shared.answered.store(0, Ordering::Release);
    shared.asked.fetch_add(1, Ordering::AcqRel);
    wait("all was read", DRAIN, async || shared.answered.load(Ordering::Acquire) == plain + v1)
        .await;
    assert!(subscribers.try_join_next().is_none(), "a subscriber ended");
    for name in subscribers::names() {
        shared.recorder.record("driver", Event::Drained { subscription: name });
    }
}

/// Decides on everything that was seen so far.
fn judge(store: &str, seed: u64, round: usize, file: &Path, shared: &Shared) {
    shared.recorder.flush().unwrap();
    let report = check(&History::open(&[file]).unwrap());
    let counts = &report.counts;
    if !report.is_clean() {
        let kept =
            std::env::temp_dir().join(format!("spanwire-kill-{store}-{seed:x}-{round}.jsonl"));
        std::io::copy(&mut File::open(file).unwrap(), &mut File::create(&kept).unwrap()).unwrap();
        let told: Vec<_> = report.violations.iter().take(5).map(ToString::to_string).collect();
        panic!(
            "{} in {} ({counts}), the first ones:\n{}",
            report.violations.len(),
            kept.display(),
            told.join("\n")
        );
    }
    println!("{counts}");
    assert_eq!(counts.stops, round + 1, "{counts}");
    assert!(counts.refused == 0 && counts.owed > 0, "{counts}");
}

/// Waits for what takes longer than usual.
async fn wait(what: &str, patience: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(patience, holds).await.is_ok(), "still not: {what}");
}

fn count() -> usize {
    if is_long() { 500 } else { 20 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r01_a_server_that_is_killed_loses_nothing_acknowledged_on_sled() {
    rounds("sled", count()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r01_a_server_that_is_killed_loses_nothing_acknowledged_on_redb() {
    rounds("redb", count()).await;
}
