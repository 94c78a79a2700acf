//! Messages from a client: `create-session`, `invoke-service`, `client-response` (wsx-protocol 2.1, 2.2).

use std::borrow::Cow;

use bytes::Bytes;

use super::read::Parts;
use super::{DecodeError, MessageId};
use crate::codec::Codec;
use crate::payload::Payload;
use crate::time::Timestamp;

/// What a client wants with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Log in, or renew the session.
    CreateSession,
    /// Call the service mounted on the channel. Every unknown action means this.
    Invoke,
    /// An addition of `spanwire.v1.*`: nobody waits for a call any more. It is not answered.
    Cancel,
    /// The answer to a request of the server. A message without an action means this.
    ClientResponse,
}

impl Action {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreateSession => "create-session",
            Self::Invoke => "invoke-service",
            Self::Cancel => "cancel-invoke",
            Self::ClientResponse => "client-response",
        }
    }
}

/// One message from a client. Texts borrow from the message they were read from; [`Debug`] hides secrets.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientMessage<'a> {
    /// What the client wants.
    pub action: Action,
    /// The id to answer to. Absent or null makes a message unprocessable, except that its token is checked first.
    pub id: Option<MessageId>,
    /// When the client sent it; read as text, never interpreted.
    pub timestamp: Option<Cow<'a, str>>,
    /// The session's token.
    pub token: Option<Cow<'a, str>>,
    /// The id the client chose for itself; survives reconnects.
    pub client_id: Option<Cow<'a, str>>,
    /// The label the client chose for itself; need not be unique.
    pub client_name: Option<Cow<'a, str>>,
    /// For `create-session`.
    pub username: Option<Cow<'a, str>>,
    /// For `create-session`.
    pub secret: Option<Cow<'a, str>>,
    /// For `create-session`: the code of an authenticator app, on channels whose users have one.
    pub totp_code: Option<Cow<'a, str>>,
    /// For `create-session`: `key=value` entries, see [`attributes`](Self::attributes).
    pub attrs: Option<Cow<'a, str>>,
    /// For `client-response`: the id of the server's request, as encoded. For `cancel-invoke`: that of the call.
    pub in_reply_to: Option<MessageId>,
    /// An addition of `spanwire.v1.*`: how many milliseconds the client will wait.
    pub deadline_ms: Option<u64>,
    /// An addition of `spanwire.v1.*`: W3C Trace Context, passed on to services.
    pub traceparent: Option<Cow<'a, str>>,
    /// An addition of `spanwire.v1.*`: how many calls of services by services led to this one, on other servers.
    pub hops: Option<u8>,
    /// The input of the call, or the answer; `{}` when absent.
    pub data: Payload,
}

impl<'a> ClientMessage<'a> {
    /// A message with an id and nothing else.
    #[must_use]
    pub fn new(action: Action, id: &str, data: Payload) -> Self {
        Self {
            action,
            id: Some(MessageId::from_text(data.codec(), id)),
            timestamp: None,
            token: None,
            client_id: None,
            client_name: None,
            username: None,
            secret: None,
            totp_code: None,
            attrs: None,
            in_reply_to: None,
            deadline_ms: None,
            traceparent: None,
            hops: None,
            data,
        }
    }

    /// A call of the service mounted on the channel.
    #[must_use]
    pub fn invoke(id: &str, data: Payload) -> Self {
        Self::new(Action::Invoke, id, data)
    }

    /// A login; also the renewal of a session when it carries the session's token.
    #[must_use]
    pub fn create_session(codec: Codec, id: &str, username: &'a str, secret: &'a str) -> Self {
        let mut message = Self::new(Action::CreateSession, id, Payload::empty(codec));
        message.username = Some(Cow::Borrowed(username));
        message.secret = Some(Cow::Borrowed(secret));
        message
    }

