//! Subscribing, resuming and unsubscribing.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use spanwire_protocol::{ConnectionId, Payload, TopicAccess};
use spanwire_pubsub::settings::{Delivery, EndpointKind, SubscriptionSettings};
use spanwire_pubsub::{Position, PubSubError, StartAt, SubKey, Subscribe, Subscribed};
use spanwire_service::{Context, ServiceError};

use super::PubSub;
use super::caller::{Caller, refused};
use super::input::{flag, integer, read, required, text};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wish {
    #[serde(deserialize_with = "text")]
    topic_name: Option<String>,
    topic_name_list: Option<Vec<String>>,
    #[serde(deserialize_with = "text")]
    delivery_method: Option<String>,
    #[serde(deserialize_with = "integer")]
    delivery_batch_size: Option<i64>,
    #[serde(deserialize_with = "flag")]
    wrap_one_msg_in_list: Option<bool>,
    #[serde(deserialize_with = "flag")]
    unsub_on_wsx_close: Option<bool>,
    start: Option<Start>,
    #[serde(deserialize_with = "flag")]
    ack: Option<bool>,
    #[serde(deserialize_with = "flag")]
    positions: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Start {
    At(Position),
    Word(String),
}

/// A key, a topic, or both.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Which {
    #[serde(deserialize_with = "text")]
    sub_key: Option<String>,
    #[serde(deserialize_with = "text")]
    topic_name: Option<String>,
    position: Option<Position>,
}

