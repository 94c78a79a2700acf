//! A session with a clock that stands still between steps, and everything that was seen of it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use spanwire_protocol::{
    ClientMessage, Codec, CorrelationId, MsgType, ServerMessage, SessionToken, Status, Timestamp,
};
use spanwire_session::{
    CallId, Entropy, Input, LoginId, Now, Output, Phase, Session, SessionConfig,
};

/// Counts up, so that ids grow.
struct Counter(u64);

impl Entropy for Counter {
    fn correlation_id(&mut self) -> CorrelationId {
        self.0 += 1;
        let mut random = [0; 12];
        for (byte, own) in random.iter_mut().skip(4).zip(self.0.to_be_bytes()) {
            *byte = own;
        }
        CorrelationId::from_random(random)
    }

    fn token(&mut self) -> SessionToken {
        self.0 += 1;
        SessionToken::from_random(u128::from(self.0).to_be_bytes())
    }
}

pub(super) struct Bench {
    session: Session,
    config: SessionConfig,
    pub(super) codec: Codec,
    pub(super) now: Now,
    /// The one that the session gave out last.
    pub(super) token: String,
    inputs: usize,
    messages: usize,
    closed: bool,
    opened: bool,
    logins: u64,
    running: BTreeSet<CallId>,
    asked: u64,
    unanswered: HashSet<u64>,
    /// Ids of requests that went out.
    requests: Vec<String>,
    /// Ids of messages that went out.
    sent: HashSet<String>,
    /// The id of the last reply to a call.
    last_reply: String,
    /// How many replies there may still be to messages with this id.
    owed: HashMap<String, usize>,
}

impl Bench {
    pub(super) fn new(settings: u8) -> Self {
        let config = SessionConfig {
            ordered_replies: settings & 2 != 0,
            max_in_flight: 1 + usize::from((settings >> 2) & 3),
            max_waiting: usize::from((settings >> 4) & 3),
            max_asked: 1 + usize::from(settings >> 6),
            max_call_bytes: 400,
            token_ttl: Duration::from_secs(600),
            ..SessionConfig::default()
        };
        let codec = if settings & 1 == 0 { Codec::Json } else { Codec::MsgPack };
        let now = Now { instant: Instant::now(), timestamp: Timestamp::from_microseconds(0) };
        Self {
            session: Session::new(config.clone(), codec, Box::new(Counter(0)), now),
            config,
            codec,
            now,
            token: String::new(),
            inputs: 0,
            messages: 0,
            closed: false,
            opened: false,
            logins: 0,
            running: BTreeSet::new(),
            asked: 0,
            unanswered: HashSet::new(),
            requests: Vec::new(),
            sent: HashSet::new(),
            last_reply: String::new(),
            owed: HashMap::new(),
        }
    }

    /// An id for a message of the client, which may be replied to once.
    pub(super) fn new_message_id(&mut self) -> String {
        self.messages += 1;
        let id = format!("message {}", self.messages);
        *self.owed.entry(id.clone()).or_default() += 1;
        id
    }

    /// Takes note of a message that brings its own id.
    pub(super) fn note_message(&mut self, message: &ClientMessage<'_>) {
        if let Some(id) = message.id.as_ref().and_then(|id| id.to_text()) {
            *self.owed.entry(id).or_default() += 1;
        }
    }

    /// The id of one of the client's messages.
    pub(super) fn message(&self, which: u8) -> String {
        format!("message {}", self.messages.saturating_sub(which.into()))
    }

    pub(super) fn new_ask(&mut self) -> u64 {
        self.asked += 1;
        self.unanswered.insert(self.asked);
        self.asked
    }

    /// One of the calls that run.
    pub(super) fn running_call(&self, which: u8) -> Option<CallId> {
        self.running.iter().cycle().nth(which.into()).copied()
    }

    /// The id of one of the latest requests.
    pub(super) fn request(&self, which: u8) -> Option<String> {
        self.requests.iter().rev().nth(which.into()).cloned()
    }

    pub(super) fn give(&mut self, input: Input<'_>) {
        if let Input::Completed { call, .. } = &input {
            self.running.remove(call);
        }
        self.session.handle_input(input, self.now);
        self.drain();
    }

