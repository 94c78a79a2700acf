//! A message: as its publisher gives it, and as it is kept.
//!
//! A message never changes once it is published; an operator's edit makes a new one in its place.

mod stored;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use spanwire_protocol::{Codec, Payload, Timestamp};

pub use self::stored::{DecodeError, EncodedMessage, Header, StoredMessage};
use crate::error::PubSubError;
use crate::id::SubKey;

/// The priority of a message that names none.
pub const DEFAULT_PRIORITY: u8 = 5;

/// The MIME type of a message that names none.
pub const DEFAULT_MIME_TYPE: &str = "application/json";

/// The longest id or label a publisher may give, in bytes.
pub const MAX_LABEL: usize = 200;

/// How many subscriptions a publisher may name for answers.
pub(crate) const MAX_REPLY_TO: usize = 100;

/// A message as its publisher gives it.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The content: any value.
    pub data: Payload,
    /// The id of the message; one is made if not given. The same id again of the same publisher on the same topic, within
    /// the window of the broker, is the same message and not stored a second time.
    pub msg_id: Option<String>,
    /// 1 to 9, the highest; 0 or none is 5.
    pub priority: Option<i64>,
    /// After how many seconds it is of no use any more; 0 or none is never, or the limit of its topic.
    pub expiration: Option<i64>,
    /// Whether its delivery is guaranteed; the topic says if not given.
    pub has_gd: Option<bool>,
    /// What the content is.
    pub mime_type: Option<String>,
    /// The correlation id.
    pub correl_id: Option<String>,
    /// The message this one answers.
    pub in_reply_to: Option<String>,
    /// The publisher's own name for itself.
    pub ext_client_id: Option<String>,
    /// When it came to be, by the publisher's clock. It goes before the time of publication in the order of a queue.
    pub ext_pub_time: Option<String>,
    /// The group it belongs to.
    pub group_id: Option<String>,
    /// Its place in the group.
    pub position_in_group: Option<i64>,
    /// Subscriptions that answers may be sent to; handed on to subscribers.
    pub reply_to_sk: Vec<String>,
    /// The only subscriptions that get it; all of the topic if empty.
    pub deliver_to_sk: Vec<SubKey>,
    /// Handed on to subscribers.
    pub user_ctx: Option<Payload>,
    /// The service that the message is for.
    pub target_service: Option<String>,
}

impl Publication {
    /// A message with this content and everything else left to the topic.
    #[must_use]
    pub fn new(data: Payload) -> Self {
        Self {
            data,
            msg_id: None,
            priority: None,
            expiration: None,
            has_gd: None,
            mime_type: None,
            correl_id: None,
            in_reply_to: None,
            ext_client_id: None,
            ext_pub_time: None,
            group_id: None,
            position_in_group: None,
            reply_to_sk: Vec::new(),
            deliver_to_sk: Vec::new(),
            user_ctx: None,
            target_service: None,
        }
    }

    /// A message of a value that can be written as JSON.
    ///
    /// # Errors
    /// When it cannot.
    pub fn from_value<T: Serialize + ?Sized>(value: &T) -> Result<Self, PubSubError> {
        let data = Payload::from_serialize(Codec::Json, value);
        data.map(Self::new).map_err(|error| PubSubError::Input(error.to_string()))
    }

