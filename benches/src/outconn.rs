//! The client of outgoing connections, beside one that only writes and counts: calls of an echo service over one socket,
//! what this process uses for each, and whether its memory grows. Then the same calls over a link that is cut.

mod cuts;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use spanwire_crypto::Secret;
use spanwire_outconn::{CallOptions, ClientOptions, NoHandler};
use spanwire_protocol::Payload;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use crate::Result;
use crate::args::{Common, Outconn};
use crate::child::{Child, cpu_of};
use crate::client::{Client, PASSWORD, PATH, Target, USERNAME, check_reply};
use crate::frames::ReplyCounter;
use crate::table::{self, Figure};

pub(crate) async fn measure(common: &Common, how: &Outconn) -> Result<()> {
    let child = Child::spanwire(common, None).await?;
    let data = Payload::from_json(
        r#"{"data":"0123456789012345678901234567890123456789012345678901234567890123"}"#,
    )?;
    let point = format!("{} at a time", how.pipeline);
    eprintln!("{} calls over one socket, {point}", how.calls);
    // What warms up is not counted.
    bare(&child.target, &data, how.pipeline, how.calls / 10).await?;
    let bare = bare(&child.target, &data, how.pipeline, how.calls).await?;
    let own = own(&child.target, &data, how.pipeline, how.calls).await?;
    let figure = |name: &str, used: &Used| {
        let mut figure = Figure::new("outconn", name, point.clone());
        figure.bytes = u32::try_from(data.len()).ok();
        figure.per_second = Some(how.calls as f64 / used.took.as_secs_f64());
        figure.cpu_s_per_100k = Some(used.cpu.as_secs_f64() * 100_000.0 / how.calls as f64);
        figure
    };
    let mut client = figure("client of spanwire-outconn", &own);
    client.ratio = Some(own.cpu.as_secs_f64() / bare.cpu.as_secs_f64());
    client.rss_mib = Some(own.grown_kib as f64 / 1024.0);
    // What the first tenth of the calls needed is there; the rest must not add to it.
    client.at_most("memory added, MiB", client.rss_mib, MOST_MIB);
    let cut = cuts::measure(&child.target, &data, how.pipeline).await?;
    let figures = [figure("writes frames and counts replies", &bare), client, cut];
    table::show("outconn: what a client uses for a call", &figures, common, true)
}

/// What this process used.
struct Used {
    took: Duration,
    cpu: Duration,
    grown_kib: u64,
}

async fn bare(target: &Target, data: &Payload, pipeline: u32, calls: u64) -> Result<Used> {
    let mut client = Client::open(target).await?;
    let call = client.call(data);
    let reply = client.exchange(&call).await?;
    check_reply(&reply, &call, target, data)?;
    let (mut counter, mut buffer) = (ReplyCounter::new(reply.len()), vec![0; 64 * 1024]);
    let (begun, cpu) = (Instant::now(), cpu_of("self")?);
    let mut to_send = u64::from(pipeline).min(calls);
    let (mut sent, mut answered) = (0, 0);
    while answered < calls {
        let batch = call.repeat(usize::try_from(to_send)?);
        client.stream.write_all(&batch).await?;
        sent += to_send;
        let read = client.stream.read(&mut buffer).await?;
        let replies = u64::from(counter.count(buffer.get(..read).unwrap_or_default())?);
        if read == 0 {
            return Err("the server closed the connection".into());
        }
        answered += replies;
        to_send = replies.min(calls - sent);
    }
    Ok(Used { took: begun.elapsed(), cpu: cpu_of("self")?.saturating_sub(cpu), grown_kib: 0 })
}

async fn own(target: &Target, data: &Payload, pipeline: u32, calls: u64) -> Result<Used> {
    let mut options = ClientOptions::new(format!("ws://{}{PATH}", target.address).parse()?);
    options.username = USERNAME.to_owned();
    options.password = Secret::new(PASSWORD.to_owned());
    let client = spanwire_outconn::Client::connect(&options, NoHandler).await?;
    let left = Arc::new(AtomicU64::new(0));
    let run = async |calls: u64| -> Result<()> {
        left.store(calls, Ordering::Relaxed);
        let mut callers = JoinSet::new();
        for _ in 0..pipeline {
            let (client, left, data) = (client.clone(), Arc::clone(&left), data.clone());
            callers.spawn(async move {
                let one_less = |left: u64| left.checked_sub(1);
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
                    let reply = client.call(data.clone(), CallOptions::default()).await?;
                    if reply.bytes() != data.bytes() {
                        return Err("another caller's reply".into());
                    }
                }
                Ok::<_, crate::Failure>(())
            });
        }
        while let Some(done) = callers.join_next().await {
            done??;
        }
        Ok(())
    };
    run(calls / 10).await?;
    let before = resident_kib()?;
    let (begun, cpu) = (Instant::now(), cpu_of("self")?);
    run(calls).await?;
    let cpu = cpu_of("self")?.saturating_sub(cpu);
    let grown_kib = resident_kib()?.saturating_sub(before);
    Ok(Used { took: begun.elapsed(), cpu, grown_kib })
}

/// Resident memory of this process.
fn resident_kib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next());
    Ok(kib.ok_or("no VmRSS")?.parse()?)
}

const MOST_MIB: f64 = 4.0;
