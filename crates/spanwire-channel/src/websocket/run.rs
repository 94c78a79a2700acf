//! The loop of one connection.
//!
//! One task reads, lets the conversation progress, and writes, by polling: no part waits for another. Each turn reads
//! at most [`READS_PER_TURN`] messages and then lets other connections run, and everything that became ready in a turn
//! is written with one system call.
//!
//! Invariants: the outgoing queue holds at most its limit and one message; a peer that does not read is not read;
//! writing that stands still, and a close that is not answered, end in bounded time.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream as _};
use spanwire_protocol::{CloseCode, CloseFrame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};

use super::ending::{to_wire, too_big, violation};
use super::{Action, Conversation, Ending, Message, SocketLimits};
use crate::transport::Stream;

/// How many messages one turn reads before other connections get theirs.
const READS_PER_TURN: usize = 32;

/// How many turns a task makes before it lets others run.
const TURNS_PER_POLL: usize = 4;

/// Drives a conversation until the connection is over, and tells how it ended.
///
/// # Cancel safety
/// Dropping the future drops the connection without a close frame; the conversation is not told.
pub async fn run(
    socket: WebSocketStream<Stream>,
    mut conversation: impl Conversation,
    limits: SocketLimits,
) -> Ending {
    let mut driver = Driver {
        socket,
        limits,
        outgoing: VecDeque::new(),
        outgoing_bytes: 0,
        told_bytes: 0,
        pong_bytes: 0,
        needs_flush: false,
        closing: None,
        stalled: None,
        written: 0,
    };
    let ending = std::future::poll_fn(|cx| driver.poll(cx, &mut conversation)).await;
    conversation.handle_end(&ending);
    driver.linger().await;
    ending
}

