//! Topics with subscriptions of connected clients, in which nothing happens: that must cost nothing.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::Result;
use crate::args::Common;
use crate::args::pubsub::IdleTopics;
use crate::child::{Child, raise_descriptor_limit};
use crate::machine::Watch;
use crate::server::{Wsx, path};
use crate::table::{self, Figure};

pub(crate) async fn measure(common: &Common, how: &IdleTopics, first: bool) -> Result<()> {
    raise_descriptor_limit();
    eprintln!("{} idle topics", how.topics);
    let topics: Vec<String> = (0..how.topics).map(|topic| path(&format!("i{topic}"))).collect();
    let child = Child::with_messages(common, how.store, &topics).await?;
    let before = child.resident_kib()?;
    let begun = Instant::now();
    let each = topics.len().div_ceil(how.connections as usize);
    let mut clients = Vec::new();
    for topics in topics.chunks(each.max(1)) {
        let mut client = Wsx::open(&child.target, false).await?;
        let request = json!({"topic_name_list": topics, "unsub_on_wsx_close": true});
        client.invoke("zato.pubsub.subscription.create-wsx-subscription", &request).await?;
        clients.push(client);
    }
    let took = begun.elapsed();
    tokio::time::sleep(SETTLE).await;
    let server = format!("spanwire, {}", how.store.name());
    let mut made =
        Figure::new("idle-topics", &server, format!("{} subscriptions made", how.topics));
    made.seconds = Some(took.as_secs_f64());
    made.per_second = Some(f64::from(how.topics) / took.as_secs_f64());
    made.rss_mib = Some((child.resident_kib()?.saturating_sub(before)) as f64 / 1024.0);

    let watch = Watch::start(&child)?;
    tokio::time::sleep(Duration::from_secs_f64(how.idle_seconds)).await;
    let usage = watch.stop(&child)?;
    let point = format!("{} idle topics, {} connections", how.topics, clients.len());
    let mut idle = Figure::new("idle-topics", &server, point);
    idle.seconds = Some(usage.took.as_secs_f64());
    idle.cpu_s = Some(usage.cpu.as_secs_f64());
    idle.rss_mib = Some(child.resident_kib()? as f64 / 1024.0);
    idle.at_most("CPU s", idle.cpu_s, MOST_CPU);
    table::show("idle-topics: topics with subscriptions", &[made, idle], common, first)
}

/// None at all, to a few clock ticks.
const MOST_CPU: f64 = 0.02;
/// What subscribing leaves to be done is done.
const SETTLE: Duration = Duration::from_secs(3);
