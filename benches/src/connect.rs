//! Connections made in a second: TCP, perhaps TLS in full, the handshake, the login.
//!
//! A fixed number of tasks each make one connection after the other and cut it off once it is logged in. The bare echo
//! sends the login back, so that it reads and writes about as much.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Result;
use crate::args::{Common, Connect, Transport};
use crate::child::{Certificate, Child, raise_descriptor_limit};
use crate::client::{Client, Target};
use crate::latency::{self, Latencies};
use crate::machine::{self, Watch};
use crate::report::{Budget, Round, Row, Sample};

/// From the figures of other servers: logins in a second where no password is hashed.
const BUDGET: Budget = Budget::LeastRate(5000.0);

/// Measures both transports, both servers in turns.
pub(crate) async fn measure(common: &Common, how: &Connect) -> Result<Vec<Row>> {
    raise_descriptor_limit();
    let mut rows = Vec::new();
    for transport in Transport::chosen(how.transport) {
        eprintln!("connect {transport:?}, {} at a time", how.concurrency);
        let certificate = Certificate::for_transport(transport)?;
        let spanwire = Child::spanwire(common, certificate.as_ref()).await?;
        let token = Client::open(&spanwire.target).await?.token;
        let bare = Child::bare(common, certificate.as_ref(), token.into())?;
        let mut rounds = Vec::new();
        for _ in 0..common.rounds() {
            let pair = async || {
                let spanwire = turn(&spanwire, how.concurrency, common.time()).await?;
                Ok(Round::new(spanwire, turn(&bare, how.concurrency, common.time()).await?))
            };
            rounds.push(machine::round(common, pair).await?);
        }
        let row = Row::new("connect", transport, how.concurrency, common, rounds);
        rows.push(row.with_budget((transport == Transport::Plain).then_some(BUDGET)));
    }
    Ok(rows)
}

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const STOPPING: u8 = 2;

const WARM_UP: Duration = Duration::from_millis(500);

async fn turn(child: &Child, concurrency: u32, time: Duration) -> Result<Sample> {
    let phase = Arc::new(AtomicU8::new(WARMING));
    let mut tasks = JoinSet::new();
    for _ in 0..concurrency {
        tasks.spawn(connect_often(child.target.clone(), Arc::clone(&phase)));
    }
    tokio::time::sleep(WARM_UP).await;
    let watch = Watch::start(child)?;
    phase.store(MEASURING, Ordering::Relaxed);
    tokio::time::sleep(time).await;
    phase.store(STOPPING, Ordering::Relaxed);
    let usage = watch.stop(child)?;
    // Each ends by itself: a connection that hangs is an error after a while.
    let mut results = Vec::new();
    while let Some(result) = tasks.join_next().await {
        results.push(result??);
    }
    latency::summary(&results, usage)
}

async fn connect_often(target: Target, phase: Arc<AtomicU8>) -> Result<Latencies> {
    let mut latencies = latency::empty()?;
    loop {
        let begun = Instant::now();
        let client = Client::open(&target).await?;
        let took = begun.elapsed();
        client.abort()?;
        match phase.load(Ordering::Relaxed) {
            MEASURING => latency::record(&mut latencies, took),
            STOPPING => return Ok(latencies),
            _ => {}
        }
    }
}
