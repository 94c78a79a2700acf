//! Subscribers that stop reading, and what the others notice of it.
//!
//! Two turns, one after the other and each with a topic of its own: all read; some have stopped, and everything that the
//! system buffers for them is full.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use crate::Result;
use crate::args::Common;
use crate::args::pubsub::Stalled;
use crate::child::raise_descriptor_limit;
use crate::durable::all;
use crate::latency;
use crate::load::{self, Phase, Run};
use crate::machine::{self, Watch};
use crate::report::{Sample, median, medians};
use crate::server::{Message, Server, Wsx, path};
use crate::table::{self, Figure};

pub(crate) async fn measure(common: &Common, how: &Stalled, first: bool) -> Result<()> {
    raise_descriptor_limit();
    let turns = common.turns().max(LEAST_TURNS);
    let topics: Vec<String> = (0..turns * 4).map(|turn| format!("s{turn}")).collect();
    let server = Server::spanwire(common, how.store, &topics).await?;
    let stalled = how.stalled.min(how.subscribers - 1);
    let mut topics = topics.iter();
    let mut figures = Vec::new();
    for guaranteed in [false, true] {
        let (mut quiet, mut held) = (Vec::new(), Vec::new());
        let mut ratios = Vec::new();
        for _ in 0..turns {
            eprintln!("{stalled} of {} stop reading, guaranteed: {guaranteed}", how.subscribers);
            machine::wait_a_little(common).await?;
            let mut pair = Vec::new();
            for (stalled, samples) in [(0, &mut quiet), (stalled, &mut held)] {
                let topic = topics.next().ok_or("a turn without a topic")?;
                let message = Message { topic, bytes: BYTES, guaranteed };
                let (sample, rss) = turn(&server, message, how, stalled, common).await?;
                pair.push(sample.p99_us.unwrap_or_default());
                samples.push((sample, rss));
            }
            ratios.extend(pair.get(1).zip(pair.first()).map(|(held, quiet)| held / quiet));
        }
        let kind = if guaranteed { "guaranteed" } else { "not guaranteed" };
        let server = format!("spanwire, {}", how.store.name());
        for (stalled, turns) in [(0, quiet), (stalled, held)] {
            let point = format!("{stalled} of {} stalled, {kind}", how.subscribers);
            let samples: Vec<&Sample> = turns.iter().map(|(sample, _)| sample).collect();
            let mut figure = Figure::new("stalled", &server, point).with(&medians(&samples));
            figure.bytes = Some(BYTES);
            figure.rss_mib = median(turns.iter().filter_map(|(_, rss)| *rss).collect());
            if stalled > 0 {
                figure.ratio = median(ratios.clone());
                figure.at_most("p99", figure.ratio, MOST_RATIO);
            }
            figures.push(figure);
        }
    }
    table::show("stalled: subscribers that read, beside some that do not", &figures, common, first)
}

async fn turn(
    server: &Server,
    message: Message<'_>,
    how: &Stalled,
    stalled: u32,
    common: &Common,
) -> Result<(Sample, Option<f64>)> {
    let Server::Spanwire(child) = server else { return Err("this is about spanwire".into()) };
    let reading = how.subscribers - stalled;
    let run = Run::new(reading, Some(WINDOW));
    let mut silent = Vec::new();
    for _ in 0..stalled {
        let socket = TcpSocket::new_v4()?;
        // What does not fit here stays with the server sooner.
        socket.set_recv_buffer_size(4096)?;
        let mut client = Wsx::over(socket.connect(child.target.address).await?).await?;
        client.subscribe(&path(message.topic), false, true).await?;
        silent.push(client);
    }
    let mut tasks = JoinSet::new();
    for _ in 0..reading {
        let consumer = server.consumer(message.topic, message.guaranteed, false).await?;
        tasks.spawn(load::subscribe(consumer, Arc::clone(&run)));
    }
    let mut publisher = server.publisher(message, 0).await?;
    load::publish_count(&mut publisher, u64::from(how.before), IN_FLIGHT, &run).await?;
    run.all_received(u64::from(how.before) * u64::from(reading), PATIENCE).await?;
    let publisher = tokio::spawn(load::publish_steadily(publisher, how.rate, Arc::clone(&run)));
    tokio::time::sleep(WARM_UP).await;
    let watch = Watch::start(server)?;
    run.enter(Phase::Measuring);
    tokio::time::sleep(common.short_time()).await;
    run.enter(Phase::Stopping);
    let usage = watch.stop(server)?;
    let rss = server.resident_kib().map(|kib| kib as f64 / 1024.0);
    publisher.await??;
    let sample = latency::summary(&all(&mut tasks).await?, usage)?;
    Ok((sample, rss))
}

const BYTES: u32 = 4096;
const WINDOW: u64 = 256;
const IN_FLIGHT: u64 = 16;
/// Row R-26.
const MOST_RATIO: f64 = 1.1;
/// A ratio of two tails is worth little by itself.
const LEAST_TURNS: u32 = 3;
const WARM_UP: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(60);
