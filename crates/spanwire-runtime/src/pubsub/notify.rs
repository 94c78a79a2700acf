//! Messages to REST connections and services: one task a subscription, which takes a batch, delivers it, and says how
//! that went. An answer other than 2xx is no success; pauses between attempts are the broker's.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hyper::header::RETRY_AFTER;
use hyper::{Response, StatusCode};
use spanwire_builtins::pubsub::envelope;
use spanwire_protocol::{Codec, Payload, Status};
use spanwire_pubsub::settings::Delivery;
use spanwire_pubsub::{Batch, Consumer, Failure, SubKey, SubscriptionId};
use spanwire_service::{Call, Origin};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{PubSub, REVOKED_PAUSE, may_receive};
use crate::rest_calls::{Asked, Lost};

/// How a delivery ended that did not succeed.
struct Failed {
    failure: Failure,
    reason: String,
    /// How long the subscriber asked to be left alone.
    retry_after: Option<Duration>,
}

impl Failed {
    fn new(failure: Failure, reason: impl Into<String>) -> Self {
        Self { failure, reason: reason.into(), retry_after: None }
    }
}

impl PubSub {
    /// Has everybody notified who is to be, and nobody else.
    pub(crate) fn restart_notifiers(self: &Arc<Self>) {
        self.is_applied.store(true, Ordering::Relaxed);
        self.clients.forget();
        let mut running = self.notifiers.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: HashMap<SubscriptionId, SubKey> = self
            .broker
            .subscriptions(None)
            .into_iter()
            .filter(Self::notifies)
            .map(|subscription| (subscription.id, subscription.key))
            .collect();
        running.retain(|id, stop| {
            let stays = wanted.contains_key(id) && !stop.is_cancelled();
            if !stays {
                stop.cancel();
            }
            stays
        });
        let known: BTreeSet<SubscriptionId> = running.keys().copied().collect();
        for (id, key) in wanted.into_iter().filter(|(id, _)| !known.contains(id)) {
            let stop = CancellationToken::new();
            running.insert(id, stop.clone());
            let this = Arc::clone(self);
            tokio::spawn(async move {
                stop.run_until_cancelled(this.notify(&key)).await;
                // Whoever looks next starts it again, if it is still wanted.
                stop.cancel();
            });
        }
    }

    pub(super) fn stop_notifiers(&self) {
        let mut running = self.notifiers.lock().unwrap_or_else(PoisonError::into_inner);
        running.drain().for_each(|(_, stop)| stop.cancel());
    }

