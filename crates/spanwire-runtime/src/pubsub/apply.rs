//! Managed objects put to work: the broker gets what differs, and notifiers are started and stopped.
//!
//! A configuration is applied as a whole: topics first, then endpoints, then subscriptions, so that each finds what it
//! refers to. Applying the same one again changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use spanwire_config::{Kind, Object, PubSubEndpoint, Snapshot};
use spanwire_pubsub::settings::{Delivery, SubscriptionSettings};
use spanwire_pubsub::{
    EndpointId, PubSubError, SubKey, Subscribe, SubscriptionInfo, TopicId, TopicInfo,
};

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
            // Topics of services have subscribers whatever is configured.
            if !self.is_applied.load(Ordering::Relaxed) {
                self.restart_notifiers();
            }
            return BTreeMap::new();
        }
        let this = Arc::clone(self);
        let target = Arc::clone(target);
        tokio::runtime::Handle::current().block_on(async move { this.put(&target, changed).await })
    }

    async fn put(
        self: &Arc<Self>,
        target: &Snapshot,
        changed: &BTreeSet<u64>,
    ) -> BTreeMap<u64, String> {
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
        let wanted: BTreeSet<u64> = of_kind(Kind::PubsubTopic).map(|(id, _)| id).collect();
        let gone = |id: TopicId| !wanted.contains(&id.0) && !service_topics::is_made(id);
        let mut kept = BTreeSet::new();
        for (id, object) in of_kind(Kind::PubsubTopic) {
            let Object::PubsubTopic(topic) = &*object else { continue };
            let settings = objects::topic(topic, self.default_expiry);
            // Another one may have to give up the name first.
            if let Some(other) = self.broker.topic(&topic.name).filter(|other| other.id.0 != id)
                && gone(other.id)
            {
                if let Some(refusal) = keeps_messages(&other, changed) {
                    kept.insert(other.id);
                    note(id, self.broker.put_topic(other.id, &topic.name, settings).await);
                    note(id, Err(refusal));
                    continue;
                }
                note(id, self.broker.remove_topic(other.id).await);
            }
            note(id, self.broker.put_topic(TopicId(id), &topic.name, settings).await);
        }
        let is_over = |it: &TopicInfo| gone(it.id) && !kept.contains(&it.id);
        for topic in self.broker.topics().into_iter().filter(is_over) {
            let (name, messages) = (&topic.name, topic.depth_gd + topic.depth_non_gd);
            if messages > 0 {
                tracing::warn!(topic = name, messages, "a topic is removed with its messages");
            }
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
        let mut wanted = BTreeMap::new();
        for (id, object) in of_kind(Kind::PubsubSubscription) {
            let Object::PubsubSubscription(subscription) = &*object else { continue };
            let endpoint = target.objects().find::<PubSubEndpoint>(&subscription.endpoint_name);
            let Some(endpoint) = endpoint.filter(|_| subscription.is_active) else { continue };
            let settings = objects::subscription(subscription, endpoint);
            wanted.insert(id, (endpoint.name.clone(), subscription.topic_name.clone(), settings));
        }
        let existing = self.managed_subscriptions();
        // One that is gone may have to make room.
        for (id, subscription) in existing.iter().filter(|(id, _)| !wanted.contains_key(id)) {
            self.adopted().remove(id);
            note(*id, self.broker.remove_subscription(&subscription.key).await.map(drop));
        }
        for (id, (endpoint, topic, settings)) in wanted {
            let known = existing.get(&id);
            note(id, self.subscribe(id, &endpoint, &topic, settings, known).await);
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
            self.adopted().remove(&id);
            self.broker.remove_subscription(&existing.key).await?;
        }
        let by = self.broker.endpoint_by_name(endpoint).ok_or(PubSubError::Forbidden)?;
        let managed = Some(id);
        let wish = Subscribe {
            settings: settings.clone(),
            managed,
            by_admin: true,
            ..Subscribe::default()
        };
        let subscribed = self.broker.subscribe(&by, topic, wish).await.map_err(|error| match error {
            PubSubError::Forbidden => PubSubError::Input(format!(
                "no pattern sub=… of endpoint `{endpoint}` allows the topic `{topic}`, or its role does not"
            )),
            error => error,
        })?;
        match subscribed.existed {
            true => self.adopt(id, &subscribed.key, settings).await,
            false => Ok(()),
        }
    }

    /// Makes a subscription that was asked for through the API that of an object: with its queue and its key.
    async fn adopt(
        &self,
        id: u64,
        key: &SubKey,
        settings: SubscriptionSettings,
    ) -> Result<(), PubSubError> {
        let info = self.broker.subscription(key).ok_or(PubSubError::NoSuchSubscription)?;
        let is_others = info.managed.is_some_and(|managed| managed != id)
            || self.adopted().iter().any(|(other, adopted)| *other != id && adopted == key);
        if is_others {
            return Err(PubSubError::Input(format!(
                "endpoint `{}` is subscribed to `{}` by another object already",
                info.endpoint_name, info.topic
            )));
        }
        if info.settings != settings {
            self.broker.configure_subscription(key, settings).await?;
        }
        tracing::info!(
            endpoint = info.endpoint_name,
            topic = info.topic,
            "a subscription made through the API is managed from now on"
        );
        self.adopted().insert(id, key.clone());
        Ok(())
    }

    /// The subscriptions of managed objects: those made for them, and those taken over.
    fn managed_subscriptions(&self) -> BTreeMap<u64, SubscriptionInfo> {
        let all = self.broker.subscriptions(None).into_iter();
        let mut managed: BTreeMap<u64, SubscriptionInfo> = all
            .filter_map(|subscription| Some((subscription.managed?, subscription)))
            .filter(|(id, _)| !service_topics::is_made(TopicId(*id)))
            .collect();
        self.adopted().retain(|id, key| match self.broker.subscription(key) {
            Some(info) => {
                managed.entry(*id).or_insert(info);
                true
            }
            None => false,
        });
        managed
    }

    fn adopted(&self) -> MutexGuard<'_, BTreeMap<u64, SubKey>> {
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a subscription is one that somebody is notified of.
    pub(super) fn notifies(subscription: &SubscriptionInfo) -> bool {
        matches!(subscription.settings.delivery, Delivery::Rest { .. } | Delivery::Service { .. })
    }
}

/// Why a topic may not give up its name to another one: it has messages, and nobody has just removed it.
fn keeps_messages(topic: &TopicInfo, changed: &BTreeSet<u64>) -> Option<PubSubError> {
    let messages = topic.depth_gd + topic.depth_non_gd;
    let is_kept = messages > 0 && !changed.contains(&topic.id.0);
    is_kept.then(|| {
        PubSubError::Input(format!(
            "the message log has a topic `{}` with another number, {}, as after an import from another server; its \
             {messages} messages would be lost: have them delivered or clear the topic",
            topic.name, topic.id.0
        ))
    })
}
