//! Publish/subscribe for services: what a service author calls on its [`Context`].
//!
//! A service acts as the server itself here, whoever called it: nothing is forbidden to it, and it decides by itself what
//! its caller may. (Calling `zato.pubsub.pubapi.publish-message` with [`Context::call`] acts as the caller instead.)
//!
//! Everything goes through the built-in services of publish/subscribe; on a host that has none, calls fail with 500.

mod publish;

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spanwire_protocol::{Codec, Payload, Timestamp};

pub use self::publish::Publish;
use crate::context::Context;
use crate::error::ServiceError;
use crate::service::BoxFuture;

/// The secret that names a subscription and lets its messages be taken.
///
/// [`Debug`] does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SubscriptionKey(String);

impl SubscriptionKey {
    /// Takes a key that was kept somewhere.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The key, to be kept somewhere.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SubscriptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubscriptionKey(***)")
    }
}

/// A message that a service took.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Its id.
    pub msg_id: String,
    /// The topic it was published to.
    pub topic_name: String,
    /// The content.
    pub data: Value,
    /// Bytes of the content.
    pub size: usize,
    /// What the content is.
    pub mime_type: String,
    /// 1 to 9, the highest.
    pub priority: u8,
    /// The attempt: 1 at the first, or 0 on a server that speaks like 3.0.
    pub delivery_count: u32,
    /// The correlation id.
    pub correl_id: Option<String>,
    /// The message it answers.
    pub in_reply_to: Option<String>,
    /// The publisher's own name for itself; empty if it gave none.
    pub ext_client_id: String,
    /// When it was published.
    pub pub_time_iso: Timestamp,
    /// When it came to be, by the publisher's clock.
    pub ext_pub_time: Option<Timestamp>,
    /// When it is of no use any more.
    pub expiration_time_iso: Timestamp,
    /// What the publisher handed on.
    pub user_ctx: Option<Value>,
}

impl Message {
    /// The content as a type of one's own.
    ///
    /// # Errors
    /// 400 when it is no such thing.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ServiceError> {
        T::deserialize(&self.data).map_err(ServiceError::input)
    }
}

impl Context {
    /// Publishes a value to a topic, or to a service by its name. Awaiting it publishes; what a message has beside its
    /// content is said before that.
    ///
    /// Returns the id of the message; `None` when nobody is subscribed to a topic that keeps nothing for later, or a
    /// hook did not want it. When this returns, a message with guaranteed delivery is on disk.
    ///
    /// ```
    /// use spanwire_service::{Context, Registry};
    ///
    /// let registry = Registry::new();
    /// registry.register_fn("crm.new-customer", |ctx: Context, name: String| async move {
    ///     ctx.publish("/customer/new", &name).await?;
    ///     let urgent = ctx.publish("/customer/audit", &name).priority(9).guaranteed(true).await?;
    ///     Ok(urgent)
    /// });
    /// ```
    ///
    /// # Errors
    /// 400 for a value that says nothing (`null`, `""`, `{}`, `[]`, `false`), 404 when there is no such topic, 503 when
    /// it takes no messages now.
    ///
    /// # Cancel safety
    /// The message may be published or not when the future is dropped.
    pub fn publish<'a, T>(&'a self, topic: &'a str, data: &T) -> Publish<'a>
    where
        T: Serialize + ?Sized,
    {
        Publish::new(self, topic, Payload::from_serialize(Codec::Json, data))
    }

    /// Subscribes to a topic. The subscription and its queue stay until [`unsubscribe`](Self::unsubscribe), whether
    /// anybody takes messages or not; each call makes another one.
    ///
    /// ```
    /// use std::time::Duration;
    /// use spanwire_service::{Context, Registry};
    ///
    /// let registry = Registry::new();
    /// registry.register_fn("crm.first-customers", |ctx: Context, _: serde_json::Value| async move {
    ///     let key = ctx.subscribe("/customer/new").await?;
    ///     let messages = ctx.get_messages(&key).limit(10).wait(Duration::from_secs(5)).await?;
    ///     ctx.unsubscribe(&key).await?;
    ///     let names: Result<Vec<String>, _> = messages.iter().map(|message| message.parse()).collect();
    ///     names
    /// });
    /// ```
    ///
    /// # Errors
    /// 404 when there is no such topic.
    pub async fn subscribe(&self, topic: &str) -> Result<SubscriptionKey, ServiceError> {
        #[derive(Deserialize)]
        struct Subscribed {
            sub_key: String,
        }
        let input = json!({"topic_name": topic, "delivery_method": "pull"});
        let subscribed: Subscribed =
            self.call_as_server("zato.pubsub.pubapi.subscribe", &input).await?;
        Ok(SubscriptionKey(subscribed.sub_key))
    }