struct Driver {
    socket: WebSocketStream<Stream>,
    limits: SocketLimits,
    outgoing: VecDeque<tungstenite::Message>,
    outgoing_bytes: usize,
    /// What the conversation was last told of the queue.
    told_bytes: usize,
    /// What the library may hold of pongs that are not written yet.
    pong_bytes: usize,
    needs_flush: bool,
    /// What we closed with, once the conversation or a violation asked for it.
    closing: Option<Ending>,
    /// Runs while writing stands still, and from our close frame on.
    stalled: Option<Pin<Box<Sleep>>>,
    /// How much was written when `stalled` was last set.
    written: u64,
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>, conversation: &mut impl Conversation) -> Poll<Ending> {
        for _ in 0..TURNS_PER_POLL {
            let mut progressed = match self.read(cx, conversation) {
                Ok(progressed) => progressed,
                Err(ending) => return self.finish(cx, ending),
            };
            if self.closing.is_none() {
                conversation.poll_progress(cx, self.has_room());
                progressed |= self.take_actions(conversation);
            }
            let had_room = self.has_room();
            match self.write(cx) {
                Ok(true) => progressed |= conversation.flushed(),
                Ok(false) => {}
                Err(error) => {
                    return Poll::Ready(
                        self.closing.take().unwrap_or_else(|| Ending::lost(Some(&error))),
                    );
                }
            }
            // Room in the queue may be what reading and results waited for.
            progressed |= !had_room && self.has_room();
            if self.told_bytes != self.outgoing_bytes {
                self.told_bytes = self.outgoing_bytes;
                conversation.queue_changed(self.outgoing_bytes);
            }
            if let Some(ending) = self.check_stall(cx) {
                return Poll::Ready(ending);
            }
            if !progressed {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn has_room(&self) -> bool {
        self.outgoing_bytes + self.pong_bytes < self.limits.outgoing_queue_size
    }

    /// Reads what is there. An error is the end of the connection.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        conversation: &mut impl Conversation,
    ) -> Result<bool, Ending> {
        // Whoever does not read what it is sent is not read either, or its requests would fill memory.
        if !self.has_room() {
            return Ok(false);
        }
        for read in 0..READS_PER_TURN {
            let message = match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => return Ok(read > 0),
                Poll::Ready(None) => {
                    return Err(self.closing.take().unwrap_or_else(|| Ending::lost(None)));
                }
                Poll::Ready(Some(message)) => message,
            };
            match message {
                // After our close frame only the peer's is waited for.
                Ok(tungstenite::Message::Close(frame)) => {
                    return Err(self
                        .closing
                        .take()
                        .unwrap_or_else(|| Ending::by_peer(frame.as_ref())));
                }
                Ok(_) if self.closing.is_some() => {}
                // The library keeps to the limit that the connection began with.
                Ok(message) if message.len() > self.limits.max_message_size => {
                    self.close(too_big());
                    return Err(self.closing.take().unwrap_or_else(|| Ending::lost(None)));
                }
                Ok(tungstenite::Message::Text(text)) => {
                    conversation.handle_message(Message::Text(text.into()));
                }
                Ok(tungstenite::Message::Binary(bytes)) => {
                    conversation.handle_message(Message::Binary(bytes));
                }
                Ok(tungstenite::Message::Pong(_)) => conversation.handle_pong(),
                // The library has queued the pong; the flush of this turn sends it.
                Ok(tungstenite::Message::Ping(payload)) => {
                    self.pong_bytes += payload.len() + FRAME_OVERHEAD;
                    self.needs_flush = true;
                }
                Ok(tungstenite::Message::Frame(_)) => {}
                Err(error) => match violation(&error) {
                    Some(frame) if self.closing.is_none() => {
                        self.close(frame);
                        let ending = self.closing.take();
                        return Err(ending.unwrap_or_else(|| Ending::lost(Some(&error))));
                    }
                    _ => {
                        return Err(self
                            .closing
                            .take()
                            .unwrap_or_else(|| Ending::lost(Some(&error))));
                    }
                },
            }
            // What the next message may be is a close, after which nothing more can be handed over.
            if self.take_actions(conversation)
                && let Err(error) = self.hand_over(cx)
            {
                return Err(self.closing.take().unwrap_or_else(|| Ending::lost(Some(&error))));
            }
            if !self.has_room() {
                return Ok(true);
            }
        }
        Ok(true)
    }

    fn take_actions(&mut self, conversation: &mut impl Conversation) -> bool {
        let mut any = false;
        while self.closing.is_none()
            && let Some(action) = conversation.poll_action()
        {
            any = true;
            match action {
                Action::Send(Message::Text(text)) => match Utf8Bytes::try_from(text) {
                    Ok(text) => self.queue(tungstenite::Message::Text(text)),
                    Err(_) => self.close(CloseFrame::new(CloseCode::INTERNAL, "")),
                },
                Action::Send(Message::Binary(bytes)) => {
                    self.queue(tungstenite::Message::Binary(bytes))
                }
                Action::Ping(payload) => self.queue(tungstenite::Message::Ping(payload)),
                Action::Limit(limits) => self.limits = *limits,
                Action::Trust => self.socket.get_mut().set_read_allowance(None),
                Action::Close(frame) => self.close(frame),
            }
        }
        any
    }

    fn queue(&mut self, message: tungstenite::Message) {
        self.outgoing_bytes += message.len() + FRAME_OVERHEAD;
        self.outgoing.push_back(message);
    }

    fn close(&mut self, frame: CloseFrame) {
        self.queue(tungstenite::Message::Close(Some(to_wire(&frame))));
        self.closing = Some(Ending::by_us(frame));
        self.stalled = Some(Box::pin(tokio::time::sleep(self.limits.close_timeout)));
    }

    /// Hands everything queued to the socket, and flushes once; tells whether everything was written by that.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, tungstenite::Error> {
        self.hand_over(cx)?;
        if self.needs_flush
            && self.outgoing.is_empty()
            && Pin::new(&mut self.socket).poll_flush(cx)?.is_ready()
        {
            self.needs_flush = false;
            self.pong_bytes = 0;
            if self.closing.is_none() {
                self.stalled = None;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Hands queued messages to the socket, which writes them when it has many or is flushed.
    fn hand_over(&mut self, cx: &mut Context<'_>) -> Result<(), tungstenite::Error> {
        let mut socket = Pin::new(&mut self.socket);
        while !self.outgoing.is_empty() {
            match socket.as_mut().poll_ready(cx)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(()) => {}
            }
            let Some(message) = self.outgoing.pop_front() else { break };
            self.outgoing_bytes -= message.len() + FRAME_OVERHEAD;
            // The write succeeds or the connection is over: progress ends a stall, except for the one of a close.
            if self.closing.is_none() {
                self.stalled = None;
            }
            socket.as_mut().start_send(message)?;
            self.needs_flush = true;
        }
        Ok(())
    }

    /// Gives up on a peer that takes nothing, or does not answer our close.
    fn check_stall(&mut self, cx: &mut Context<'_>) -> Option<Ending> {
        let stalls = self.needs_flush || !self.outgoing.is_empty() || self.closing.is_some();
        if !stalls {
            self.stalled = None;
            return None;
        }
        // A great message to a slow peer takes as long as it takes, while it moves.
        let written = self.socket.get_ref().written();
        if self.written != written && self.closing.is_none() {
            self.written = written;
            self.stalled = None;
        }
        let timeout = self.limits.write_timeout;
        let sleep = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        match sleep.as_mut().poll(cx) {
            Poll::Pending => None,
            Poll::Ready(()) => {
                Some(self.closing.take().unwrap_or_else(|| Ending::by_us(CloseFrame::TOO_SLOW)))
            }
        }
    }

    /// Sends what is queued — our close frame, or the answer to the peer's — as far as that goes without waiting.
    fn finish(&mut self, cx: &mut Context<'_>, ending: Ending) -> Poll<Ending> {
        self.needs_flush = true;
        // The connection is over either way.
        drop(self.write(cx));
        Poll::Ready(ending)
    }

    /// Ends the TCP connection so that the close frame arrives: a reset, which unread bytes would cause, can overtake
    /// it.
    async fn linger(mut self) {
        let timeout = self.limits.close_timeout;
        let goodbye = async {
            drop(futures_util::SinkExt::flush(&mut self.socket).await);
            let stream = self.socket.get_mut();
            stream.set_read_allowance(None);
            discard(stream).await;
        };
        // Whoever does not take the goodbye in time is cut off.
        drop(tokio::time::timeout(timeout.min(MAX_LINGER), goodbye).await);
    }
}

async fn discard(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut sink = vec![0; 4096];
    while matches!(stream.read(&mut sink).await, Ok(1..)) {}
}

/// What a frame needs besides its payload, so that many empty messages count too.
const FRAME_OVERHEAD: usize = 16;
const MAX_LINGER: Duration = Duration::from_secs(5);

/// Settings of the library for one connection.
pub(super) fn socket_config(limits: &SocketLimits) -> tungstenite::protocol::WebSocketConfig {
    tungstenite::protocol::WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(limits.max_message_size))
        .max_frame_size(Some(limits.max_message_size))
}

/// The default of 128 KiB would be spent on every idle connection.
const READ_BUFFER: usize = 4096;
/// Answers that are ready together leave together, up to this much at once.
const WRITE_BUFFER: usize = 32 * 1024;

/// Wraps the stream of an upgraded connection.
pub(super) async fn open(
    mut stream: Stream,
    ahead: Bytes,
    limits: &SocketLimits,
) -> WebSocketStream<Stream> {
    stream.set_read_allowance(Some(limits.untrusted_bytes));
    // The loop knows better what it waits for.
    stream.set_write_timeout(None);
    let role = tungstenite::protocol::Role::Server;
    let config = Some(socket_config(limits));
    if ahead.is_empty() {
        WebSocketStream::from_raw_socket(stream, role, config).await
    } else {
        WebSocketStream::from_partially_read(stream, ahead.to_vec(), role, config).await
    }
}
