//! What goes into a server session and what comes out of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use spanwire_protocol::limits::MAX_CLIENT_TEXT;
use spanwire_protocol::{ClientMessage, CloseFrame, CorrelationId, DecodeError, Payload, Status};
use thiserror::Error;

/// A fact from outside.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "consumed at once; boxing each message would cost an allocation"
)]
pub enum Input<'a> {
    /// The peer sent a message.
    Message(ClientMessage<'a>),
    /// The peer sent something that is no message.
    Undecodable(DecodeError),
    /// The peer sent a pong, whatever its payload.
    Pong,
    /// Credentials were checked.
    LoginDecided {
        /// Which [`Output::Login`] this answers.
        login: LoginId,
        /// Whether the client may come in.
        accepted: bool,
    },
    /// A call ended.
    Completed {
        /// Which [`Output::Invoke`] this answers.
        call: CallId,
        /// The result, or what to tell the client.
        result: Result<Payload, CallFailure>,
    },
    /// Somebody wants an answer from the client.
    Ask {
        /// Chosen by the asker, to recognise [`Output::Answered`].
        ask: AskId,
        /// What the client is asked, in the connection's codec.
        data: Payload,
        /// How long to wait for the answer.
        timeout: Duration,
    },
    /// Somebody wants the client to know something and waits for no answer.
    Tell(Payload),
    /// Messages of a subscription, for the client to have.
    Deliver(Delivery),
    /// Somebody wants the connection closed.
    Disconnect(CloseFrame),
    /// The server stops: finish what runs, then close with 1001, at the latest at this moment.
    Drain(Instant),
}

/// Something to be done.
#[derive(Debug)]
pub enum Output {
    /// Send a message; text in JSON, binary in MessagePack.
    Send(Bytes),
    /// Send a ping with this payload, at most 125 bytes.
    Ping(Bytes),
    /// Check credentials, then give [`Input::LoginDecided`].
    Login(Login),
    /// The client is logged in; comes once.
    Opened(Client),
    /// The client renamed itself within its session.
    Renamed(Client),
    /// Call the mounted service, then give [`Input::Completed`].
    Invoke(Call),
    /// The client waits no more for a call: cancel it. [`Input::Completed`] for it is of no use any more.
    Cancel(CallId),
    /// A request was answered, or will never be.
    Answered {
        /// As given with [`Input::Ask`].
        ask: AskId,
        /// The client's answer, unwrapped from `{"response": …}`.
        answer: Result<Payload, AskError>,
    },
    /// Send a close frame; no further output comes. Calls that still run are to be cancelled.
    Close(CloseFrame),
}

/// Messages of a subscription, or a receipt for those that will not come.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// One message; the id of the message becomes that of the envelope.
    One {
        /// The id of the message.
        id: Arc<str>,
        /// `meta.ctx`.
        ctx: Option<Payload>,
        /// The message.
        data: Payload,
    },
    /// Several messages, as an array.
    Many(Payload),
    /// A receipt.
    Gap(Payload),
}

/// Where a conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Connected; no login yet.
    AwaitingLogin,
    /// Credentials are being checked.
    Authenticating,
    /// Logged in.
    Established,
    /// Logged in, finishing what runs.
    Draining,
    /// Over.
    Closed,
}

/// Names one login of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoginId(pub u64);

/// Names one call of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// Names one request to the client; chosen by the asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AskId(pub u64);

/// Credentials to check.
#[derive(Clone)]
pub struct Login {
    /// To be repeated in [`Input::LoginDecided`].
    pub id: LoginId,
    /// Empty when the client gave none.
    pub username: String,
    /// Empty when the client gave none.
    pub secret: String,
    /// The code of an authenticator app; empty when the client gave none.
    pub totp_code: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("id", &self.id)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// A call to be made.
#[derive(Clone, Debug)]
pub struct Call {
    /// To be repeated in [`Input::Completed`].
    pub id: CallId,
    /// The correlation id; also `meta.id` of the reply.
    pub cid: CorrelationId,
    /// The input of the service.
    pub data: Payload,
    /// When the client stops waiting, if it said so.
    pub deadline: Option<Instant>,
    /// W3C Trace Context, if the client sent it.
    pub traceparent: Option<String>,
    /// How many calls of services by services led to this one, on other servers; 0 if the client did not say.
    pub hops: u8,
}

/// What a client is told when its call fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailure {
    /// `meta.status`.
    pub status: Status,
    /// `meta.error_message`.
    pub message: String,
}

/// Why a client gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AskError {
    /// The time was over. The connection stays open: some clients never answer.
    #[error("the client did not answer in time")]
    TimedOut,
    /// The connection ended first.
    #[error("the client is disconnected")]
    Disconnected,
    /// Too many requests wait for answers of this client.
    #[error("too many requests to the client are unanswered")]
    TooMany,
}

/// What a client says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The id it chose; empty when it chose none.
    pub id: String,
    /// The label it chose; need not be unique.
    pub name: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
}

impl Client {
    /// Takes what a message says; what it does not say stays. Tells whether anything changed.
    pub(super) fn update(&mut self, message: &ClientMessage<'_>) -> bool {
        let mut changed = false;
        for (own, said) in
            [(&mut self.id, &message.client_id), (&mut self.name, &message.client_name)]
        {
            let said = cut(said.as_deref().unwrap_or_default());
            if !said.is_empty() && own != said {
                said.clone_into(own);
                changed = true;
            }
        }
        if message
            .attrs
            .as_deref()
            .is_some_and(|attrs| !attrs.is_empty() && attrs.len() <= MAX_CLIENT_TEXT)
        {
            let attributes =
                message.attributes().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            changed |= self.attributes != attributes;
            self.attributes = attributes;
        }
        changed
    }
}

/// Keeps a client from making the server remember a text of any length.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_CLIENT_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