    /// Checks what can be checked without knowing the topic, and gives the message its times.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn into_message(
        self,
        topic: &Arc<str>,
        publisher: Arc<str>,
        pattern: Arc<str>,
        now: Timestamp,
    ) -> Result<Message, PubSubError> {
        let data = self.data.into_codec(Codec::Json);
        let data = data.map_err(|error| PubSubError::Input(error.to_string()))?;
        if data.is_null()
            || data.is_empty()
            || matches!(&**data.bytes(), b"\"\"" | b"false" | b"[]")
        {
            return Err(PubSubError::NoData);
        }
        let priority = match self.priority.unwrap_or(0) {
            0 => DEFAULT_PRIORITY,
            given => u8::try_from(given).ok().filter(|given| (1..=9).contains(given)).ok_or_else(
                || PubSubError::Input(format!("Priority `{given}` outside of allowed range 1-9")),
            )?,
        };
        let expiration = match self.expiration.unwrap_or(0) {
            0 => None,
            given => Some(u64::try_from(given).map_err(|_| {
                PubSubError::Input(format!("Expiration `{given}` must not be negative"))
            })?),
        };
        let ext_pub_time = self.ext_pub_time.filter(|text| !text.is_empty());
        let ext_pub_time = ext_pub_time.map(|text| {
            Timestamp::parse(&text).ok_or_else(|| {
                PubSubError::Input(format!(
                    "ext_pub_time `{text}` is not a time such as 2024-03-04T10:20:30.123456"
                ))
            })
        });
        let label = |name: &str, given: Option<String>| match given {
            Some(text) if text.len() > MAX_LABEL => Err(PubSubError::Input(format!(
                "{name} has {} bytes, allowed are {MAX_LABEL}",
                text.len()
            ))),
            given => Ok(given.filter(|text| !text.is_empty())),
        };
        // What existing clients give all their messages is no id.
        let own_id = label("msg_id", self.msg_id)?.filter(|id| id != CONSTANT_ID);
        let id = match &own_id {
            Some(id) => id.as_str().into(),
            None => crate::id::message_id()?,
        };
        Ok(Message {
            size: content_size(&data),
            data: data.bytes().clone(),
            id,
            has_own_id: own_id.is_some(),
            topic: Arc::clone(topic),
            priority,
            expiration,
            expires_at: None,
            has_gd: self.has_gd.unwrap_or(false),
            mime_type: label("mime_type", self.mime_type)?
                .unwrap_or_else(|| DEFAULT_MIME_TYPE.to_owned()),
            correl_id: label("correl_id", self.correl_id)?,
            in_reply_to: label("in_reply_to", self.in_reply_to)?,
            ext_client_id: label("ext_client_id", self.ext_client_id)?.unwrap_or_default(),
            ext_pub_time: ext_pub_time.transpose()?,
            group_id: label("group_id", self.group_id)?.unwrap_or_default(),
            position_in_group: self.position_in_group.unwrap_or(1),
            reply_to_sk: reply_to_sk(self.reply_to_sk)?,
            user_ctx: match self.user_ctx.filter(|ctx| !ctx.is_null()) {
                Some(ctx) => Some(
                    ctx.into_codec(Codec::Json)
                        .map_err(|error| PubSubError::Input(error.to_string()))?
                        .bytes()
                        .clone(),
                ),
                None => None,
            },
            target_service: label("target_service", self.target_service)?,
            pub_time: now,
            recv_time: now,
            publisher,
            pattern,
            rendered: Rendered::default(),
        })
    }
}

/// A message as it is kept and delivered. Cloning an `Arc` of it is how it is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `zpsm…`, or what the publisher gave.
    pub id: Arc<str>,
    /// Whether the publisher gave the id.
    pub has_own_id: bool,
    /// The topic it was published to, as that was called then.
    pub topic: Arc<str>,
    /// The content as JSON.
    pub data: Bytes,
    /// Bytes of the content: of the text itself where it is a text.
    pub size: usize,
    /// 1 to 9, the highest.
    pub priority: u8,
    /// Seconds from publication to expiry; `None` is never.
    pub expiration: Option<u64>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Whether it was on disk before its publisher was told.
    pub has_gd: bool,
    /// What the content is.
    pub mime_type: String,
    /// The correlation id.
    pub correl_id: Option<String>,
    /// The message this one answers.
    pub in_reply_to: Option<String>,
    /// The publisher's own name for itself.
    pub ext_client_id: String,
    /// When it came to be, by the publisher's clock.
    pub ext_pub_time: Option<Timestamp>,
    /// The group it belongs to.
    pub group_id: String,
    /// Its place in the group.
    pub position_in_group: i64,
    /// Subscriptions that answers may be sent to.
    pub reply_to_sk: Vec<String>,
    /// Handed on to subscribers, as JSON.
    pub user_ctx: Option<Bytes>,
    /// The service that the message is for.
    pub target_service: Option<String>,
    /// When it was published.
    pub pub_time: Timestamp,
    /// When the broker received it.
    pub recv_time: Timestamp,
    /// The endpoint that published it.
    pub publisher: Arc<str>,
    /// The pattern that allowed that.
    pub pattern: Arc<str>,
    /// What all subscribers are told alike, encoded once for all of them.
    pub(crate) rendered: Rendered,
}

/// Encoded forms of a message, made when they are first asked for.
#[derive(Debug, Default)]
pub(crate) struct Rendered([OnceLock<Bytes>; 2]);

impl Clone for Rendered {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// They follow from the message.
impl PartialEq for Rendered {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Rendered {}

impl Message {
    /// Gives it the expiry that follows from its own wish and the limits of its topic.
    pub(crate) fn limit(&mut self, expiry: Option<Duration>, retention: Option<Duration>) {
        let seconds = |limit: Duration| {
            limit.as_secs().saturating_add(u64::from(limit.subsec_nanos() > 0)).max(1)
        };
        let limit = expiry.map(seconds);
        self.expiration = [self.expiration, limit].into_iter().flatten().min();
        let ends = [self.expiration, retention.map(seconds)].into_iter().flatten().min();
        self.expires_at = ends.map(|seconds| {
            let microseconds = i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
            Timestamp::from_microseconds(
                self.pub_time.as_microseconds().saturating_add(microseconds),
            )
        });
    }