    /// Ends a subscription, with its queue. Ending what is not there is no error.
    ///
    /// # Errors
    /// 503 when the message log fails.
    pub async fn unsubscribe(&self, key: &SubscriptionKey) -> Result<(), ServiceError> {
        let input = json!({"sub_key": key.0});
        let _: Value = self.call_as_server("zato.pubsub.pubapi.unsubscribe", &input).await?;
        Ok(())
    }

    /// Takes messages that wait, the most urgent first, then in the order of publication. Awaiting it takes them; how
    /// many, and what for, is said before that.
    ///
    /// # Errors
    /// 403 when there is no such subscription.
    ///
    /// # Cancel safety
    /// Messages that were taken without a lease may be lost when the future is dropped.
    pub fn get_messages<'a>(&'a self, key: &'a SubscriptionKey) -> GetMessages<'a> {
        GetMessages { context: self, key, limit: 0, lease: None, wait: Duration::ZERO }
    }

    /// Messages that were lent are done with; tells how many of them still waited for that.
    ///
    /// ```
    /// use std::time::Duration;
    /// use spanwire_service::{Context, Registry, SubscriptionKey};
    ///
    /// let registry = Registry::new();
    /// registry.register_fn("crm.work", |ctx: Context, key: String| async move {
    ///     let key = SubscriptionKey::from_text(key);
    ///     for message in ctx.get_messages(&key).lease(Duration::from_secs(60)).await? {
    ///         ctx.call::<_, serde_json::Value>("crm.store", &message.data).await?;
    ///         ctx.acknowledge(&key, &[&message.msg_id]).await?;
    ///     }
    ///     Ok(())
    /// });
    /// ```
    ///
    /// # Errors
    /// 403 when there is no such subscription.
    pub async fn acknowledge(
        &self,
        key: &SubscriptionKey,
        msg_ids: &[&str],
    ) -> Result<usize, ServiceError> {
        #[derive(Deserialize)]
        struct Done {
            acknowledged: usize,
        }
        if msg_ids.is_empty() {
            return Ok(0);
        }
        let input = json!({"sub_key": key.0, "msg_ids": msg_ids});
        let done: Done = self.call_as_server("spanwire.pubsub.acknowledge", &input).await?;
        Ok(done.acknowledged)
    }

    async fn call_as_server<O: DeserializeOwned>(
        &self,
        service: &str,
        input: &Value,
    ) -> Result<O, ServiceError> {
        let input = Payload::from_serialize(Codec::Json, input).map_err(ServiceError::internal)?;
        let output = self.call_payload_as_server(service, input).await?;
        output.parse().map_err(ServiceError::internal)
    }
}

/// A wish to take messages; see [`Context::get_messages`].
#[derive(Debug)]
#[must_use = "messages are taken when this is awaited"]
pub struct GetMessages<'a> {
    context: &'a Context,
    key: &'a SubscriptionKey,
    limit: usize,
    lease: Option<Duration>,
    wait: Duration,
}

impl GetMessages<'_> {
    /// At most so many; 0, the default, is what the subscription says, usually 500.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Lends them for so long, at most twelve hours: what is not [acknowledged](Context::acknowledge) by then comes
    /// again. Without it they are taken for good.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Waits so long for the first one, at most until shortly before the deadline of the call. Default: not at all.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

impl<'a> IntoFuture for GetMessages<'a> {
    type Output = Result<Vec<Message>, ServiceError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let input = json!({
                "sub_key": self.key.0,
                "order": "fifo",
                "limit": self.limit,
                "lease": self.lease.map(|lease| lease.as_secs_f64()),
                "wait": self.wait.min(self.context.remaining()).as_secs_f64(),
            });
            self.context.call_as_server("zato.pubsub.pubapi.get-messages", &input).await
        })
    }
}

#[cfg(test)]
mod tests;
