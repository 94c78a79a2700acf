//! Messages from a server: responses, errors, requests, deliveries (wsx-protocol 2.3, 2.4, 2.6).

use std::borrow::Cow;

use bytes::Bytes;

use super::object::ObjectWriter;
use super::read::{Parts, write_text};
use super::{DecodeError, MessageId};
use crate::codec::Codec;
use crate::id::CorrelationId;
use crate::payload::Payload;
use crate::status::{FORBIDDEN_DATA, Status};
use crate::time::Timestamp;

/// `meta.msg_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MsgType {
    /// The session was created.
    SessionCreated,
    /// A service's response.
    Response,
    /// An error in reply to a request.
    ResponseError,
    /// An error that is not tied to a request.
    MessageError,
    /// A request to the client; also the payload of a ping.
    Request,
    /// A publish/subscribe delivery.
    Delivery,
    /// Messages of a subscription that the client will not get; only for clients that asked for positions.
    Gap,
}

impl MsgType {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SessionCreated => "zwsx.rspa",
            Self::Response => "zwsx.rspok",
            Self::ResponseError => "zwsx.rsperr",
            Self::MessageError => "zwsx.merr",
            Self::Request => "zwsx.rqc",
            Self::Delivery => "zwsx.psrq",
            Self::Gap => "spanwire.psgap",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [
            Self::SessionCreated,
            Self::Response,
            Self::ResponseError,
            Self::MessageError,
            Self::Request,
            Self::Delivery,
            Self::Gap,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
    }
}

/// One message from a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerMessage<'a> {
    /// The server's id of this message; for a response the correlation id of the call.
    pub id: Cow<'a, str>,
    /// When the server sent it; `None` when it was not readable.
    pub timestamp: Option<Timestamp>,
    /// What it is; `None` for a kind this version does not know. Clients tell responses from requests by
    /// [`in_reply_to`](Self::in_reply_to), not by this.
    pub msg_type: Option<MsgType>,
    /// In responses and errors; requests have none.
    pub status: Option<Status>,
    /// The id of the client's message this answers.
    pub in_reply_to: Option<MessageId>,
    /// In errors.
    pub error_message: Option<Cow<'a, str>>,
    /// In deliveries: an object such as `{"reply_to_sk": […]}`.
    pub ctx: Option<Payload>,
    /// The response, the request, the delivery; never absent on the wire.
    pub data: Payload,
}

impl<'a> ServerMessage<'a> {
    fn new(msg_type: MsgType, id: &'a str, now: Timestamp, data: Payload) -> Self {
        Self {
            id: Cow::Borrowed(id),
            timestamp: Some(now),
            msg_type: Some(msg_type),
            status: None,
            in_reply_to: None,
            error_message: None,
            ctx: None,
            data,
        }
    }

    /// The reply to a `create-session`; `data` is `{"token": …}`.
    #[must_use]
    pub fn session_created(
        id: &'a CorrelationId,
        now: Timestamp,
        reply_to: Option<MessageId>,
        data: Payload,
    ) -> Self {
        let mut message = Self::new(MsgType::SessionCreated, id.as_str(), now, data);
        message.status = Some(Status::OK);
        message.in_reply_to = reply_to;
        message
    }

    /// The reply to a call that went well. A null result is sent as `{}`.
    #[must_use]
    pub fn response(
        id: &'a CorrelationId,
        now: Timestamp,
        reply_to: Option<MessageId>,
        data: Payload,
    ) -> Self {
        let data = if data.is_null() { Payload::empty(data.codec()) } else { data };
        let mut message = Self::new(MsgType::Response, id.as_str(), now, data);
        message.status = Some(Status::OK);
        message.in_reply_to = reply_to;
        message
    }

    /// The reply to a call that failed; `data` is `{"cid": …}`.
    #[must_use]
    pub fn response_error(
        codec: Codec,
        id: &'a CorrelationId,
        now: Timestamp,
        reply_to: Option<MessageId>,
        status: Status,
        text: impl Into<Cow<'a, str>>,
    ) -> Self {
        let mut message = Self::new(MsgType::ResponseError, id.as_str(), now, cid_data(codec, id));
        message.status = Some(status);
        message.in_reply_to = reply_to;
        message.error_message = Some(text.into());
        message
    }

    /// An unprocessable message was received; tied to no request.
    #[must_use]
    pub fn bad_request(codec: Codec, id: &'a CorrelationId, now: Timestamp) -> Self {
        let mut message = Self::new(MsgType::MessageError, id.as_str(), now, cid_data(codec, id));
        message.status = Some(Status::BAD_REQUEST);
        message.error_message = Some(Cow::Borrowed(crate::status::BAD_REQUEST));
        message
    }

    /// The session-level refusal: no `in_reply_to`, no `error_message`, and `data` is a text. Clients tell it from a
    /// reply by exactly that (wsx-protocol 7, traps 2 and 29).
    #[must_use]
    pub fn forbidden(codec: Codec, id: &'a CorrelationId, now: Timestamp) -> Self {
        let mut data = Vec::with_capacity(FORBIDDEN_DATA.len() + 2);
        write_text(codec, &mut data, FORBIDDEN_DATA);
        let mut message = Self::new(
            MsgType::MessageError,
            id.as_str(),
            now,
            Payload::from_span(codec, data.into()),
        );
        message.status = Some(Status::FORBIDDEN);
        message
    }

