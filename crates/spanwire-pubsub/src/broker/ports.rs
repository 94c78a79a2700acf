//! What a broker asks of its host: hooks around publication and delivery, and somebody who keeps accounts.

use std::sync::Arc;
use std::time::Duration;

use crate::error::PubSubError;
use crate::message::{Message, Publication};
use crate::store::BoxFuture;

/// What becomes of a message that is about to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookAction {
    /// It is delivered.
    Deliver,
    /// It stays, and is tried again later; others go on.
    Skip,
    /// This subscriber does not get it.
    Delete,
}

/// A subscription, as hooks and accounts see it.
#[derive(Clone, Debug)]
pub struct SubscriptionFacts {
    /// The topic.
    pub topic: Arc<str>,
    /// The endpoint.
    pub endpoint: Arc<str>,
    /// The key, without its secret.
    pub masked_key: String,
    /// The client it was given to; empty where there is none.
    pub client_id: String,
}

/// Services that topics name as their hooks (pubsub 2.11).
pub trait Hooks: Send + Sync + 'static {
    /// A message is about to be published. What comes back is published in its place; nothing is, where that is `None`.
    ///
    /// # Errors
    /// The publisher is told so, and nothing is published.
    fn before_publish(
        &self,
        hook: Arc<str>,
        topic: Arc<str>,
        publication: Publication,
    ) -> BoxFuture<'_, Result<Option<Publication>, PubSubError>>;

    /// A message is about to be handed over.
    ///
    /// # Errors
    /// The batch is tried again later.
    fn before_delivery(
        &self,
        hook: Arc<str>,
        subscription: SubscriptionFacts,
        message: Arc<Message>,
        attempt: u32,
    ) -> BoxFuture<'_, Result<HookAction, PubSubError>>;

    /// A subscription is about to exist.
    ///
    /// # Errors
    /// It does not come to exist, and the subscriber is told so.
    fn on_subscribed(
        &self,
        hook: Arc<str>,
        subscription: SubscriptionFacts,
    ) -> BoxFuture<'_, Result<(), PubSubError>>;

    /// A subscription has ended.
    fn on_unsubscribed(&self, hook: Arc<str>, subscription: SubscriptionFacts)
    -> BoxFuture<'_, ()>;
}

/// For hosts without services.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHooks;

impl Hooks for NoHooks {
    fn before_publish(
        &self,
        _: Arc<str>,
        _: Arc<str>,
        publication: Publication,
    ) -> BoxFuture<'_, Result<Option<Publication>, PubSubError>> {
        Box::pin(std::future::ready(Ok(Some(publication))))
    }

    fn before_delivery(
        &self,
        _: Arc<str>,
        _: SubscriptionFacts,
        _: Arc<Message>,
        _: u32,
    ) -> BoxFuture<'_, Result<HookAction, PubSubError>> {
        Box::pin(std::future::ready(Ok(HookAction::Deliver)))
    }

    fn on_subscribed(
        &self,
        _: Arc<str>,
        _: SubscriptionFacts,
    ) -> BoxFuture<'_, Result<(), PubSubError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn on_unsubscribed(&self, _: Arc<str>, _: SubscriptionFacts) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Counts, and keeps the audit. Called on the way of messages: must not block.
pub trait Observer: Send + Sync + 'static {
    /// A message was published; `took` is from the call to the answer.
    fn published(&self, message: &Message, took: Duration) {
        let _ = (message, took);
    }

    /// A message was handed over, `age` after its publication.
    fn delivered(
        &self,
        subscription: &SubscriptionFacts,
        message: &Message,
        attempt: u32,
        age: Duration,
    ) {
        let _ = (subscription, message, attempt, age);
    }
}

/// For hosts that keep no accounts.
impl Observer for () {}
