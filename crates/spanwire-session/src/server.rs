//! The server's side of a conversation (wsx-protocol section 3).
//!
//! | phase | input | what happens | next |
//! |---|---|---|---|
//! | awaiting login | `create-session` | [`Output::Login`] | authenticating |
//! | awaiting login | any other message | Forbidden, close 1008 | closed |
//! | awaiting login | undecodable message | nothing; the login timer runs on | awaiting login |
//! | awaiting login | login timer | Forbidden, close 1008 | closed |
//! | authenticating | accepted | [`Output::Opened`], the token | established |
//! | authenticating | refused, any message, login timer | Forbidden, close 1008 | closed |
//! | established | call | [`Output::Invoke`], or it waits, or 429 | established |
//! | established | `client-response` | [`Output::Answered`] for whoever asked | established |
//! | established | `create-session` with the token | [`Output::Login`]; when accepted a new token | established |
//! | established | no token, wrong token, expired token, refused renewal | Forbidden, close 1008 | closed |
//! | established | undecodable message, message without id | `zwsx.merr` 400 | established |
//! | established | pings missed | close 4002 | closed |
//! | established | drain | new calls are answered 503; close 1001 after the last reply | established |
//! | any | disconnect, drain before login | close | closed |
//! | closed | anything | nothing | closed |

mod awaiting_login;
mod calls;
mod established;
mod io;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use spanwire_protocol::{ClientMessage, CloseFrame, Codec, CorrelationId, ServerMessage};

use self::awaiting_login::{Authenticating, AwaitingLogin};
use self::established::Established;
pub use self::io::{
    AskError, AskId, Call, CallFailure, CallId, Client, Delivery, Input, Login, LoginId, Output,
    Phase,
};
use crate::config::SessionConfig;
use crate::{Entropy, Now};

/// The server's side of one connection, from the end of the upgrade to the close.
pub struct Session {
    common: Common,
    state: State,
}

/// What every state works with.
struct Common {
    config: SessionConfig,
    codec: Codec,
    entropy: Box<dyn Entropy>,
    client: Client,
    outputs: VecDeque<Output>,
    logins: u64,
}

enum State {
    AwaitingLogin(AwaitingLogin),
    Authenticating(Authenticating),
    Established(Box<Established>),
    Closed,
}

impl Session {
    /// Starts a session at the moment the upgrade is complete; the login timer runs from `now`.
    #[must_use]
    pub fn new(config: SessionConfig, codec: Codec, entropy: Box<dyn Entropy>, now: Now) -> Self {
        let deadline = now.instant + config.new_token_wait_time;
        Self {
            common: Common {
                config,
                codec,
                entropy,
                client: Client::default(),
                outputs: VecDeque::new(),
                logins: 0,
            },
            state: State::AwaitingLogin(AwaitingLogin { deadline }),
        }
    }

    /// Takes a fact. Drain [`poll_output`](Self::poll_output) afterwards.
    pub fn handle_input(&mut self, input: Input<'_>, now: Now) {
        let common = &mut self.common;
        // Any message with a client id, a name or attributes overwrites what is known, even before the login
        // (wsx-protocol 2.1).
        if let Input::Message(message) = &input
            && common.client.update(message)
            && matches!(self.state, State::Established(_))
        {
            common.push(Output::Renamed(common.client.clone()));
        }
        self.state = match std::mem::replace(&mut self.state, State::Closed) {
            State::AwaitingLogin(state) => state.on(input, now, common),
            State::Authenticating(state) => state.on(input, now, common),
            State::Established(state) => state.on(input, now, common),
            State::Closed => {
                if let Input::Ask { ask, .. } = input {
                    common.push(Output::Answered { ask, answer: Err(AskError::Disconnected) });
                }
                State::Closed
            }
        };
    }

    /// Lets time pass: call it when [`poll_timeout`](Self::poll_timeout) is reached. Earlier calls do nothing.
    pub fn handle_timeout(&mut self, now: Now) {
        let common = &mut self.common;
        self.state = match std::mem::replace(&mut self.state, State::Closed) {
            State::AwaitingLogin(state) if now.instant >= state.deadline => common.refuse(now),
            State::Authenticating(state) if now.instant >= state.deadline => common.refuse(now),
            State::Established(state) => state.on_timeout(now, common),
            state => state,
        };
    }

    /// What is to be done next; `None` when there is nothing until the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.common.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::AwaitingLogin(state) => Some(state.deadline),
            State::Authenticating(state) => Some(state.deadline),
            State::Established(state) => Some(state.next_timeout()),
            State::Closed => None,
        }
    }

    /// Where the conversation stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::AwaitingLogin(_) => Phase::AwaitingLogin,
            State::Authenticating(_) => Phase::Authenticating,
            State::Established(state) if state.is_draining() => Phase::Draining,
            State::Established(_) => Phase::Established,
            State::Closed => Phase::Closed,
        }
    }

    /// How many pings in a row were missed.
    #[must_use]
    pub fn pings_missed(&self) -> u32 {
        match &self.state {
            State::Established(state) => state.pings_missed(),
            _ => 0,
        }
    }

    /// How long the last answered ping took; `None` before the first one.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        match &self.state {
            State::Established(state) => state.round_trip(),
            _ => None,
        }
    }

    /// How many calls run at this moment.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        match &self.state {
            State::Established(state) => state.in_flight(),
            _ => 0,
        }
    }

    /// Replaces times and limits. Limits hold from the next input on; a time that is shorter now ends what runs
    /// earlier, counted from this moment, and a longer one holds from its next start.
    pub fn reconfigure(&mut self, config: SessionConfig, now: Now) {
        match &mut self.state {
            State::AwaitingLogin(state) => {
                state.deadline = state.deadline.min(now.instant + config.new_token_wait_time);
            }
            State::Established(state) => state.reconfigure(&config, now),
            State::Authenticating(_) | State::Closed => {}
        }
        self.common.config = config;
    }
}

impl Common {
    fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn send(&mut self, message: &ServerMessage<'_>) {
        let encoded: Bytes = message.encode(self.codec);
        self.outputs.push_back(Output::Send(encoded));
    }

    fn correlation_id(&mut self) -> CorrelationId {
        self.entropy.correlation_id()
    }

    /// The session-level refusal and the end (wsx-protocol 1.5).
    fn refuse(&mut self, now: Now) -> State {
        let cid = self.correlation_id();
        self.send(&ServerMessage::forbidden(self.codec, &cid, now.timestamp));
        self.close(CloseFrame::REFUSED)
    }

    fn close(&mut self, frame: CloseFrame) -> State {
        self.push(Output::Close(frame));
        State::Closed
    }

    fn start_login(&mut self, message: &ClientMessage<'_>) -> LoginId {
        self.logins += 1;
        let id = LoginId(self.logins);
        let owned = |text: &Option<std::borrow::Cow<'_, str>>| {
            text.as_deref().unwrap_or_default().to_owned()
        };
        self.push(Output::Login(Login {
            id,
            username: owned(&message.username),
            secret: owned(&message.secret),
            totp_code: owned(&message.totp_code),
        }));
        id
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.phase())
            .field("client", &self.common.client)
            .finish_non_exhaustive()
    }
}
