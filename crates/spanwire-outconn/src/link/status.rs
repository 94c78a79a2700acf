//! How a link stands.

use std::fmt;
use std::sync::PoisonError;

use tokio::time::Instant;

use super::{Connection, Shared};

/// How a socket of a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LinkState {
    /// Open; calls can be made.
    Connected,
    /// Being opened.
    Connecting,
    /// Not open; opened again after a pause.
    Waiting,
    /// The peer refused the login; tried again after a pause.
    AuthenticationFailed,
    /// Lost, or not to be had, and not tried for any more.
    Down,
}

impl LinkState {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Connected, Self::Connecting, Self::Waiting, Self::AuthenticationFailed, Self::Down];

    /// The name in lists.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Connecting => "connecting",
            Self::Waiting => "waiting",
            Self::AuthenticationFailed => "authentication-failed",
            Self::Down => "down",
        }
    }
}

/// How one socket stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SocketStatus {
    /// Its state.
    pub state: LinkState,
    /// Since when.
    pub since: Instant,
    /// When it is tried again.
    pub next_try: Option<Instant>,
    /// How often it was tried in vain since it was last open.
    pub attempts: u32,
    /// What went wrong last.
    pub problem: Option<String>,
    /// How many calls wait for replies.
    pub in_flight: usize,
}

/// How a link stands: all its sockets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LinkStatus {
    /// The best of the sockets' states.
    pub state: LinkState,
    /// Each socket.
    pub sockets: Vec<SocketStatus>,
}

impl fmt::Display for LinkStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.state.as_str())?;
        match self.sockets.iter().find_map(|socket| socket.problem.as_ref()) {
            Some(problem) if self.state != LinkState::Connected => write!(f, ": {problem}"),
            _ => Ok(()),
        }
    }
}

/// What is known of one socket.
pub(super) struct Slot {
    pub(super) connection: Option<Connection>,
    pub(super) state: LinkState,
    pub(super) since: Instant,
    pub(super) next_try: Option<Instant>,
    pub(super) attempts: u32,
    pub(super) problem: Option<String>,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            connection: None,
            state: LinkState::Connecting,
            since: Instant::now(),
            next_try: None,
            attempts: 0,
            problem: None,
        }
    }

    pub(super) fn set(&mut self, state: LinkState) {
        if self.state != state {
            self.state = state;
            self.since = Instant::now();
        }
        self.next_try = None;
    }

    fn status(&self) -> SocketStatus {
        let in_flight = match &self.connection {
            Some(Connection::Wsx(client)) => client.in_flight(),
            _ => 0,
        };
        SocketStatus {
            state: self.state,
            since: self.since,
            next_try: self.next_try,
            attempts: self.attempts,
            problem: self.problem.clone(),
            in_flight,
        }
    }
}

impl Shared {
    pub(super) fn status(&self) -> LinkStatus {
        let sockets = self
            .slots
            .iter()
            .map(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).status());
        let sockets: Vec<_> = sockets.collect();
        let state = sockets.iter().map(|socket| socket.state).min().unwrap_or(LinkState::Down);
        LinkStatus { state, sockets }
    }

    pub(super) fn slot<T>(&self, index: usize, work: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        let slot = self.slots.get(index)?;
        Some(work(&mut slot.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
