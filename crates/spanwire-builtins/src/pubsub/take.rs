//! Getting messages that wait, and saying what became of them.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use spanwire_protocol::{Codec, Payload, TopicAccess};
use spanwire_pubsub::{Broker, Delivered, Endpoint, Position, PubSubError, Pull, SubKey};
use spanwire_service::{Context, ServiceError};
use tokio_util::sync::CancellationToken;

use super::caller::{Caller, refused};
use super::input::{integer, list, read, required, seconds, text};
use super::{PubSub, envelope};

/// How messages are wanted.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    #[serde(deserialize_with = "text")]
    topic_name: Option<String>,
    #[serde(deserialize_with = "text")]
    sub_key: Option<String>,
    #[serde(deserialize_with = "text")]
    order: Option<String>,
    #[serde(deserialize_with = "integer")]
    limit: Option<i64>,
    #[serde(deserialize_with = "integer")]
    batch_size: Option<i64>,
    #[serde(deserialize_with = "seconds")]
    lease: Option<Duration>,
    #[serde(deserialize_with = "seconds")]
    wait: Option<Duration>,
}

/// Messages of a queue, and what became of them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Report {
    #[serde(deserialize_with = "text")]
    sub_key: Option<String>,
    #[serde(deserialize_with = "list")]
    msg_id_list: Option<Vec<String>>,
    #[serde(deserialize_with = "list")]
    msg_ids: Option<Vec<String>>,
    positions: Option<Vec<Place>>,
    up_to: Option<Position>,
    #[serde(deserialize_with = "text")]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Place {
    Offset(u64),
    Position(Position),
}

