//! Guaranteed publishing: publishers that wait for acknowledgements, and one subscriber that acknowledges what it gets.
//!
//! A message counts when its publisher has been told that it is stored. What the disk can do at best stands beside it, and
//! other servers where they are installed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::Result;
use crate::args::Common;
use crate::args::pubsub::{Durable, Publishers};
use crate::child::raise_descriptor_limit;
use crate::disk;
use crate::latency::{self, Latencies};
use crate::load::{self, Phase, Run};
use crate::machine::{self, Watch};
use crate::report::{Sample, median, medians};
use crate::server::{Message, Server};
use crate::table::{self, Figure};

pub(crate) async fn measure(common: &Common, how: &Durable, first: bool) -> Result<()> {
    raise_descriptor_limit();
    let points: Vec<(u32, Publishers)> =
        how.bytes.iter().flat_map(|bytes| how.point.iter().map(|point| (*bytes, *point))).collect();
    let turns = points.len() * common.turns() as usize;
    let topics: Vec<String> = (0..turns).map(|turn| format!("d{turn}")).collect();
    let mut servers = Vec::new();
    for &store in &how.stores.store {
        let server = Server::spanwire(common, store, &topics).await?;
        servers.push((format!("spanwire, {}", store.name()), server));
    }
    let own = servers.len();
    if !how.alone {
        servers.extend(Server::others(true).await?);
    }
    let mut figures = Vec::new();
    let mut topics = topics.iter();
    for (bytes, point) in points {
        eprintln!("durable {} × {} × {bytes} bytes", point.0, point.1);
        let (mut disk, mut samples) = (Vec::new(), vec![Vec::new(); servers.len()]);
        machine::wait_a_little(common).await?;
        for topic in topics.by_ref().take(common.turns() as usize) {
            disk.push(disk::forced_appends(bytes, DISK).await?);
            let message = Message { topic, bytes, guaranteed: true };
            for ((_, server), samples) in servers.iter().zip(&mut samples) {
                samples.push(turn(server, message, point, common).await?);
            }
        }
        let name = format!("{} × {}", point.0, point.1);
        let disk = median(disk).unwrap_or_default();
        let mut all: Vec<Figure> = Vec::new();
        for ((server, _), turns) in servers.iter().zip(&samples) {
            let acknowledged: Vec<&Sample> = turns.iter().map(|(sample, _)| sample).collect();
            let mut figure = Figure::new("durable", server, &name).with(&medians(&acknowledged));
            figure.bytes = Some(bytes);
            figure.delivered_per_second = median(turns.iter().map(|(_, rate)| *rate).collect());
            all.push(figure);
        }
        let rate = |server: &str| {
            all.iter().find(|it| it.server.starts_with(server)).and_then(|it| it.per_second)
        };
        let (redis, rabbit) = (rate("Redis"), rate("RabbitMQ"));
        for (at, figure) in all.iter_mut().enumerate() {
            figure.to_redis = ratio(figure.per_second, redis);
            figure.to_rabbitmq = ratio(figure.per_second, rabbit);
            figure.to_disk = ratio(figure.per_second, Some(disk));
            if at < own {
                figure.at_least("× Redis", figure.to_redis, LEAST_TO_REDIS);
                figure.at_least("× RabbitMQ", figure.to_rabbitmq, LEAST_TO_RABBITMQ);
                if point.0 >= MANY {
                    figure.at_least("× disk", figure.to_disk, LEAST_TO_DISK);
                }
            }
        }
        let mut bare = Figure::new("durable", "append, fdatasync", &name);
        (bare.bytes, bare.per_second) = (Some(bytes), Some(disk));
        figures.push(bare);
        figures.extend(all);
    }
    table::show("durable: publishers × unacknowledged each", &figures, common, first)
}

/// Section 11 of the design, and row L-08.
const LEAST_TO_REDIS: f64 = 0.9;
const LEAST_TO_RABBITMQ: f64 = 5.0;
const LEAST_TO_DISK: f64 = 20.0;
/// What L-08 is about.
const MANY: u32 = 256;

const DISK: Duration = Duration::from_millis(500);
const WARM_UP: Duration = Duration::from_millis(400);

fn ratio(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(one? / other?).filter(|ratio| ratio.is_finite())
}

/// Acknowledgements, and how many messages a second the subscriber got.
async fn turn(
    server: &Server,
    message: Message<'_>,
    point: Publishers,
    common: &Common,
) -> Result<(Sample, f64)> {
    server.prepare(message.topic).await?;
    let run = Run::new(1, None);
    let consumer = server.consumer(message.topic, true, true).await?;
    let consumer = tokio::spawn(load::subscribe(consumer, Arc::clone(&run)));
    let mut publishers = Vec::new();
    for number in 0..point.0 {
        publishers.push(server.publisher(message, number).await?);
    }
    let mut tasks = JoinSet::new();
    for publisher in publishers {
        tasks.spawn(load::publish_always(publisher, point.1, Arc::clone(&run)));
    }
    tokio::time::sleep(WARM_UP).await;
    let (watch, before) = (Watch::start(server)?, run.received.load(Ordering::Relaxed));
    run.enter(Phase::Measuring);
    tokio::time::sleep(common.short_time()).await;
    let received = run.received.load(Ordering::Relaxed) - before;
    run.enter(Phase::Stopping);
    let usage = watch.stop(server)?;
    let latencies = all(&mut tasks).await?;
    consumer.await??;
    let sample = latency::summary(&latencies, usage)?;
    Ok((sample, received as f64 / usage.took.as_secs_f64()))
}

/// What all tasks found; they end by themselves.
pub(crate) async fn all(tasks: &mut JoinSet<Result<Latencies>>) -> Result<Vec<Latencies>> {
    let ended = async {
        let mut results = Vec::new();
        while let Some(result) = tasks.join_next().await {
            results.push(result??);
        }
        Ok(results)
    };
    match tokio::time::timeout(PATIENCE, ended).await {
        Ok(results) => results,
        Err(_) => Err("publications stay without an answer".into()),
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
