//! A message as its subscriber sees it (wsx-protocol 5.5, pubsub 1.6).
//!
//! What all subscribers of a message are told alike is encoded once for each codec and kept with the message; to each one
//! of them the entries that are its own are added by their bytes.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use spanwire_protocol::{Codec, Payload, Timestamp};
use spanwire_pubsub::settings::{Delivery, SubscriptionSettings};
use spanwire_pubsub::{Delivered, Message, Position, SubKey};

use super::Options;
use super::content::Content;

/// What all subscribers are told alike; what is not there is left out.
#[derive(Serialize)]
struct Shared<'a> {
    data: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correl_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ctx: Option<Ctx<'a>>,
    expiration: u64,
    expiration_time_iso: Timestamp,
    ext_client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ext_pub_time: Option<Timestamp>,
    ext_pub_time_iso: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_gd: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_reply_to: Option<&'a str>,
    mime_type: &'a str,
    msg_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    position_in_group: Option<i64>,
    priority: u8,
    pub_time_iso: Timestamp,
    recv_time_iso: Timestamp,
    size: usize,
    topic_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_ctx: Option<Content<'a>>,
}

#[derive(Serialize)]
struct Ctx<'a> {
    reply_to_sk: &'a [String],
}

/// What one subscriber alone is told.
#[derive(Serialize)]
struct Own<'a> {
    sub_key: &'a str,
    delivery_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

/// The object that is pushed to a WebSocket client, or to anybody else who is called.
///
/// A message that never expires has the expiration that stands for never in existing clients, 2147483647 seconds.
#[must_use]
pub fn delivery(
    delivered: &Delivered,
    key: &SubKey,
    codec: Codec,
    options: &Options,
    position: bool,
) -> Payload {
    let shared = delivered.message.rendered(codec, |message| render(message, codec, options));
    let own = Own {
        sub_key: key.expose(),
        delivery_count: delivery_count(delivered, options),
        position: position.then_some(delivered.position),
    };
    let own = Payload::from_serialize(codec, &own);
    let joined = own.and_then(|own| Payload::from_objects(codec, &[shared, own.bytes()]));
    // Both are objects of ours.
    joined.unwrap_or_else(|_| Payload::empty(codec))
}

/// What is pushed at once to a WebSocket client: one message as an object, several as an array; always an array where
/// the subscription says so.
#[must_use]
pub fn deliveries(
    messages: &[Delivered],
    key: &SubKey,
    codec: Codec,
    options: &Options,
    settings: &SubscriptionSettings,
) -> Payload {
    let is_wrapped = settings.wrap_one == Some(true);
    together(messages, key, codec, options, settings.positions, is_wrapped)
}

/// The body that a REST connection or a service gets: an array. An object where batches have one message and the
/// subscription says so, or does not say and its subscriber is a service.
#[must_use]
pub fn notification(
    messages: &[Delivered],
    key: &SubKey,
    options: &Options,
    settings: &SubscriptionSettings,
) -> Payload {
    let is_service = matches!(settings.delivery, Delivery::Service { .. });
    let is_wrapped = settings.batch_size > 1 || settings.wrap_one.unwrap_or(!is_service);
    together(messages, key, Codec::Json, options, settings.positions, is_wrapped)
}

fn together(
    messages: &[Delivered],
    key: &SubKey,
    codec: Codec,
    options: &Options,
    positions: bool,
    is_wrapped: bool,
) -> Payload {
    let one = |delivered| delivery(delivered, key, codec, options, positions);
    match messages {
        [single] if !is_wrapped => one(single),
        several => {
            let array = Payload::from_items(codec, several.iter().map(one).collect());
            // They are in this codec already.
            array.unwrap_or_else(|_| Payload::null(codec))
        }
    }
}

/// The object that whoever asks for messages gets: without what belongs to groups and to the server (pubsub R10).
#[must_use]
pub fn pull(delivered: &Delivered, key: &SubKey, codec: Codec, options: &Options) -> Payload {
    let shared = Shared {
        group_id: None,
        position_in_group: None,
        has_gd: None,
        ..shared(&delivered.message, codec, options)
    };
    let own = Own {
        sub_key: key.expose(),
        delivery_count: delivery_count(delivered, options),
        position: None,
    };
    joined(codec, &shared, &own)
}

