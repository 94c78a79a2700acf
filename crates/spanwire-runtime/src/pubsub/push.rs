//! Messages to WebSocket clients: a consumer as a stream that the connection reads as fast as its client does.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::stream;
use serde_json::json;
use spanwire_builtins::pubsub::{Clients, Options, envelope};
use spanwire_channel::wsx::{DeliveryStream, Push};
use spanwire_config::{Snapshot, WebSocketChannel};
use spanwire_protocol::admin::ConnectionSubscription;
use spanwire_protocol::{Codec, ConnectionId, Payload, Timestamp};
use spanwire_pubsub::{Batch, Broker, Consumer, Gap, Message, SubscriptionId};
use spanwire_service::ServiceError;
use spanwire_session::Delivery;

use super::{REVOKED_PAUSE, may_receive};
use crate::connections::ConnectionTable;

/// Starts deliveries on live connections.
pub(super) struct PushClients {
    pub(super) broker: Broker,
    pub(super) connections: Arc<ConnectionTable>,
    pub(super) options: Options,
    pub(super) running: Arc<ArcSwap<Snapshot>>,
}

impl Clients for PushClients {
    fn deliver(&self, connection: &ConnectionId, consumer: Consumer) -> Result<(), ServiceError> {
        let handle = self.connections.handle(connection);
        let handle = handle.ok_or_else(|| ServiceError::not_found("the client is disconnected"))?;
        let codec = handle.dialect().codec;
        let attached = Attached::new(self, connection, consumer)?;
        match handle.push(deliveries(attached, codec, self.options.clone())) {
            true => Ok(()),
            false => Err(ServiceError::not_found("the client is disconnected")),
        }
    }

    fn wants_additions(&self, connection: &ConnectionId) -> bool {
        self.connections.handle(connection).is_some_and(|handle| handle.dialect().additions)
    }

    fn unsubscribes_on_close(&self, connection: &ConnectionId) -> Option<bool> {
        let handle = self.connections.handle(connection)?;
        let running = self.running.load();
        running.objects().find::<WebSocketChannel>(&handle.channel().name)?.unsub_on_wsx_close
    }
}

/// A consumer of a connection, shown in the connection's record as long as it is there.
struct Attached {
    consumer: Consumer,
    connection: ConnectionId,
    connections: Arc<ConnectionTable>,
    broker: Broker,
    number: SubscriptionId,
}

impl Attached {
    fn new(
        clients: &PushClients,
        connection: &ConnectionId,
        consumer: Consumer,
    ) -> Result<Self, ServiceError> {
        let info = consumer.info().ok_or_else(ServiceError::forbidden)?;
        let number = info.id;
        let subscription = ConnectionSubscription {
            creation_time: Timestamp::from_microseconds(info.created),
            ext_client_id: info.client_id,
            sub_key: info.key.masked(),
            topic_name: info.topic,
            sub_pattern_matched: info.pattern,
        };
        clients.connections.subscribed(connection, number, subscription);
        Ok(Self {
            consumer,
            connection: connection.clone(),
            connections: Arc::clone(&clients.connections),
            broker: clients.broker.clone(),
            number,
        })
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.connections.unsubscribed(&self.connection, self.number);
        let ends = self.consumer.info().is_some_and(|info| info.settings.ends_with_connection);
        if ends && !self.broker.is_closing() {
            let end = self.consumer.end();
            tokio::spawn(async move {
                if let Err(error) = end.await {
                    tracing::warn!(%error, "a subscription did not end with its connection");
                }
            });
        }
    }
}

/// What a consumer gets, as what a client is sent. Ends when the subscription is somebody else's, or over.
fn deliveries(attached: Attached, codec: Codec, options: Options) -> DeliveryStream {
    let state = State { attached, codec, options, gaps: Vec::new(), batch: None };
    Box::pin(stream::unfold(state, |mut state| async move {
        let push = state.next().await?;
        Some((push, state))
    }))
}

struct State {
    attached: Attached,
    codec: Codec,
    options: Options,
    /// Receipts that go out before their batch, last one first.
    gaps: Vec<Payload>,
    batch: Option<Batch>,
}

impl State {
    async fn next(&mut self) -> Option<Push> {
        loop {
            if let Some(gap) = self.gaps.pop() {
                let bytes = gap.len();
                // Receipts count as told once the last thing of their batch is written.
                let is_last = self.gaps.is_empty()
                    && self.batch.as_ref().is_some_and(|batch| batch.messages.is_empty());
                if let Some(batch) = self.batch.take_if(|_| is_last) {
                    let written = Box::new(|| Self::written(batch));
                    return Some(Push { delivery: Delivery::Gap(gap), bytes, written });
                }
                return Some(Push {
                    delivery: Delivery::Gap(gap),
                    bytes,
                    written: Box::new(|| {}),
                });
            }
            if let Some(batch) = self.batch.take() {
                if let Some(push) = self.push(batch) {
                    return Some(push);
                }
                continue;
            }
            let batch = self.attached.consumer.next().await.ok()?;
            if !may_receive(&self.attached.broker, &batch.facts) {
                batch.give_back();
                tokio::time::sleep(REVOKED_PAUSE).await;
                continue;
            }
            let topic = &batch.facts.topic;
            let receipts = batch.gaps.iter().rev().map(|gap| self.receipt(topic, gap));
            self.gaps = receipts.collect();
            self.batch = Some(batch);
        }
    }

    /// Messages as one delivery; `None` where there are only receipts.
    fn push(&self, batch: Batch) -> Option<Push> {
        let key = self.attached.consumer.key();
        let positions = batch.settings.positions;
        let delivery = match &batch.messages[..] {
            [] => {
                Self::written(batch);
                return None;
            }
            [one] if batch.settings.wrap_one != Some(true) => Delivery::One {
                id: Arc::clone(&one.message.id),
                ctx: reply_to(&one.message, self.codec),
                data: envelope::delivery(one, key, self.codec, &self.options, positions),
            },
            several => {
                let settings = &batch.settings;
                let data = envelope::deliveries(several, key, self.codec, &self.options, settings);
                Delivery::Many(data)
            }
        };
        let bytes = batch.messages.iter().map(|it| it.message.weight()).sum();
        Some(Push { delivery, bytes, written: Box::new(|| Self::written(batch)) })
    }

    fn written(batch: Batch) {
        match batch.settings.acknowledges {
            true => batch.sent(),
            false => batch.acknowledge(),
        }
    }

    fn receipt(&self, topic: &str, gap: &Gap) -> Payload {
        let receipt = json!({
            "topic_name": topic,
            "sub_key": self.attached.consumer.key().expose(),
            "epoch": gap.epoch,
            "from": gap.from,
            "to": gap.to,
            "count": gap.count,
            "cause": gap.cause.as_str(),
        });
        // An object of texts and numbers has a form in every codec.
        Payload::from_serialize(self.codec, &receipt).unwrap_or_else(|_| Payload::empty(self.codec))
    }
}

/// Where answers may be sent to, for `meta.ctx` of a single message.
fn reply_to(message: &Message, codec: Codec) -> Option<Payload> {
    if message.reply_to_sk.is_empty() {
        return None;
    }
    Payload::from_serialize(codec, &json!({ "reply_to_sk": message.reply_to_sk })).ok()
}
