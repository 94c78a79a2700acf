//! Clients that come back, all at once, to what they have missed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::Result;
use crate::args::Common;
use crate::args::pubsub::{Resume, Store};
use crate::child::raise_descriptor_limit;
use crate::client::Target;
use crate::latency;
use crate::load::{self, Run};
use crate::machine::{self, Watch};
use crate::server::{Message, Server, Wsx, path};
use crate::table::{self, Figure};

pub(crate) async fn measure(common: &Common, how: &Resume, first: bool) -> Result<()> {
    raise_descriptor_limit();
    let mut figures = Vec::new();
    for &store in &how.stores.store {
        figures.push(with_store(common, how, store).await?);
    }
    table::show("resume: clients that come back all at once", &figures, common, first)
}

async fn with_store(common: &Common, how: &Resume, store: Store) -> Result<Figure> {
    eprintln!("{} clients resume, {}", how.clients, store.name());
    let topics: Vec<String> =
        (0..how.clients.div_ceil(how.share)).map(|topic| format!("r{topic}")).collect();
    let server = Server::spanwire(common, store, &topics).await?;
    let Server::Spanwire(child) = &server else { return Err("this is about spanwire".into()) };
    let topic_of = |client: u32| topics.get((client / how.share) as usize).ok_or("no topic");
    let keys: Vec<String> = stream::iter(0..how.clients)
        .map(|client| async move {
            let topic = path(topic_of(client)?);
            // Behind them they leave a queue.
            let mut client = Wsx::open(&child.target, false).await?;
            Ok::<_, crate::Failure>(client.subscribe(&topic, false, false).await?.key)
        })
        .buffer_unordered(how.concurrency as usize)
        .try_collect()
        .await?;
    let run = Run::new(how.clients, None);
    for topic in &topics {
        let message = Message { topic, bytes: BYTES, guaranteed: true };
        let mut publisher = server.publisher(message, 0).await?;
        load::publish_count(&mut publisher, u64::from(how.missed), IN_FLIGHT, &run).await?;
    }
    machine::wait_a_little(common).await?;
    let received = Arc::clone(&run);
    let (watch, begun) = (Watch::start(child)?, Instant::now());
    let target = &child.target;
    let took: Vec<Duration> = stream::iter(keys)
        .map(|key| come_back(target, key, u64::from(how.missed), &received))
        .buffer_unordered(how.concurrency as usize)
        .try_collect()
        .await?;
    let whole = begun.elapsed();
    let usage = watch.stop(child)?;
    let mut latencies = latency::empty()?;
    took.into_iter().for_each(|took| latency::record(&mut latencies, took));
    let messages = run.received.load(Ordering::Relaxed) as f64;
    let point = format!("{} clients, {} missed each", how.clients, how.missed);
    let mut figure = Figure::new("resume", format!("spanwire, {}", store.name()), point);
    figure.bytes = Some(BYTES);
    figure.seconds = Some(whole.as_secs_f64());
    figure.per_second = Some(messages / whole.as_secs_f64());
    figure.cpu_s = Some(usage.cpu.as_secs_f64());
    figure.cpu_s_per_100k = Some(usage.cpu.as_secs_f64() * 100_000.0 / messages);
    figure.p50_ms = Some(latencies.value_at_quantile(0.5) as f64 / 1e6);
    figure.p99_ms = Some(latencies.value_at_quantile(0.99) as f64 / 1e6);
    figure.rss_mib = Some(child.resident_kib()? as f64 / 1024.0);
    figure.foreign_cores = Some(usage.foreign_cores);
    // Row L-11 is about 10,000 clients.
    let goal = MOST_SECONDS * f64::from(how.clients) / 10_000.0;
    figure.at_most("seconds", figure.seconds, goal);
    Ok(figure)
}

/// One client: connects, logs in, resumes, and has what it missed; tells how long that took.
async fn come_back(target: &Target, key: String, missed: u64, run: &Run) -> Result<Duration> {
    let begun = Instant::now();
    let mut client = Wsx::open(target, false).await?;
    let resume = client.resume(&key)?;
    client.link.write(&resume).await?;
    let (mut link, mut speech) = client.reader();
    let (mut bodies, mut out) = (0, Vec::new());
    while bodies < missed {
        match tokio::time::timeout(PATIENCE, link.read()).await {
            Ok(read) => read?,
            Err(_) => return Err(format!("{bodies} of {missed} messages came").into()),
        }
        let mut seen = |bytes: &[u8]| bodies += memchr::memchr_iter(b'@', bytes).count() as u64;
        speech.consumed(&mut link.buffer, &mut seen, &mut out)?;
    }
    run.received.fetch_add(bodies, Ordering::Relaxed);
    Ok(begun.elapsed())
}

const BYTES: u32 = 128;
const IN_FLIGHT: u64 = 16;
/// Row L-11.
const MOST_SECONDS: f64 = 30.0;
const PATIENCE: Duration = Duration::from_secs(60);
