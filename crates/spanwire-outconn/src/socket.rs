//! The loop of one connection: reads, writes, pings, closes. What is said is a [`Conversation`]'s business.
//!
//! Invariants: the outgoing queue holds at most its limit and one message; a conversation that has no room is not read
//! for; writing that stands still, a peer that answers no ping, and a close that is not answered, end in bounded time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{Sink as _, StreamExt as _};
use spanwire_protocol::{CloseCode, CloseFrame};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WireCode;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::connect::Socket;

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The peer sent a close frame.
    Peer,
    /// We did.
    Us,
    /// The connection was lost, or the peer was silent for too long.
    Network,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Who ended it.
    pub side: Side,
    /// The close code (RFC 6455 section 7.4): 1005 where the peer gave none, 1006 where there was no close frame.
    pub code: u16,
    /// The peer's words, or what happened.
    pub reason: String,
}

impl Closed {
    pub(crate) fn by_us(frame: &CloseFrame) -> Self {
        Self { side: Side::Us, code: frame.code.0, reason: frame.reason.to_string() }
    }

    pub(crate) fn lost(reason: impl Into<String>) -> Self {
        Self { side: Side::Network, code: CloseCode::ABNORMAL.0, reason: reason.into() }
    }

    fn by_peer(frame: Option<&tungstenite::protocol::CloseFrame>) -> Self {
        let (code, reason) = match frame {
            Some(frame) => (frame.code.into(), frame.reason.as_str().to_owned()),
            None => (CloseCode::NONE.0, String::new()),
        };
        Self { side: Side::Peer, code, reason }
    }
}

/// How patient a connection is.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) outgoing_bytes: usize,
    pub(crate) ping_interval: Duration,
    pub(crate) pings_missed: u32,
    pub(crate) write_timeout: Duration,
}

/// What a conversation wants to be done.
pub(crate) enum Outgoing {
    Message(Message),
    Close(CloseFrame),
}

/// What is said on a connection.
pub(crate) trait Conversation: Send {
    /// Takes a text or binary message.
    fn receive(&mut self, content: Bytes, is_text: bool);

    /// Waits for whatever else lets it go on. Cancel safe: nothing is lost when it is dropped.
    fn progress(&mut self) -> impl Future<Output = ()> + Send;

    /// What to send next.
    fn poll_send(&mut self) -> Option<Outgoing>;

    /// Whether more may be read for it.
    fn has_room(&self) -> bool;
}

/// Drives a conversation until the connection is over.
///
/// # Cancel safety
/// Dropping the future drops the connection without a close frame.
pub(crate) async fn run(
    socket: Socket,
    limits: &Limits,
    conversation: &mut impl Conversation,
) -> Closed {
    let (sink, stream) = socket.split();
    let driver = Driver {
        stream,
        writer: Writer { sink, queue: VecDeque::new(), bytes: 0, needs_flush: false, written: 0 },
        pings: Pings::new(limits),
        stalled: None,
        closing: None,
        limits,
    };
    driver.run(conversation).await
}

struct Driver<'a> {
    stream: SplitStream<Socket>,
    writer: Writer,
    pings: Pings,
    /// Until when writing has to progress from what it was then.
    stalled: Option<(Instant, u64)>,
    /// What we closed with, and how long the peer's answer is waited for.
    closing: Option<(Closed, Instant)>,
    limits: &'a Limits,
}

