//! Publishers and subscribers of any server, one task each.
//!
//! What they say is a [`Publish`] or a [`Consume`]; when they say it is decided here, the same way for every server. Every
//! message carries when it was sent, so that each subscriber knows how long it was under way. Answers are taken to come
//! in the order of what they answer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use memchr::memchr_iter;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

use crate::Result;
use crate::latency::{self, Latencies};

/// How a publisher speaks.
pub(crate) trait Publish: Send {
    /// Writes one publication of the next message.
    fn publish(&mut self, stamp: Stamp, to: &mut Vec<u8>);

    /// Takes the answers that are complete; tells how many publications they acknowledge.
    fn acknowledged(&mut self, from: &mut BytesMut) -> Result<usize>;
}

/// How a subscriber speaks.
pub(crate) trait Consume: Send {
    /// Takes what is complete, shows the bytes with the bodies in it, and writes what acknowledges them.
    fn consumed(
        &mut self,
        from: &mut BytesMut,
        seen: &mut dyn FnMut(&[u8]),
        to: &mut Vec<u8>,
    ) -> Result<()>;
}

/// A connection, and what was read of it but not looked at.
pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    pub(crate) buffer: BytesMut,
}

impl Link {
    pub(crate) fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::new() })
    }

    /// Waits for further bytes.
    pub(crate) async fn read(&mut self) -> Result<()> {
        self.buffer.reserve(READ_AT_ONCE);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("a server closed a connection".into()),
            _ => Ok(()),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }
}

/// When a message was sent, in microseconds since the run began, as it stands in its body.
pub(crate) type Stamp = [u8; STAMP];

const STAMP: usize = 16;
/// Nothing else that a server sends has this character in it.
const MARK: u8 = b'@';

/// A body of so many bytes with room for a stamp, and where that is.
///
/// The shortest is as long as a stamp with its mark.
pub(crate) fn body(bytes: u32) -> String {
    let filling = (bytes as usize).saturating_sub(STAMP + 1);
    format!("{}{}{}", char::from(MARK), "0".repeat(STAMP), "x".repeat(filling))
}

/// Bytes that hold a body, to be sent again and again.
pub(crate) struct Template {
    bytes: Vec<u8>,
    at: usize,
}

impl Template {
    pub(crate) fn new(bytes: Vec<u8>) -> Result<Self> {
        let at = memchr::memchr(MARK, &bytes).ok_or("nothing is published without a body")? + 1;
        Ok(Self { bytes, at })
    }

    pub(crate) fn write(&self, stamp: Stamp, to: &mut Vec<u8>) {
        let at = to.len() + self.at;
        to.extend_from_slice(&self.bytes);
        if let Some(place) = to.get_mut(at..at + STAMP) {
            place.copy_from_slice(&stamp);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Warming,
    Measuring,
    Stopping,
}

/// What all tasks of a measurement share.
pub(crate) struct Run {
    begun: Instant,
    phase: watch::Sender<Phase>,
    /// Messages published, and bodies that subscribers got.
    pub(crate) published: AtomicU64,
    pub(crate) received: AtomicU64,
    subscribers: u64,
    /// How many messages publishers may be ahead of the subscribers, on the average.
    window: Option<u64>,
    progress: Notify,
}

impl Run {
    pub(crate) fn new(subscribers: u32, window: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            phase: watch::Sender::new(Phase::Warming),
            published: AtomicU64::new(0),
            received: AtomicU64::new(0),
            subscribers: u64::from(subscribers.max(1)),
            window,
            progress: Notify::new(),
        })
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
        self.progress.notify_one();
    }

    fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn stamp(&self) -> Stamp {
        let mut stamp = [b'0'; STAMP];
        let mut left = self.micros();
        for place in stamp.iter_mut().rev() {
            *place = b'0' + u8::try_from(left % 10).unwrap_or(0);
            left /= 10;
        }
        stamp
    }

    fn is_full(&self) -> bool {
        let received = self.received.load(Ordering::Relaxed) / self.subscribers;
        let ahead = self.published.load(Ordering::Relaxed).saturating_sub(received);
        self.window.is_some_and(|window| ahead >= window)
    }

    /// Waits until the subscribers have caught up.
    async fn room(&self) {
        while self.is_full() && self.phase() != Phase::Stopping {
            self.progress.notified().await;
        }
    }

