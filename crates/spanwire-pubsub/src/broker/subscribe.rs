//! Subscribing, resuming, unsubscribing.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use spanwire_protocol::TopicAccess;

use super::access::Endpoint;
use super::ports::SubscriptionFacts;
use super::{Broker, Handle, Located, Shared};
use crate::error::PubSubError;
use crate::id::{EndpointId, Position, SubKey, SubscriptionId};
use crate::settings::{Delivery, EndpointKind, SubscriptionSettings};
use crate::store::{Change, SubscriptionRecord};
use crate::topic::{Start, Subscription, Topic, microseconds};

/// Where a new subscription begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// With what is published from now on, and with what has waited for a first subscriber.
    #[default]
    New,
    /// With everything that the topic still holds.
    First,
    /// Behind this message.
    After(Position),
}

/// A wish to subscribe.
#[derive(Clone, Debug, Default)]
pub struct Subscribe {
    /// The client that gets the key; empty where there is none.
    pub client_id: String,
    /// How messages are delivered.
    pub settings: SubscriptionSettings,
    /// Where it begins.
    pub start: StartAt,
    /// The managed object that it comes from.
    pub managed: Option<u64>,
    /// Whether an administrator asks, who may subscribe to whatever there is.
    pub by_admin: bool,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// Its key.
    pub key: SubKey,
    /// How many messages wait in its queue.
    pub depth: usize,
    /// The last message that was published before it.
    pub position: Position,
    /// Whether it existed before.
    pub existed: bool,
}

impl Broker {
    /// Subscribes an endpoint to a topic. Endpoints other than WebSocket channels have one subscription a topic: asking
    /// again gives the same. Stored when this returns.
    ///
    /// # Errors
    /// When the endpoint or its client may not, there is no such topic, a hook refuses, or the log fails.
    ///
    /// # Cancel safety
    /// The subscription may exist or not when the future is dropped.
    pub async fn subscribe(
        &self,
        by: &Endpoint,
        topic: &str,
        wish: Subscribe,
    ) -> Result<Subscribed, PubSubError> {
        let shared = &self.0;
        let pattern = by.allow(TopicAccess::Subscribe, topic)?;
        let handle = shared.handle_by_name(topic);
        let handle = handle.ok_or_else(|| PubSubError::NoSuchTopic(topic.to_owned()))?;
        let settings = handle.lock().settings.clone();
        if !settings.is_api_sub_allowed && !wish.by_admin && !by.is_internal() {
            return Err(PubSubError::Forbidden);
        }
        if let Some(existing) = shared.existing(&handle, by, wish.managed) {
            return Ok(existing);
        }
        if shared.subscription_count() >= shared.settings.max_subscriptions {
            return Err(PubSubError::Input("There are too many subscriptions already".to_owned()));
        }
        let kind = by.settings().kind;
        let key = SubKey::random(kind.as_str(), &wish.client_id)?;
        let facts = SubscriptionFacts {
            topic: topic.into(),
            endpoint: Arc::clone(by.name()),
            masked_key: key.masked(),
            client_id: wish.client_id.clone(),
        };
        if let Some(hook) = &settings.hook {
            shared.hooks.on_subscribed(Arc::clone(hook), facts).await?;
        }
        let now = shared.clock.now().wall;
        let record = SubscriptionRecord {
            topic: handle.id,
            endpoint: by.settings().id,
            kind,
            key: key.clone(),
            managed: wish.managed,
            client_id: wish.client_id,
            pattern: pattern.to_string(),
            created: now,
            last_seen: now,
            start: 0,
            claims: Vec::new(),
            in_use: false,
            crashes: 0,
            crashed_below: 0,
            settings: wish.settings,
        };
        let start = match wish.start {
            StartAt::New => Start::New,
            StartAt::First => Start::First,
            StartAt::After(position) => Start::After(position),
        };
        let id = SubscriptionId(shared.next_subscription.fetch_add(1, Ordering::Relaxed));
        shared.create(&handle, id, record, start, by).await
    }

    /// The subscription of an endpoint to a topic, for endpoints that have one each.
    #[must_use]
    pub fn find_subscription(&self, by: &Endpoint, topic: &str) -> Option<SubKey> {
        let handle = self.0.handle_by_name(topic)?;
        self.0.existing(&handle, by, None).map(|existing| existing.key)
    }

    /// Whether a key belongs to an endpoint, and to a client where that counts.
    ///
    /// # Errors
    /// [`PubSubError::Forbidden`] when it does not, or nobody has it.
    pub fn check_key(
        &self,
        by: &Endpoint,
        client_id: &str,
        key: &SubKey,
    ) -> Result<(), PubSubError> {
        self.0.owned(by, client_id, key).map(drop)
    }

