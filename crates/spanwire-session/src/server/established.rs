//! The open session: token, calls, requests to the client, pings.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use spanwire_protocol::{
    Action, ClientMessage, CloseFrame, CorrelationId, MessageId, Payload, ServerMessage,
    SessionToken, Status,
};

use super::calls::Calls;
use super::io::{AskError, AskId, Delivery, Input, LoginId, Output};
use super::{Common, State};
use crate::{Now, SessionConfig};

/// Logged in.
pub(super) struct Established {
    token: SessionToken,
    token_ends: Instant,
    renewal: Option<(LoginId, MessageId)>,
    calls: Calls,
    /// Each request to the client with the end of its time; one that lies beyond what the clock can say never comes.
    asked: HashMap<CorrelationId, (AskId, Option<Instant>)>,
    /// The earliest moment at which a request to the client may time out.
    next_ask_timeout: Option<Instant>,
    pings: Pings,
    draining: Option<Instant>,
}

/// One ping is under way at most.
struct Pings {
    next: Instant,
    answer_by: Option<Instant>,
    sent: Instant,
    round_trip: Option<Duration>,
    missed: u32,
}

impl Established {
    /// Opens the session: makes the token and replies to the login.
    pub(super) fn open(reply_to: MessageId, now: Now, common: &mut Common) -> Self {
        let token = common.entropy.token();
        let mut session = Self {
            token,
            token_ends: now.instant + common.config.token_ttl,
            renewal: None,
            calls: Calls::default(),
            asked: HashMap::new(),
            next_ask_timeout: None,
            pings: Pings {
                next: now.instant + common.config.ping_interval,
                answer_by: None,
                sent: now.instant,
                round_trip: None,
                missed: 0,
            },
            draining: None,
        };
        session.send_token(reply_to, now, common);
        session
    }

    fn send_token(&mut self, reply_to: MessageId, now: Now, common: &mut Common) {
        let cid = common.correlation_id();
        let body = std::collections::BTreeMap::from([("token", self.token.expose())]);
        // A map of one text cannot fail to be written.
        let data = Payload::from_serialize(common.codec, &body)
            .unwrap_or_else(|_| Payload::empty(common.codec));
        common.send(&ServerMessage::session_created(&cid, now.timestamp, Some(reply_to), data));
    }

    pub(super) fn on(
        mut self: Box<Self>,
        input: Input<'_>,
        now: Now,
        common: &mut Common,
    ) -> State {
        match input {
            Input::Message(message) => {
                if !self.accepts(&message, now) {
                    return self.end(common, now);
                }
                self.token_ends = self.token_ends.max(now.instant + common.config.token_ttl);
                self.on_message(&message, now, common);
            }
            Input::Undecodable(_) => bad_request(common, now),
            Input::Pong => self.on_pong(now, common),
            Input::LoginDecided { login, accepted } => {
                let Some((_, reply_to)) = self.renewal.take_if(|(expected, _)| *expected == login)
                else {
                    return State::Established(self);
                };
                if !accepted {
                    return self.end(common, now);
                }
                self.token = common.entropy.token();
                self.token_ends += common.config.token_ttl;
                self.send_token(reply_to, now, common);
            }
            Input::Completed { call, result } => self.calls.complete(call, result, now, common),
            Input::Ask { ask, data, timeout } => {
                self.ask(ask, data, now.instant.checked_add(timeout), now, common)
            }
            Input::Tell(data) => {
                let cid = common.correlation_id();
                send_request(common, &cid, now, data);
            }
            Input::Deliver(delivery) => deliver(common, now, delivery),
            Input::Disconnect(frame) => return self.close(common, frame),
            Input::Drain(until) => self.draining = Some(until),
        }
        self.finish_draining(now, common)
    }

    /// The checks of wsx-protocol 3.2, in order.
    fn accepts(&self, message: &ClientMessage<'_>, now: Now) -> bool {
        let token = message.token.as_deref().unwrap_or_default();
        self.token.matches(token) && now.instant < self.token_ends
    }

    fn on_message(&mut self, message: &ClientMessage<'_>, now: Now, common: &mut Common) {
        let Some(id) = message.id.clone() else {
            return bad_request(common, now);
        };
        match message.action {
            Action::CreateSession => {
                // One renewal at a time; a later one replaces it, and only the last is answered.
                self.renewal = Some((common.start_login(message), id.clone()));
            }
            Action::Cancel => match &message.in_reply_to {
                Some(id) => self.calls.cancel(id, common),
                None => bad_request(common, now),
            },
            Action::Invoke if self.draining.is_some() => {
                self.calls.refuse(message, Status::UNAVAILABLE, now, common);
            }
            Action::Invoke => self.calls.start(message, now, common),
            Action::ClientResponse => match &message.in_reply_to {
                Some(id) => self.on_answer(id, message.data.clone(), common),
                None => bad_request(common, now),
            },
        }
    }

    fn on_answer(&mut self, in_reply_to: &MessageId, data: Payload, common: &mut Common) {
        // Answers to deliveries, late answers and made-up ones have nobody waiting (wsx-protocol 3.3).
        let asked = in_reply_to.to_text().and_then(|id| CorrelationId::parse(&id));
        if let Some((ask, _)) = asked.and_then(|id| self.asked.remove(&id)) {
            common.push(Output::Answered { ask, answer: Ok(unwrap_response(data)) });
        }
    }