    /// What all subscribers are told alike in a codec; `render` makes it when it is first asked for.
    pub fn rendered(&self, codec: Codec, render: impl FnOnce(&Self) -> Bytes) -> &Bytes {
        let [json, msgpack] = &self.rendered.0;
        let form = match codec {
            Codec::Json => json,
            Codec::MsgPack => msgpack,
        };
        form.get_or_init(|| render(self))
    }

    /// What it takes in memory, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        let keys: usize = self.reply_to_sk.iter().map(|key| key.len() + 32).sum();
        self.data.len() + self.user_ctx.as_ref().map_or(0, Bytes::len) + keys + 512
    }

    /// The content.
    #[must_use]
    pub fn payload(&self) -> Payload {
        // It was JSON when it was stored, and the checksum says that it still is.
        Payload::from_json(self.data.clone()).unwrap_or_else(|_| Payload::null(Codec::Json))
    }

    /// The first characters of the content, for people.
    #[must_use]
    pub fn prefix(&self, characters: usize) -> String {
        let text = self.payload().parse::<String>();
        let text = text.unwrap_or_else(|_| String::from_utf8_lossy(&self.data).into_owned());
        text.chars().take(characters).collect()
    }
}

/// What an operator may change of a message that waits.
#[derive(Clone, Debug, Default)]
pub struct MessageEdit {
    /// Another content.
    pub data: Option<Payload>,
    /// Another MIME type.
    pub mime_type: Option<String>,
    /// Another priority.
    pub priority: Option<i64>,
    /// Seconds from now to expiry.
    pub expiration: Option<i64>,
    /// Another correlation id.
    pub correl_id: Option<String>,
    /// Another message that this one answers.
    pub in_reply_to: Option<String>,
}

impl MessageEdit {
    /// The message as it is wanted.
    pub(crate) fn apply(self, before: &Message, now: i64) -> Result<Message, PubSubError> {
        let mut publication = Publication::new(self.data.unwrap_or_else(|| before.payload()));
        publication.priority = self.priority.or(Some(i64::from(before.priority)));
        publication.mime_type = self.mime_type.or_else(|| Some(before.mime_type.clone()));
        publication.correl_id = self.correl_id.or_else(|| before.correl_id.clone());
        publication.in_reply_to = self.in_reply_to.or_else(|| before.in_reply_to.clone());
        publication.expiration = self.expiration;
        let (publisher, pattern) = (Arc::clone(&before.publisher), Arc::clone(&before.pattern));
        let now = Timestamp::from_microseconds(now);
        let mut edited = publication.into_message(&before.topic, publisher, pattern, now)?;
        if edited.expiration.is_some() {
            edited.limit(None, None);
        } else {
            edited.expiration = before.expiration;
            edited.expires_at = before.expires_at;
        }
        Ok(Message {
            id: Arc::clone(&before.id),
            has_own_id: before.has_own_id,
            has_gd: before.has_gd,
            ext_client_id: before.ext_client_id.clone(),
            ext_pub_time: before.ext_pub_time,
            group_id: before.group_id.clone(),
            position_in_group: before.position_in_group,
            reply_to_sk: before.reply_to_sk.clone(),
            user_ctx: before.user_ctx.clone(),
            target_service: before.target_service.clone(),
            pub_time: before.pub_time,
            recv_time: before.recv_time,
            ..edited
        })
    }
}

/// Keys that answers may be sent to, if they are not too many and not too long.
fn reply_to_sk(keys: Vec<String>) -> Result<Vec<String>, PubSubError> {
    if keys.len() > MAX_REPLY_TO {
        let many = keys.len();
        let text = format!("reply_to_sk has {many} keys, allowed are {MAX_REPLY_TO}");
        return Err(PubSubError::Input(text));
    }
    match keys.iter().map(String::len).find(|length| *length > MAX_LABEL) {
        Some(length) => Err(PubSubError::Input(format!(
            "A key of reply_to_sk has {length} bytes, allowed are {MAX_LABEL}"
        ))),
        None => Ok(keys),
    }
}

/// Bytes of a content: of the text itself where it is a text.
fn content_size(data: &Payload) -> usize {
    data.parse::<String>().map_or_else(|_| data.len(), |text| text.len())
}

/// The id that the JavaScript client gives each of its messages (pubsub W42).
const CONSTANT_ID: &str = "111";