    /// Ends a subscription, with its queue. An endpoint may end its own.
    ///
    /// # Errors
    /// When the key is not the endpoint's, or the log fails.
    pub async fn unsubscribe(
        &self,
        by: &Endpoint,
        client_id: &str,
        key: &SubKey,
    ) -> Result<(), PubSubError> {
        let located = self.0.owned(by, client_id, key)?;
        self.0.end(located).await
    }

    /// Ends a subscription, whoever has it. Ending what is not there is no error.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn remove_subscription(&self, key: &SubKey) -> Result<bool, PubSubError> {
        let Some(located) = self.0.locate(key) else { return Ok(false) };
        self.0.end(located).await?;
        Ok(true)
    }

    /// Gives a subscription other settings.
    ///
    /// # Errors
    /// When there is none with this key, or the log fails.
    pub async fn configure_subscription(
        &self,
        key: &SubKey,
        settings: SubscriptionSettings,
    ) -> Result<(), PubSubError> {
        let located = self.0.locate(key).ok_or(PubSubError::NoSuchSubscription)?;
        let shared = Arc::clone(&self.0);
        let prepare = move || {
            let topic = located.handle.lock();
            let subscription =
                topic.subscription(located.id).ok_or(PubSubError::NoSuchSubscription)?;
            let mut record = subscription.record.clone();
            record.settings = settings;
            drop(topic);
            let changes = vec![Change::PutSubscription(located.id, Box::new(record.clone()))];
            Ok((changes, move || {
                shared.with(&located.handle, |topic| {
                    if let Some(subscription) = topic.touch(located.id) {
                        subscription.record.settings = record.settings;
                        subscription.wake();
                    }
                });
            }))
        };
        self.0.structural(prepare).await
    }

    /// Ends the subscriptions of endpoints that are none of these.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn retain_endpoints(
        &self,
        keep: impl Fn(EndpointId) -> bool + Send,
    ) -> Result<(), PubSubError> {
        let gone = |it: &Subscription| {
            it.record.endpoint != EndpointId::INTERNAL && !keep(it.record.endpoint)
        };
        let gone = self.0.select(gone);
        for located in gone {
            self.0.end(located).await?;
        }
        Ok(())
    }
}

impl Shared {
    /// The one subscription of an endpoint that has only one, or that of a managed object.
    fn existing(&self, handle: &Handle, by: &Endpoint, managed: Option<u64>) -> Option<Subscribed> {
        let topic = handle.lock();
        let is_it = |it: &&Subscription| match managed {
            Some(_) if it.record.managed == managed => true,
            _ => {
                it.record.endpoint == by.settings().id
                    && by.settings().kind != EndpointKind::Wsx
                    && !by.is_internal()
            }
        };
        let existing = topic.subscriptions().find(is_it)?;
        Some(Subscribed {
            key: existing.record.key.clone(),
            depth: existing.depth(),
            position: before_next(&topic),
            existed: true,
        })
    }

