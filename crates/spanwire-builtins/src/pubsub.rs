//! Publish/subscribe as services: what clients, REST callers and other services call (pubsub 3.3, wsx-protocol 5).
//!
//! | file | what is there |
//! |---|---|
//! | `caller` | who calls, and how refusals read |
//! | [`content`] | what a message may carry |
//! | `input` | reading what existing clients send |
//! | `publish` | `zato.pubsub.pubapi.publish-message`, `zato.pubsub.publish.publish` |
//! | `subscribe` | subscribing, resuming, unsubscribing |
//! | `take` | getting messages, acknowledging and refusing them, depths |
//! | `rest` | the same for the built-in REST channels |
//! | `target` | publishing to a service |
//! | [`envelope`] | a message as its subscriber sees it |
//!
//! Every caller acts as an endpoint: a WebSocket client as that of its channel, a REST caller as that of its
//! credentials, administrators and the server itself as the internal one, which may do everything. Whoever has no
//! endpoint, the wrong role or no pattern, or gives a key that is not its own reads the same 403.

mod caller;
pub mod content;
pub mod envelope;
mod input;
mod publish;
mod rest;
mod subscribe;
mod take;
mod target;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use spanwire_protocol::{Codec, ConnectionId, Payload, PayloadError};
use spanwire_pubsub::{Broker, Consumer};
use spanwire_service::{BoxFuture, Context, PayloadService, Registry, ServiceError, Source};
use tokio_util::sync::CancellationToken;

pub use take::pull;
pub use target::{ServiceTopics, service_topic};

/// What the services need.
pub struct PubSub {
    /// Where messages are.
    pub broker: Broker,
    /// The WebSocket clients that messages are pushed to.
    pub clients: Arc<dyn Clients>,
    /// Topics whose messages go to services; without it nobody publishes to services.
    pub service_topics: Option<Arc<dyn ServiceTopics>>,
    /// Cancelled when the server begins to stop: nobody waits for messages any more.
    pub stop: CancellationToken,
    /// How the services behave where releases of Zato differ.
    pub options: Options,
}

/// Live WebSocket connections, as far as subscriptions need them. The host implements it.
pub trait Clients: Send + Sync + 'static {
    /// Pushes what a consumer is given to a connection, until either of them ends. Must not block.
    ///
    /// # Errors
    /// When there is no such connection any more.
    fn deliver(&self, connection: &ConnectionId, consumer: Consumer) -> Result<(), ServiceError>;

    /// Whether the client chose a `spanwire.v1.*` subprotocol.
    fn wants_additions(&self, connection: &ConnectionId) -> bool;

    /// Whether subscriptions end with their connection where the call does not say; goes before
    /// [`Options::unsubscribe_on_close`].
    fn unsubscribes_on_close(&self, connection: &ConnectionId) -> Option<bool> {
        let _ = connection;
        None
    }
}

/// How the services behave where releases of Zato differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Expirations are in milliseconds, as in 3.0; otherwise in seconds.
    pub milliseconds: bool,
    /// `delivery_count` is 0 at the first attempt, as in 3.0; otherwise 1.
    pub first_count_zero: bool,
    /// Subscribing again, and ending what is not there, is refused, as in 3.0; otherwise it is answered with `{}`.
    pub refuses_repeats: bool,
    /// The expiration of messages that name none; none is what their topic says.
    pub default_expiry: Option<Duration>,
    /// Whether subscriptions of WebSocket clients end with their connection where neither call nor channel says. They
    /// do not if this is `None`.
    pub unsubscribe_on_close: Option<bool>,
}

