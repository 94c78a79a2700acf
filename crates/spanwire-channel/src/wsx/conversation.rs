//! A session as a conversation: messages in, calls out, results and requests back in.

use std::collections::HashMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, abortable};
use futures_util::stream::FuturesUnordered;
use spanwire_protocol::{ClientMessage, Codec, DecodeError, Payload};
use spanwire_session::{
    AskError, AskId, Call, CallFailure, CallId, Input, LoginId, Now, Output, Phase, Session,
};
use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::delivery::Deliveries;
use super::handle::ConnectionHandle;
use super::mailbox::Command;
use crate::backend::{BoxFuture, Principal, Traffic, WsxPeer};
use crate::clock;
use crate::websocket::{Action, Conversation, Ending, Message, SocketLimits};

/// A text message that some clients define and that means nothing (wsx-protocol 1.4).
const KEEP_ALIVE: &[u8] = b"zato-keep-alive-ping";

/// How many results one turn takes before the socket gets its turn.
const RESULTS_PER_TURN: usize = 64;

/// How many deliveries.
const DELIVERIES_PER_TURN: usize = 64;

type CallResult = Result<Payload, CallFailure>;

pub(crate) struct WsxConversation {
    session: Session,
    handle: ConnectionHandle,
    peer: Box<dyn WsxPeer>,
    login: Option<(LoginId, BoxFuture<Option<Principal>>)>,
    /// Calls that the session wants made; made in the next progress, where there is somebody to wake.
    wanted: Vec<Call>,
    /// Calls that have not answered at once; `None` from one that was cancelled.
    calls: FuturesUnordered<BoxFuture<(CallId, Option<CallResult>)>>,
    running: HashMap<CallId, AbortHandle>,
    asks: HashMap<AskId, oneshot::Sender<Result<Payload, AskError>>>,
    asked: u64,
    deliveries: Deliveries,
    timer: Pin<Box<Sleep>>,
    timer_at: Instant,
    action: Option<Action>,
    /// New limits of the connection, until the loop takes them.
    limits: Option<SocketLimits>,
    traffic: Traffic,
    /// The time of this turn: a clock is not read for each message.
    now: Option<Now>,
}

impl WsxConversation {
    pub(crate) fn new(session: Session, handle: ConnectionHandle, peer: Box<dyn WsxPeer>) -> Self {
        let timer_at = session.poll_timeout().unwrap_or_else(clock::instant);
        Self {
            session,
            handle,
            peer,
            login: None,
            wanted: Vec::new(),
            calls: FuturesUnordered::new(),
            running: HashMap::new(),
            asks: HashMap::new(),
            asked: 0,
            deliveries: Deliveries::default(),
            timer: Box::pin(tokio::time::sleep_until(timer_at.into())),
            timer_at,
            action: None,
            limits: None,
            traffic: Traffic::default(),
            now: None,
        }
    }

    fn give(&mut self, input: Input<'_>) {
        let now = self.now();
        self.session.handle_input(input, now);
    }

    fn now(&mut self) -> Now {
        *self.now.get_or_insert_with(clock::now)
    }

