//! What is said on the connection of a client: the session's outputs go out, its replies to their callers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use spanwire_protocol::{CloseCode, CloseFrame, Codec, Payload, ServerMessage};
use spanwire_session::{CallError, CallOptions, ClientInput, ClientOutput, ClientSession};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::cancelled::Cancelled;
use super::lanes::Lanes;
use super::pubsub::Delivery;
use super::{Handler, Request, Shared};
use crate::clock;
use crate::socket::{Conversation, Outgoing};

/// What callers want.
pub(super) enum Command {
    Call {
        call: u64,
        data: Payload,
        options: CallOptions,
        reply: oneshot::Sender<Result<Payload, CallError>>,
    },
    /// A call whose reply nobody waits for.
    Tell {
        data: Payload,
        what: &'static str,
    },
    Close,
}

/// Who gets a reply.
enum ReplyTo {
    Caller(oneshot::Sender<Result<Payload, CallError>>),
    Log(&'static str),
}

pub(super) struct WsxConversation {
    session: ClientSession,
    commands: mpsc::Receiver<Command>,
    cancelled: Arc<Cancelled>,
    replies: HashMap<u64, ReplyTo>,
    /// Numbers of calls that are nobody's, from above.
    next_own: u64,
    lanes: Lanes,
    outgoing: VecDeque<Outgoing>,
    /// Told once the session is open, dropped if it never is.
    opened: Option<oneshot::Sender<()>>,
    /// How many messages were no envelope.
    malformed: u32,
}

impl WsxConversation {
    pub(super) fn new(
        session: ClientSession,
        commands: mpsc::Receiver<Command>,
        cancelled: Arc<Cancelled>,
        handler: Arc<dyn Handler>,
        client: Weak<Shared>,
        opened: oneshot::Sender<()>,
    ) -> Self {
        let mut conversation = Self {
            session,
            commands,
            cancelled,
            replies: HashMap::new(),
            next_own: u64::MAX,
            lanes: Lanes::new(handler, client),
            outgoing: VecDeque::new(),
            opened: Some(opened),
            malformed: 0,
        };
        conversation.drain();
        conversation
    }

    fn input(&mut self, input: ClientInput<'_>) {
        self.session.handle_input(input, clock::now());
        self.drain();
    }

    fn command(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Call { call, data, options, reply }) => {
                // Its caller may have given up while it waited to be taken.
                if !reply.is_closed() {
                    self.replies.insert(call, ReplyTo::Caller(reply));
                    self.input(ClientInput::Call { call, data, options });
                }
            }
            Some(Command::Tell { data, what }) => {
                let call = self.next_own;
                self.next_own -= 1;
                self.replies.insert(call, ReplyTo::Log(what));
                let options = CallOptions::default();
                self.input(ClientInput::Call { call, data, options });
            }
            // Nobody has the client any more, or somebody wants it closed.
            Some(Command::Close) | None => self.input(ClientInput::Close),
        }
    }

    fn cancel(&mut self) {
        for call in self.cancelled.take() {
            self.replies.remove(&call);
            self.input(ClientInput::Cancel { call });
        }
    }

    /// Does what the session wants.
    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                ClientOutput::Send(bytes) => match Utf8Bytes::try_from(bytes) {
                    Ok(text) => self.outgoing.push_back(Outgoing::Message(Message::Text(text))),
                    Err(error) => tracing::error!(%error, "a message is no text and was not sent"),
                },
                ClientOutput::Opened => {
                    if let Some(opened) = self.opened.take() {
                        // Whoever connects may have given up.
                        let _ = opened.send(());
                    }
                }
                ClientOutput::Replied { call, result } => {
                    match (self.replies.remove(&call), result) {
                        (Some(ReplyTo::Caller(reply)), result) => drop(reply.send(result)),
                        (Some(ReplyTo::Log(what)), Err(error)) => {
                            tracing::warn!(%error, what, "the peer did not take what it was told");
                        }
                        _ => {}
                    }
                }
                ClientOutput::Asked { request, is_delivery, timestamp, data } => {
                    if is_delivery {
                        self.lanes.deliver(Delivery { id: request, timestamp, data });
                    } else {
                        self.lanes.ask(Request { id: request, timestamp, data });
                    }
                }
                ClientOutput::Gap { data } => self.lanes.missed(data),
                ClientOutput::Refused => {
                    tracing::debug!("the server refused the session");
                    self.opened = None;
                }
                ClientOutput::Close(frame) => self.outgoing.push_back(Outgoing::Close(frame)),
            }
        }
    }
}

impl Conversation for WsxConversation {
    fn receive(&mut self, content: Bytes, _is_text: bool) {
        match ServerMessage::decode(Codec::Json, &content) {
            Ok(message) => self.input(ClientInput::Message(message)),
            Err(error) => {
                self.malformed += 1;
                // The first one is worth a line, all of them are not.
                if self.malformed == 1 {
                    tracing::warn!(%error, "the peer sent what is no message; it is ignored");
                }
                if self.malformed == MAX_MALFORMED {
                    let reason = "Too many malformed messages";
                    let frame = CloseFrame::new(CloseCode::POLICY, reason);
                    self.outgoing.push_back(Outgoing::Close(frame));
                }
            }
        }
    }

    async fn progress(&mut self) {
        let timer = self.session.poll_timeout().map(Instant::from_std);
        let timer = async move {
            match timer {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let is_closed = self.session.is_closed();
        tokio::select! {
            command = self.commands.recv(), if !is_closed => self.command(command),
            () = self.cancelled.wait() => self.cancel(),
            answer = self.lanes.next() => {
                if let Some((request, response)) = answer {
                    self.input(ClientInput::Answer { request, response });
                }
            }
            () = timer => {
                self.session.handle_timeout(clock::now());
                self.drain();
            }
        }
    }

    fn poll_send(&mut self) -> Option<Outgoing> {
        self.outgoing.pop_front()
    }

    fn has_room(&self) -> bool {
        // A handler may wait for a reply that is behind what waits for it.
        self.lanes.have_room(!self.replies.is_empty())
    }
}

/// A peer that does not speak the protocol is told so after this many messages.
const MAX_MALFORMED: u32 = 100;
