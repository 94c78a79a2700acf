//! What the rest of the server wants of one connection, bounded, and costing nothing while it is empty.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use spanwire_protocol::{CloseFrame, Payload};
use spanwire_session::AskError;
use tokio::sync::oneshot;

use super::WsxChannel;
use super::delivery::DeliveryStream;

/// One wish.
pub(super) enum Command {
    Ask { data: Payload, timeout: Duration, answer: oneshot::Sender<Result<Payload, AskError>> },
    Tell(Payload),
    Push(DeliveryStream),
    Disconnect(CloseFrame),
    Drain(Instant),
    Reconfigure(Arc<WsxChannel>),
}

impl Command {
    /// What it adds to the outgoing queue; 0 for what must always get through.
    fn bytes(&self) -> usize {
        match self {
            Self::Ask { data, .. } | Self::Tell(data) => data.len().max(1),
            Self::Push(_) | Self::Disconnect(_) | Self::Drain(_) | Self::Reconfigure(_) => 0,
        }
    }
}

/// Why a wish was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    Full,
    Closed,
}

#[derive(Default)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct State {
    commands: VecDeque<Command>,
    bytes: usize,
    closed: bool,
}

impl Mailbox {
    /// Leaves a wish. Messages are refused when `limit` bytes or [`MAX_COMMANDS`] wishes wait already.
    pub(super) fn put(&self, command: Command, limit: usize) -> Result<(), Rejected> {
        let mut state = self.lock();
        if state.closed {
            return Err(Rejected::Closed);
        }
        let bytes = command.bytes();
        let full = state.commands.len() >= MAX_COMMANDS
            || (state.bytes > 0 && state.bytes.saturating_add(bytes) > limit);
        if bytes > 0 && full {
            return Err(Rejected::Full);
        }
        state.bytes += bytes;
        state.commands.push_back(command);
        drop(state);
        self.waker.wake();
        Ok(())
    }

    /// Takes the next wish, or arranges to be woken by one. Without `room`, messages stay where they are.
    pub(super) fn poll(&self, cx: &Context<'_>, room: bool) -> Option<Command> {
        self.register(cx.waker());
        let mut state = self.lock();
        let at = if room {
            0
        } else {
            state.commands.iter().position(|command| command.bytes() == 0)?
        };
        let command = state.commands.remove(at)?;
        state.bytes -= command.bytes();
        if state.commands.is_empty() {
            state.commands = VecDeque::new();
        }
        Some(command)
    }

    /// Refuses everything from now on; whoever waits for an answer learns it by the drop.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let commands = std::mem::take(&mut state.commands);
        drop(state);
        drop(commands);
    }

    fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many messages may wait for one connection.
const MAX_COMMANDS: usize = 1024;

#[cfg(test)]
mod tests {
    use spanwire_protocol::Codec;

    use super::*;

    fn tell() -> Command {
        Command::Tell(Payload::empty(Codec::Json))
    }

    #[test]
    fn messages_are_bounded_and_disconnects_always_get_through() {
        let (mailbox, cx) = (Mailbox::default(), Context::from_waker(Waker::noop()));
        assert_eq!(mailbox.put(tell(), 4), Ok(()));
        assert_eq!(mailbox.put(tell(), 4), Ok(()));
        assert_eq!(mailbox.put(tell(), 4), Err(Rejected::Full));
        assert_eq!(mailbox.put(Command::Disconnect(CloseFrame::DISCONNECTED), 4), Ok(()));
        assert!(matches!(mailbox.poll(&cx, false), Some(Command::Disconnect(_))));
        assert!(mailbox.poll(&cx, false).is_none());
        assert!(matches!(mailbox.poll(&cx, true), Some(Command::Tell(_))));
        mailbox.close();
        assert_eq!(mailbox.put(tell(), 4), Err(Rejected::Closed));
    }

    #[test]
    fn one_message_goes_whatever_its_size() {
        let mailbox = Mailbox::default();
        let big = Payload::from_serialize(Codec::Json, &"x".repeat(100)).unwrap();
        assert_eq!(mailbox.put(Command::Tell(big), 4), Ok(()));
    }
}