/// Registers the services of publish/subscribe.
///
/// | service | input | output |
/// |---|---|---|
/// | `zato.pubsub.pubapi.publish-message` | `topic_name`, `data`, metadata | `msg_id` |
/// | `zato.pubsub.pubapi.get-messages` | `topic_name` or `sub_key`; `order`, `limit`, `lease`, `wait` | list of messages |
/// | `zato.pubsub.pubapi.subscribe` | `topic_name`, `delivery_method` | `sub_key`, `queue_depth` |
/// | `zato.pubsub.pubapi.subscribe-wsx`, `zato.pubsub.subscription.create-wsx-subscription` | `topic_name` or `topic_name_list`, how to deliver | `sub_key` and depth, or `sub_data` |
/// | `zato.pubsub.subscription.create-wsx-subscription-for-current` | `topic_name` | `sub_key` |
/// | `zato.pubsub.pubapi.unsubscribe` | `sub_key` or `topic_name` | `{}` |
/// | `zato.pubsub.resume-wsx-subscription` | `sub_key`, `position` | `{}` |
/// | `zato.pubsub.publish.publish` | a message or `data_list`, and its publisher | `msg_id` or `msg_id_list` |
/// | `zato.pubsub.queue.get-messages` | `sub_key`, `batch_size`, `lease` | list of messages, to be acknowledged |
/// | `zato.pubsub.queue.acknowledge-delivery` | `sub_key`, `msg_id_list` | `{}` |
/// | `zato.pubsub.queue.get-queue-depth-by-sub-key` | `sub_key` or `sub_key_list` | `queue_depth` by key |
/// | `spanwire.pubsub.acknowledge` | `sub_key` and `positions`, `up_to` or `msg_ids` | `acknowledged` |
/// | `spanwire.pubsub.refuse` | `sub_key`, `msg_ids`, `reason` | `{}` |
/// | `zato.pubsub.rest.*` | as the REST channels `/zato/pubsub/…` get it | as pubsub 3.1 |
pub fn register(registry: &Registry, pubsub: PubSub) {
    let services = Services { registry, pubsub: Arc::new(pubsub) };
    services.add("zato.pubsub.pubapi.publish-message", publish::publish_message);
    services.add("zato.pubsub.pubapi.get-messages", take::get_messages);
    services.add("zato.pubsub.pubapi.subscribe", subscribe::subscribe);
    services.add("zato.pubsub.pubapi.subscribe-wsx", subscribe::subscribe_wsx);
    services.add("zato.pubsub.subscription.create-wsx-subscription", subscribe::subscribe_wsx);
    services.add(
        "zato.pubsub.subscription.create-wsx-subscription-for-current",
        subscribe::subscribe_current,
    );
    services.add("zato.pubsub.pubapi.unsubscribe", subscribe::unsubscribe);
    services.add("zato.pubsub.resume-wsx-subscription", subscribe::resume);
    services.add("zato.pubsub.publish.publish", publish::publish_trusted);
    services.add("zato.pubsub.queue.get-messages", take::queue_get_messages);
    services.add("zato.pubsub.queue.acknowledge-delivery", take::acknowledge_delivery);
    services.add("zato.pubsub.queue.get-queue-depth-by-sub-key", take::queue_depth);
    services.add("spanwire.pubsub.acknowledge", take::acknowledge);
    services.add("spanwire.pubsub.refuse", take::refuse);
    services.add("zato.pubsub.rest.topic-post", rest::topic_post);
    services.add("zato.pubsub.rest.topic-patch", rest::topic_patch);
    services.add("zato.pubsub.rest.subscribe-post", rest::subscribe_post);
    services.add("zato.pubsub.rest.subscribe-delete", subscribe::unsubscribe);
    services.add("zato.pubsub.rest.ack-post", rest::ack_post);
}

struct Services<'a> {
    registry: &'a Registry,
    pubsub: Arc<PubSub>,
}

impl Services<'_> {
    fn add<F, Fut, O>(&self, name: &str, run: F)
    where
        F: Fn(Arc<PubSub>, Context, Payload) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, ServiceError>> + Send + 'static,
        O: Answer,
    {
        let bound = Bound { pubsub: Arc::clone(&self.pubsub), run };
        self.registry.insert(name, Source::Builtin, Arc::new(bound));
    }
}

/// What a service answers: a value, or what is encoded already.
trait Answer: Send + 'static {
    fn encode(self, codec: Codec) -> Result<Payload, PayloadError>;
}

impl Answer for Value {
    fn encode(self, codec: Codec) -> Result<Payload, PayloadError> {
        Payload::from_serialize(codec, &self)
    }
}

impl Answer for Payload {
    fn encode(self, codec: Codec) -> Result<Payload, PayloadError> {
        self.into_codec(codec)
    }
}

/// A function as a service.
struct Bound<F> {
    pubsub: Arc<PubSub>,
    run: F,
}

impl<F, Fut, O> PayloadService for Bound<F>
where
    F: Fn(Arc<PubSub>, Context, Payload) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, ServiceError>> + Send + 'static,
    O: Answer,
{
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        let codec = input.codec();
        let running = (self.run)(Arc::clone(&self.pubsub), ctx, input);
        Box::pin(async move {
            let output = running.await?;
            output.encode(codec).map_err(ServiceError::internal)
        })
    }
}

impl fmt::Debug for PubSub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSub").field("options", &self.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