    /// Follows the session's outputs up to the next one that is for the socket.
    fn follow(&mut self) -> Option<Action> {
        loop {
            match self.session.poll_output()? {
                Output::Send(message) => {
                    self.traffic.messages_out += 1;
                    self.traffic.bytes_out += message.len() as u64;
                    return Some(Action::Send(match self.handle.dialect().codec {
                        Codec::Json => Message::Text(message),
                        Codec::MsgPack => Message::Binary(message),
                    }));
                }
                Output::Ping(payload) => return Some(Action::Ping(payload)),
                Output::Close(frame) => return Some(Action::Close(frame)),
                Output::Login(login) => {
                    let id = login.id;
                    self.login = Some((id, self.peer.login(login)));
                }
                Output::Opened(client) => {
                    self.handle.set_client(client);
                    self.peer.opened();
                    return Some(Action::Trust);
                }
                Output::Renamed(client) => self.handle.set_client(client),
                Output::Invoke(call) => self.wanted.push(call),
                Output::Cancel(call) => self.cancel(call),
                Output::Answered { ask, answer } => {
                    if let Some(asker) = self.asks.remove(&ask) {
                        // The asker may have given up.
                        drop(asker.send(answer));
                    }
                }
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Ask { data, timeout, answer } => {
                self.asked += 1;
                let ask = AskId(self.asked);
                self.asks.insert(ask, answer);
                self.give(Input::Ask { ask, data, timeout });
            }
            Command::Tell(data) => self.give(Input::Tell(data)),
            Command::Push(stream) => self.deliveries.add(stream),
            Command::Disconnect(frame) => self.give(Input::Disconnect(frame)),
            Command::Drain(until) => self.give(Input::Drain(until)),
            Command::Reconfigure(channel) => {
                let now = self.now();
                self.session.reconfigure(channel.session.clone(), now);
                self.limits = Some(channel.socket.clone());
            }
        }
    }

    /// Makes the calls that the session wants. Most services answer at once: those cost no queue.
    fn make_calls(&mut self, cx: &mut Context<'_>) -> bool {
        let wanted = std::mem::take(&mut self.wanted);
        let any = !wanted.is_empty();
        for call in wanted {
            let id = call.id;
            let mut running = self.peer.invoke(call);
            match running.as_mut().poll(cx) {
                Poll::Ready(result) => self.give(Input::Completed { call: id, result }),
                Poll::Pending => {
                    let (running, handle) = abortable(running);
                    self.running.insert(id, handle);
                    self.calls.push(Box::pin(async move { (id, running.await.ok()) }));
                }
            }
        }
        any
    }

    /// Drops a call that its client does not wait for any more.
    fn cancel(&mut self, call: CallId) {
        self.wanted.retain(|wanted| wanted.id != call);
        if let Some(running) = self.running.remove(&call) {
            running.abort();
        }
    }

    fn poll_login(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((login, check)) = &mut self.login else { return false };
        let login = *login;
        let Poll::Ready(principal) = check.as_mut().poll(cx) else { return false };
        self.login = None;
        let accepted = principal.is_some();
        if let Some(principal) = principal {
            self.handle.set_principal(principal);
        }
        self.give(Input::LoginDecided { login, accepted });
        true
    }

    fn poll_calls(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        for _ in 0..RESULTS_PER_TURN {
            // An empty set ends its stream; it starts again with the next call.
            let Poll::Ready(Some((call, result))) = self.calls.poll_next_unpin(cx) else {
                return any;
            };
            self.running.remove(&call);
            // One that was cancelled has no result.
            if let Some(result) = result {
                self.give(Input::Completed { call, result });
            }
            any = true;
        }
        cx.waker().wake_by_ref();
        any
    }

    fn poll_deliveries(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        for _ in 0..DELIVERIES_PER_TURN {
            // What a session that is over would not send must not count as written.
            if !matches!(self.session.phase(), Phase::Established | Phase::Draining) {
                return any;
            }
            let Some(delivery) = self.deliveries.poll_next(cx) else { return any };
            self.give(Input::Deliver(delivery));
            any = true;
        }
        cx.waker().wake_by_ref();
        any
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.session.poll_timeout() else { return false };
        if at != self.timer_at {
            self.timer_at = at;
            self.timer.as_mut().reset(at.into());
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        let now = self.now();
        self.session.handle_timeout(now);
        self.handle.set_pings_missed(self.session.pings_missed());
        // The timer is spent: the next look arms it again, also for the same moment.
        self.timer_at = now.instant;
        true
    }

    fn progress(&mut self, cx: &mut Context<'_>, room: bool) {
        loop {
            // Outputs of the session come first: an input must not be given before they are followed.
            if self.action.is_none() {
                self.action = self.follow();
            }
            let mut progressed = self.make_calls(cx);
            progressed |= self.poll_login(cx);
            while let Some(command) = self.handle.mailbox().poll(cx, room) {
                self.obey(command);
                progressed = true;
            }
            if room {
                progressed |= self.poll_calls(cx);
                progressed |= self.poll_deliveries(cx);
            }
            progressed |= self.poll_timer(cx);
            if !progressed {
                return;
            }
            if self.action.is_some() {
                // Let the socket take what there is; the loop comes back after that.
                return;
            }
        }
    }

    fn decode(&mut self, message: &Bytes) {
        let now = self.now();
        let decoded = ClientMessage::decode(self.handle.dialect().codec, message);
        let input = match decoded {
            Ok(message) => Input::Message(message),
            Err(error) => Input::Undecodable(error),
        };
        self.session.handle_input(input, now);
    }
}

impl Conversation for WsxConversation {
    fn handle_message(&mut self, message: Message) {
        let now = self.now();
        self.handle.seen(now.timestamp, self.session.pings_missed());
        let (Message::Text(bytes) | Message::Binary(bytes)) = &message;
        self.traffic.messages_in += 1;
        self.traffic.bytes_in += bytes.len() as u64;
        match (&message, self.handle.dialect().codec) {
            (Message::Text(_), Codec::MsgPack) => {
                self.give(Input::Undecodable(DecodeError::NotAnEnvelope));
            }
            (Message::Text(text), Codec::Json) if **text == *KEEP_ALIVE => {}
            _ => self.decode(bytes),
        }
    }

    fn handle_pong(&mut self) {
        self.give(Input::Pong);
        let now = self.now();
        self.handle.seen(now.timestamp, self.session.pings_missed());
        self.handle.set_round_trip(self.session.round_trip());
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>, room: bool) {
        self.progress(cx, room);
        self.handle.set_in_flight(self.session.in_flight());
        if self.traffic != Traffic::default() {
            self.peer.moved(std::mem::take(&mut self.traffic));
        }
        self.now = None;
    }

    fn poll_action(&mut self) -> Option<Action> {
        let limits = self.limits.take().map(|limits| Action::Limit(Box::new(limits)));
        limits.or_else(|| self.action.take()).or_else(|| self.follow())
    }

    fn queue_changed(&mut self, bytes: usize) {
        self.handle.set_queue_bytes(bytes);
    }

    fn flushed(&mut self) -> bool {
        self.deliveries.written()
    }

    fn handle_end(&mut self, ending: &Ending) {
        self.handle.mailbox().close();
        self.deliveries.clear();
        self.asks.clear();
        self.calls.clear();
        self.peer.moved(std::mem::take(&mut self.traffic));
        self.peer.ended(ending);
    }
}
