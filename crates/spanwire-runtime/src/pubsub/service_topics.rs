//! Topics that stand for services: whoever publishes to one has the service run (pubsub 3.4).
//!
//! They are made when they are first published to, and are no managed objects.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Weak};

use spanwire_builtins::pubsub::{ServiceTopics, service_topic};
use spanwire_pubsub::settings::{Delivery, SubscriptionSettings, TopicSettings};
use spanwire_pubsub::{PubSubError, Subscribe, TopicId};
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
            let topic = service_topic(&service);
            pubsub.ensure_service_topic(&service, &topic).await?;
            Ok(topic)
        })
    }
}

impl PubSub {
    /// Gives the topics of services their settings again, which are stored nowhere.
    pub(super) async fn restore_service_topics(&self) -> Result<(), PubSubError> {
        for topic in self.broker.topics().into_iter().filter(|topic| is_made(topic.id)) {
            self.broker.put_topic(topic.id, &topic.name, settings()).await?;
        }
        Ok(())
    }

    async fn ensure_service_topic(
        self: &Arc<Self>,
        service: &str,
        topic: &str,
    ) -> Result<(), ServiceError> {
        let id = match self.broker.topic(topic) {
            // A managed topic of this name is its owner's business.
            Some(known) if !is_made(known.id) => return Ok(()),
            Some(known) => known.id,
            None => {
                let id = id_of(topic);
                let made = self.broker.put_topic(id, topic, settings()).await;
                made.map_err(ServiceError::internal)?;
                id
            }
        };
        if self.is_subscribed(service, topic, id)? {
            return Ok(());
        }
        let wish = Subscribe {
            settings: SubscriptionSettings {
                delivery: Delivery::Service { name: service.to_owned() },
                batch_size: 1,
                wrap_one: Some(false),
                ..SubscriptionSettings::default()
            },
            managed: Some(id.0),
            by_admin: true,
            ..Subscribe::default()
        };
        let internal = self.broker.internal();
        self.broker.subscribe(&internal, topic, wish).await.map_err(ServiceError::internal)?;
        // Another service may have been quicker.
        self.is_subscribed(service, topic, id)?;
        self.restart_notifiers();
        Ok(())
    }

    /// Whether a service is subscribed to its topic.
    fn is_subscribed(&self, service: &str, topic: &str, id: TopicId) -> Result<bool, ServiceError> {
        let subscriptions = self.broker.subscriptions(Some(topic)).into_iter();
        let mut own = subscriptions.filter(|it| it.managed == Some(id.0));
        match own.next().map(|it| it.settings.delivery) {
            Some(Delivery::Service { name }) if name != service => {
                Err(ServiceError::bad_request(format!(
                    "The topic `{topic}` is that of the service `{name}`, `{service}` cannot be published to"
                )))
            }
            found => Ok(found.is_some()),
        }
    }
}

fn settings() -> TopicSettings {
    TopicSettings { has_gd: true, is_api_sub_allowed: false, ..TopicSettings::default() }
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

const MADE: u64 = 1 << 63;
