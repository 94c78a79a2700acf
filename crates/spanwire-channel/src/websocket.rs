//! WebSocket connections (RFC 6455): the upgrade and the loop that drives one conversation.
//!
//! The loop knows nothing of what is said. It reads messages, hands them to a [`Conversation`], writes what the
//! conversation wants written (all that is ready with one system call), answers pings, and closes properly.

mod ending;
mod run;
pub mod upgrade;

use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use spanwire_protocol::{CloseFrame, limits};

pub use ending::{Ending, Side};
pub use run::run;
pub use upgrade::{OriginPolicy, Upgrade};

/// A data message, as it came or as it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Valid UTF-8. An outgoing one that is not is an error of the conversation and closes with 1011.
    Text(Bytes),
    /// Any bytes.
    Binary(Bytes),
}

/// What a conversation wants to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a message.
    Send(Message),
    /// Send a ping; at most 125 bytes.
    Ping(Bytes),
    /// Allow the peer to send messages up to the full limit; before that [`SocketLimits::untrusted_bytes`] holds.
    Trust,
    /// Keep to other limits from now on. A message that is being received is still measured by the former ones; a
    /// higher `max_message_size` than the connection began with holds for new connections only.
    Limit(Box<SocketLimits>),
    /// Close with this frame. Nothing is asked of the conversation after that.
    Close(CloseFrame),
}

/// What is said on one connection. All methods are called by one task and must not block.
pub trait Conversation: Send {
    /// A message came.
    fn handle_message(&mut self, message: Message);

    /// A pong came.
    fn handle_pong(&mut self);

    /// Makes progress on everything that does not come from the peer (answers of services, requests from elsewhere,
    /// timers) and arranges to be woken. Called in each turn of the loop. Without `room` the outgoing queue is full:
    /// what would only produce more output should wait.
    fn poll_progress(&mut self, cx: &mut Context<'_>, room: bool);

    /// What is to be done next.
    fn poll_action(&mut self) -> Option<Action>;

    /// How many bytes wait to be sent, for whoever asks.
    fn queue_changed(&mut self, bytes: usize) {
        let _ = bytes;
    }

    /// Everything that was to be sent so far was written to the socket. Tells whether that makes further progress
    /// possible.
    fn flushed(&mut self) -> bool {
        false
    }

    /// The connection is over.
    fn handle_end(&mut self, ending: &Ending);
}

/// Limits of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketLimits {
    /// The greatest message, in bytes; 16 MiB. Above it the connection is closed with 1009, before anything is
    /// allocated for it.
    pub max_message_size: usize,
    /// How many bytes may wait to be sent, pongs included; 8 MiB. At the limit the connection is not read and no results are taken,
    /// until the peer has read; the queue holds at most one message more.
    pub outgoing_queue_size: usize,
    /// How many bytes a peer may send before the conversation trusts it; 64 KiB.
    pub untrusted_bytes: usize,
    /// How long writing may stand still before the connection is given up; 60 s.
    pub write_timeout: Duration,
    /// How long the peer may take to answer a close frame; 2 s.
    pub close_timeout: Duration,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            max_message_size: limits::DEFAULT_MAX_MESSAGE_SIZE,
            outgoing_queue_size: limits::DEFAULT_OUTGOING_QUEUE_SIZE,
            untrusted_bytes: 64 * 1024,
            write_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(2),
        }
    }
}