/// `zato.pubsub.pubapi.subscribe`: WebSocket clients get messages pushed, others ask for them.
pub(super) async fn subscribe(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Value, ServiceError> {
    let wish = read::<Wish>(&input)?;
    let topic = required(wish.topic_name.clone(), "topic_name")?;
    let caller = Caller::of(&pubsub, &ctx)?;
    let pushed = match (wish.delivery_method.as_deref(), &caller.connection) {
        (None, connection) => connection.is_some(),
        (Some("pull"), _) => false,
        (Some("web-socket"), Some(_)) => true,
        (Some(other), _) => {
            let text =
                format!("delivery_method `{other}` is not available to this caller; use pull");
            return Err(ServiceError::bad_request(text));
        }
    };
    if pushed {
        return subscribe_client(&pubsub, &caller, wish).await.map(Value::from);
    }
    let settings = SubscriptionSettings {
        batch_size: batch_size(wish.delivery_batch_size)?,
        ..SubscriptionSettings::default()
    };
    let client_id = caller.client_id.clone();
    let wish = Subscribe { client_id, settings, ..Subscribe::default() };
    let subscribed = pubsub.broker.subscribe(&caller.endpoint, &topic, wish).await;
    let subscribed = subscribed.map_err(refused)?;
    // Asking again is answered, and says nothing new (pubsub R3).
    Ok(match subscribed.existed {
        true if pubsub.options.refuses_repeats => {
            let text = format!("Subscription to topic `{topic}` already exists");
            return Err(ServiceError::bad_request(text));
        }
        true => json!({}),
        false => json!({"sub_key": subscribed.key.expose(), "queue_depth": subscribed.depth}),
    })
}

/// `zato.pubsub.pubapi.subscribe-wsx`, `zato.pubsub.subscription.create-wsx-subscription`.
pub(super) async fn subscribe_wsx(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Value, ServiceError> {
    let mut wish = read::<Wish>(&input)?;
    wish.topic_name_list = wish.topic_name_list.filter(|names| !names.is_empty());
    match (&wish.topic_name, &wish.topic_name_list) {
        (Some(_), Some(_)) => Err(ServiceError::bad_request(
            "Cannot provide both topic_name and topic_name_list on input",
        )),
        (None, None) => {
            Err(ServiceError::bad_request("Either or topic_name or topic_name_list is required"))
        }
        _ => {
            let caller = Caller::of(&pubsub, &ctx)?;
            subscribe_client(&pubsub, &caller, wish).await.map(Value::from)
        }
    }
}

/// `zato.pubsub.subscription.create-wsx-subscription-for-current`: for a service that a WebSocket client called.
pub(super) async fn subscribe_current(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Value, ServiceError> {
    let mut wish = read::<Wish>(&input)?;
    wish.topic_name_list = None;
    wish.topic_name = Some(required(wish.topic_name, "topic_name")?);
    let mut output = subscribe_client(&pubsub, &Caller::of(&pubsub, &ctx)?, wish).await?;
    output.retain(|name, _| name == "sub_key");
    Ok(output.into())
}

/// Subscribes the client that calls to one topic or several, and begins to push.
async fn subscribe_client(
    pubsub: &PubSub,
    caller: &Caller,
    wish: Wish,
) -> Result<Map<String, Value>, ServiceError> {
    let connection = caller.connection.as_ref().ok_or_else(|| {
        ServiceError::bad_request("Only WebSocket clients can subscribe this way")
    })?;
    let additions = pubsub.clients.wants_additions(connection);
    if !additions && (wish.start.is_some() || wish.ack.is_some() || wish.positions.is_some()) {
        return Err(ServiceError::bad_request(
            "start, ack and positions need the subprotocol spanwire.v1.json or spanwire.v1.msgpack",
        ));
    }
    let start = match &wish.start {
        None => StartAt::New,
        Some(Start::At(position)) => StartAt::After(*position),
        Some(Start::Word(word)) if word == "new" => StartAt::New,
        Some(Start::Word(word)) if word == "first" => StartAt::First,
        Some(Start::Word(_)) => {
            return Err(ServiceError::bad_request(
                "start: expected new, first or an object with epoch and offset",
            ));
        }
    };
    let ends = wish.unsub_on_wsx_close;
    let ends = ends.or_else(|| pubsub.clients.unsubscribes_on_close(connection));
    let settings = SubscriptionSettings {
        delivery: Delivery::WebSocket,
        batch_size: batch_size(wish.delivery_batch_size)?,
        wrap_one: wish.wrap_one_msg_in_list,
        ends_with_connection: ends.or(pubsub.options.unsubscribe_on_close).unwrap_or(false),
        acknowledges: wish.ack.unwrap_or(false),
        positions: wish.positions.unwrap_or(false),
        ..SubscriptionSettings::default()
    };
    let client_id = caller.client_id.clone();
    let subscribe = Subscribe { client_id, settings, start, ..Subscribe::default() };
    if let Some(topic) = wish.topic_name {
        let subscribed = subscribe_one(pubsub, caller, connection, &topic, subscribe).await?;
        return Ok(described(&subscribed, additions));
    }
    // All of them, or none.
    let topics = wish.topic_name_list.unwrap_or_default();
    if topics.len() > MAX_TOPICS {
        let text = format!("topic_name_list has {} topics, allowed are {MAX_TOPICS}", topics.len());
        return Err(ServiceError::bad_request(text));
    }
    for topic in &topics {
        caller.endpoint.allow(TopicAccess::Subscribe, topic).map_err(refused)?;
        if pubsub.broker.topic(topic).is_none() {
            return Err(refused(PubSubError::NoSuchTopic(topic.clone())));
        }
    }
    let (mut keys, mut data) = (Vec::new(), Vec::new());
    for topic in topics {
        match subscribe_one(pubsub, caller, connection, &topic, subscribe.clone()).await {
            Ok(subscribed) => {
                let mut described = described(&subscribed, additions);
                described.insert("topic_name".to_owned(), topic.into());
                data.push(Value::from(described));
                keys.push(subscribed.key);
            }
            Err(error) => {
                for key in keys {
                    abandon(pubsub, caller, &key).await;
                }
                return Err(error);
            }
        }
    }
    Ok(Map::from_iter([("sub_data".to_owned(), data.into())]))
}

async fn subscribe_one(
    pubsub: &PubSub,
    caller: &Caller,
    connection: &ConnectionId,
    topic: &str,
    wish: Subscribe,
) -> Result<Subscribed, ServiceError> {
    let subscribed = pubsub.broker.subscribe(&caller.endpoint, topic, wish).await;
    let subscribed = subscribed.map_err(refused)?;
    let delivering = deliver(pubsub, caller, connection, &subscribed.key).await;
    if delivering.is_err() && !subscribed.existed {
        // The client will never know of its key.
        abandon(pubsub, caller, &subscribed.key).await;
    }
    delivering.map(|()| subscribed)
}

async fn deliver(
    pubsub: &PubSub,
    caller: &Caller,
    connection: &ConnectionId,
    key: &SubKey,
) -> Result<(), ServiceError> {
    let consumer = pubsub.broker.attach(&caller.endpoint, &caller.client_id, key).await;
    pubsub.clients.deliver(connection, consumer.map_err(refused)?)
}

async fn abandon(pubsub: &PubSub, caller: &Caller, key: &SubKey) {
    let ended = pubsub.broker.unsubscribe(&caller.endpoint, &caller.client_id, key).await;
    if let Err(error) = ended {
        tracing::warn!(%error, ?key, "a subscription that nobody knows of stays until it is inactive too long");
    }
}

fn described(subscribed: &Subscribed, additions: bool) -> Map<String, Value> {
    let entries = [
        ("sub_key", Some(json!(subscribed.key.expose()))),
        ("queue_depth", Some(subscribed.depth.into())),
        ("current_depth", Some(subscribed.depth.into())),
        ("position", additions.then(|| json!(subscribed.position))),
    ];
    entries.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn batch_size(given: Option<i64>) -> Result<usize, ServiceError> {
    match given.unwrap_or(0) {
        0 => Ok(SubscriptionSettings::default().batch_size),
        given => usize::try_from(given).map(|given| given.min(MAX_BATCH)).map_err(|_| {
            ServiceError::bad_request("delivery_batch_size: expected a number above 0")
        }),
    }
}

/// `zato.pubsub.resume-wsx-subscription`: pushes to this connection from now on, and to no other.
pub(super) async fn resume(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Value, ServiceError> {
    let which = read::<Which>(&input)?;
    let key = SubKey::from_text(&required(which.sub_key, "sub_key")?);
    let caller = Caller::of(&pubsub, &ctx)?;
    let connection = caller.connection.as_ref().ok_or_else(ServiceError::forbidden)?;
    // Whose it is, the broker checks with each of its calls; until then nothing is told.
    let info = pubsub.broker.subscription(&key).ok_or_else(ServiceError::forbidden)?;
    if info.settings.delivery != Delivery::WebSocket {
        return Err(ServiceError::forbidden());
    }
    let additions = pubsub.clients.wants_additions(connection);
    if let Some(position) = which.position.filter(|_| additions) {
        let (endpoint, client) = (&caller.endpoint, &caller.client_id);
        pubsub.broker.acknowledge_up_to(endpoint, client, &key, position).map_err(refused)?;
    }
    let output = match pubsub.broker.topic(&info.topic).filter(|_| additions) {
        Some(topic) => {
            let offset = topic.next_offset.saturating_sub(1);
            let depth = pubsub.broker.subscription(&key).map_or(0, |it| it.depth);
            json!({"position": Position { epoch: topic.epoch, offset }, "queue_depth": depth})
        }
        None => json!({}),
    };
    deliver(&pubsub, &caller, connection, &key).await?;
    Ok(output)
}

/// `zato.pubsub.pubapi.unsubscribe`: ends a subscription that is named by its key, or by its topic where the caller can
/// have only one. Ending what is not there is no error.
pub(super) async fn unsubscribe(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Value, ServiceError> {
    let which = read::<Which>(&input)?;
    let caller = Caller::of(&pubsub, &ctx)?;
    let broker = &pubsub.broker;
    if let Some(key) = which.sub_key.as_deref().map(SubKey::from_text) {
        if broker.subscription(&key).is_some() {
            let ended = broker.unsubscribe(&caller.endpoint, &caller.client_id, &key).await;
            ended.map_err(refused)?;
        } else if pubsub.options.refuses_repeats && caller.connection.is_none() {
            return Err(ServiceError::forbidden());
        }
        return Ok(json!({}));
    }
    let topic = required(which.topic_name, "sub_key")?;
    if caller.connection.is_some() {
        return Err(ServiceError::input("`sub_key` is missing"));
    }
    caller.endpoint.allow(TopicAccess::Subscribe, &topic).map_err(refused)?;
    for key in keys_of(&pubsub, &caller, &topic) {
        let ended = broker.unsubscribe(&caller.endpoint, &caller.client_id, &key).await;
        ended.map_err(refused)?;
    }
    Ok(json!({}))
}

/// What a caller has subscribed to a topic: the one of its endpoint; of the server itself, those that somebody asked
/// for and that are not pushed to anybody.
fn keys_of(pubsub: &PubSub, caller: &Caller, topic: &str) -> Vec<SubKey> {
    if !caller.endpoint.is_internal() {
        return pubsub.broker.find_subscription(&caller.endpoint, topic).into_iter().collect();
    }
    let all = pubsub.broker.subscriptions(Some(topic)).into_iter();
    let own = all.filter(|it| {
        it.kind == EndpointKind::Internal
            && it.managed.is_none()
            && it.settings.delivery == Delivery::Pull
    });
    own.map(|it| it.key).collect()
}

/// The largest batch, which was the default of 3.0.
const MAX_BATCH: usize = 15_000;

/// How many topics a client subscribes to in one call: each is a write of its own.
const MAX_TOPICS: usize = 1_000;
