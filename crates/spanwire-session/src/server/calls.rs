//! Calls of one client: which run, which wait, and in what order their replies go out.

use std::collections::VecDeque;

use bytes::Bytes;
use spanwire_protocol::{ClientMessage, CorrelationId, MessageId, ServerMessage, Status};

use super::Common;
use super::io::{Call, CallFailure, CallId, Output};
use crate::Now;

/// The calls of one session.
#[derive(Default)]
pub(super) struct Calls {
    last: u64,
    /// Oldest first. Few at a time, and what was started last usually ends first: a search from the end is quickest.
    running: Vec<Running>,
    waiting: VecDeque<(Call, Option<MessageId>)>,
    /// Bytes of input of all calls that run or wait.
    bytes: usize,
    /// Bytes of replies that are held back by the order. They count like those of calls.
    held_bytes: usize,
    /// With ordered replies: each call that was not replied to yet, oldest first, with its reply once there is one.
    order: VecDeque<(CallId, Option<Bytes>)>,
}

struct Running {
    id: CallId,
    cid: CorrelationId,
    reply_to: Option<MessageId>,
    bytes: usize,
}

impl Calls {
    pub(super) fn in_flight(&self) -> usize {
        self.running.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty() && self.order.is_empty()
    }

    /// Starts a call, lets it wait, or refuses it with 429.
    pub(super) fn start(&mut self, message: &ClientMessage<'_>, now: Now, common: &mut Common) {
        self.last += 1;
        let bytes = message.data.len();
        let reply_to = message.id.clone();
        let call = Call {
            id: CallId(self.last),
            cid: common.correlation_id(),
            data: message.data.clone(),
            deadline: message
                .deadline_ms
                .and_then(|ms| now.instant.checked_add(std::time::Duration::from_millis(ms))),
            traceparent: message.traceparent.as_deref().map(str::to_owned),
            hops: message.hops.unwrap_or(0),
        };
        let in_order = self.keep_order(call.id, common);
        // The limit may be higher than when these began to wait.
        self.run_waiting(common);
        let is_full = self.running.len() >= common.config.max_in_flight;
        let held = self.bytes + self.held_bytes;
        let too_many = !in_order
            || (is_full && self.waiting.len() >= common.config.max_waiting)
            || (held > 0 && held.saturating_add(bytes) > common.config.max_call_bytes);
        if too_many {
            let status = Status::TOO_MANY_REQUESTS;
            self.reply(call.id, common, &error(common, &call.cid, reply_to, status, now));
            return;
        }
        self.bytes += bytes;
        if is_full {
            self.waiting.push_back((call, reply_to));
        } else {
            self.run(call, reply_to, common);
        }
    }

    /// Forgets a call that its client does not wait for any more, whether it runs or waits. It is not answered; one
    /// that is not there has been.
    pub(super) fn cancel(&mut self, id: &MessageId, common: &mut Common) {
        let is_it = |reply_to: &Option<MessageId>| reply_to.as_ref() == Some(id);
        if let Some(at) = self.waiting.iter().rposition(|(_, reply_to)| is_it(reply_to)) {
            if let Some((call, _)) = self.waiting.remove(at) {
                self.bytes -= call.data.len();
                self.give_place_up(call.id, common);
            }
            return;
        }
        let Some(at) = self.running.iter().rposition(|running| is_it(&running.reply_to)) else {
            return;
        };
        let running = self.running.remove(at);
        self.bytes -= running.bytes;
        common.push(Output::Cancel(running.id));
        self.give_place_up(running.id, common);
        self.run_waiting(common);
    }

    /// Leaves the order without a reply; those behind it may have waited for that.
    fn give_place_up(&mut self, call: CallId, common: &mut Common) {
        self.order.retain(|(id, _)| *id != call);
        self.send_ready(common);
    }

    /// Answers a call without making it.
    pub(super) fn refuse(
        &mut self,
        message: &ClientMessage<'_>,
        status: Status,
        now: Now,
        common: &mut Common,
    ) {
        self.last += 1;
        let id = CallId(self.last);
        self.keep_order(id, common);
        let cid = common.correlation_id();
        self.reply(id, common, &error(common, &cid, message.id.clone(), status, now));
    }

    /// Sends the reply to a call and lets the next ones start.
    pub(super) fn complete(
        &mut self,
        call: CallId,
        result: Result<spanwire_protocol::Payload, CallFailure>,
        now: Now,
        common: &mut Common,
    ) {
        // A call can end after the session gave up on it; nobody waits for that result any more.
        let Some(at) = self.running.iter().rposition(|running| running.id == call) else {
            return;
        };
        let running = self.running.remove(at);
        self.bytes -= running.bytes;
        let reply = match result.map(|data| data.into_codec(common.codec)) {
            Ok(Ok(data)) => {
                ServerMessage::response(&running.cid, now.timestamp, running.reply_to, data)
            }
            Ok(Err(_)) => error(common, &running.cid, running.reply_to, Status::INTERNAL, now),
            Err(failure) => ServerMessage::response_error(
                common.codec,
                &running.cid,
                now.timestamp,
                running.reply_to,
                failure.status,
                failure.message,
            ),
        };
        self.reply(call, common, &reply);
        self.run_waiting(common);
    }

    /// Takes a place in the order of replies; tells whether there was one, which without an order is always so. A call
    /// without a place is refused at once, ahead of its turn: a queue of refusals would have no bound.
    fn keep_order(&mut self, call: CallId, common: &Common) -> bool {
        if !common.config.ordered_replies {
            return true;
        }
        let most = common.config.max_in_flight.saturating_add(common.config.max_waiting);
        let has_place = self.order.len() < most;
        if has_place {
            self.order.push_back((call, None));
        }
        has_place
    }

    fn run_waiting(&mut self, common: &mut Common) {
        while self.running.len() < common.config.max_in_flight
            && let Some((next, reply_to)) = self.waiting.pop_front()
        {
            self.run(next, reply_to, common);
        }
    }

    fn run(&mut self, call: Call, reply_to: Option<MessageId>, common: &mut Common) {
        self.running.push(Running { id: call.id, cid: call.cid, reply_to, bytes: call.data.len() });
        common.push(Output::Invoke(call));
    }

    fn reply(&mut self, call: CallId, common: &mut Common, reply: &ServerMessage<'_>) {
        if self.order.is_empty() {
            common.send(reply);
            return;
        }
        let encoded = reply.encode(common.codec);
        match self.order.iter_mut().find(|(id, _)| *id == call) {
            Some((_, slot)) => {
                self.held_bytes += encoded.len();
                *slot = Some(encoded);
            }
            None => common.push(Output::Send(encoded)),
        }
        self.send_ready(common);
    }

    /// Sends the replies whose turn has come.
    fn send_ready(&mut self, common: &mut Common) {
        while let Some((_, Some(_))) = self.order.front() {
            if let Some((_, Some(ready))) = self.order.pop_front() {
                self.held_bytes -= ready.len();
                common.push(Output::Send(ready));
            }
        }
    }
}

fn error<'a>(
    common: &Common,
    cid: &'a CorrelationId,
    reply_to: Option<MessageId>,
    status: Status,
    now: Now,
) -> ServerMessage<'a> {
    let text = status.default_text();
    ServerMessage::response_error(common.codec, cid, now.timestamp, reply_to, status, text)
}
