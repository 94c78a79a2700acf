//! Many stored messages: how long a start takes after `kill -9`, how much memory they take then, and how soon one subscriber
//! has all of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Result;
use crate::args::Common;
use crate::args::pubsub::{Store, Stored};
use crate::child::Child;
use crate::load::{self, Phase, Run, body};
use crate::machine::{self, Measured as _, Watch};
use crate::report::median;
use crate::server::{Wsx, path};
use crate::table::{self, Figure};

/// Starts with stored messages, and delivers them if asked to.
pub(crate) async fn measure(
    common: &Common,
    how: &Stored,
    replays: bool,
    first: bool,
) -> Result<()> {
    let mut figures = Vec::new();
    for &store in &how.stores.store {
        eprintln!("{} stored messages, {}", how.messages, store.name());
        figures.extend(with_store(common, how, store, replays).await?);
    }
    let title = format!("stored: {} messages in a queue", how.messages);
    table::show(&title, &figures, common, first)
}

async fn with_store(
    common: &Common,
    how: &Stored,
    store: Store,
    replays: bool,
) -> Result<Vec<Figure>> {
    let server = format!("spanwire, {}", store.name());
    let figure = |scenario, point: &str| {
        let mut figure = Figure::new(scenario, &server, point);
        figure.bytes = Some(how.bytes);
        figure
    };
    let mut figures = Vec::new();
    let mut child = Child::with_messages(common, store, &[path(TOPIC)]).await?;
    let mut subscriber = Wsx::open(&child.target, false).await?;
    let key = subscriber.subscribe(&path(TOPIC), false, false).await?.key;
    drop(subscriber);

    let watch = Watch::start(&child)?;
    fill(&child, how).await?;
    let usage = watch.stop(&child)?;
    let mut filled = figure("fill", &format!("published, {BATCH} a call"));
    filled.seconds = Some(usage.took.as_secs_f64());
    filled.per_second = Some(f64::from(how.messages) / usage.took.as_secs_f64());
    filled.cpu_s = Some(usage.cpu.as_secs_f64());
    filled.rss_mib = child.resident_kib().ok().map(mib);
    filled.foreign_cores = Some(usage.foreign_cores);
    figures.push(filled);

    let (mut seconds, mut cpu, mut rss) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..common.turns() {
        machine::wait_a_little(common).await?;
        let took = child.restart_until_ready(common).await?;
        seconds.push(took.as_secs_f64());
        cpu.push(child.cpu()?.as_secs_f64());
        tokio::time::sleep(SETTLE).await;
        rss.push(mib(child.resident_kib()?));
    }
    let mut restart = figure("restart", "kill -9, start until /readyz is 200");
    (restart.seconds, restart.cpu_s, restart.rss_mib) = (median(seconds), median(cpu), median(rss));
    restart.at_most("seconds", restart.seconds, MOST_START);
    figures.push(restart);

    if replays {
        let (watch, begun) = (Watch::start(&child)?, Instant::now());
        let mut subscriber = Wsx::open(&child.target, false).await?;
        let resume = subscriber.resume(&key)?;
        subscriber.link.write(&resume).await?;
        let run = Run::new(1, None);
        let subscriber = tokio::spawn(load::subscribe(subscriber.reader(), Arc::clone(&run)));
        run.all_received(u64::from(how.messages), PATIENCE).await?;
        let took = begun.elapsed();
        let usage = watch.stop(&child)?;
        run.enter(Phase::Stopping);
        subscriber.await??;
        let mut replay = figure("replay", "to one subscriber, after the start");
        replay.seconds = Some(took.as_secs_f64());
        let received = run.received.load(Ordering::Relaxed) as f64;
        replay.per_second = Some(received / took.as_secs_f64());
        replay.cpu_s = Some(usage.cpu.as_secs_f64());
        replay.cpu_s_per_100k = Some(usage.cpu.as_secs_f64() * 100_000.0 / received);
        replay.rss_mib = child.resident_kib().ok().map(mib);
        replay.foreign_cores = Some(usage.foreign_cores);
        replay.at_most("seconds", replay.seconds, MOST_REPLAY);
        figures.push(replay);
    }
    Ok(figures)
}

/// Publishes many messages a call: this is not what is measured.
async fn fill(child: &Child, how: &Stored) -> Result<()> {
    let mut publisher = Wsx::open(&child.target, false).await?;
    let body = body(how.bytes);
    let mut left = how.messages;
    let mut in_flight = 0;
    while left > 0 || in_flight > 0 {
        while left > 0 && in_flight < CALLS {
            let count = left.min(BATCH);
            let list: Vec<&str> = vec![&body; count as usize];
            let request = json!({"topic_name": path(TOPIC), "data_list": list, "has_gd": true});
            let frame = publisher.call("zato.pubsub.publish.publish", &request)?;
            publisher.link.write(&frame).await?;
            left -= count;
            in_flight += 1;
        }
        publisher.answered().await?;
        in_flight -= 1;
    }
    Ok(())
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

const TOPIC: &str = "stored";
const BATCH: u32 = 50;
/// How many such calls are under way.
const CALLS: u32 = 32;
/// Section 11 of the design.
const MOST_START: f64 = 10.0;
/// Row L-10.
const MOST_REPLAY: f64 = 20.0;
const PATIENCE: Duration = Duration::from_secs(120);
const SETTLE: Duration = Duration::from_millis(500);
