//! Calls over a link that is cut and frozen again and again: how late the answer or the error is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt as _};
use hdrhistogram::Histogram;
use spanwire_crypto::Secret;
use spanwire_outconn::{
    CallOptions, ClientOptions, Closed, Delivery, HandlerError, Link, LinkEvents, LinkOptions,
    PlainMessage, Request,
};
use spanwire_protocol::Payload;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Result;
use crate::client::{PASSWORD, PATH, Target, USERNAME};
use crate::table::Figure;

/// Calls for so long, with this many callers, and has the link cut meanwhile.
pub(super) async fn measure(target: &Target, data: &Payload, callers: u32) -> Result<Figure> {
    let moods = Arc::new(watch::channel(Mood::Flowing).0);
    let proxy = proxy(target.address, moods.subscribe()).await?;
    let link = link(proxy)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let mut calling = JoinSet::new();
    for _ in 0..callers {
        let (link, data) = (link.clone(), data.clone());
        let (is_over, answered) = (Arc::clone(&is_over), Arc::clone(&answered));
        calling.spawn(async move {
            let mut late = Histogram::<u64>::new(3)?;
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let options = CallOptions { timeout: Some(TIMEOUT), ..CallOptions::default() };
                let result = link.call(data.clone(), options).await;
                late.record(micros(begun.elapsed().saturating_sub(TIMEOUT)))?;
                match result {
                    Ok(_) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                    // Nothing is open: the error came at once.
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
            Ok::<_, crate::Failure>(late)
        });
    }
    // Frozen longer than a call may take, so that deadlines are what ends calls.
    for round in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(200 + 37 * (round % 11))).await;
        moods.send_replace(Mood::Frozen);
        tokio::time::sleep(Duration::from_millis(if round % 2 == 0 { 700 } else { 20 })).await;
        moods.send_replace(Mood::Cut);
        tokio::time::sleep(Duration::from_millis(50)).await;
        moods.send_replace(Mood::Flowing);
    }
    is_over.store(true, Ordering::Relaxed);
    let mut late = Histogram::<u64>::new(3)?;
    while let Some(caller) = calling.join_next().await {
        late.add(caller??)?;
    }
    link.stop().await;
    let mut figure = Figure::new(
        "outconn",
        "a link that is cut",
        format!(
            "{ROUNDS} cuts, {} calls, {} answered",
            late.len(),
            answered.load(Ordering::Relaxed)
        ),
    );
    let millis = |micros: u64| micros as f64 / 1_000.0;
    figure.p50_ms = Some(millis(late.value_at_quantile(0.5)));
    figure.p99_ms = Some(millis(late.value_at_quantile(0.99)));
    figure.at_most("the latest is past its deadline, ms", Some(millis(late.max())), 100.0);
    Ok(figure)
}

fn link(address: SocketAddr) -> Result<Link> {
    let mut client = ClientOptions::new(format!("ws://{address}{PATH}").parse()?);
    client.username = USERNAME.to_owned();
    client.password = Secret::new(PASSWORD.to_owned());
    let mut options = LinkOptions::new("cut", client);
    (options.first_pause, options.longest_pause) = (SHORT, SHORT);
    Ok(Link::start(options, Quiet))
}

/// Whether bytes get through.
#[derive(Clone, Copy)]
enum Mood {
    Flowing,
    /// Connections stay, and nothing gets through any more.
    Frozen,
    /// Connections end at once, also new ones.
    Cut,
}

async fn proxy(target: SocketAddr, moods: watch::Receiver<Mood>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(forward(near, target, moods.clone()));
        }
    });
    Ok(address)
}

async fn forward(mut near: TcpStream, target: SocketAddr, mut moods: watch::Receiver<Mood>) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    if matches!(*moods.borrow_and_update(), Mood::Flowing) {
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
            _ = moods.changed() => {}
        }
    }
    // What was on its way is lost: a connection never flows again.
    let _ = moods.wait_for(|mood| !matches!(mood, Mood::Frozen)).await;
}

/// A link that nobody listens to.
struct Quiet;

impl LinkEvents for Quiet {
    fn connected(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn asked(&self, request: Request) -> BoxFuture<'_, std::result::Result<Payload, HandlerError>> {
        async move { Ok(request.data) }.boxed()
    }

    fn delivered(&self, _: Delivery) -> BoxFuture<'_, std::result::Result<(), HandlerError>> {
        async { Ok(()) }.boxed()
    }

    fn received(&self, _: PlainMessage) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn closed(&self, _: Closed) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn topics(&self) -> BoxFuture<'_, Option<Vec<String>>> {
        async { None }.boxed()
    }

    fn key_of(&self, _: &str) -> BoxFuture<'_, Option<String>> {
        async { None }.boxed()
    }

    fn other_keys(&self, _: &[String]) -> Vec<(String, String)> {
        Vec::new()
    }

    fn keep_key(&self, _: &str, _: Option<&str>) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

const TIMEOUT: Duration = Duration::from_millis(500);
const SHORT: Duration = Duration::from_millis(50);
const ROUNDS: u64 = 40;