/// The object of `zato.pubsub.queue.get-messages`, with times in seconds.
pub(super) fn queued(delivered: &Delivered, codec: Codec, options: &Options) -> Payload {
    #[derive(Serialize)]
    struct Data<'a> {
        data: Content<'a>,
    }
    let message = &delivered.message;
    let (expiration, expires_at) = expiry(message, options);
    let others = json!({
        "msg_id": &*message.id,
        "correl_id": message.correl_id,
        "in_reply_to": message.in_reply_to,
        "priority": message.priority,
        "size": message.size,
        "data_format": "json",
        "mime_type": message.mime_type,
        "expiration": expiration,
        "expiration_time": seconds(expires_at),
        "ext_client_id": message.ext_client_id,
        "topic_name": &*message.topic,
        "recv_time": seconds(message.recv_time),
        "delivery_count": delivery_count(delivered, options),
    });
    joined(codec, &Data { data: Content::of(&message.data, codec, &message.id) }, &others)
}

/// One object with the entries of two.
fn joined(codec: Codec, first: &impl Serialize, second: &impl Serialize) -> Payload {
    let parts = Payload::from_serialize(codec, first)
        .and_then(|first| Ok((first, Payload::from_serialize(codec, second)?)));
    let joined = parts
        .and_then(|(first, second)| Payload::from_objects(codec, &[first.bytes(), second.bytes()]));
    // Both are objects of ours.
    joined.unwrap_or_else(|_| Payload::empty(codec))
}

fn render(message: &Message, codec: Codec, options: &Options) -> Bytes {
    let encoded = Payload::from_serialize(codec, &shared(message, codec, options));
    // It is an object whose entries all have a form.
    encoded.unwrap_or_else(|_| Payload::empty(codec)).bytes().clone()
}

fn shared<'a>(message: &'a Message, codec: Codec, options: &Options) -> Shared<'a> {
    let content = |json: &'a [u8]| Content::of(json, codec, &message.id);
    let (expiration, expiration_time_iso) = expiry(message, options);
    let reply_to_sk = &*message.reply_to_sk;
    Shared {
        data: content(&message.data),
        correl_id: message.correl_id.as_deref(),
        ctx: (!reply_to_sk.is_empty()).then_some(Ctx { reply_to_sk }),
        expiration,
        expiration_time_iso,
        ext_client_id: &message.ext_client_id,
        ext_pub_time: message.ext_pub_time,
        ext_pub_time_iso: message.ext_pub_time.map(|time| time.to_string()).unwrap_or_default(),
        group_id: Some(&message.group_id),
        has_gd: Some(message.has_gd),
        in_reply_to: message.in_reply_to.as_deref(),
        mime_type: &message.mime_type,
        msg_id: &message.id,
        position_in_group: Some(message.position_in_group),
        priority: message.priority,
        pub_time_iso: message.pub_time,
        recv_time_iso: message.recv_time,
        size: message.size,
        topic_name: &message.topic,
        user_ctx: message.user_ctx.as_ref().map(|ctx| content(ctx)),
    }
}

/// How long a message is of use, in the unit of the wire, and until when.
fn expiry(message: &Message, options: &Options) -> (u64, Timestamp) {
    let published = message.pub_time.as_microseconds();
    let seconds = message.expiration.or_else(|| {
        let until = message.expires_at?.as_microseconds().saturating_sub(published);
        u64::try_from(until / 1_000_000).ok()
    });
    let seconds = seconds.unwrap_or(NEVER);
    let until = message.expires_at.unwrap_or_else(|| {
        let micros = i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        Timestamp::from_microseconds(published.saturating_add(micros))
    });
    (if options.milliseconds { seconds.saturating_mul(1_000) } else { seconds }, until)
}

fn seconds(time: Timestamp) -> Value {
    // Exact to the microsecond until the year 2255.
    let micros = time.as_microseconds();
    let text = format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).into()
}

fn delivery_count(delivered: &Delivered, options: &Options) -> u32 {
    match options.first_count_zero {
        true => delivered.attempt.saturating_sub(1),
        false => delivered.attempt,
    }
}

/// The expiration of a message that has none, in seconds, as existing clients know it.
const NEVER: u64 = 2_147_483_647;

#[cfg(test)]
mod tests;
