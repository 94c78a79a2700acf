//! A message on its way out.

use std::future::IntoFuture;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use spanwire_protocol::{Codec, Payload, PayloadError, Timestamp};

use super::SubscriptionKey;
use crate::context::Context;
use crate::error::ServiceError;
use crate::service::BoxFuture;

/// A message to be published; see [`Context::publish`].
#[derive(Debug)]
#[must_use = "the message is published when this is awaited"]
pub struct Publish<'a> {
    context: &'a Context,
    data: Result<Payload, PayloadError>,
    fields: Map<String, Value>,
}

impl<'a> Publish<'a> {
    pub(super) fn new(
        context: &'a Context,
        topic: &str,
        data: Result<Payload, PayloadError>,
    ) -> Self {
        let publish = Self { context, data, fields: Map::new() };
        publish.with("topic_name", topic).with("correl_id", context.cid().as_str())
    }

    /// Its id, up to 200 bytes; one is made otherwise. The same id again on the same topic, within a few minutes, is the
    /// same message.
    pub fn msg_id(self, msg_id: &str) -> Self {
        self.with("msg_id", msg_id)
    }

    /// Whether its delivery is guaranteed. Default: what its topic says.
    pub fn guaranteed(self, guaranteed: bool) -> Self {
        self.with("has_gd", guaranteed)
    }

    /// 1 to 9, the highest. Default 5.
    pub fn priority(self, priority: u8) -> Self {
        self.with("priority", priority)
    }

    /// After how long it is of no use any more, in whole seconds, rounded up. Default: what its topic says.
    pub fn expires_after(self, time: Duration) -> Self {
        let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
        self.with("expiration_seconds", seconds.min(MAX_SECONDS))
    }

    /// What the content is. Default `application/json`.
    pub fn mime_type(self, mime_type: &str) -> Self {
        self.with("mime_type", mime_type)
    }

    /// The correlation id. Default: that of the call.
    pub fn correl_id(self, correl_id: &str) -> Self {
        self.with("correl_id", correl_id)
    }

    /// The message this one answers.
    pub fn in_reply_to(self, msg_id: &str) -> Self {
        self.with("in_reply_to", msg_id)
    }

    /// The publisher's own name for itself.
    pub fn ext_client_id(self, id: &str) -> Self {
        self.with("ext_client_id", id)
    }

    /// When it came to be, which goes before the time of publication in the order of a queue.
    pub fn ext_pub_time(self, time: Timestamp) -> Self {
        self.with("ext_pub_time", time.to_iso().as_str())
    }

    /// The group it belongs to, and its place there. Handed on to subscribers.
    pub fn group(self, group_id: &str, position: i64) -> Self {
        self.with("group_id", group_id).with("position_in_group", position)
    }

    /// Subscriptions that answers may be sent to. Handed on to subscribers, which then know these keys.
    pub fn reply_to(self, keys: &[SubscriptionKey]) -> Self {
        self.with("reply_to_sk", exposed(keys))
    }

    /// The only subscriptions that get it. Default: all of the topic.
    pub fn deliver_to(self, keys: &[SubscriptionKey]) -> Self {
        self.with("deliver_to_sk", exposed(keys))
    }

    /// A value that is handed on to subscribers.
    pub fn user_ctx(self, value: Value) -> Self {
        self.with("user_ctx", value)
    }

    /// The endpoint that publishes it, by whose rights then. Default: the server itself.
    pub fn endpoint(self, name: &str) -> Self {
        self.with("endpoint_name", name)
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    fn input(self) -> Result<Payload, PayloadError> {
        let fields = Payload::from_serialize(Codec::Json, &self.fields)?;
        // The content may be large: it is not parsed for this.
        let data = Payload::object(Codec::Json, [("data", &self.data?)])?;
        Payload::from_objects(Codec::Json, &[fields.bytes(), data.bytes()])
    }
}

impl<'a> IntoFuture for Publish<'a> {
    type Output = Result<Option<String>, ServiceError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        #[derive(Deserialize)]
        struct Published {
            msg_id: Option<String>,
        }
        let context = self.context;
        Box::pin(async move {
            let input = self.input().map_err(ServiceError::internal)?;
            let output =
                context.call_payload_as_server("zato.pubsub.publish.publish", input).await?;
            let published: Published = output.parse().map_err(ServiceError::internal)?;
            Ok(published.msg_id)
        })
    }
}

fn exposed(keys: &[SubscriptionKey]) -> Vec<&str> {
    keys.iter().map(SubscriptionKey::expose).collect()
}

/// About 68 years, which stands for never.
const MAX_SECONDS: u64 = 2_147_483_647;
