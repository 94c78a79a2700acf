//! Managed objects put to work: the broker gets what differs, and notifiers are started and stopped.
//!
//! A configuration is applied as a whole: topics first, then endpoints, then subscriptions, so that each finds what it
//! refers to. Applying the same one again changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use spanwire_config::{Kind, Object, PubSubEndpoint, Snapshot};
use spanwire_pubsub::settings::{Delivery, SubscriptionSettings};
use spanwire_pubsub::{EndpointId, PubSubError, Subscribe, SubscriptionInfo, TopicId};

use super::{PubSub, objects, service_topics};

impl PubSub {
    /// Puts the publish/subscribe part of a configuration to work. Tells what failed, by object. Blocks: call it on a
    /// thread that may.
    pub(crate) fn apply(
        self: &Arc<Self>,
        target: &Arc<Snapshot>,
        changed: &BTreeSet<u64>,
    ) -> BTreeMap<u64, String> {
        self.running.store(Arc::clone(target));
        let concerns = |kind: &Kind| {
            matches!(kind, Kind::PubsubTopic | Kind::PubsubEndpoint | Kind::PubsubSubscription)
        };
        // An object that is gone has no kind any more.
        let is_ours =
            |id: &u64| target.by_id(*id).is_none_or(|(object, _)| concerns(&object.kind()));
        if !changed.iter().any(is_ours) {
            return BTreeMap::new();
        }
        let this = Arc::clone(self);
        let target = Arc::clone(target);
        tokio::runtime::Handle::current().block_on(async move { this.put(&target).await })
    }

    async fn put(self: &Arc<Self>, target: &Snapshot) -> BTreeMap<u64, String> {
        let mut failed = BTreeMap::new();
        let mut note = |id: u64, result: Result<(), PubSubError>| {
            if let Err(error) = result {
                failed.insert(id, error.to_string());
            }
        };
        let of_kind = |kind: Kind| {
            let objects = target.objects().of_kind(kind);
            objects.filter_map(|object| {
                Some((target.meta(object.kind(), &object.name())?.id, Arc::clone(object)))
            })
        };
        let mut topics = BTreeSet::new();
        let gone = |known: &BTreeSet<u64>, id: TopicId| {
            !known.contains(&id.0) && !service_topics::is_made(id)
        };
        for (id, object) in of_kind(Kind::PubsubTopic) {
            topics.insert(id);
            let Object::PubsubTopic(topic) = &*object else { continue };
            let settings = objects::topic(topic, self.default_expiry);
            // Another one may have to give up the name first.
            if let Some(other) = self.broker.topic(&topic.name).filter(|other| other.id.0 != id)
                && gone(&of_kind(Kind::PubsubTopic).map(|(id, _)| id).collect(), other.id)
            {
                note(id, self.broker.remove_topic(other.id).await);
            }
            note(id, self.broker.put_topic(TopicId(id), &topic.name, settings).await);
        }
        for topic in self.broker.topics().into_iter().filter(|it| gone(&topics, it.id)) {
            note(topic.id.0, self.broker.remove_topic(topic.id).await);
        }
        let endpoints = of_kind(Kind::PubsubEndpoint).filter_map(|(id, object)| match &*object {
            Object::PubsubEndpoint(endpoint) => Some(objects::endpoint(id, endpoint)),
            _ => None,
        });
        let endpoints: Vec<_> = endpoints.collect();
        let kept: BTreeSet<EndpointId> = endpoints.iter().map(|endpoint| endpoint.id).collect();
        self.broker.set_endpoints(endpoints);
        let ended = self.broker.retain_endpoints(|id| kept.contains(&id)).await;
        note(0, ended);
        let mut wanted = BTreeSet::new();
        let existing: BTreeMap<u64, SubscriptionInfo> = self
            .broker
            .subscriptions(None)
            .into_iter()
            .filter_map(|subscription| Some((subscription.managed?, subscription)))
            .filter(|(id, _)| !service_topics::is_made(TopicId(*id)))
            .collect();
        for (id, object) in of_kind(Kind::PubsubSubscription) {
            let Object::PubsubSubscription(subscription) = &*object else { continue };
            let endpoint = target.objects().find::<PubSubEndpoint>(&subscription.endpoint_name);
            let Some(endpoint) = endpoint.filter(|_| subscription.is_active) else { continue };
            wanted.insert(id);
            let settings = objects::subscription(subscription, endpoint);
            let topic = subscription.topic_name.as_str();
            let result =
                self.subscribe(id, &endpoint.name, topic, settings, existing.get(&id)).await;
            note(id, result);
        }
        for (id, subscription) in existing {
            if !wanted.contains(&id) {
                note(id, self.broker.remove_subscription(&subscription.key).await.map(drop));
            }
        }
        self.restart_notifiers();
        failed.remove(&0);
        failed
    }

    async fn subscribe(
        &self,
        id: u64,
        endpoint: &str,
        topic: &str,
        settings: SubscriptionSettings,
        existing: Option<&SubscriptionInfo>,
    ) -> Result<(), PubSubError> {
        if let Some(existing) =
            existing.filter(|it| it.topic == topic && it.endpoint_name == endpoint)
        {
            return match existing.settings == settings {
                true => Ok(()),
                false => self.broker.configure_subscription(&existing.key, settings).await,
            };
        }
        if let Some(existing) = existing {
            self.broker.remove_subscription(&existing.key).await?;
        }
        let by = self.broker.endpoint_by_name(endpoint).ok_or(PubSubError::Forbidden)?;
        let managed = Some(id);
        let wish = Subscribe { settings, managed, by_admin: true, ..Subscribe::default() };
        let subscribed = self.broker.subscribe(&by, topic, wish).await.map_err(|error| match error {
            PubSubError::Forbidden => PubSubError::Input(format!(
                "no pattern sub=… of endpoint `{endpoint}` allows the topic `{topic}`, or its role does not"
            )),
            error => error,
        })?;
        if subscribed.existed {
            tracing::debug!(endpoint, topic, "the endpoint was subscribed already");
        }
        Ok(())
    }

    /// Whether a subscription is one that somebody is notified of.
    pub(super) fn notifies(subscription: &SubscriptionInfo) -> bool {
        matches!(subscription.settings.delivery, Delivery::Rest { .. } | Delivery::Service { .. })
    }
}