/// `zato.pubsub.pubapi.get-messages`: takes what waits, newest first unless asked otherwise (pubsub R12).
pub(super) async fn get_messages(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Payload, ServiceError> {
    let wish = read::<Wish>(&input)?;
    let caller = Caller::of(&pubsub, &ctx)?;
    if let Some(key) = wish.sub_key.as_deref().map(SubKey::from_text) {
        return fetch(&pubsub, &ctx, &caller, &key, &wish, input.codec()).await;
    }
    if caller.connection.is_some() || caller.endpoint.is_internal() {
        return Err(ServiceError::input("`sub_key` is missing"));
    }
    fetch_by_topic(&pubsub, &ctx, &caller, &wish, input.codec()).await
}

/// Messages of the one subscription that an endpoint has to a topic.
pub(super) async fn fetch_by_topic(
    pubsub: &PubSub,
    ctx: &Context,
    caller: &Caller,
    wish: &Wish,
    codec: Codec,
) -> Result<Payload, ServiceError> {
    let topic = required(wish.topic_name.as_deref(), "topic_name")?;
    let key = key_by_topic(pubsub, caller, topic)?;
    fetch(pubsub, ctx, caller, &key, wish, codec).await
}

/// The one subscription that an endpoint has to a topic.
pub(super) fn key_by_topic(
    pubsub: &PubSub,
    caller: &Caller,
    topic: &str,
) -> Result<SubKey, ServiceError> {
    caller.endpoint.allow(TopicAccess::Subscribe, topic).map_err(refused)?;
    let found = pubsub.broker.find_subscription(&caller.endpoint, topic);
    found.ok_or_else(|| match pubsub.broker.topic(topic) {
        Some(_) => refused(PubSubError::NotSubscribed(topic.to_owned())),
        None => refused(PubSubError::NoSuchTopic(topic.to_owned())),
    })
}

async fn fetch(
    pubsub: &PubSub,
    ctx: &Context,
    caller: &Caller,
    key: &SubKey,
    wish: &Wish,
    codec: Codec,
) -> Result<Payload, ServiceError> {
    let oldest_first = match wish.order.as_deref() {
        None | Some("lifo") => false,
        Some("fifo") => true,
        Some(_) => return Err(ServiceError::bad_request("order: expected fifo or lifo")),
    };
    let pull = Pull {
        limit: limit("limit", wish.limit, 0)?,
        lease: wish.lease.filter(|lease| !lease.is_zero()),
        // Somebody has to be there when they come.
        wait: wish.wait.unwrap_or_default().min(ctx.remaining().saturating_sub(ANSWER_MARGIN)),
    };
    let (endpoint, client) = (&caller.endpoint, &caller.client_id);
    let taken = self::pull(&pubsub.broker, &pubsub.stop, endpoint, client, key, pull).await;
    let taken = taken.map_err(refused)?;
    let one = |delivered| envelope::pull(delivered, key, codec, &pubsub.options);
    let mut messages: Vec<_> = taken.iter().map(one).collect();
    if !oldest_first {
        messages.reverse();
    }
    Payload::from_items(codec, messages).map_err(ServiceError::internal)
}

/// `zato.pubsub.queue.get-messages`: lends what waits until it is acknowledged.
pub(super) async fn queue_get_messages(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Payload, ServiceError> {
    let wish = read::<Wish>(&input)?;
    let key = SubKey::from_text(&required(wish.sub_key, "sub_key")?);
    let caller = Caller::of(&pubsub, &ctx)?;
    let pull = Pull {
        limit: limit("batch_size", wish.batch_size, QUEUE_BATCH)?,
        lease: Some(wish.lease.filter(|lease| !lease.is_zero()).unwrap_or(QUEUE_LEASE)),
        wait: wish.wait.unwrap_or_default().min(ctx.remaining().saturating_sub(ANSWER_MARGIN)),
    };
    let (endpoint, client) = (&caller.endpoint, &caller.client_id);
    let taken = self::pull(&pubsub.broker, &pubsub.stop, endpoint, client, &key, pull).await;
    let taken = taken.map_err(refused)?;
    let codec = input.codec();
    let one = |delivered| envelope::queued(delivered, codec, &pubsub.options);
    Payload::from_items(codec, taken.iter().map(one).collect()).map_err(ServiceError::internal)
}

/// Asks for messages of a subscription; nobody waits for any once `stop` is cancelled.
///
/// # Errors
/// As [`Broker::pull`].
///
/// # Cancel safety
/// As [`Broker::pull`].
pub async fn pull(
    broker: &Broker,
    stop: &CancellationToken,
    by: &Endpoint,
    client_id: &str,
    key: &SubKey,
    pull: Pull,
) -> Result<Vec<Delivered>, PubSubError> {
    let waiting = broker.pull(by, client_id, key, pull);
    match stop.run_until_cancelled(waiting).await {
        Some(taken) => taken,
        None => broker.pull(by, client_id, key, Pull { wait: Duration::ZERO, ..pull }).await,
    }
}

fn limit(name: &str, given: Option<i64>, default: usize) -> Result<usize, ServiceError> {
    match given.unwrap_or(0) {
        0 => Ok(default),
        given => usize::try_from(given)
            .map_err(|_| ServiceError::bad_request(format!("{name}: expected a number above 0"))),
    }
}

/// `zato.pubsub.queue.acknowledge-delivery`.
pub(super) async fn acknowledge_delivery(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Value, ServiceError> {
    let report = read::<Report>(&input)?;
    let key = SubKey::from_text(&required(report.sub_key, "sub_key")?);
    let ids = required(report.msg_id_list, "msg_id_list")?;
    acknowledge_ids(&pubsub, &Caller::of(&pubsub, &ctx)?, &key, &ids)?;
    Ok(json!({}))
}

/// `spanwire.pubsub.acknowledge`: by ids, by offsets, or everything up to a position.
pub(super) async fn acknowledge(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Value, ServiceError> {
    let report = read::<Report>(&input)?;
    let key = SubKey::from_text(&required(report.sub_key, "sub_key")?);
    let caller = Caller::of(&pubsub, &ctx)?;
    let (broker, endpoint, client) = (&pubsub.broker, &caller.endpoint, &caller.client_id);
    let count = match (report.positions, report.up_to, report.msg_ids) {
        (Some(places), None, None) => {
            let topic = broker.subscription(&key).and_then(|it| broker.topic(&it.topic));
            let epoch = topic.map(|topic| topic.epoch);
            let offsets: Vec<u64> = places
                .into_iter()
                .filter_map(|place| match place {
                    Place::Offset(offset) => Some(offset),
                    // One of another history says nothing.
                    Place::Position(it) => (Some(it.epoch) == epoch).then_some(it.offset),
                })
                .collect();
            broker.acknowledge(endpoint, client, &key, &offsets).map_err(refused)?
        }
        (None, Some(position), None) => {
            broker.acknowledge_up_to(endpoint, client, &key, position).map_err(refused)?
        }
        (None, None, Some(ids)) => acknowledge_ids(&pubsub, &caller, &key, &ids)?,
        _ => {
            return Err(ServiceError::bad_request("Give one of positions, up_to and msg_ids"));
        }
    };
    Ok(json!({"acknowledged": count}))
}

pub(super) fn acknowledge_ids(
    pubsub: &PubSub,
    caller: &Caller,
    key: &SubKey,
    ids: &[String],
) -> Result<usize, ServiceError> {
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let done = pubsub.broker.acknowledge_ids(&caller.endpoint, &caller.client_id, key, &ids);
    done.map_err(refused)
}

/// `spanwire.pubsub.refuse`: the subscriber could not work with messages; they come again later.
pub(super) async fn refuse(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Value, ServiceError> {
    let report = read::<Report>(&input)?;
    let key = SubKey::from_text(&required(report.sub_key, "sub_key")?);
    let ids = required(report.msg_ids, "msg_ids")?;
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let reason = report.reason.unwrap_or_else(|| "the subscriber refused it".to_owned());
    let caller = Caller::of(&pubsub, &ctx)?;
    let refusal =
        pubsub.broker.refuse_ids(&caller.endpoint, &caller.client_id, &key, &ids, &reason);
    refusal.map_err(refused)?;
    Ok(json!({}))
}

/// `zato.pubsub.queue.get-queue-depth-by-sub-key`; keys of others are left out.
pub(super) async fn queue_depth(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Value, ServiceError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Keys {
        #[serde(deserialize_with = "text")]
        sub_key: Option<String>,
        #[serde(deserialize_with = "list")]
        sub_key_list: Option<Vec<String>>,
    }
    let Keys { sub_key, sub_key_list } = read(&input)?;
    let keys: Vec<_> = sub_key.into_iter().chain(sub_key_list.into_iter().flatten()).collect();
    if keys.is_empty() {
        return Err(ServiceError::input("`sub_key` is missing"));
    }
    let keys: Vec<SubKey> = keys.iter().map(|key| SubKey::from_text(key)).collect();
    let caller = Caller::of(&pubsub, &ctx)?;
    let depths = pubsub.broker.depths(&caller.endpoint, &caller.client_id, &keys).into_iter();
    let depths: serde_json::Map<_, _> =
        depths.map(|(key, depth)| (key.expose().to_owned(), depth.into())).collect();
    Ok(json!({"queue_depth": depths}))
}

/// What is left of a call's time when nothing came, to say so.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);
const QUEUE_BATCH: usize = 50;
const QUEUE_LEASE: Duration = Duration::from_secs(30);
