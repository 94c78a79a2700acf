//! The form of a message on disk: a version, a header, the message itself.
//!
//! ```text
//! 01  header  message
//! ```
//!
//! A long message is kept apart: `02  header` stands for it where it is looked for.
//!
//! Header and message are MessagePack arrays. The header is what the index of a topic needs, so that a start reads no
//! contents. Checksums are the store's.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use spanwire_protocol::Timestamp;
use thiserror::Error;

use super::Message;
use crate::id::SubscriptionId;

/// What the index of a topic needs of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// 1 to 9, the highest.
    pub priority: u8,
    /// What it is ordered by within its priority: the publisher's time if it gave one, or that of publication, in
    /// microseconds.
    pub order: i64,
    /// When it expires, in microseconds since the epoch.
    pub expires_at: Option<i64>,
    /// Whether that is the limit of its topic and not its own wish.
    pub by_retention: bool,
    /// Bytes of the content.
    pub size: u32,
    /// Whether there was nobody to get it when it was published: the first to subscribe gets it.
    pub waiting: bool,
    /// The only subscriptions that get it; `None` is all that existed.
    pub recipients: Option<Vec<SubscriptionId>>,
    /// Whether it is ordered by a time that its publisher gave, which says nothing of the clock of the topic.
    #[serde(default)]
    pub has_own_time: bool,
}

/// A message as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage(Bytes);

/// A stored message is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "a stored message cannot be read ({0}); the store is damaged or written by a later release"
)]
pub struct DecodeError(String);

impl StoredMessage {
    /// Writes header and message one after the other.
    #[must_use]
    pub fn new(header: &Header, message: &EncodedMessage) -> Self {
        let mut bytes = Vec::with_capacity(64 + message.0.len());
        bytes.push(VERSION);
        // Writing into memory cannot fail, and every field has a form.
        drop(rmp_serde::encode::write(&mut bytes, header));
        bytes.extend_from_slice(&message.0);
        Self(bytes.into())
    }

    /// Takes bytes as the store gave them.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The message without itself: what a start needs to read.
    #[cfg(feature = "store")]
    pub(crate) fn header_alone(&self) -> Vec<u8> {
        let length = self.split().map_or(self.0.len(), |(_, rest)| self.0.len() - rest.len());
        let mut header = self.0.get(..length).unwrap_or_default().to_vec();
        if let Some(version) = header.first_mut() {
            *version = HEADER_ALONE;
        }
        header
    }

    /// Whether these are the bytes of a header whose message is elsewhere.
    #[cfg(feature = "store")]
    pub(crate) fn is_header_alone(bytes: &[u8]) -> bool {
        bytes.first() == Some(&HEADER_ALONE)
    }

    /// Reads the header alone.
    ///
    /// # Errors
    /// When these are not the bytes of a message.
    pub fn header(&self) -> Result<Header, DecodeError> {
        self.split().map(|(header, _)| header)
    }

    /// Reads the message.
    ///
    /// # Errors
    /// When these are not the bytes of a message.
    pub fn message(&self) -> Result<Message, DecodeError> {
        let (header, rest) = self.split()?;
        let body: Body =
            rmp_serde::from_slice(rest).map_err(|error| DecodeError(error.to_string()))?;
        Ok(body.into_message(&header))
    }

    fn split(&self) -> Result<(Header, &[u8]), DecodeError> {
        let rest = match self.0.split_first() {
            Some((&(VERSION | HEADER_ALONE), rest)) => rest,
            Some((version, _)) => return Err(DecodeError(format!("its version is {version}"))),
            None => return Err(DecodeError("it is empty".to_owned())),
        };
        let mut reader = rest;
        let header = Header::deserialize(&mut rmp_serde::Deserializer::new(&mut reader));
        let header = header.map_err(|error| DecodeError(error.to_string()))?;
        Ok((header, reader))
    }
}

/// The message without its header, encoded before it is known where it will stand.
#[derive(Clone, Debug)]
pub struct EncodedMessage(Vec<u8>);

impl EncodedMessage {
    pub(crate) fn of(message: &Message) -> Self {
        let mut bytes = Vec::with_capacity(256 + message.data.len());
        // Writing into memory cannot fail, and every field has a form.
        drop(rmp_serde::encode::write(&mut bytes, &Body::of(message)));
        Self(bytes)
    }
}