    async fn notify(&self, key: &SubKey) {
        loop {
            match self.broker.attach(&self.broker.internal(), "", key).await {
                Ok(mut consumer) => {
                    if self.drain(&mut consumer).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, key = key.masked(), "a subscription cannot be notified");
                    tokio::time::sleep(ATTACH_PAUSE).await;
                    if self.broker.subscription(key).is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Delivers until there is nothing to be delivered any more.
    async fn drain(&self, consumer: &mut Consumer) -> Result<(), spanwire_pubsub::Ended> {
        loop {
            let batch = consumer.next().await?;
            if batch.messages.is_empty() {
                batch.acknowledge();
                continue;
            }
            if !may_receive(&self.broker, &batch.facts) {
                batch.give_back();
                tokio::time::sleep(REVOKED_PAUSE).await;
                continue;
            }
            match self.deliver(&batch, consumer.key()).await {
                Ok(()) => batch.acknowledge(),
                Err(failed) => {
                    let (topic, reason) = (&*batch.facts.topic, &failed.reason);
                    tracing::warn!(
                        topic,
                        endpoint = &*batch.facts.endpoint,
                        messages = batch.messages.len(),
                        reason,
                        "a delivery failed and will be tried again"
                    );
                    let delivery = batch.settings.delivery.clone();
                    batch.fail(failed.failure, &failed.reason);
                    if let Some(pause) = failed.retry_after {
                        leave_alone(consumer, &delivery, pause.min(MAX_RETRY_AFTER)).await;
                    }
                }
            }
        }
    }

    async fn deliver(&self, batch: &Batch, key: &SubKey) -> Result<(), Failed> {
        let body = envelope::notification(&batch.messages, key, &self.options, &batch.settings);
        match &batch.settings.delivery {
            Delivery::Rest { connection, method } => self.post(connection, method, &body).await,
            Delivery::Service { name } => self.invoke(name, body).await,
            Delivery::Pull | Delivery::WebSocket => {
                Err(Failed::new(Failure::Refused, "the subscription is not notified any more"))
            }
        }
    }

    async fn invoke(&self, service: &str, body: Payload) -> Result<(), Failed> {
        let outcome = self.ports.invoke(Call::new(service, body), Origin::internal()).await;
        outcome.map(drop).map_err(|error| {
            let failure = match error.status() {
                Status::UNAVAILABLE => Failure::Network,
                _ => Failure::Refused,
            };
            Failed::new(failure, format!("service `{service}` failed: {error}"))
        })
    }

    async fn post(&self, name: &str, method: &str, body: &Payload) -> Result<(), Failed> {
        let running = self.running.load_full();
        let refused = |reason: String| Failed::new(Failure::Refused, reason);
        let json =
            body.clone().into_codec(Codec::Json).map_err(|error| refused(error.to_string()))?;
        let asked = Asked { method: Some(method), body: json.bytes().clone(), ..Asked::default() };
        let prepared = self.clients.prepare(&running, name, asked).map_err(refused)?;
        match prepared.send().await {
            Err(Lost::Late) => {
                Err(Failed::new(Failure::Network, format!("`{name}` did not answer in time")))
            }
            Err(Lost::Unsent(error) | Lost::Unknown(error)) => {
                Err(Failed::new(Failure::Network, format!("`{name}` cannot be reached: {error}")))
            }
            Ok(answer) => judge(name, &answer),
        }
    }
}

/// Takes nothing for this long: the subscriber asked for that. Meanwhile its messages wait in the queue, where they can
/// expire and be looked at. Ends early when they are to go elsewhere.
async fn leave_alone(consumer: &Consumer, delivery: &Delivery, pause: Duration) {
    let not_before = Instant::now() + pause;
    while Instant::now() < not_before
        && consumer.info().is_some_and(|info| info.settings.delivery == *delivery)
    {
        tokio::time::sleep_until(not_before.min(Instant::now() + LOOK_AGAIN)).await;
    }
}

fn judge(name: &str, answer: &Response<bytes::Bytes>) -> Result<(), Failed> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let waits = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let seconds = answer.headers().get(RETRY_AFTER).filter(|_| waits);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Err(Failed {
        failure: Failure::Refused,
        reason: format!("`{name}` answered {}", status.as_u16()),
        retry_after: seconds.map(Duration::from_secs),
    })
}

/// How often it is looked whether a pause still makes sense.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
const ATTACH_PAUSE: Duration = Duration::from_secs(5);
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use spanwire_pubsub::settings::{SubscriptionSettings, TopicSettings};
    use spanwire_pubsub::store::memory::MemoryMessageStore;
    use spanwire_pubsub::{Broker, Subscribe, TopicId};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_when_messages_are_to_go_elsewhere() {
        let broker = Broker::builder(Arc::new(MemoryMessageStore::new())).open().unwrap();
        broker.put_topic(TopicId(1), "/t", TopicSettings::default()).await.unwrap();
        let me = broker.internal();
        let to = |name: &str| SubscriptionSettings {
            delivery: Delivery::Service { name: name.to_owned() },
            ..SubscriptionSettings::default()
        };
        let wish = Subscribe { settings: to("a"), ..Subscribe::default() };
        let key = broker.subscribe(&me, "/t", wish).await.unwrap().key;
        let consumer = broker.attach(&me, "", &key).await.unwrap();
        let start = Instant::now();
        leave_alone(&consumer, &to("a").delivery, Duration::from_secs(60)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(60));
        broker.configure_subscription(&key, to("b")).await.unwrap();
        leave_alone(&consumer, &to("a").delivery, Duration::from_secs(60)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(60));
    }
}
