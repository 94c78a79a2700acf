//! Services around publication and delivery (pubsub 2.11): called with `{"ctx": {"hook_type": …, …}}`, they answer
//! `{"hook_action": …}`, and may answer with another message before it is published.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use spanwire_protocol::{Codec, Payload};
use spanwire_pubsub::store::BoxFuture;
use spanwire_pubsub::{HookAction, Hooks, Message, PubSubError, Publication, SubscriptionFacts};
use spanwire_service::{Call, Origin, Ports};

/// Calls the services that topics name.
pub(super) struct ServiceHooks(Ports);

impl ServiceHooks {
    pub(super) fn new(ports: &Ports) -> Self {
        Self(ports.clone())
    }

    async fn call(&self, hook: &str, ctx: Value) -> Result<Answer, PubSubError> {
        let failed = |text: String| PubSubError::Hook(format!("The hook service failed: {text}"));
        let input = Payload::from_serialize(Codec::Json, &json!({ "ctx": ctx }));
        let input = input.map_err(|error| failed(error.to_string()))?;
        let answer = self.0.invoke(Call::new(hook, input), Origin::internal()).await;
        let answer = answer.map_err(|error| failed(error.message().to_owned()))?;
        if answer.is_null() || answer.is_empty() {
            return Ok(Answer::default());
        }
        answer.parse().map_err(|error| failed(error.to_string()))
    }
}

#[derive(Default, Deserialize)]
struct Answer {
    hook_action: Option<String>,
    msg: Option<Changed>,
}

/// What a hook may change of a message that is about to be published.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changed {
    data: Option<Value>,
    priority: Option<i64>,
    expiration: Option<i64>,
    mime_type: Option<String>,
    correl_id: Option<String>,
    in_reply_to: Option<String>,
    ext_client_id: Option<String>,
    group_id: Option<String>,
}

impl Hooks for ServiceHooks {
    fn before_publish(
        &self,
        hook: Arc<str>,
        topic: Arc<str>,
        publication: Publication,
    ) -> BoxFuture<'_, Result<Option<Publication>, PubSubError>> {
        Box::pin(async move {
            let data: Value = publication.data.parse().map_err(|error| {
                PubSubError::Input(format!("the content cannot be given to the hook: {error}"))
            })?;
            let ctx = json!({
                "hook_type": "pubsub_before_publish",
                "topic": {"name": &*topic},
                "msg": {
                    "data": data,
                    "msg_id": publication.msg_id,
                    "priority": publication.priority,
                    "expiration": publication.expiration,
                    "has_gd": publication.has_gd,
                    "mime_type": publication.mime_type,
                    "correl_id": publication.correl_id,
                    "in_reply_to": publication.in_reply_to,
                    "ext_client_id": publication.ext_client_id,
                    "group_id": publication.group_id,
                },
            });
            let answer = self.call(&hook, ctx).await?;
            match answer.hook_action.as_deref().unwrap_or("deliver") {
                "deliver" => answer
                    .msg
                    .map_or(Ok(publication.clone()), |msg| change(publication, msg))
                    .map(Some),
                "skip" => Ok(None),
                other => Err(unknown(other)),
            }
        })
    }

    fn before_delivery(
        &self,
        hook: Arc<str>,
        subscription: SubscriptionFacts,
        message: Arc<Message>,
        attempt: u32,
    ) -> BoxFuture<'_, Result<HookAction, PubSubError>> {
        Box::pin(async move {
            let data: Value = message.payload().parse().unwrap_or_default();
            let ctx = json!({
                "hook_type": "pubsub_before_delivery",
                "topic": {"name": &*subscription.topic},
                "sub": facts(&subscription),
                "msg": {
                    "data": data,
                    "msg_id": &*message.id,
                    "priority": message.priority,
                    "mime_type": message.mime_type,
                    "correl_id": message.correl_id,
                    "in_reply_to": message.in_reply_to,
                    "ext_client_id": message.ext_client_id,
                    "group_id": message.group_id,
                    "size": message.size,
                    "delivery_count": attempt,
                },
            });
            let answer = self.call(&hook, ctx).await?;
            match answer.hook_action.as_deref().unwrap_or("deliver") {
                "deliver" => Ok(HookAction::Deliver),
                "skip" => Ok(HookAction::Skip),
                "delete" => Ok(HookAction::Delete),
                other => Err(unknown(other)),
            }
        })
    }

    fn on_subscribed(
        &self,
        hook: Arc<str>,
        subscription: SubscriptionFacts,
    ) -> BoxFuture<'_, Result<(), PubSubError>> {
        Box::pin(async move {
            let ctx = json!({
                "hook_type": "pubsub_on_subscribed",
                "topic": {"name": &*subscription.topic},
                "sub": facts(&subscription),
            });
            self.call(&hook, ctx).await.map(drop)
        })
    }

    fn on_unsubscribed(
        &self,
        hook: Arc<str>,
        subscription: SubscriptionFacts,
    ) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let ctx = json!({
                "hook_type": "pubsub_on_unsubscribed",
                "topic": {"name": &*subscription.topic},
                "sub": facts(&subscription),
            });
            if let Err(error) = self.call(&hook, ctx).await {
                tracing::warn!(%error, topic = &*subscription.topic, "a hook failed");
            }
        })
    }
}

fn facts(subscription: &SubscriptionFacts) -> Value {
    json!({
        "endpoint_name": &*subscription.endpoint,
        "sub_key": subscription.masked_key,
        "ext_client_id": subscription.client_id,
    })
}

fn change(mut publication: Publication, msg: Changed) -> Result<Publication, PubSubError> {
    if let Some(data) = msg.data {
        publication.data = Publication::from_value(&data)?.data;
    }
    publication.priority = msg.priority.or(publication.priority);
    publication.expiration = msg.expiration.or(publication.expiration);
    publication.mime_type = msg.mime_type.or(publication.mime_type);
    publication.correl_id = msg.correl_id.or(publication.correl_id);
    publication.in_reply_to = msg.in_reply_to.or(publication.in_reply_to);
    publication.ext_client_id = msg.ext_client_id.or(publication.ext_client_id);
    publication.group_id = msg.group_id.or(publication.group_id);
    Ok(publication)
}

fn unknown(action: &str) -> PubSubError {
    let action: String = action.chars().take(100).collect();
    PubSubError::Hook(format!(
        "The hook service answered hook_action `{action}`; use deliver, skip or delete"
    ))
}
