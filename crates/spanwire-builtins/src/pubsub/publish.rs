//! Publishing.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use spanwire_protocol::{Codec, Payload};
use spanwire_pubsub::{Endpoint, EndpointId, Publication, Published, SubKey};
use spanwire_service::{Context, ServiceError};

use super::caller::{Caller, refused};
use super::input::{flag, integer, list, read, required, text};
use super::target::{self, Target};
use super::{Options, PubSub, content};

/// A message beside its content, as callers give it. Values of any size are only noticed here, and cut out later.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    #[serde(deserialize_with = "text")]
    topic_name: Option<String>,
    #[serde(deserialize_with = "text")]
    msg_id: Option<String>,
    #[serde(deserialize_with = "flag")]
    has_gd: Option<bool>,
    #[serde(deserialize_with = "integer")]
    priority: Option<i64>,
    #[serde(deserialize_with = "integer")]
    expiration: Option<i64>,
    /// In seconds whatever the unit of `expiration`, and before it.
    #[serde(deserialize_with = "integer")]
    expiration_seconds: Option<i64>,
    #[serde(deserialize_with = "text")]
    mime_type: Option<String>,
    #[serde(deserialize_with = "text")]
    correl_id: Option<String>,
    #[serde(deserialize_with = "text")]
    in_reply_to: Option<String>,
    #[serde(deserialize_with = "text")]
    ext_client_id: Option<String>,
    #[serde(deserialize_with = "text")]
    ext_pub_time: Option<String>,
    #[serde(deserialize_with = "text")]
    group_id: Option<String>,
    #[serde(deserialize_with = "integer")]
    position_in_group: Option<i64>,
    #[serde(deserialize_with = "list")]
    reply_to_sk: Option<Vec<String>>,
    #[serde(deserialize_with = "list")]
    deliver_to_sk: Option<Vec<String>>,
    user_ctx: Option<IgnoredAny>,
    data_list: Option<IgnoredAny>,
}

/// Who publishes on the trusted service.
#[derive(Deserialize)]
struct Publisher {
    #[serde(default, deserialize_with = "text")]
    security_name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    endpoint_name: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    endpoint_id: Option<i64>,
    #[serde(default, deserialize_with = "text")]
    ws_channel_name: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    security_id: Option<i64>,
    #[serde(default, deserialize_with = "integer")]
    ws_channel_id: Option<i64>,
}

