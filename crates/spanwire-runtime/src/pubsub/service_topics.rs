//! Topics that stand for services: whoever publishes to one has the service run (pubsub 3.4).
//!
//! They are made when they are first published to, and are no managed objects.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Weak};

use spanwire_builtins::pubsub::ServiceTopics;
use spanwire_pubsub::settings::{Delivery, SubscriptionSettings, TopicSettings};
use spanwire_pubsub::{Subscribe, TopicId};
use spanwire_service::{BoxFuture, ServiceError};

use super::PubSub;

/// Makes the topics of services.
pub(super) struct Made(Weak<PubSub>);

impl Made {
    pub(super) fn new(pubsub: &Arc<PubSub>) -> Self {
        Self(Arc::downgrade(pubsub))
    }
}

impl ServiceTopics for Made {
    fn ensure(&self, service: &str) -> BoxFuture<'_, Result<String, ServiceError>> {
        let service = service.to_owned();
        Box::pin(async move {
            let gone = || ServiceError::internal("publish/subscribe has ended");
            let pubsub = self.0.upgrade().ok_or_else(gone)?;
            let topic = format!("{PREFIX}{}", service.replace('.', "_"));
            if pubsub.broker.topic(&topic).is_some() {
                return Ok(topic);
            }
            let settings = TopicSettings {
                has_gd: true,
                is_api_sub_allowed: false,
                ..TopicSettings::default()
            };
            pubsub
                .broker
                .put_topic(id_of(&topic), &topic, settings)
                .await
                .map_err(ServiceError::internal)?;
            let wish = Subscribe {
                settings: SubscriptionSettings {
                    delivery: Delivery::Service { name: service },
                    batch_size: 1,
                    wrap_one: Some(false),
                    ..SubscriptionSettings::default()
                },
                managed: Some(id_of(&topic).0),
                by_admin: true,
                ..Subscribe::default()
            };
            let internal = pubsub.broker.internal();
            pubsub
                .broker
                .subscribe(&internal, &topic, wish)
                .await
                .map_err(ServiceError::internal)?;
            pubsub.restart_notifiers();
            Ok(topic)
        })
    }
}

/// Whether a topic stands for a service.
pub(super) fn is_made(id: TopicId) -> bool {
    id.0 & MADE != 0
}

/// Managed objects have small numbers; these have the highest bit set.
fn id_of(topic: &str) -> TopicId {
    let mut hasher = DefaultHasher::new();
    topic.hash(&mut hasher);
    TopicId(hasher.finish() | MADE)
}

const PREFIX: &str = "/zato/s/to/";
const MADE: u64 = 1 << 63;
