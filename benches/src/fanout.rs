//! One publisher, many subscribers: how long a message is under way at a low rate, and how many deliveries there are at full
//! rate.
//!
//! At full rate the publisher waits when the subscribers are too far behind, so that nothing has to be dropped.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::task::JoinSet;

use crate::Result;
use crate::args::Common;
use crate::args::pubsub::Fanout;
use crate::child::raise_descriptor_limit;
use crate::durable::all;
use crate::latency;
use crate::load::{self, Phase, Run};
use crate::machine::{self, Watch};
use crate::report::{Sample, medians};
use crate::server::{Message, Server};
use crate::table::{self, Figure};

pub(crate) async fn measure(common: &Common, how: &Fanout, first: bool) -> Result<()> {
    raise_descriptor_limit();
    // Each turn has a topic of its own.
    let turns = how.subscribers.len() * common.turns() as usize * 4;
    let topics: Vec<String> = (0..turns).map(|turn| format!("f{turn}")).collect();
    let server = Server::spanwire(common, how.store, &topics).await?;
    let mut servers = vec![("spanwire".to_owned(), server)];
    if !how.alone {
        servers.extend(Server::others(false).await?);
    }
    let mut figures = Vec::new();
    let mut topics = topics.iter();
    for &subscribers in &how.subscribers {
        for guaranteed in [false, true] {
            // Others are held against where they do the same: without a guarantee.
            let count = if guaranteed { 1 } else { servers.len() };
            for rate in [Some(how.low_rate / f64::from(subscribers)), None] {
                eprintln!("fan-out to {subscribers}, guaranteed: {guaranteed}, a second: {rate:?}");
                machine::wait_a_little(common).await?;
                let mut samples = vec![Vec::new(); count];
                for topic in topics.by_ref().take(common.turns() as usize) {
                    let message = Message { topic, bytes: how.bytes, guaranteed };
                    for ((_, server), samples) in servers.iter().zip(&mut samples) {
                        samples.push(turn(server, message, subscribers, rate, common).await?);
                    }
                }
                for (at, ((name, _), samples)) in servers.iter().zip(&samples).enumerate() {
                    let samples: Vec<&Sample> = samples.iter().collect();
                    let kind = match (at, guaranteed) {
                        (0, true) => ", guaranteed",
                        _ => "",
                    };
                    let speed = rate.map_or("full rate".to_owned(), |it| format!("{it:.0}/s"));
                    let figure = Figure::new(
                        "fanout",
                        format!("{name}{kind}"),
                        format!("1 → {subscribers}, {speed}"),
                    );
                    let mut figure = figure.with(&medians(&samples));
                    figure.bytes = Some(how.bytes);
                    if at == 0 && rate.is_some() {
                        figure.at_most("p99 ms", figure.p99_ms, MOST_P99_MS);
                        figure.at_most("CPU", figure.cpu_s_per_100k, MOST_UNBATCHED);
                    } else if at == 0 {
                        figure.at_most("CPU", figure.cpu_s_per_100k, MOST_COALESCED);
                    }
                    figures.push(figure);
                }
            }
        }
    }
    table::show(
        "fanout: deliveries, and the time from publication to receipt",
        &figures,
        common,
        first,
    )
}

/// The publish/subscribe reference, invariant 43, and section 11 of the design.
const MOST_P99_MS: f64 = 10.0;
const MOST_UNBATCHED: f64 = 0.5;
const MOST_COALESCED: f64 = 0.2;

const WARM_UP: Duration = Duration::from_millis(400);

async fn turn(
    server: &Server,
    message: Message<'_>,
    subscribers: u32,
    rate: Option<f64>,
    common: &Common,
) -> Result<Sample> {
    let run = Run::new(subscribers, rate.is_none().then_some(WINDOW));
    let consumers: Vec<_> = stream::iter(0..subscribers)
        .map(|_| server.consumer(message.topic, false, false))
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await?;
    let mut tasks = JoinSet::new();
    for consumer in consumers {
        tasks.spawn(load::subscribe(consumer, Arc::clone(&run)));
    }
    let publisher = server.publisher(message, 0).await?;
    let publisher = match rate {
        Some(rate) => tokio::spawn(load::publish_steadily(publisher, rate, Arc::clone(&run))),
        None => tokio::spawn(load::publish_always(publisher, IN_FLIGHT, Arc::clone(&run))),
    };
    tokio::time::sleep(WARM_UP).await;
    let watch = Watch::start(server)?;
    run.enter(Phase::Measuring);
    tokio::time::sleep(common.short_time()).await;
    run.enter(Phase::Stopping);
    let usage = watch.stop(server)?;
    publisher.await??;
    latency::summary(&all(&mut tasks).await?, usage)
}

/// How many messages the publisher may be ahead of the subscribers.
const WINDOW: u64 = 256;
/// And how many it has unacknowledged.
const IN_FLIGHT: u32 = 16;
/// How many subscribers are being connected at a time.
const AT_A_TIME: usize = 32;