/// Positions count: fields are added at the end, with a default.
#[derive(Serialize, Deserialize)]
struct Body {
    id: String,
    has_own_id: bool,
    topic: String,
    #[serde(with = "serde_bytes")]
    data: Vec<u8>,
    expiration: Option<u64>,
    mime_type: String,
    correl_id: Option<String>,
    in_reply_to: Option<String>,
    ext_client_id: String,
    ext_pub_time: Option<i64>,
    group_id: String,
    position_in_group: i64,
    reply_to_sk: Vec<String>,
    #[serde(with = "serde_bytes")]
    user_ctx: Option<Vec<u8>>,
    target_service: Option<String>,
    pub_time: i64,
    recv_time: i64,
    publisher: String,
    pattern: String,
    size: u64,
}

impl Body {
    fn of(message: &Message) -> Self {
        Self {
            id: message.id.to_string(),
            has_own_id: message.has_own_id,
            topic: message.topic.to_string(),
            data: message.data.to_vec(),
            expiration: message.expiration,
            mime_type: message.mime_type.clone(),
            correl_id: message.correl_id.clone(),
            in_reply_to: message.in_reply_to.clone(),
            ext_client_id: message.ext_client_id.clone(),
            ext_pub_time: message.ext_pub_time.map(Timestamp::as_microseconds),
            group_id: message.group_id.clone(),
            position_in_group: message.position_in_group,
            reply_to_sk: message.reply_to_sk.clone(),
            user_ctx: message.user_ctx.as_ref().map(|ctx| ctx.to_vec()),
            target_service: message.target_service.clone(),
            pub_time: message.pub_time.as_microseconds(),
            recv_time: message.recv_time.as_microseconds(),
            publisher: message.publisher.to_string(),
            pattern: message.pattern.to_string(),
            size: message.size as u64,
        }
    }

    fn into_message(self, header: &Header) -> Message {
        let moment = Timestamp::from_microseconds;
        Message {
            id: self.id.into(),
            has_own_id: self.has_own_id,
            topic: Arc::from(self.topic),
            data: self.data.into(),
            size: usize::try_from(self.size).unwrap_or(usize::MAX),
            priority: header.priority,
            expiration: self.expiration,
            expires_at: header.expires_at.map(moment),
            has_gd: true,
            mime_type: self.mime_type,
            correl_id: self.correl_id,
            in_reply_to: self.in_reply_to,
            ext_client_id: self.ext_client_id,
            ext_pub_time: self.ext_pub_time.map(moment),
            group_id: self.group_id,
            position_in_group: self.position_in_group,
            reply_to_sk: self.reply_to_sk,
            user_ctx: self.user_ctx.map(Into::into),
            target_service: self.target_service,
            pub_time: moment(self.pub_time),
            recv_time: moment(self.recv_time),
            publisher: self.publisher.into(),
            pattern: self.pattern.into(),
            rendered: super::Rendered::default(),
        }
    }
}

const VERSION: u8 = 1;
const HEADER_ALONE: u8 = 2;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Publication;
    use super::*;

    fn message() -> Message {
        let mut publication = Publication::from_value(&serde_json::json!({"a": [1, "ü"]})).unwrap();
        publication.priority = Some(7);
        publication.expiration = Some(60);
        publication.mime_type = Some("text/csv".to_owned());
        publication.ext_pub_time = Some("2024-03-04T10:20:30.5".to_owned());
        publication.reply_to_sk = vec!["zpsk.x".to_owned()];
        publication.correl_id = Some("c".to_owned());
        let now = Timestamp::from_microseconds(1_700_000_000_000_000);
        let message = publication.into_message(&"/t".into(), "p".into(), "pub=/t".into(), now);
        let mut message = message.unwrap();
        message.has_gd = true;
        message.limit(Some(Duration::from_secs(5)), None);
        message
    }

    fn header(message: &Message) -> Header {
        Header {
            priority: message.priority,
            order: 4,
            expires_at: message.expires_at.map(Timestamp::as_microseconds),
            by_retention: false,
            size: 9,
            waiting: true,
            recipients: Some(vec![SubscriptionId(3)]),
            has_own_time: true,
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let message = message();
        let header = header(&message);
        let stored = StoredMessage::new(&header, &EncodedMessage::of(&message));
        assert_eq!(stored.header(), Ok(header));
        assert_eq!(stored.message(), Ok(message.clone()));
        assert_eq!(message.expiration, Some(5), "capped by the topic");
    }

    #[test]
    fn damage_and_other_versions_are_errors() {
        let message = message();
        let stored = StoredMessage::new(&header(&message), &EncodedMessage::of(&message));
        for length in 0..stored.as_bytes().len() {
            let cut = StoredMessage::from_bytes(stored.as_bytes().slice(..length));
            assert!(cut.message().is_err(), "{length}");
        }
        assert!(StoredMessage::from_bytes(vec![3, 0].into()).header().is_err());
    }
}
