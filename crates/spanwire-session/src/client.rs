//! The client's side of a conversation: logs in, calls, answers.
//!
//! | phase | input | what happens | next |
//! |---|---|---|---|
//! | logging in | `zwsx.rspa` 200 | [`ClientOutput::Opened`]; calls made so far go out | open |
//! | logging in | Forbidden, any error, timer | [`ClientOutput::Refused`], close 1000 | closed |
//! | open | response | [`ClientOutput::Replied`] | open |
//! | open | request or delivery | [`ClientOutput::Asked`] | open |
//! | open | receipt | [`ClientOutput::Gap`] | open |
//! | open | Forbidden | [`ClientOutput::Refused`], close 1000 | closed |
//! | open | timer | calls that waited too long fail | open |
//! | open | a call is cancelled | its reply will mean nothing | open |
//! | closed | anything | calls fail at once | closed |

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use spanwire_protocol::{
    Action, ClientMessage, CloseCode, CloseFrame, Codec, MessageId, MsgType, Payload,
    ServerMessage, Status, Timestamp,
};
use thiserror::Error;

use crate::Now;

#[cfg(test)]
mod tests;

/// Who a client is, and how long it waits.
#[derive(Clone)]
pub struct ClientConfig {
    /// For the login.
    pub username: String,
    /// For the login.
    pub secret: String,
    /// The id that survives reconnects; choose a unique one.
    pub client_id: String,
    /// A label for people.
    pub client_name: String,
    /// `key=value` entries separated by `;`, by which the server's side can address this client.
    pub attributes: String,
    /// How long the login may take; 5 s.
    pub login_timeout: Duration,
    /// How long a call may take that says nothing else; 30 s.
    pub call_timeout: Duration,
    /// Whether the server chose a subprotocol of section 3: then it is told how long a call may take, and its trace.
    pub additions: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            username: String::new(),
            secret: String::new(),
            client_id: String::new(),
            client_name: String::new(),
            attributes: String::new(),
            login_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            additions: false,
        }
    }
}

impl std::fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientConfig")
            .field("username", &self.username)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// A fact from outside.
#[derive(Debug)]
pub enum ClientInput<'a> {
    /// The server sent a message.
    Message(ServerMessage<'a>),
    /// The application calls a service.
    Call {
        /// Chosen by the application, unique among its unanswered calls.
        call: u64,
        /// The input of the mounted service; for a gateway `{"service": …, "request": …}`.
        data: Payload,
        /// How long and for whom.
        options: CallOptions,
    },
    /// The application no longer waits for a call: nothing more is heard of it. It may have been carried out; a server
    /// with [additions](ClientConfig::additions) is told, and stops.
    Cancel {
        /// As given with [`ClientInput::Call`].
        call: u64,
    },
    /// The application answers a request of the server.
    Answer {
        /// From [`ClientOutput::Asked`].
        request: String,
        /// The answer.
        response: Payload,
    },
    /// The application renews the session; existing calls go on.
    Renew,
    /// The application disconnects.
    Close,
}

/// What a call says beside its input.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// How long it may take; the session's own time if `None`.
    pub timeout: Option<Duration>,
    /// W3C Trace Context, for servers with [additions](ClientConfig::additions).
    pub traceparent: Option<String>,
    /// How many calls of services by services led to this one, for servers with [additions](ClientConfig::additions).
    pub hops: u8,
}

/// Something to be done.
#[derive(Debug)]
pub enum ClientOutput {
    /// Send a message.
    Send(Bytes),
    /// The session is open, or was renewed.
    Opened,
    /// A call ended.
    Replied {
        /// As given with [`ClientInput::Call`].
        call: u64,
        /// What the service returned.
        result: Result<Payload, CallError>,
    },
    /// The server asks something, or delivers a message: answer with [`ClientInput::Answer`].
    Asked {
        /// The id to answer to.
        request: String,
        /// Whether it is a publish/subscribe delivery, whose answer nobody waits for.
        is_delivery: bool,
        /// When the server sent it, if that was readable.
        timestamp: Option<Timestamp>,
        /// What is asked.
        data: Payload,
    },
    /// The server tells of messages that will not come. It is not answered.
    Gap {
        /// The receipt.
        data: Payload,
    },
    /// The server refused the session.
    Refused,
    /// Close the connection with this frame.
    Close(CloseFrame),
}

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server answered with an error.
    #[error("the server answered {status}: {message}")]
    Status {
        /// As HTTP.
        status: Status,
        /// For people.
        message: String,
    },
    /// No reply within the time. The call may have been carried out.
    #[error("no reply in time")]
    TimedOut,
    /// The session ended first. The call may have been carried out.
    #[error("the session is closed")]
    Closed,
}

/// The client's side of one connection, from the end of the upgrade to the close.
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    codec: Codec,
    state: State,
    sent: u64,
    calls: Calls,
    outputs: VecDeque<ClientOutput>,
}