impl Driver<'_> {
    async fn run(mut self, conversation: &mut impl Conversation) -> Closed {
        loop {
            while self.has_room()
                && let Some(outgoing) = conversation.poll_send()
            {
                match outgoing {
                    Outgoing::Message(message) => self.writer.push(message),
                    Outgoing::Close(frame) => self.close(&frame),
                }
            }
            let has_room = self.has_room();
            // Also while the queue is full: two ends that wait for each other to read would wait for ever. What is read
            // adds nothing to the queue, since answers are taken in `progress`.
            let reads = self.closing.is_some() || conversation.has_room();
            if !self.writer.is_idle() && self.stalled.is_none() {
                self.stalled =
                    Some((Instant::now() + self.limits.write_timeout, self.writer.written));
            }
            let stalled = self.stalled.map(|(at, _)| at);
            let closing = self.closing.as_ref().map(|(_, until)| *until);
            tokio::select! {
                written = self.writer.write(), if !self.writer.is_idle() => match written {
                    Ok(()) => self.stalled = None,
                    Err(error) => return self.end(Closed::lost(error.to_string())),
                },
                message = self.stream.next(), if reads => {
                    self.pings.heard();
                    if let Some(closed) = self.take(message, conversation).await {
                        return self.end(closed);
                    }
                }
                () = conversation.progress(), if has_room => {}
                () = sleep_until(self.pings.due), if self.closing.is_none() => {
                    // Whoever is not read cannot be heard.
                    match self.pings.tick(reads) {
                        true => self.writer.push(Message::Ping(Bytes::new())),
                        false => return Closed::lost("the peer does not answer pings"),
                    }
                }
                () = until(stalled) => match self.stalled.take() {
                    Some((_, written)) if written == self.writer.written => {
                        return self.end(Closed::lost("the peer does not read"));
                    }
                    _ => {}
                },
                () = until(closing) => return self.end(Closed::lost("the close was not answered")),
            }
        }
    }

    fn has_room(&self) -> bool {
        self.closing.is_none() && self.writer.bytes < self.limits.outgoing_bytes
    }

    fn close(&mut self, frame: &CloseFrame) {
        self.writer.push(Message::Close(Some(to_wire(frame))));
        self.closing = Some((Closed::by_us(frame), Instant::now() + CLOSE_TIMEOUT));
    }

    /// Takes what was read; tells when that was the end.
    async fn take(
        &mut self,
        message: Option<Result<Message, tungstenite::Error>>,
        conversation: &mut impl Conversation,
    ) -> Option<Closed> {
        match message {
            None => return Some(Closed::lost("the connection was closed without a word")),
            Some(Ok(Message::Close(frame))) => {
                // The library has queued the answer; it is polite, and no more.
                let answer = poll_fn(|cx| self.writer.poll_flush(cx));
                let _ = timeout(CLOSE_TIMEOUT, answer).await;
                return Some(Closed::by_peer(frame.as_ref()));
            }
            Some(Ok(_)) if self.closing.is_some() => {}
            Some(Ok(Message::Text(text))) => conversation.receive(text.into(), true),
            Some(Ok(Message::Binary(bytes))) => conversation.receive(bytes, false),
            // The library has queued the pong.
            Some(Ok(Message::Ping(_))) => self.writer.needs_flush = true,
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                let Some(frame) = violation(&error) else {
                    return Some(Closed::lost(error.to_string()));
                };
                self.writer.push(Message::Close(Some(to_wire(&frame))));
                let _ = timeout(CLOSE_TIMEOUT, self.writer.write()).await;
                return Some(Closed::by_us(&frame));
            }
        }
        None
    }

    /// What we closed with counts more than how the connection ended then.
    fn end(self, closed: Closed) -> Closed {
        self.closing.map_or(closed, |(closed, _)| closed)
    }
}

/// What is to be written. It survives a write that is given up.
struct Writer {
    sink: SplitSink<Socket, Message>,
    queue: VecDeque<Message>,
    bytes: usize,
    needs_flush: bool,
    /// How many messages were handed over.
    written: u64,
}

impl Writer {
    fn push(&mut self, message: Message) {
        self.bytes += message.len() + OVERHEAD;
        self.queue.push_back(message);
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.needs_flush
    }

    async fn write(&mut self) -> Result<(), tungstenite::Error> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        while !self.queue.is_empty() {
            std::task::ready!(Pin::new(&mut self.sink).poll_ready(cx))?;
            if let Some(message) = self.queue.pop_front() {
                self.bytes = self.bytes.saturating_sub(message.len() + OVERHEAD);
                self.written += 1;
                self.needs_flush = true;
                Pin::new(&mut self.sink).start_send(message)?;
            }
        }
        std::task::ready!(Pin::new(&mut self.sink).poll_flush(cx))?;
        self.needs_flush = false;
        Poll::Ready(Ok(()))
    }
}

/// Whether the peer is there.
struct Pings {
    interval: Duration,
    threshold: u32,
    unanswered: u32,
    due: Instant,
}

impl Pings {
    fn new(limits: &Limits) -> Self {
        Self {
            interval: limits.ping_interval,
            threshold: limits.pings_missed,
            unanswered: 0,
            due: Instant::now() + limits.ping_interval,
        }
    }

    /// Anything that the peer says is as good as a pong.
    fn heard(&mut self) {
        self.unanswered = 0;
    }

    /// Tells whether to ping again; otherwise the peer is gone.
    fn tick(&mut self, reads: bool) -> bool {
        self.due = Instant::now() + self.interval;
        if !reads {
            self.unanswered = 0;
        }
        if self.unanswered >= self.threshold {
            return false;
        }
        self.unanswered += 1;
        true
    }
}

/// Waits until a connection is over that tells how it ended.
pub(crate) async fn wait_closed(closed: &watch::Receiver<Option<Closed>>) -> Closed {
    let mut closed = closed.clone();
    match closed.wait_for(Option::is_some).await.map(|it| (*it).clone()) {
        Ok(Some(closed)) => closed,
        _ => Closed::lost("the connection was given up"),
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn to_wire(frame: &CloseFrame) -> tungstenite::protocol::CloseFrame {
    tungstenite::protocol::CloseFrame {
        code: WireCode::from(frame.code.0),
        reason: (&*frame.reason).into(),
    }
}

/// What to tell a peer that broke the protocol; `None` when there is nobody left to tell.
fn violation(error: &tungstenite::Error) -> Option<CloseFrame> {
    use tungstenite::Error;
    use tungstenite::error::{CapacityError, ProtocolError};
    match error {
        Error::Utf8(_) => Some(CloseFrame::new(CloseCode::INVALID_DATA, "Invalid UTF-8 bytes")),
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            Some(CloseFrame::new(CloseCode::TOO_BIG, "Message is too big"))
        }
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(error) => {
            Some(CloseFrame::with_reason(CloseCode::PROTOCOL, error.to_string()))
        }
        _ => None,
    }
}

/// What a queued message takes beside its content.
const OVERHEAD: usize = 64;
/// How long the answer to a close is waited for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