    /// A request to the client, which answers with a `client-response`.
    #[must_use]
    pub fn request(id: &'a CorrelationId, now: Timestamp, data: Payload) -> Self {
        Self::new(MsgType::Request, id.as_str(), now, data)
    }

    /// Messages of a subscription: an object, or an array of them (wsx-protocol 5.5).
    #[must_use]
    pub fn delivery(id: &'a str, now: Timestamp, ctx: Option<Payload>, data: Payload) -> Self {
        let mut message = Self::new(MsgType::Delivery, id, now, data);
        message.ctx = ctx;
        message
    }

    /// A receipt for messages that the client will not get.
    #[must_use]
    pub fn gap(id: &'a CorrelationId, now: Timestamp, data: Payload) -> Self {
        Self::new(MsgType::Gap, id.as_str(), now, data)
    }

    /// Reads a message, as a client does.
    ///
    /// # Errors
    /// When it is not an envelope.
    pub fn decode(codec: Codec, message: &'a Bytes) -> Result<Self, DecodeError> {
        let parts = Parts::read(codec, message)?;
        if !parts.has_meta {
            return Err(DecodeError::NotAnEnvelope);
        }
        let data = parts.payload(codec, message);
        let id = parts.id.map(|id| Payload::from_span(codec, message.slice_ref(id)));
        let id = id.and_then(|id| id.parse::<String>().ok()).unwrap_or_default();
        let ctx = parts.ctx.map(|ctx| Payload::from_span(codec, message.slice_ref(ctx)));
        let fields = parts.fields;
        Ok(Self {
            id: Cow::Owned(id),
            timestamp: Timestamp::parse(fields.timestamp.as_str()),
            msg_type: MsgType::parse(fields.msg_type.as_str()),
            status: fields.status.as_str().parse().ok().map(Status),
            in_reply_to: parts
                .in_reply_to
                .map(|id| MessageId::from_span(codec, message.slice_ref(id))),
            error_message: fields.error_message.into_inner(),
            ctx,
            data,
        })
    }

    /// Writes the message, with the keys of `meta` in the order of wsx-protocol 2.3.
    #[must_use]
    pub fn encode(&self, codec: Codec) -> Bytes {
        self.write_meta(codec, self.data.len()).finish(&self.data)
    }

    /// Writes the message without `data`, for the payload of a ping, which must fit into 125 bytes. JSON only: a ping
    /// is read by nobody but its sender.
    #[must_use]
    pub fn encode_ping(&self) -> Bytes {
        self.write_meta(Codec::Json, 0).finish_without_data()
    }

    fn write_meta(&self, codec: Codec, data_len: usize) -> MetaWriter {
        let mut meta = MetaWriter::new(codec, 192 + data_len);
        meta.text("id", &self.id);
        if let Some(timestamp) = self.timestamp {
            meta.text("timestamp", timestamp.to_iso().as_str());
        }
        if let Some(msg_type) = self.msg_type {
            meta.text("msg_type", msg_type.as_str());
        }
        if let Some(Status(status)) = self.status {
            meta.number("status", u64::from(status));
        }
        if let Some(id) = self.in_reply_to.as_ref().and_then(|id| id.encoded(codec)) {
            meta.raw("in_reply_to", id);
        }
        if let Some(text) = &self.error_message {
            meta.text("error_message", text);
        }
        if let Some(ctx) = self.ctx.as_ref().filter(|ctx| ctx.codec() == codec && !ctx.is_empty()) {
            meta.raw("ctx", ctx.bytes());
        }
        meta
    }

    /// Whether this is the reply to a call or a login that went well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status == Some(Status::OK)
    }

    /// Whether this is the session-level refusal, after which the server closes.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.status == Some(Status::FORBIDDEN) && self.in_reply_to.is_none()
    }
}

fn cid_data(codec: Codec, id: &CorrelationId) -> Payload {
    let mut data = ObjectWriter::new(codec);
    data.text("cid", id.as_str());
    Payload::from_span(codec, data.finish().into())
}

/// Writes an envelope front to back, without building a tree.
pub(super) struct MetaWriter(ObjectWriter);

impl MetaWriter {
    pub(super) fn new(codec: Codec, capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        match codec {
            Codec::Json => out.extend_from_slice(b"{\"meta\":"),
            Codec::MsgPack => out.extend_from_slice(b"\x82\xa4meta"),
        }
        Self(ObjectWriter::append_to(codec, out))
    }

    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.0.text(key, text);
    }

    pub(super) fn number(&mut self, key: &str, number: u64) {
        self.0.number(key, number);
    }

    pub(super) fn raw(&mut self, key: &str, encoded: &[u8]) {
        self.0.raw(key, encoded);
    }

    pub(super) fn finish(self, data: &Payload) -> Bytes {
        let codec = self.0.codec();
        let mut out = self.0.finish();
        match codec {
            Codec::Json => out.extend_from_slice(b",\"data\":"),
            Codec::MsgPack => out.extend_from_slice(b"\xa4data"),
        }
        let empty = Payload::empty(codec);
        let data = if data.codec() == codec { data } else { &empty };
        out.extend_from_slice(data.bytes());
        if codec == Codec::Json {
            out.push(b'}');
        }
        out.into()
    }

    fn finish_without_data(self) -> Bytes {
        let codec = self.0.codec();
        let mut out = self.0.finish();
        if codec == Codec::Json {
            out.push(b'}');
        }
        out.into()
    }
}
