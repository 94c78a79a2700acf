//! A connection to a server that does not speak the client protocol: messages as they are, both ways.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use spanwire_protocol::{CloseCode, CloseFrame};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::client::ClientOptions;
use crate::connect::{self, ConnectError};
use crate::socket::{self, Closed, Conversation, Outgoing};

/// A message as it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlainMessage {
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

/// Takes what a plain peer sends, one message after the other.
pub trait PlainHandler: Send + Sync + 'static {
    /// Takes a message. The next one waits until this one is done with.
    fn received(&self, message: PlainMessage) -> BoxFuture<'_, ()>;
}

/// The connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is closed")]
pub struct PlainClosed;

/// An open connection to a plain peer. Cloning shares it; it is closed once the last clone is dropped.
#[derive(Clone, Debug)]
pub struct PlainSocket {
    commands: mpsc::Sender<Command>,
    closed: watch::Receiver<Option<Closed>>,
}

#[derive(Debug)]
enum Command {
    Send(Message),
    Close,
}

impl PlainSocket {
    /// Connects. Of the options only where, how patiently and how much count.
    ///
    /// # Errors
    /// [`ConnectError`]; also when something answers with another status than 101.
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection.
    pub async fn connect(
        options: &ClientOptions,
        handler: impl PlainHandler,
    ) -> Result<Self, ConnectError> {
        Self::connect_with(options, Arc::new(handler)).await
    }

    pub(crate) async fn connect_with(
        options: &ClientOptions,
        handler: Arc<dyn PlainHandler>,
    ) -> Result<Self, ConnectError> {
        let late = |_| ConnectError::TimedOut(options.connect_timeout);
        let (address, tls) = (&options.address, options.tls.as_ref());
        let opening = connect::open(address, tls, "", options.max_message_bytes);
        let (socket, _) =
            tokio::time::timeout(options.connect_timeout, opening).await.map_err(late)??;
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (tell_closed, closed) = watch::channel(None);
        let mut conversation = PlainConversation {
            commands: receiver,
            handler,
            running: JoinSet::new(),
            waiting: VecDeque::new(),
            bytes: 0,
            outgoing: None,
            is_over: false,
        };
        let limits = options.limits();
        tokio::spawn(async move {
            let closed = socket::run(socket, &limits, &mut conversation).await;
            drop(conversation);
            // Nobody may be interested.
            let _ = tell_closed.send(Some(closed));
        });
        Ok(Self { commands, closed })
    }

    /// Hands a message over to be sent; waits while the peer does not read. `Ok` does not say that it has arrived.
    ///
    /// # Errors
    /// When the connection is over.
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing.
    pub async fn send(&self, message: PlainMessage) -> Result<(), PlainClosed> {
        let message = match message {
            PlainMessage::Text(text) => Message::Text(Utf8Bytes::from(text)),
            PlainMessage::Binary(bytes) => Message::Binary(bytes),
        };
        self.commands.send(Command::Send(message)).await.map_err(|_| PlainClosed)
    }

    /// Whether the connection is there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.closed.borrow().is_none()
    }

    /// Waits until the connection is over, and tells how it ended.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn closed(&self) -> Closed {
        socket::wait_closed(&self.closed).await
    }

    /// Closes the connection with 1000, and waits until it is over.
    ///
    /// # Cancel safety
    /// Dropping the future does not wait.
    pub async fn close(&self) -> Closed {
        // Where it cannot be told any more, it is over.
        let _ = self.commands.send(Command::Close).await;
        self.closed().await
    }
}

struct PlainConversation {
    commands: mpsc::Receiver<Command>,
    handler: Arc<dyn PlainHandler>,
    /// One at most.
    running: JoinSet<()>,
    waiting: VecDeque<PlainMessage>,
    bytes: usize,
    outgoing: Option<Outgoing>,
    is_over: bool,
}

impl PlainMessage {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

impl PlainConversation {
    fn start(&mut self) {
        if self.running.is_empty()
            && let Some(message) = self.waiting.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(message.len());
            let handler = Arc::clone(&self.handler);
            self.running.spawn(async move { handler.received(message).await });
        }
    }
}

impl Conversation for PlainConversation {
    fn receive(&mut self, content: Bytes, is_text: bool) {
        let text = if is_text { String::from_utf8(content.to_vec()).ok() } else { None };
        let message = text.map_or(PlainMessage::Binary(content), PlainMessage::Text);
        self.bytes += message.len();
        self.waiting.push_back(message);
        self.start();
    }

    async fn progress(&mut self) {
        tokio::select! {
            command = self.commands.recv(), if self.outgoing.is_none() && !self.is_over => {
                self.outgoing = Some(match command {
                    Some(Command::Send(message)) => Outgoing::Message(message),
                    Some(Command::Close) | None => {
                        self.is_over = true;
                        Outgoing::Close(CloseFrame::new(CloseCode::NORMAL, ""))
                    }
                });
            }
            Some(done) = self.running.join_next() => {
                if let Err(error) = done {
                    tracing::error!(%error, "the handler of a peer's messages has panicked");
                }
                self.start();
            }
            else => std::future::pending().await,
        }
    }

    fn poll_send(&mut self) -> Option<Outgoing> {
        self.outgoing.take()
    }

    fn has_room(&self) -> bool {
        self.waiting.len() < WAITING && self.bytes < WAITING_BYTES
    }
}

const COMMANDS: usize = 256;
/// How many messages may wait for the handler; beyond that the peer is not read.
const WAITING: usize = 10_000;
const WAITING_BYTES: usize = 16 * 1024 * 1024;
