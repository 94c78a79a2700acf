//! `spanwire pubsub …`: the commands of `zato pubsub`, whose scripts read one JSON document.
//!
//! A result has the keys of the original in their order; a failure is a document as well.

mod document;
mod endpoints;
mod test_topics;
mod topics;

use serde_json::json;
use spanwire_protocol::admin::pubsub::{
    CleanUp, Cleaned, Compacted, DeliveryMethod, PubSubInfo, QueueInfo, StartAt, Subscribe,
    Subscribed,
};

use self::document::Document;
pub(crate) use self::document::failed;
use super::{publish, queue};
use crate::args::{Cleanup, ConsumeFrom, Method, PubSub, SubscribeTo};
use crate::client::{Client, Failure, Query};
use crate::output::{self, Output};

pub(crate) fn run(verb: &PubSub, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        PubSub::Status(_) => {
            let totals: PubSubInfo = client.get("pubsub")?;
            output.object(&totals)
        }
        PubSub::Compact(_) => {
            let done: Compacted = client.post("pubsub/compact", Vec::new())?;
            output.result(&done, [format!("messages take {} bytes on disk", done.disk_bytes)])
        }
        PubSub::CreateTopic(args) => topics::create(args, client),
        PubSub::GetTopics(args) => topics::get(args, client),
        PubSub::DeleteTopics(args) => topics::delete(args, client),
        PubSub::CreateTestTopics(args) => test_topics::create(args, client),
        PubSub::CreateEndpoint(args) => endpoints::create(args, client),
        PubSub::DeleteEndpoint(args) => endpoints::delete(args, client),
        PubSub::Cleanup(args) => clean_up(args, client),
        PubSub::Publish(args) => output::json(&publish::send(&args.publish, client)?),
        PubSub::Consume(args) => consume(args, client),
        PubSub::Subscribe(args) => subscribe(args, client),
    }
}

fn clean_up(args: &Cleanup, client: &Client) -> Result<(), Failure> {
    let totals: PubSubInfo = client.get("pubsub")?;
    if totals.topics == 0 {
        return Err(Failure::refusal(400, "there are no topics"));
    }
    let messages = args.topics_without_subscribers
        || args.topics_with_max_retention_reached
        || args.queues_with_expired_messages;
    let what = CleanUp { messages, subscriptions: args.subscriptions };
    let (done, _): (Cleaned, _) = client.create("pubsub/cleanup", &what)?;
    output::json(&done)
}

fn consume(args: &ConsumeFrom, client: &Client) -> Result<(), Failure> {
    let query =
        Query::default().with("topic_name", &args.topic).with("endpoint_name", &args.endpoint);
    let queues: Vec<QueueInfo> = client.list("pubsub/queues", &query)?;
    let Some(QueueInfo { id, .. }) = queues.first() else {
        let text = format!("You are not subscribed to topic `{}`", args.topic);
        return Err(Failure::refusal(400, &text));
    };
    output::json(&queue::consume(&format!("pubsub/queues/{id}"), &args.take, client)?)
}

fn subscribe(args: &SubscribeTo, client: &Client) -> Result<(), Failure> {
    let method = args.delivery_method.map(|method| match method {
        Method::Pull => DeliveryMethod::Pull,
        Method::WebSocket => DeliveryMethod::WebSocket,
    });
    let body = Subscribe {
        endpoint_name: args.endpoint.clone(),
        topic_name: args.topic.clone(),
        delivery_method: method,
        delivery_batch_size: args.delivery_batch_size,
        ext_client_id: args.ext_client_id.clone(),
        start: args.from_first.then_some(StartAt::First),
    };
    let (done, _): (Subscribed, _) = client.create("pubsub/subscribe", &body)?;
    let fields = [("sub_key", json!(done.sub_key)), ("queue_depth", json!(done.queue_depth))];
    output::json(&Document::from_iter(fields))
}
