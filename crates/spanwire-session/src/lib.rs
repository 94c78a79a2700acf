//! Decides what one peer of a WSX conversation may do next.
//!
//! Both sides are state machines without I/O: facts go in through `handle_input(input, now)` and
//! `handle_timeout(now)`, and what is to be done comes out of `poll_output()`. After *every* input drain the outputs,
//! then wait until `poll_timeout()` at the latest.
//!
//! ```
//! use std::time::Instant;
//! use spanwire_protocol::{Codec, Timestamp};
//! use spanwire_session::{ClientConfig, ClientOutput, ClientSession, Now};
//!
//! let now = Now { instant: Instant::now(), timestamp: Timestamp::from_microseconds(0) };
//! let config = ClientConfig { username: "app1".into(), secret: "s".into(), ..ClientConfig::default() };
//! let mut session = ClientSession::new(config, Codec::Json, now);
//! // The first thing to do is to send the login.
//! assert!(matches!(session.poll_output(), Some(ClientOutput::Send(_))));
//! ```
//!
//! What it does not do: sockets, tasks, locks, reading a clock, drawing random numbers, checking passwords, finding
//! services. Those come in as [`Entropy`], [`Now`] and the answers to [`Output::Login`] and [`Output::Invoke`].

mod client;
mod config;
mod server;

use std::time::Instant;

use spanwire_protocol::{CorrelationId, SessionToken, Timestamp};

pub use client::{CallError, CallOptions, ClientConfig, ClientInput, ClientOutput, ClientSession};
pub use config::SessionConfig;
pub use server::{
    AskError, AskId, Call, CallFailure, CallId, Client, Delivery, Input, Login, LoginId, Output,
    Phase, Session,
};

/// The time something happened at, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For timers.
    pub instant: Instant,
    /// For what is written into messages.
    pub timestamp: Timestamp,
}

/// Where a session gets its identifiers from.
pub trait Entropy: Send {
    /// A new id, unique and not necessarily secret.
    fn correlation_id(&mut self) -> CorrelationId;

    /// A new token from the operating system's random source.
    fn token(&mut self) -> SessionToken;
}