#[derive(Debug)]
enum State {
    LoggingIn { until: Instant, waiting: Vec<(u64, Payload, CallOptions)> },
    Open { token: Token, renewing: bool },
    Closed,
}

/// Calls without a reply, by the number of their message. Ten thousand of them cost no more each than one.
#[derive(Debug, Default)]
struct Calls {
    /// The application's number, and until when the reply counts.
    unanswered: HashMap<u64, (u64, Instant)>,
    numbers: HashMap<u64, u64>,
    due: BTreeSet<(Instant, u64)>,
}

impl Calls {
    fn insert(&mut self, number: u64, call: u64, until: Instant) {
        self.unanswered.insert(number, (call, until));
        self.numbers.insert(call, number);
        self.due.insert((until, number));
    }

    /// The call of a message, which is over.
    fn take(&mut self, number: u64) -> Option<u64> {
        let (call, until) = self.unanswered.remove(&number)?;
        self.numbers.remove(&call);
        self.due.remove(&(until, number));
        Some(call)
    }

    /// The number of the message of a call, which is over.
    fn cancel(&mut self, call: u64) -> Option<u64> {
        let number = *self.numbers.get(&call)?;
        self.take(number)?;
        Some(number)
    }

    fn take_due(&mut self, now: Instant) -> Option<u64> {
        let (_, number) = self.due.first().filter(|(until, _)| *until <= now)?;
        self.take(*number)
    }

    fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(until, _)| *until)
    }

    fn take_all(&mut self) -> impl Iterator<Item = u64> {
        std::mem::take(self).unanswered.into_values().map(|(call, _)| call)
    }
}

/// Kept apart so that `Debug` does not show it.
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(***)")
    }
}

/// `client.<number>`: ids are unique within the connection, which is all the protocol asks for.
const ID_PREFIX: &str = "client.";

impl ClientSession {
    /// Starts at the moment the upgrade is complete; the first output is the login.
    #[must_use]
    pub fn new(config: ClientConfig, codec: Codec, now: Now) -> Self {
        let until = now.instant + config.login_timeout;
        let mut session = Self {
            config,
            codec,
            state: State::LoggingIn { until, waiting: Vec::new() },
            sent: 0,
            calls: Calls::default(),
            outputs: VecDeque::new(),
        };
        session.send_login(None, now);
        session
    }

    /// Takes a fact. Drain [`poll_output`](Self::poll_output) afterwards.
    pub fn handle_input(&mut self, input: ClientInput<'_>, now: Now) {
        match input {
            ClientInput::Message(message) => self.on_message(message, now),
            ClientInput::Call { call, data, options } => self.call(call, data, options, now),
            ClientInput::Cancel { call } => {
                if let State::LoggingIn { waiting, .. } = &mut self.state {
                    waiting.retain(|(other, ..)| *other != call);
                }
                self.cancel(call, now);
            }
            ClientInput::Answer { request, response } => self.answer(&request, &response, now),
            ClientInput::Renew => {
                if let State::Open { token, renewing } = &mut self.state {
                    *renewing = true;
                    let token = token.0.clone();
                    self.send_login(Some(token), now);
                }
            }
            ClientInput::Close => self.close(),
        }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Now) {
        if matches!(&self.state, State::LoggingIn { until, .. } if now.instant >= *until) {
            self.outputs.push_back(ClientOutput::Refused);
            return self.close();
        }
        while let Some(call) = self.calls.take_due(now.instant) {
            self.outputs
                .push_back(ClientOutput::Replied { call, result: Err(CallError::TimedOut) });
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<ClientOutput> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::LoggingIn { until, .. } => Some(*until),
            State::Open { .. } => self.calls.next_due(),
            State::Closed => None,
        }
    }

