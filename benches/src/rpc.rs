//! Calls of an echo service.
//!
//! Each connection is one task that keeps a fixed number of calls in flight: it writes them all at once, then one new
//! call for each reply, those for replies that arrived together with one write.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use spanwire_protocol::Payload;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use crate::Result;
use crate::args::{Common, Points, Transport};
use crate::child::{Child, raise_descriptor_limit};
use crate::client::{Client, Target, check_reply};
use crate::frames::ReplyCounter;
use crate::latency::{self, Latencies};
use crate::machine::{self, Watch};
use crate::report::{Budget, Round, Row, Sample};

/// What one measurement is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    connections: u32,
    pipeline: u32,
    payload: u32,
}

impl From<(u32, u32, u32)> for Point {
    fn from((connections, pipeline, payload): (u32, u32, u32)) -> Self {
        Self { connections, pipeline, payload }
    }
}

impl Point {
    /// Section 11 of the design.
    fn budget(self) -> Option<Budget> {
        match (self.connections, self.pipeline) {
            (16, 1) => Some(Budget::MostRatio(1.5)),
            (64, 16) => Some(Budget::MostRatio(3.0)),
            _ => None,
        }
    }

    /// JSON of exactly as many bytes.
    fn data(self) -> Result<Payload> {
        let (open, close) = (r#"{"data":""#, r#""}"#);
        let filling = (self.payload as usize).saturating_sub(open.len() + close.len());
        Ok(Payload::from_json(format!("{open}{}{close}", "x".repeat(filling)))?)
    }
}

/// Measures all points, both servers in turns.
pub(crate) async fn measure(common: &Common, points: &Points) -> Result<Vec<Row>> {
    raise_descriptor_limit();
    let spanwire = Child::spanwire(common, None).await?;
    let token = Client::open(&spanwire.target).await?.token;
    let bare = Child::bare(common, None, token.into())?;
    let mut rows = Vec::new();
    for point in points.points() {
        eprintln!("rpc {} × {} × {} bytes", point.connections, point.pipeline, point.payload);
        let mut rounds = Vec::new();
        for _ in 0..common.rounds() {
            let pair = async || {
                let spanwire = turn(&spanwire, point, common).await?;
                Ok(Round::new(spanwire, turn(&bare, point, common).await?))
            };
            rounds.push(machine::round(common, pair).await?);
        }
        let mut row = Row::new("rpc", Transport::Plain, point.connections, common, rounds);
        (row.pipeline, row.payload) = (Some(point.pipeline), Some(point.payload));
        rows.push(row.with_budget(point.budget()));
    }
    Ok(rows)
}

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const STOPPING: u8 = 2;

/// Caches and buffers find their sizes.
const WARM_UP: Duration = Duration::from_millis(500);

/// How long replies may take at the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// One server at one point, once.
async fn turn(child: &Child, point: Point, common: &Common) -> Result<Sample> {
    let phase = Arc::new(AtomicU8::new(WARMING));
    let data = point.data()?;
    let mut tasks = JoinSet::new();
    // All log in before any calls.
    let mut loads = Vec::new();
    for _ in 0..point.connections {
        loads.push(Load::open(&child.target, &data, point.pipeline, &phase).await?);
    }
    for load in loads {
        tasks.spawn(load.run());
    }
    tokio::time::sleep(WARM_UP).await;
    let watch = Watch::start(child)?;
    phase.store(MEASURING, Ordering::Relaxed);
    tokio::time::sleep(common.time()).await;
    phase.store(STOPPING, Ordering::Relaxed);
    let usage = watch.stop(child)?;

    let all = async {
        let mut results = Vec::new();
        while let Some(result) = tasks.join_next().await {
            results.push(result??);
        }
        Ok::<_, crate::Failure>(results)
    };
    let results = match tokio::time::timeout(PATIENCE, all).await {
        Ok(results) => results?,
        Err(_) => return Err("calls stay without an answer".into()),
    };
    latency::summary(&results, usage)
}

/// One connection.
struct Load {
    client: Client,
    /// As many calls as may be in flight, one after the other, and the length of one.
    calls: Vec<u8>,
    call_length: usize,
    counter: ReplyCounter,
    /// When each call in flight was sent, the oldest first.
    sent: VecDeque<Instant>,
    latencies: Latencies,
    phase: Arc<AtomicU8>,
}

impl Load {
    /// Logs in and makes one call, to know what an answer looks like.
    async fn open(
        target: &Target,
        data: &Payload,
        pipeline: u32,
        phase: &Arc<AtomicU8>,
    ) -> Result<Self> {
        let mut client = Client::open(target).await?;
        let call = client.call(data);
        let reply = client.exchange(&call).await?;
        check_reply(&reply, &call, target, data)?;
        Ok(Self {
            client,
            calls: call.repeat(pipeline as usize),
            call_length: call.len(),
            counter: ReplyCounter::new(reply.len()),
            sent: VecDeque::with_capacity(pipeline as usize),
            latencies: latency::empty()?,
            phase: Arc::clone(phase),
        })
    }

    /// Keeps its calls in flight until it has to stop; tells how long those took that were answered while measuring.
    async fn run(mut self) -> Result<Latencies> {
        let mut buffer = vec![0; READ_AT_ONCE];
        let mut to_send = self.calls.len() / self.call_length.max(1);
        loop {
            if to_send > 0 {
                let calls = self.calls.get(..to_send * self.call_length);
                let now = Instant::now();
                self.sent.extend(std::iter::repeat_n(now, to_send));
                self.client.stream.write_all(calls.ok_or("more answers than calls")?).await?;
            }
            if self.sent.is_empty() {
                return Ok(self.latencies);
            }
            let read = self.client.stream.read(&mut buffer).await?;
            if read == 0 {
                return Err("the server closed a connection under load".into());
            }
            let replies = self.counter.count(buffer.get(..read).unwrap_or_default())? as usize;
            if replies > self.sent.len() {
                return Err("more answers than calls".into());
            }
            let (now, phase) = (Instant::now(), self.phase.load(Ordering::Relaxed));
            for sent in self.sent.drain(..replies) {
                if phase == MEASURING {
                    latency::record(&mut self.latencies, now - sent);
                }
            }
            // In the end the calls in flight are waited for, and no new ones are made.
            to_send = if phase == STOPPING { 0 } else { replies };
        }
    }
}

/// Room for all that is ready at most points.
const READ_AT_ONCE: usize = 64 * 1024;