    fn subscription_count(&self) -> usize {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    async fn create(
        self: &Arc<Self>,
        handle: &Arc<Handle>,
        id: SubscriptionId,
        record: SubscriptionRecord,
        start: Start,
        by: &Endpoint,
    ) -> Result<Subscribed, PubSubError> {
        let (shared, handle) = (Arc::clone(self), Arc::clone(handle));
        let (one_only, managed) = (by.settings().kind != EndpointKind::Wsx, record.managed);
        let endpoint = by.settings().id;
        let internal = by.is_internal();
        let (told, tell) = std::sync::mpsc::sync_channel(1);
        let prepare = move || {
            let topic = handle.lock();
            if topic.is_removed() {
                return Err(PubSubError::NoSuchTopic(topic.name().to_owned()));
            }
            // Somebody may have been quicker.
            let taken = topic.subscriptions().find(|it| {
                (one_only && !internal && it.record.endpoint == endpoint)
                    || (managed.is_some() && it.record.managed == managed)
            });
            if let Some(taken) = taken {
                let existing = Subscribed {
                    key: taken.record.key.clone(),
                    depth: taken.depth(),
                    position: before_next(&topic),
                    existed: true,
                };
                drop(told.send(existing));
                return Ok((Vec::new(), None));
            }
            let (subscription, changes) = topic.draft(id, record, start);
            drop(topic);
            Ok((changes, Some((shared, handle, subscription, told))))
        };
        let apply = move |it: Option<(Arc<Self>, Arc<Handle>, Subscription, _)>| {
            let Some((shared, handle, subscription, told)) = it else { return };
            let key = subscription.record.key.clone();
            let located = Located { handle: Arc::clone(&handle), id };
            let mut keys = shared.keys.write().unwrap_or_else(PoisonError::into_inner);
            keys.insert(key.clone(), located);
            drop(keys);
            let (depth, position) = shared.with(&handle, |topic| {
                let position = before_next(topic);
                topic.add(subscription);
                (topic.subscription(id).map_or(0, Subscription::depth), position)
            });
            let told: std::sync::mpsc::SyncSender<Subscribed> = told;
            drop(told.send(Subscribed { key, depth, position, existed: false }));
        };
        self.structural(move || prepare().map(|(changes, it)| (changes, move || apply(it))))
            .await?;
        tell.try_recv().map_err(|_| PubSubError::Closed)
    }

    /// Finds a subscription by its key, for its owner.
    pub(super) fn owned(
        &self,
        by: &Endpoint,
        client_id: &str,
        key: &SubKey,
    ) -> Result<Located, PubSubError> {
        let located = self.locate(key).ok_or(PubSubError::Forbidden)?;
        let topic = located.handle.lock();
        let subscription = topic.subscription(located.id).ok_or(PubSubError::Forbidden)?;
        let record = &subscription.record;
        let owns = by.is_internal() || record.endpoint == by.settings().id;
        let bound = by.settings().bind_to_client && record.client_id != client_id;
        let may = by.settings().is_active && by.allow(TopicAccess::Subscribe, topic.name()).is_ok();
        drop(topic);
        if owns && may && !bound { Ok(located) } else { Err(PubSubError::Forbidden) }
    }

    /// Subscriptions that something is true of.
    pub(super) fn select(&self, is_meant: impl Fn(&Subscription) -> bool) -> Vec<Located> {
        let handles = self.handles().into_iter();
        let of_handle = |handle: Arc<Handle>| {
            let topic = handle.lock();
            let ids: Vec<_> =
                topic.subscriptions().filter(|it| is_meant(it)).map(|it| it.id).collect();
            drop(topic);
            ids.into_iter().map(move |id| Located { handle: Arc::clone(&handle), id })
        };
        handles.flat_map(of_handle).collect()
    }

    pub(super) async fn end(self: &Arc<Self>, located: Located) -> Result<(), PubSubError> {
        let (hook, facts) = {
            let topic = located.handle.lock();
            let facts = topic.subscription(located.id).map(|it| self.facts(&topic, it));
            (topic.settings.hook.clone(), facts)
        };
        let shared = Arc::clone(self);
        let prepare = move || {
            let changes = located.handle.lock().removal(located.id);
            Ok((changes, move || shared.forget_subscription(&located.handle, located.id)))
        };
        self.structural(prepare).await?;
        if let (Some(hook), Some(facts)) = (hook, facts) {
            self.hooks.on_unsubscribed(hook, facts).await;
        }
        Ok(())
    }

    /// Ends the subscriptions of WebSocket clients that stay away longer than their topic allows; tells how many.
    pub(super) async fn end_inactive(self: &Arc<Self>) -> usize {
        let mut ended = 0;
        let now = self.clock.now().wall;
        let mut away = Vec::new();
        for handle in self.handles() {
            let topic = handle.lock();
            let Some(limit) = topic.settings.limit_sub_inactivity else { continue };
            let is_away = |it: &&Subscription| {
                it.holder.is_none()
                    && it.record.managed.is_none()
                    && it.record.settings.delivery == Delivery::WebSocket
                    && now.saturating_sub(it.record.last_seen) >= microseconds(limit)
            };
            let ids: Vec<_> = topic.subscriptions().filter(is_away).map(|it| it.id).collect();
            drop(topic);
            away.extend(ids.into_iter().map(|id| Located { handle: Arc::clone(&handle), id }));
        }
        for located in away {
            let (name, key) = {
                let topic = located.handle.lock();
                let key = topic.subscription(located.id).map(|it| it.record.key.masked());
                (topic.name().to_owned(), key)
            };
            if self.end(located).await.is_ok() {
                ended += 1;
                tracing::info!(
                    topic = name,
                    key,
                    "a subscription ended: its subscriber stayed away"
                );
            }
        }
        ended
    }

    pub(super) fn facts(&self, topic: &Topic, subscription: &Subscription) -> SubscriptionFacts {
        let record = &subscription.record;
        let endpoint = self.endpoints.load().by_id(record.endpoint).map(|it| Arc::clone(it.name()));
        SubscriptionFacts {
            topic: topic.name().into(),
            endpoint: endpoint.unwrap_or_else(|| "".into()),
            masked_key: record.key.masked(),
            client_id: record.client_id.clone(),
        }
    }
}

fn before_next(topic: &Topic) -> Position {
    Position { epoch: topic.record.epoch, offset: topic.next().saturating_sub(1) }
}