    /// Whether calls go out at once.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Whether the session is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn on_message(&mut self, message: ServerMessage<'_>, now: Now) {
        if message.is_forbidden() {
            if !self.is_closed() {
                self.outputs.push_back(ClientOutput::Refused);
            }
            return self.close();
        }
        match (&mut self.state, message.msg_type) {
            (State::LoggingIn { .. }, Some(MsgType::SessionCreated)) if message.is_ok() => {
                self.open(&message, now)
            }
            (State::Open { token, renewing }, Some(MsgType::SessionCreated)) if *renewing => {
                if let Some(new) = read_token(&message) {
                    *token = new;
                }
                *renewing = false;
                self.outputs.push_back(ClientOutput::Opened);
            }
            (State::Open { .. }, _) => {
                match message.in_reply_to.as_ref().and_then(MessageId::to_text) {
                    Some(id) => self.on_reply(&id, message),
                    None if message.msg_type == Some(MsgType::Gap) => {
                        self.outputs.push_back(ClientOutput::Gap { data: message.data });
                    }
                    None if message.status.is_none() => {
                        self.outputs.push_back(ClientOutput::Asked {
                            request: message.id.into_owned(),
                            is_delivery: message.msg_type == Some(MsgType::Delivery),
                            timestamp: message.timestamp,
                            data: message.data,
                        })
                    }
                    // An error tied to no request: nobody waits for it.
                    None => {}
                }
            }
            _ => {}
        }
    }

    fn open(&mut self, message: &ServerMessage<'_>, now: Now) {
        let Some(token) = read_token(message) else {
            self.outputs.push_back(ClientOutput::Refused);
            return self.close();
        };
        let state = std::mem::replace(&mut self.state, State::Open { token, renewing: false });
        self.outputs.push_back(ClientOutput::Opened);
        if let State::LoggingIn { waiting, .. } = state {
            for (call, data, options) in waiting {
                self.call(call, data, options, now);
            }
        }
    }

    fn on_reply(&mut self, id: &str, message: ServerMessage<'_>) {
        let number = id.strip_prefix(ID_PREFIX).and_then(|number| number.parse().ok());
        let Some(call) = number.and_then(|number: u64| self.calls.take(number)) else {
            return;
        };
        let result = if message.is_ok() {
            Ok(message.data)
        } else {
            let status = message.status.unwrap_or(Status::INTERNAL);
            let text =
                message.error_message.map_or_else(|| status.default_text().to_owned(), Into::into);
            Err(CallError::Status { status, message: text })
        };
        self.outputs.push_back(ClientOutput::Replied { call, result });
    }

    fn call(&mut self, call: u64, data: Payload, options: CallOptions, now: Now) {
        match &mut self.state {
            State::LoggingIn { waiting, .. } => waiting.push((call, data, options)),
            State::Open { .. } => {
                let timeout = options.timeout.unwrap_or(self.config.call_timeout);
                self.calls.insert(self.sent + 1, call, now.instant + timeout);
                let mut message = self.message(Action::Invoke, data, now);
                if self.config.additions {
                    message.deadline_ms = u64::try_from(timeout.as_millis()).ok();
                    message.traceparent = options.traceparent.map(Into::into);
                    message.hops = (options.hops > 0).then_some(options.hops);
                }
                self.send(message);
            }
            State::Closed => {
                self.outputs
                    .push_back(ClientOutput::Replied { call, result: Err(CallError::Closed) });
            }
        }
    }

    fn cancel(&mut self, call: u64, now: Now) {
        let Some(number) = self.calls.cancel(call) else { return };
        if !self.config.additions || !self.is_open() {
            return;
        }
        let mut message = self.message(Action::Cancel, Payload::empty(self.codec), now);
        message.in_reply_to =
            Some(MessageId::from_text(self.codec, &format!("{ID_PREFIX}{number}")));
        self.send(message);
    }

    fn answer(&mut self, request: &str, response: &Payload, now: Now) {
        if !self.is_open() {
            return;
        }
        let Ok(data) = Payload::object(self.codec, [("response", response)]) else {
            return;
        };
        let mut message = self.message(Action::ClientResponse, data, now);
        message.in_reply_to = Some(MessageId::from_text(self.codec, request));
        self.send(message);
    }

    fn message(&mut self, action: Action, data: Payload, now: Now) -> ClientMessage<'static> {
        self.sent += 1;
        let id = format!("{ID_PREFIX}{}", self.sent);
        ClientMessage::new(action, &id, data).at(now.timestamp)
    }

    /// Sends a message with the token, which only an open session has.
    fn send(&mut self, message: ClientMessage<'_>) {
        let State::Open { token, .. } = &self.state else {
            return;
        };
        let message = message.with_token(&*token.0);
        self.outputs.push_back(ClientOutput::Send(message.encode(self.codec)));
    }

    fn send_login(&mut self, token: Option<String>, now: Now) {
        self.sent += 1;
        let id = format!("{ID_PREFIX}{}", self.sent);
        let config = &self.config;
        let mut message =
            ClientMessage::create_session(self.codec, &id, &config.username, &config.secret)
                .with_client(&*config.client_id, &*config.client_name)
                .at(now.timestamp);
        if !config.attributes.is_empty() {
            message.attrs = Some((&*config.attributes).into());
        }
        if let Some(token) = token {
            message = message.with_token(token);
        }
        self.outputs.push_back(ClientOutput::Send(message.encode(self.codec)));
    }

    fn close(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        if matches!(state, State::Closed) {
            return;
        }
        let waiting =
            if let State::LoggingIn { waiting, .. } = state { waiting } else { Vec::new() };
        let unanswered = self.calls.take_all();
        for call in waiting.into_iter().map(|(call, ..)| call).chain(unanswered) {
            self.outputs.push_back(ClientOutput::Replied { call, result: Err(CallError::Closed) });
        }
        self.outputs.push_back(ClientOutput::Close(CloseFrame::new(CloseCode::NORMAL, "")));
    }
}

fn read_token(message: &ServerMessage<'_>) -> Option<Token> {
    message.data.entry("token")?.parse().ok().map(Token)
}