    /// With the session's token, which every message but the first must carry.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<Cow<'a, str>>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// With the client's own id and name.
    #[must_use]
    pub fn with_client(
        mut self,
        id: impl Into<Cow<'a, str>>,
        name: impl Into<Cow<'a, str>>,
    ) -> Self {
        self.client_id = Some(id.into());
        self.client_name = Some(name.into());
        self
    }

    /// Reads a message. Borrows from `message` and shares its bytes for [`data`](Self::data).
    ///
    /// A missing `meta` is not an error here: it reads as a message without a token, which a session refuses.
    ///
    /// # Errors
    /// When the message cannot be processed at all (wsx-protocol 2.6).
    pub fn decode(codec: Codec, message: &'a Bytes) -> Result<Self, DecodeError> {
        let parts = Parts::read(codec, message)?;
        let data = parts.payload(codec, message);
        let span = |bytes: &'a [u8]| MessageId::from_span(codec, message.slice_ref(bytes));
        let fields = parts.fields;
        let action = match fields.action.as_str() {
            "create-session" => Action::CreateSession,
            "cancel-invoke" => Action::Cancel,
            "" | "client-response" => Action::ClientResponse,
            _ => Action::Invoke,
        };
        Ok(Self {
            action,
            id: parts.id.map(span),
            timestamp: fields.timestamp.into_inner(),
            token: fields.token.into_inner(),
            client_id: fields.client_id.into_inner(),
            client_name: fields.client_name.into_inner(),
            username: fields.username.into_inner(),
            secret: fields.secret.into_inner(),
            totp_code: fields.totp_code.into_inner(),
            attrs: fields.attrs.into_inner(),
            in_reply_to: parts.in_reply_to.map(span),
            deadline_ms: fields.deadline_ms.as_str().parse().ok(),
            traceparent: fields.traceparent.into_inner(),
            hops: fields.hops.as_str().parse().ok(),
            data,
        })
    }

    /// Writes the message. The codec of its parts must be the same; a `data` in another codec is written as `{}`.
    #[must_use]
    pub fn encode(&self, codec: Codec) -> Bytes {
        let texts = [
            ("timestamp", self.timestamp.as_deref()),
            ("token", self.token.as_deref()),
            ("client_id", self.client_id.as_deref()),
            ("client_name", self.client_name.as_deref()),
            ("username", self.username.as_deref()),
            ("secret", self.secret.as_deref()),
            ("totp_code", self.totp_code.as_deref()),
            ("attrs", self.attrs.as_deref()),
            ("traceparent", self.traceparent.as_deref()),
        ];
        let mut meta = super::server::MetaWriter::new(codec, 192 + self.data.len());
        meta.text("action", self.action.as_str());
        for (key, id) in [("id", &self.id), ("in_reply_to", &self.in_reply_to)] {
            if let Some(id) = id.as_ref().and_then(|id| id.encoded(codec)) {
                meta.raw(key, id);
            }
        }
        for (key, text) in texts {
            if let Some(text) = text {
                meta.text(key, text);
            }
        }
        if let Some(deadline) = self.deadline_ms {
            meta.number("deadline_ms", deadline);
        }
        if let Some(hops) = self.hops {
            meta.number("hops", hops.into());
        }
        meta.finish(&self.data)
    }

    /// Stamps the message with the time it is sent at.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.timestamp = Some(Cow::Owned(now.to_string()));
        self
    }

    /// `attrs` as pairs: entries separated by `;` or newlines, lines starting with `#` skipped.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attrs.as_deref().unwrap_or_default().split([';', '\n']).filter_map(|entry| {
            let entry = entry.trim();
            let (key, value) = entry.split_once('=')?;
            (!entry.starts_with('#') && !key.trim().is_empty())
                .then_some((key.trim(), value.trim()))
        })
    }
}

impl std::fmt::Debug for ClientMessage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientMessage")
            .field("action", &self.action)
            .field("id", &self.id)
            .field("client_id", &self.client_id)
            .field("client_name", &self.client_name)
            .field("in_reply_to", &self.in_reply_to)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}