/// `zato.pubsub.pubapi.publish-message`: publishes what the caller may.
pub(super) async fn publish_message(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Value, ServiceError> {
    publish_one(&pubsub, &ctx, &input, Defaults::default()).await
}

/// What a message gets where its publisher does not say it.
#[derive(Default)]
pub(super) struct Defaults {
    pub(super) correl_id: Option<String>,
    pub(super) mime_type: Option<String>,
}

/// Publishes one message.
pub(super) async fn publish_one(
    pubsub: &PubSub,
    ctx: &Context,
    input: &Payload,
    defaults: Defaults,
) -> Result<Value, ServiceError> {
    let caller = Caller::of(pubsub, ctx)?;
    let mut metadata = read::<Metadata>(input)?;
    let topic = required(metadata.topic_name.take(), "topic_name")?;
    let target = target::resolve(pubsub, ctx, &caller.endpoint, topic).await?;
    metadata.correl_id = metadata.correl_id.or(defaults.correl_id);
    metadata.mime_type = metadata.mime_type.or(defaults.mime_type);
    // Which subscribers get a message is for trusted publishers to say.
    metadata.deliver_to_sk = None;
    let publication = metadata.with(input, &pubsub.options);
    let published = send(pubsub, &caller.endpoint, &target, vec![publication]).await?;
    Ok(first_id(&published))
}

/// `zato.pubsub.publish.publish`: publishes as whoever is named; for trusted callers.
pub(super) async fn publish_trusted(
    pubsub: Arc<PubSub>,
    ctx: Context,
    input: Payload,
) -> Result<Value, ServiceError> {
    let publisher = publisher(&pubsub, &read(&input)?)?;
    let mut metadata = read::<Metadata>(&input)?;
    let topic = required(metadata.topic_name.take(), "topic_name")?;
    let target = target::resolve(&pubsub, &ctx, &publisher, topic).await?;
    let options = &pubsub.options;
    let Some(many) = metadata.data_list.and_then(|_| input.entry("data_list")) else {
        let publication = metadata.with(&input, options);
        return Ok(first_id(&send(&pubsub, &publisher, &target, vec![publication]).await?));
    };
    // Looked up once: the list stands in the same input, and is long.
    let context = input.entry("user_ctx");
    let mut publications = Vec::new();
    for element in elements(&many)? {
        publications.push(element_of_list(element, &metadata, context.as_ref(), options)?);
    }
    let published = send(&pubsub, &publisher, &target, publications).await?;
    let ids: Vec<_> = published.iter().map(|it| it.msg_id().map(|id| &**id)).collect();
    Ok(json!({"msg_id_list": ids}))
}

/// The elements of a list, as they were given.
fn elements(list: &Payload) -> Result<Vec<Payload>, ServiceError> {
    match list.codec() {
        Codec::Json => {
            let texts = list.parse::<Vec<&RawValue>>()?.into_iter();
            let bytes = |text: &RawValue| list.bytes().slice_ref(text.get().as_bytes());
            Ok(texts.map(|text| Payload::from_encoded(Codec::Json, bytes(text))).collect())
        }
        Codec::MsgPack => {
            // What has a form in both codecs survives being read.
            content::check(list).map_err(refused)?;
            let values = list.parse::<Vec<Value>>()?.into_iter();
            let encoded = values.map(|value| Payload::from_serialize(Codec::MsgPack, &value));
            Ok(encoded.collect::<Result<_, _>>()?)
        }
    }
}

/// An element of `data_list`: an object with `data` and metadata of its own, or a content.
fn element_of_list(
    encoded: Payload,
    common: &Metadata,
    context: Option<&Payload>,
    options: &Options,
) -> Result<Publication, ServiceError> {
    let is_message = encoded.entry("data").is_some();
    // An id is one message's.
    let common = Metadata { msg_id: None, ..common.clone() };
    if is_message {
        let mut publication = read::<Metadata>(&encoded)?.or(common).with(&encoded, options);
        publication.user_ctx = publication.user_ctx.or_else(|| context.cloned());
        return Ok(publication);
    }
    Ok(common.with_content(encoded, context.cloned(), options))
}

impl Metadata {
    /// What is not said here, as said there.
    fn or(self, other: Self) -> Self {
        Self {
            topic_name: self.topic_name.or(other.topic_name),
            msg_id: self.msg_id.or(other.msg_id),
            has_gd: self.has_gd.or(other.has_gd),
            priority: self.priority.or(other.priority),
            expiration: self.expiration.or(other.expiration),
            expiration_seconds: self.expiration_seconds.or(other.expiration_seconds),
            mime_type: self.mime_type.or(other.mime_type),
            correl_id: self.correl_id.or(other.correl_id),
            in_reply_to: self.in_reply_to.or(other.in_reply_to),
            ext_client_id: self.ext_client_id.or(other.ext_client_id),
            ext_pub_time: self.ext_pub_time.or(other.ext_pub_time),
            group_id: self.group_id.or(other.group_id),
            position_in_group: self.position_in_group.or(other.position_in_group),
            reply_to_sk: self.reply_to_sk.or(other.reply_to_sk),
            deliver_to_sk: self.deliver_to_sk.or(other.deliver_to_sk),
            user_ctx: self.user_ctx.or(other.user_ctx),
            data_list: self.data_list.or(other.data_list),
        }
    }

    /// The message, with the content that stands beside its metadata.
    fn with(self, input: &Payload, options: &Options) -> Publication {
        let data = input.entry("data").unwrap_or_else(|| Payload::null(input.codec()));
        let context = self.user_ctx.and_then(|_| input.entry("user_ctx"));
        self.with_content(data, context, options)
    }

    fn with_content(
        self,
        data: Payload,
        context: Option<Payload>,
        options: &Options,
    ) -> Publication {
        let recipients = self.deliver_to_sk.unwrap_or_default();
        Publication {
            msg_id: self.msg_id,
            priority: self.priority,
            expiration: self.expiration_seconds.or_else(|| expiration(self.expiration, options)),
            has_gd: self.has_gd,
            mime_type: self.mime_type,
            correl_id: self.correl_id,
            in_reply_to: self.in_reply_to,
            ext_client_id: self.ext_client_id,
            ext_pub_time: self.ext_pub_time,
            group_id: self.group_id,
            position_in_group: self.position_in_group,
            reply_to_sk: self.reply_to_sk.unwrap_or_default(),
            deliver_to_sk: recipients.iter().map(|key| SubKey::from_text(key)).collect(),
            user_ctx: context,
            ..Publication::new(data)
        }
    }
}

/// In seconds, whatever the unit on the wire. What is below zero stays as it was given, to be refused.
fn expiration(given: Option<i64>, options: &Options) -> Option<i64> {
    match given.unwrap_or(0) {
        0 => {
            let default = options.default_expiry?;
            i64::try_from(default.as_secs().max(1)).ok()
        }
        given if given > 0 && options.milliseconds => Some(given.saturating_add(999) / 1_000),
        given => Some(given),
    }
}

/// Security definition, name, number, channel: in this order, and the server itself if none is given.
fn publisher(pubsub: &PubSub, given: &Publisher) -> Result<Arc<Endpoint>, ServiceError> {
    let broker = &pubsub.broker;
    let (found, asked) = if let Some(name) = &given.security_name {
        (broker.endpoint_by_security(name), name.clone())
    } else if let Some(name) = &given.endpoint_name {
        (broker.endpoint_by_name(name), name.clone())
    } else if let Some(number) = given.endpoint_id {
        let id = u64::try_from(number).ok().map(EndpointId);
        (id.and_then(|id| broker.endpoint_by_id(id)), number.to_string())
    } else if let Some(name) = &given.ws_channel_name {
        (broker.endpoint_by_channel(name), name.clone())
    } else if given.security_id.is_some() || given.ws_channel_id.is_some() {
        // Publishing as somebody else than was asked for would be worse.
        return Err(ServiceError::bad_request(
            "Name the publisher: security_name, endpoint_name, endpoint_id or ws_channel_name",
        ));
    } else {
        return Ok(broker.internal());
    };
    found.ok_or_else(|| ServiceError::not_found(format!("No such endpoint `{asked}`")))
}

async fn send(
    pubsub: &PubSub,
    by: &Endpoint,
    target: &Target,
    mut publications: Vec<Publication>,
) -> Result<Vec<Published>, ServiceError> {
    for publication in &publications {
        let contents = std::iter::once(&publication.data).chain(&publication.user_ctx);
        contents.into_iter().try_for_each(content::check).map_err(refused)?;
    }
    if let Some(service) = &target.service {
        for publication in &mut publications {
            // A call of a service is always guaranteed (pubsub 3.4).
            publication.has_gd = Some(true);
            publication.target_service = Some(service.clone());
        }
    }
    pubsub.broker.publish(by, &target.topic, publications).await.map_err(refused)
}

fn first_id(published: &[Published]) -> Value {
    match published.first().and_then(Published::msg_id) {
        Some(id) => json!({"msg_id": &**id}),
        None => json!({}),
    }
}
