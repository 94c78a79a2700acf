//! The built-in REST channels `/zato/pubsub/…` (pubsub 3.1). Their input is the body and the query with `topic_name` from
//! the path.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use spanwire_protocol::Payload;
use spanwire_pubsub::SubKey;
use spanwire_service::{Context, ServiceError};

use super::PubSub;
use super::caller::Caller;
use super::input::{list, read, required, text};
use super::publish::Defaults;
use super::{publish, subscribe, take};

/// `POST …/topic/{topic_name}`: publishes, with the `Content-Type` where no `mime_type` is given; with a `sub_key` and without `data` it gets messages, as in 3.0.
pub(super) async fn topic_post(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Payload, ServiceError> {
    let is_given = |name: &str| input.entry(name).is_some_and(|value| !value.is_null());
    if is_given("sub_key") && !is_given("data") {
        return take::get_messages(pubsub, ctx, input).await;
    }
    let defaults = Defaults {
        correl_id: Some(ctx.cid().to_string()),
        mime_type: ctx.content_type().filter(|it| !is_form(it)).map(str::to_owned),
    };
    let answer = publish::publish_one(&pubsub, &ctx, &input, defaults).await?;
    Payload::from_serialize(input.codec(), &answer).map_err(ServiceError::internal)
}

/// What HTTP clients say of a body when nobody told them what it is (pubsub 1.6).
fn is_form(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// `PATCH …/topic/{topic_name}`: gets messages; the caller is all it takes to find them.
pub(super) async fn topic_patch(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Payload, ServiceError> {
    let caller = Caller::of(&pubsub, &ctx)?;
    take::fetch_by_topic(&pubsub, &ctx, &caller, &read(&input)?, input.codec()).await
}

/// `POST …/subscribe/topic/{topic_name}`.
pub(super) async fn subscribe_post(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Value, ServiceError> {
    subscribe::subscribe(pubsub, ctx, input).await
}

/// Acknowledges messages that were lent.
pub(super) async fn ack_post(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Value, ServiceError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Lent {
        #[serde(deserialize_with = "text")]
        topic_name: Option<String>,
        #[serde(deserialize_with = "text")]
        sub_key: Option<String>,
        #[serde(deserialize_with = "list")]
        msg_ids: Option<Vec<String>>,
    }
    let lent = read::<Lent>(&input)?;
    let ids = required(lent.msg_ids, "msg_ids")?;
    let caller = Caller::of(&pubsub, &ctx)?;
    let key = match lent.sub_key {
        Some(key) => SubKey::from_text(&key),
        None => {
            let topic = required(lent.topic_name, "topic_name")?;
            take::key_by_topic(&pubsub, &caller, &topic)?
        }
    };
    Ok(json!({"acknowledged": take::acknowledge_ids(&pubsub, &caller, &key, &ids)?}))
}
