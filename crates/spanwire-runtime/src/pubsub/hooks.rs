//! Services around publication and delivery (pubsub 2.11): called with `{"ctx": {"hook_type": …, …}}`, they answer
//! `{"hook_action": …}`, and may answer with another message before it is published.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use spanwire_builtins::pubsub::content;
use spanwire_protocol::{Codec, Payload, PayloadError};
use spanwire_pubsub::store::BoxFuture;
use spanwire_pubsub::{HookAction, Hooks, Message, PubSubError, Publication, SubscriptionFacts};
use spanwire_service::{Call, Origin, Ports};

/// Calls the services that topics name.
pub(super) struct ServiceHooks(Ports);

impl ServiceHooks {
    pub(super) fn new(ports: &Ports) -> Self {
        Self(ports.clone())
    }

    async fn call(
        &self,
        hook: &str,
        ctx: &Value,
        msg: Option<Payload>,
    ) -> Result<Answer, PubSubError> {
        let input = input(ctx, msg).map_err(failed)?;
        let answer = self.0.invoke(Call::new(hook, input), Origin::internal()).await;
        let answer = answer.map_err(|error| failed(error.message()))?;
        if answer.is_null() || answer.is_empty() {
            return Ok(Answer::default());
        }
        read(&answer)
    }
}

/// What a hook is given: `{"ctx": {…}}`, with the message in it if there is one.
fn input(ctx: &Value, msg: Option<Payload>) -> Result<Payload, PayloadError> {
    let mut ctx = Payload::from_serialize(Codec::Json, ctx)?;
    if let Some(msg) = msg {
        let msg = Payload::object(Codec::Json, [("msg", &msg)])?;
        ctx = Payload::from_objects(Codec::Json, &[ctx.bytes(), msg.bytes()])?;
    }
    Payload::object(Codec::Json, [("ctx", &ctx)])
}

/// A message for a hook: its content byte for byte, and what else it is told.
fn message(data: &Payload, others: &Value) -> Result<Payload, PayloadError> {
    let data = Payload::object(Codec::Json, [("data", data)])?;
    let others = Payload::from_serialize(Codec::Json, others)?;
    Payload::from_objects(Codec::Json, &[data.bytes(), others.bytes()])
}

fn read(answer: &Payload) -> Result<Answer, PubSubError> {
    let mut read: Answer = answer.parse().map_err(failed)?;
    if let Some(msg) = &mut read.msg {
        let given = msg.data.and_then(|_| answer.entry("msg")?.entry("data"));
        if let Some(data) = given {
            content::check(&data).map_err(failed)?;
            msg.content = Some(data);
        }
    }
    Ok(read)
}

fn failed(text: impl std::fmt::Display) -> PubSubError {
    PubSubError::Hook(format!("The hook service failed: {text}"))
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
    /// Whether the content is another one, which is cut out by its bytes.
    data: Option<IgnoredAny>,
    #[serde(skip)]
    content: Option<Payload>,
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
            let msg = json!({
                "msg_id": publication.msg_id,
                "priority": publication.priority,
                "expiration": publication.expiration,
                "has_gd": publication.has_gd,
                "mime_type": publication.mime_type,
                "correl_id": publication.correl_id,
                "in_reply_to": publication.in_reply_to,
                "ext_client_id": publication.ext_client_id,
                "group_id": publication.group_id,
            });
            let msg = message(&publication.data, &msg).map_err(|error| {
                PubSubError::Input(format!("the content cannot be given to the hook: {error}"))
            })?;
            let ctx = json!({
                "hook_type": "pubsub_before_publish",
                "topic": {"name": &*topic},
            });
            let answer = self.call(&hook, &ctx, Some(msg)).await?;
            match answer.hook_action.as_deref().unwrap_or("deliver") {
                "deliver" => Ok(Some(match answer.msg {
                    Some(msg) => change(publication, msg),
                    None => publication,
                })),
                "skip" => Ok(None),
                other => Err(unknown(other)),
            }
        })
    }

    fn before_delivery(
        &self,
        hook: Arc<str>,
        subscription: SubscriptionFacts,
        delivered: Arc<Message>,
        attempt: u32,
    ) -> BoxFuture<'_, Result<HookAction, PubSubError>> {
        Box::pin(async move {
            let others = json!({
                "msg_id": &*delivered.id,
                "priority": delivered.priority,
                "mime_type": delivered.mime_type,
                "correl_id": delivered.correl_id,
                "in_reply_to": delivered.in_reply_to,
                "ext_client_id": delivered.ext_client_id,
                "group_id": delivered.group_id,
                "size": delivered.size,
                "delivery_count": attempt,
            });
            // It was JSON when it was stored.
            let data = Payload::from_encoded(Codec::Json, delivered.data.clone());
            let msg = message(&data, &others).map_err(failed)?;
            let ctx = json!({
                "hook_type": "pubsub_before_delivery",
                "topic": {"name": &*subscription.topic},
                "sub": facts(&subscription),
            });
            let answer = self.call(&hook, &ctx, Some(msg)).await?;
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
            self.call(&hook, &ctx, None).await.map(drop)
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
            if let Err(error) = self.call(&hook, &ctx, None).await {
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

fn change(mut publication: Publication, msg: Changed) -> Publication {
    publication.data = msg.content.unwrap_or(publication.data);
    publication.priority = msg.priority.or(publication.priority);
    publication.expiration = msg.expiration.or(publication.expiration);
    publication.mime_type = msg.mime_type.or(publication.mime_type);
    publication.correl_id = msg.correl_id.or(publication.correl_id);
    publication.in_reply_to = msg.in_reply_to.or(publication.in_reply_to);
    publication.ext_client_id = msg.ext_client_id.or(publication.ext_client_id);
    publication.group_id = msg.group_id.or(publication.group_id);
    publication
}

fn unknown(action: &str) -> PubSubError {
    let action: String = action.chars().take(100).collect();
    PubSubError::Hook(format!(
        "The hook service answered hook_action `{action}`; use deliver, skip or delete"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_see_and_leave_content_as_it_is() {
        let data = Payload::from_json(r#"{"b": 18446744073709551616, "a": 1.10}"#).unwrap();
        let msg = message(&data, &json!({"priority": 5})).unwrap();
        let given = input(&json!({"hook_type": "h"}), Some(msg)).unwrap();
        let given = given.entry("ctx").unwrap().entry("msg").unwrap();
        assert_eq!(given.entry("data").unwrap(), data);
        assert_eq!(given.entry("priority").unwrap().parse::<i64>().unwrap(), 5);
        let answer = Payload::from_json(r#"{"msg": {"priority": 7, "data": null}}"#).unwrap();
        let changed = change(Publication::new(data.clone()), read(&answer).unwrap().msg.unwrap());
        assert_eq!((changed.data, changed.priority), (data.clone(), Some(7)));
        let answer = Payload::from_json(r#"{"msg": {"data": 1.50}}"#).unwrap();
        let changed = change(Publication::new(data), read(&answer).unwrap().msg.unwrap());
        assert_eq!(&**changed.data.bytes(), b"1.50");
        let answer = Payload::from_json(r#"{"msg": {"data": 1e400}}"#).unwrap();
        assert!(read(&answer).is_err());
    }
}
