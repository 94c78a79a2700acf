//! Publish/subscribe of a client (docs/protocol.md 13).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use spanwire_protocol::{Codec, Payload, Status, Timestamp};
use spanwire_session::CallError;

use super::conversation::Command;
use super::{Client, HandlerError};

/// Messages of one subscription.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The server's id of the delivery.
    pub id: String,
    /// When it was sent, if that was readable.
    pub timestamp: Option<Timestamp>,
    /// A message, or an array of them.
    pub data: Payload,
}

impl Delivery {
    /// The messages as an array, also where it is one.
    #[must_use]
    pub fn as_list(&self) -> Payload {
        let is_list = self.data.codec() == Codec::Json
            && self.data.bytes().trim_ascii_start().starts_with(b"[");
        if is_list {
            return self.data.clone();
        }
        let one = Payload::array(self.data.codec(), std::iter::once(&self.data));
        one.unwrap_or_else(|_| self.data.clone())
    }

    fn receipts(&self) -> Option<Receipts> {
        #[derive(Deserialize)]
        struct Message {
            msg_id: String,
            sub_key: String,
        }
        let messages: Vec<Message> = self.as_list().parse().ok()?;
        let sub_key = messages.first()?.sub_key.clone();
        Some(Receipts { sub_key, msg_ids: messages.into_iter().map(|it| it.msg_id).collect() })
    }
}

#[derive(Serialize)]
struct Receipts {
    sub_key: String,
    msg_ids: Vec<String>,
}

/// A subscription as the server made it.
#[derive(Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// Its key. Whoever has it and the credentials can have its messages.
    pub sub_key: String,
    /// How many messages waited, if the server said so.
    pub queue_depth: Option<u64>,
}

impl std::fmt::Debug for Subscribed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscribed").field("queue_depth", &self.queue_depth).finish_non_exhaustive()
    }
}

/// What is published beside its content. What is `None` is for the topic to say.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Publication<'a> {
    /// Whether delivery is guaranteed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_gd: Option<bool>,
    /// 1 to 9, the highest; 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// After how many seconds it is of no use any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration: Option<u64>,
    /// What the content is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<&'a str>,
    /// An id of the publisher's own: the same one twice is one message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg_id: Option<&'a str>,
    /// Ties messages together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correl_id: Option<&'a str>,
    /// The message that this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<&'a str>,
}

impl Client {
    /// Publishes a message, and returns its id; `None` where nobody gets one, because a hook left it out.
    ///
    /// # Errors
    /// As [`call`](Self::call). An `Ok` for a guaranteed message says that it is on the server's disk.
    ///
    /// # Cancel safety
    /// As [`call`](Self::call): whether it was published is not known.
    pub async fn publish(
        &self,
        topic: &str,
        data: &Payload,
        publication: &Publication<'_>,
    ) -> Result<Option<String>, CallError> {
        #[derive(Serialize)]
        struct Input<'a> {
            topic_name: &'a str,
            data: &'a RawValue,
            #[serde(flatten)]
            publication: &'a Publication<'a>,
        }
        let json = data.clone().into_codec(Codec::Json).map_err(unusable)?;
        let data: &RawValue = serde_json::from_slice(json.bytes()).map_err(unusable)?;
        let input = Input { topic_name: topic, data, publication };
        let reply = self.ask("zato.pubsub.pubapi.publish-message", &input).await?;
        Ok(reply.entry("msg_id").and_then(|id| id.parse().ok()))
    }

    /// Subscribes to a topic: its messages go to the handler from now on. With the additions of spanwire they are
    /// acknowledged once the handler has taken them.
    ///
    /// # Errors
    /// As [`call`](Self::call); 403 when it is not allowed.
    ///
    /// # Cancel safety
    /// Dropping the future may leave a subscription that nobody knows the key of, until the server ends it.
    pub async fn subscribe(&self, topic: &str) -> Result<Subscribed, CallError> {
        #[derive(Serialize)]
        struct Input<'a> {
            topic_name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            ack: Option<bool>,
            #[serde(skip_serializing_if = "Option::is_none")]
            positions: Option<bool>,
        }
        let wanted = self.has_additions().then_some(true);
        let input = Input { topic_name: topic, ack: wanted, positions: wanted };
        let reply = match self.ask("zato.pubsub.subscription.create-wsx-subscription", &input).await
        {
            // Servers of 3.0 have it under another name.
            Err(CallError::Status { status: Status::NOT_FOUND | Status::INTERNAL, .. }) => {
                self.ask("zato.pubsub.pubapi.subscribe-wsx", &input).await?
            }
            reply => reply?,
        };
        let sub_key = reply.entry("sub_key").and_then(|key| key.parse().ok());
        let sub_key = sub_key.ok_or_else(|| CallError::Status {
            status: Status::BAD_GATEWAY,
            message: "the reply has no `sub_key`".to_owned(),
        })?;
        let depth = reply.entry("queue_depth").and_then(|depth| depth.parse().ok());
        Ok(Subscribed { sub_key, queue_depth: depth })
    }

    /// Takes over a subscription of an earlier connection, with what waits in its queue.
    ///
    /// # Errors
    /// As [`call`](Self::call); 403 when there is no such subscription of ours.
    ///
    /// # Cancel safety
    /// Dropping the future may leave it resumed.
    pub async fn resume(&self, sub_key: &str) -> Result<(), CallError> {
        let input = serde_json::json!({ "sub_key": sub_key });
        self.ask("zato.pubsub.resume-wsx-subscription", &input).await.map(drop)
    }

    /// Ends a subscription, with its queue. It is no error when there is none any more.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// Dropping the future may leave it ended.
    pub async fn unsubscribe(&self, sub_key: &str) -> Result<(), CallError> {
        let input = serde_json::json!({ "sub_key": sub_key });
        self.ask("zato.pubsub.pubapi.unsubscribe", &input).await.map(drop)
    }

    /// Tells the server what came of a delivery. A server with the additions is told by a call whose reply nobody waits
    /// for, others by the answer to their message, or by none.
    pub(super) async fn settle(
        &self,
        delivery: &Delivery,
        result: Result<(), HandlerError>,
    ) -> Option<(String, Payload)> {
        if let Err(error) = &result {
            tracing::warn!(%error, delivery = delivery.id, "a delivery was not taken");
        }
        if !self.has_additions() {
            result.ok()?;
            return Some((delivery.id.clone(), Payload::null(delivery.data.codec())));
        }
        let receipts = delivery.receipts()?;
        let service = match result {
            Ok(()) => "spanwire.pubsub.acknowledge",
            Err(_) => "spanwire.pubsub.refuse",
        };
        let request = Payload::from_serialize(Codec::Json, &receipts).ok()?;
        let data = Payload::for_gateway(service, &request);
        // Without a connection there is nobody to tell: it comes again.
        let _ = self.0.commands.send(Command::Tell { data, what: service }).await;
        None
    }
}

fn unusable(error: impl std::fmt::Display) -> CallError {
    CallError::Status { status: Status::BAD_REQUEST, message: error.to_string() }
}