    /// Waits until so many bodies were received by all subscribers together.
    pub(crate) async fn all_received(&self, bodies: u64, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        while self.received.load(Ordering::Relaxed) < bodies {
            if begun.elapsed() > patience {
                let received = self.received.load(Ordering::Relaxed);
                return Err(format!("only {received} of {bodies} messages came").into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

/// Keeps publications in flight until it has to stop; tells how long they took that were acknowledged while measuring.
pub(crate) async fn publish_always(
    (mut link, mut speech): (Link, Box<dyn Publish>),
    in_flight: u32,
    run: Arc<Run>,
) -> Result<Latencies> {
    let mut latencies = latency::empty()?;
    let mut sent = VecDeque::new();
    let mut out = Vec::new();
    let mut to_send = in_flight as usize;
    loop {
        run.room().await;
        if run.phase() == Phase::Stopping {
            to_send = 0;
        }
        if to_send > 0 {
            out.clear();
            let (now, stamp) = (Instant::now(), run.stamp());
            for _ in 0..to_send {
                speech.publish(stamp, &mut out);
                sent.push_back(now);
            }
            run.published.fetch_add(to_send as u64, Ordering::Relaxed);
            link.write(&out).await?;
        }
        if sent.is_empty() {
            return Ok(latencies);
        }
        link.read().await?;
        to_send = speech.acknowledged(&mut link.buffer)?;
        note(&mut sent, to_send, &run, &mut latencies)?;
    }
}

/// Publishes so many messages in a second as long as they are answered; tells how long the acknowledgements took.
pub(crate) async fn publish_steadily(
    (mut link, mut speech): (Link, Box<dyn Publish>),
    per_second: f64,
    run: Arc<Run>,
) -> Result<Latencies> {
    let mut latencies = latency::empty()?;
    let mut sent = VecDeque::new();
    let mut out = Vec::new();
    let mut clock = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
    while run.phase() != Phase::Stopping || !sent.is_empty() {
        tokio::select! {
            // One that is not answered for long holds the next ones up.
            _ = clock.tick(), if run.phase() != Phase::Stopping && sent.len() < MOST_IN_FLIGHT => {
                out.clear();
                sent.push_back(Instant::now());
                speech.publish(run.stamp(), &mut out);
                run.published.fetch_add(1, Ordering::Relaxed);
                link.write(&out).await?;
            }
            read = link.read() => {
                read?;
                let count = speech.acknowledged(&mut link.buffer)?;
                note(&mut sent, count, &run, &mut latencies)?;
            }
        }
    }
    Ok(latencies)
}

fn note(
    sent: &mut VecDeque<Instant>,
    acknowledged: usize,
    run: &Run,
    latencies: &mut Latencies,
) -> Result<()> {
    if acknowledged > sent.len() {
        return Err("more acknowledgements than publications".into());
    }
    let (now, measuring) = (Instant::now(), run.phase() == Phase::Measuring);
    for sent in sent.drain(..acknowledged) {
        if measuring {
            latency::record(latencies, now - sent);
        }
    }
    Ok(())
}

/// Publishes a number of messages and waits until all are acknowledged.
pub(crate) async fn publish_count(
    (link, speech): &mut (Link, Box<dyn Publish>),
    count: u64,
    in_flight: u64,
    run: &Run,
) -> Result<()> {
    let (mut sent, mut acknowledged) = (0, 0);
    let mut out = Vec::new();
    while acknowledged < count {
        out.clear();
        while sent < count && sent - acknowledged < in_flight {
            speech.publish(run.stamp(), &mut out);
            sent += 1;
        }
        link.write(&out).await?;
        link.read().await?;
        acknowledged += speech.acknowledged(&mut link.buffer)? as u64;
    }
    run.published.fetch_add(count, Ordering::Relaxed);
    Ok(())
}

/// Takes messages until it has to stop; tells how long those were under way that came while measuring.
pub(crate) async fn subscribe(
    (mut link, mut speech): (Link, Box<dyn Consume>),
    run: Arc<Run>,
) -> Result<Latencies> {
    let mut latencies = latency::empty()?;
    let mut phases = run.phase.subscribe();
    let mut out = Vec::new();
    loop {
        take(&mut link, &mut *speech, &run, &mut latencies, &mut out)?;
        if !out.is_empty() {
            link.write(&out).await?;
            out.clear();
        }
        tokio::select! {
            read = link.read() => read?,
            _ = phases.wait_for(|phase| *phase == Phase::Stopping) => return Ok(latencies),
        }
    }
}

fn take(
    link: &mut Link,
    speech: &mut dyn Consume,
    run: &Run,
    latencies: &mut Latencies,
    out: &mut Vec<u8>,
) -> Result<()> {
    let (now, measuring) = (run.micros(), run.phase() == Phase::Measuring);
    let mut bodies = 0;
    let mut seen = |bytes: &[u8]| {
        for at in memchr_iter(MARK, bytes) {
            bodies += 1;
            if measuring && let Some(sent) = bytes.get(at + 1..).and_then(stamped) {
                latency::record(latencies, Duration::from_micros(now.saturating_sub(sent)));
            }
        }
    };
    speech.consumed(&mut link.buffer, &mut seen, out)?;
    if bodies > 0 {
        run.received.fetch_add(bodies, Ordering::Relaxed);
        if run.window.is_some() && !run.is_full() {
            run.progress.notify_one();
        }
    }
    Ok(())
}

/// The stamp at the start of these bytes.
fn stamped(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.get(..STAMP)?;
    digits.iter().try_fold(0, |sum: u64, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0'))
    })
}

/// Room for all that is ready at most points.
const READ_AT_ONCE: usize = 16 * 1024;
const LOOK: Duration = Duration::from_millis(2);
/// Calls that this server takes from a client at a time.
const MOST_IN_FLIGHT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let template = Template::new(format!("PUB {}", body(128)).into_bytes()).unwrap();
        let mut out = b"before".to_vec();
        template.write(*b"0000000000123456", &mut out);
        assert_eq!(out.len(), "before".len() + "PUB ".len() + 128);
        let at = memchr::memchr(MARK, &out).unwrap();
        assert_eq!(stamped(&out[at + 1..]), Some(123_456));
        assert_eq!(stamped(b"12"), None);
    }

    #[test]
    fn publishers_wait_for_subscribers_that_are_behind() {
        let run = Run::new(2, Some(10));
        run.published.store(14, Ordering::Relaxed);
        assert!(run.is_full());
        run.received.store(10, Ordering::Relaxed);
        assert!(!run.is_full());
    }
}