    fn ask(
        &mut self,
        ask: AskId,
        data: Payload,
        until: Option<Instant>,
        now: Now,
        common: &mut Common,
    ) {
        if self.asked.len() >= common.config.max_asked {
            return common.push(Output::Answered { ask, answer: Err(AskError::TooMany) });
        }
        let cid = common.correlation_id();
        self.asked.insert(cid, (ask, until));
        self.next_ask_timeout = self.next_ask_timeout.into_iter().chain(until).min();
        send_request(common, &cid, now, data);
    }

    fn on_pong(&mut self, now: Now, common: &Common) {
        // Only the answer to a ping of ours buys time; unsolicited pongs merely show that the peer lives.
        if self.pings.answer_by.take().is_some() {
            self.pings.round_trip = Some(now.instant.saturating_duration_since(self.pings.sent));
            self.token_ends += common.config.ping_interval;
        }
        self.pings.missed = 0;
    }

    pub(super) fn on_timeout(mut self: Box<Self>, now: Now, common: &mut Common) -> State {
        if self.next_ask_timeout.is_some_and(|at| now.instant >= at) {
            self.time_out_asks(now, common);
        }
        if self.pings.answer_by.is_some_and(|by| now.instant >= by) {
            self.pings.answer_by = None;
            self.pings.missed += 1;
            if self.pings.missed >= common.config.pings_missed_threshold {
                return self.close(common, CloseFrame::PINGS_MISSED);
            }
        }
        // One at a time: a ping that is due while another is under way waits for its pong, or for its end.
        if now.instant >= self.pings.next && self.pings.answer_by.is_none() {
            let cid = common.correlation_id();
            let ping = ServerMessage::request(&cid, now.timestamp, Payload::empty(common.codec));
            common.push(Output::Ping(ping.encode_ping()));
            self.pings.sent = now.instant;
            self.pings.answer_by = Some(now.instant + common.config.ping_timeout);
            self.pings.next = now.instant + common.config.ping_interval;
        }
        self.finish_draining(now, common)
    }

    fn time_out_asks(&mut self, now: Now, common: &mut Common) {
        self.asked.retain(|_, (ask, until)| {
            let waits = until.is_none_or(|until| now.instant < until);
            if !waits {
                common.push(Output::Answered { ask: *ask, answer: Err(AskError::TimedOut) });
            }
            waits
        });
        self.next_ask_timeout = self.asked.values().filter_map(|(_, until)| *until).min();
    }

    fn finish_draining(self: Box<Self>, now: Now, common: &mut Common) -> State {
        match self.draining {
            Some(until) if self.calls.is_idle() || now.instant >= until => {
                self.close(common, CloseFrame::SHUTTING_DOWN)
            }
            _ => State::Established(self),
        }
    }

    fn end(self: Box<Self>, common: &mut Common, now: Now) -> State {
        self.abandon_asks(common);
        common.refuse(now)
    }

    fn close(self: Box<Self>, common: &mut Common, frame: CloseFrame) -> State {
        self.abandon_asks(common);
        common.close(frame)
    }

    fn abandon_asks(&self, common: &mut Common) {
        for (ask, _) in self.asked.values() {
            common.push(Output::Answered { ask: *ask, answer: Err(AskError::Disconnected) });
        }
    }

    pub(super) fn reconfigure(&mut self, config: &SessionConfig, now: Now) {
        self.token_ends = self.token_ends.min(now.instant + config.token_ttl);
        self.pings.next = self.pings.next.min(now.instant + config.ping_interval);
    }

    pub(super) fn next_timeout(&self) -> Instant {
        let ping = self.pings.answer_by.unwrap_or(self.pings.next);
        let others = [self.next_ask_timeout, self.draining];
        others.into_iter().flatten().fold(ping, Instant::min)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    pub(super) fn pings_missed(&self) -> u32 {
        self.pings.missed
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.pings.round_trip
    }

    pub(super) fn in_flight(&self) -> usize {
        self.calls.in_flight()
    }
}

/// An unprocessable message in an open session (wsx-protocol 2.6).
fn bad_request(common: &mut Common, now: Now) {
    let cid = common.correlation_id();
    common.send(&ServerMessage::bad_request(common.codec, &cid, now.timestamp));
}

fn send_request(common: &mut Common, cid: &CorrelationId, now: Now, data: Payload) {
    // What has no form in the client's codec is sent as `{}`, as an empty request is.
    let data = data.into_codec(common.codec).unwrap_or_else(|_| Payload::empty(common.codec));
    let data = if data.is_null() { Payload::empty(common.codec) } else { data };
    common.send(&ServerMessage::request(cid, now.timestamp, data));
}

fn deliver(common: &mut Common, now: Now, delivery: Delivery) {
    let data = match &delivery {
        Delivery::One { data, .. } | Delivery::Many(data) | Delivery::Gap(data) => data.clone(),
    };
    // What has no form in the client's codec is sent as `{}`, as a request is.
    let data = data.into_codec(common.codec).unwrap_or_else(|_| Payload::empty(common.codec));
    let moment = now.timestamp;
    match delivery {
        Delivery::One { id, ctx, .. } => {
            common.send(&ServerMessage::delivery(&id, moment, ctx, data));
        }
        Delivery::Many(_) => {
            let cid = common.correlation_id();
            common.send(&ServerMessage::delivery(cid.as_str(), moment, None, data));
        }
        Delivery::Gap(_) => {
            let cid = common.correlation_id();
            common.send(&ServerMessage::gap(&cid, moment, data));
        }
    }
}

/// Takes `X` out of `{"response": X}`; other shapes are handed on as they are (wsx-protocol 4.6).
fn unwrap_response(data: Payload) -> Payload {
    data.entry("response").unwrap_or(data)
}