    /// Lets time pass at once; the timers that are due by then must all move on.
    pub(super) fn wait(&mut self, time: Duration) {
        self.now.instant += time;
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let passed = self.now.timestamp.as_microseconds().saturating_add(micros);
        self.now.timestamp = Timestamp::from_microseconds(passed);
        self.session.handle_timeout(self.now);
        self.drain();
        let next = self.session.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now.instant), "a timer stays due");
    }

    /// Ends the conversation; after that nobody may be left waiting.
    pub(super) fn finish(&mut self) {
        self.give(Input::Disconnect(spanwire_protocol::CloseFrame::DISCONNECTED));
        assert!(self.closed);
        assert!(self.unanswered.is_empty(), "never answered: {:?}", self.unanswered);
    }

    fn drain(&mut self) {
        self.inputs += 1;
        let mut outputs = 0;
        while let Some(output) = self.session.poll_output() {
            outputs += 1;
            assert!(outputs <= 8 + 2 * self.inputs, "outputs without end");
            assert!(!self.closed || matches!(output, Output::Answered { .. }), "{output:?}");
            self.see(output);
        }
        let phase = self.session.phase();
        assert_eq!(self.closed, phase == Phase::Closed);
        assert_eq!(self.closed, self.session.poll_timeout().is_none());
        assert!(self.session.in_flight() <= self.config.max_in_flight);
        let expected = if self.closed { 0 } else { self.running.len() };
        assert_eq!(self.session.in_flight(), expected);
        assert!(self.session.pings_missed() < self.config.pings_missed_threshold);
    }

    fn see(&mut self, output: Output) {
        match output {
            Output::Send(bytes) => self.see_message(&bytes),
            Output::Ping(payload) => assert!(payload.len() <= 125),
            Output::Login(login) => {
                self.logins += 1;
                assert_eq!(login.id, LoginId(self.logins));
            }
            Output::Opened(_) => {
                assert!(!self.opened, "opened twice");
                self.opened = true;
            }
            Output::Renamed(client) => {
                assert!(self.opened);
                assert!(client.id.len() <= 1024 && client.name.len() <= 1024);
            }
            Output::Invoke(call) => {
                assert!(self.opened);
                assert!(self.running.insert(call.id), "{:?} invoked twice", call.id);
            }
            Output::Cancel(call) => {
                assert!(self.running.remove(&call), "{call:?} cancelled and not running");
            }
            Output::Answered { ask, .. } => {
                assert!(self.unanswered.remove(&ask.0), "{ask:?} answered twice");
            }
            Output::Close(_) => self.closed = true,
        }
    }

    fn see_message(&mut self, bytes: &Bytes) {
        let message = ServerMessage::decode(self.codec, bytes);
        assert!(message.is_ok(), "unreadable: {message:?}");
        let Ok(message) = message else { return };
        let id = message.id.clone().into_owned();
        assert!(CorrelationId::parse(&id).is_some(), "{id:?} is no id");
        assert!(self.sent.insert(id.clone()), "{id} sent twice");
        if let Some(replied) = message.in_reply_to.as_ref().and_then(|id| id.to_text()) {
            let owed = self.owed.get_mut(&replied);
            assert!(owed.as_deref().is_some_and(|owed| *owed > 0), "{replied:?} answered twice");
            if let Some(owed) = owed {
                *owed -= 1;
            }
        }
        match message.msg_type {
            Some(MsgType::SessionCreated) => {
                let token = message.data.entry("token").and_then(|token| token.parse().ok());
                self.token = token.unwrap_or_default();
                assert!(!self.token.is_empty());
            }
            Some(MsgType::Request) => self.requests.push(id),
            // A refusal for which the order has no place goes out ahead of its turn.
            Some(MsgType::ResponseError)
                if matches!(
                    message.status,
                    Some(Status::TOO_MANY_REQUESTS | Status::UNAVAILABLE)
                ) => {}
            Some(MsgType::Response | MsgType::ResponseError) => {
                if self.config.ordered_replies {
                    assert!(self.last_reply < id, "{id} after {}", self.last_reply);
                }
                self.last_reply = id;
            }
            _ => {}
        }
    }
}
