//! `spanwire queue …`: subscriptions with their queues.

use spanwire_protocol::admin::pubsub::{
    Acknowledge, Acknowledged, Cleared, Consume, MessageInfo, QueueInfo, Requeue, Requeued,
};

use super::content::{self, COLUMNS};
use super::topic::messages;
use crate::args::{Queue, QueueMessage, Take};
use crate::client::{Client, Failure, Query, segment};
use crate::confirm::Consent;
use crate::output::Output;

pub(crate) fn run(verb: &Queue, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        Queue::List { topic, endpoint, with_dead, reveal_secrets } => {
            let query = Query::default()
                .maybe("topic_name", topic.as_deref())
                .maybe("endpoint_name", endpoint.as_deref())
                .flag("with_dead", *with_dead)
                .flag("reveal_secrets", *reveal_secrets);
            let queues: Vec<QueueInfo> = client.list("pubsub/queues", &query)?;
            let columns = if *reveal_secrets { REVEALED } else { QUEUES };
            output.list(&queues, columns)
        }
        Queue::Show { queue, reveal_secrets } => {
            let query = Query::default().flag("reveal_secrets", *reveal_secrets);
            let queue: QueueInfo = client.get(&format!("{}{query}", path(queue, client)?))?;
            output.object(&queue)
        }
        Queue::Messages { queue, dead, page } => {
            let state = if *dead { "dead" } else { "current" };
            let query = Query::default().with("state", state);
            let path = format!("{}/messages", path(queue, client)?);
            let columns = if *dead { DEAD } else { COLUMNS };
            content::list(&path, query, page, columns, client, output)
        }
        Queue::Message(verb) => message(verb, client, output),
        Queue::Dead { queue: None, .. } => {
            let query = Query::default().flag("with_dead", true);
            let queues: Vec<QueueInfo> = client.list("pubsub/queues", &query)?;
            output.list(&queues, QUEUES)
        }
        Queue::Dead { queue: Some(queue), page } => {
            let path = format!("{}/messages", path(queue, client)?);
            let query = Query::default().with("state", "dead");
            content::list(&path, query, page, DEAD, client, output)
        }
        Queue::Requeue { queue, messages } => requeue(queue, messages, client, output),
        Queue::Consume { queue, take } => {
            let taken = consume(&path(queue, client)?, take, client)?;
            let lines = taken.iter().map(|message| {
                let data = message.data.as_ref().map_or("", |data| data.get());
                format!("{} {data}", message.msg_id)
            });
            output.result(&taken, lines)
        }
        Queue::Acknowledge { queue, messages: ids } => {
            let path = format!("{}/acknowledge", path(queue, client)?);
            let body = Acknowledge { msg_ids: ids.clone() };
            let (done, _): (Acknowledged, _) = client.create(&path, &body)?;
            output.result(&done, [format!("{} acknowledged", messages(done.acknowledged))])
        }
        Queue::Clear { queue, yes } => {
            let consent = Consent::new(*yes)?;
            let path = path(queue, client)?;
            consent.get(&format!("delete every message of queue {queue}?"))?;
            let done: Cleared = client.post(&format!("{path}/clear"), Vec::new())?;
            output.result(&done, [format!("{} deleted", messages(done.cleared))])
        }
        Queue::Delete { queue, yes } => {
            let consent = Consent::new(*yes)?;
            let path = path(queue, client)?;
            consent.get(&format!("end the subscription of queue {queue}, with its messages?"))?;
            client.delete(&path)?;
            output.done(&format!("the subscription of queue {queue} has ended"))
        }
    }
}

fn message(verb: &QueueMessage, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        QueueMessage::Show { queue, message } => {
            let path = format!("{}/messages/{}", path(queue, client)?, segment(message));
            content::show(&client.get(&path)?, output)
        }
        QueueMessage::Delete { queue, message, yes } => {
            let consent = Consent::new(*yes)?;
            let path = format!("{}/messages/{}", path(queue, client)?, segment(message));
            consent.get(&format!("delete message {message} of queue {queue}?"))?;
            client.delete(&path)?;
            output.done(&format!("message {message} is deleted from queue {queue}"))
        }
    }
}

fn requeue(queue: &str, ids: &[String], client: &Client, output: &Output) -> Result<(), Failure> {
    let path = format!("{}/requeue", path(queue, client)?);
    let send = |msg_id| -> Result<u64, Failure> {
        let (done, _): (Requeued, _) = client.create(&path, &Requeue { msg_id })?;
        Ok(done.requeued)
    };
    let requeued = match ids {
        [] => send(None)?,
        ids => ids.iter().map(|id| send(Some(id.clone()))).sum::<Result<_, _>>()?,
    };
    output.result(&Requeued { requeued }, [format!("{} put back", messages(requeued))])
}

/// Takes messages from a queue.
pub(super) fn consume(
    path: &str,
    take: &Take,
    client: &Client,
) -> Result<Vec<MessageInfo>, Failure> {
    let body = Consume { limit: take.limit, lease: take.lease, wait: take.wait };
    Ok(client.create(&format!("{path}/consume"), &body)?.0)
}

/// The path of a queue that is named by its number, or by its endpoint and topic.
fn path(queue: &str, client: &Client) -> Result<String, Failure> {
    if !queue.is_empty() && queue.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(format!("pubsub/queues/{queue}"));
    }
    let all: Vec<QueueInfo> = client.list("pubsub/queues", &Query::default())?;
    Ok(format!("pubsub/queues/{}", named(queue, &all)?))
}

/// The number of the queue of this name.
fn named(name: &str, all: &[QueueInfo]) -> Result<u64, Failure> {
    let is_it = |it: &&QueueInfo| format!("{}/{}", it.endpoint_name, it.topic_name) == name;
    let found: Vec<u64> = all.iter().filter(is_it).map(|it| it.id).collect();
    match found.as_slice() {
        [only] => Ok(*only),
        [] => Err(Failure::refusal(404, &format!("there is no queue '{name}' (404)"))),
        several => {
            let ids: Vec<String> = several.iter().map(u64::to_string).collect();
            let ids = ids.join(", ");
            Err(Failure::Input(format!("several queues are '{name}': say which of {ids}")))
        }
    }
}

const QUEUES: &[&str] = &[
    "id",
    "topic_name",
    "endpoint_name",
    "delivery_method",
    "ext_client_id",
    "current_depth",
    "in_flight",
    "dead",
    "is_attached",
    "last_delivery_time",
];

const REVEALED: &[&str] =
    &["id", "topic_name", "endpoint_name", "sub_key", "current_depth", "in_flight", "dead"];

const DEAD: &[&str] =
    &["offset", "msg_id", "dead_time", "delivery_count", "dead_reason", "data_prefix_short"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn queues_are_named_by_endpoint_and_topic() {
        let queue = |id: u64, endpoint: &str| -> QueueInfo {
            serde_json::from_value(json!({
                "id": id, "sub_key": "", "topic_name": "/a", "endpoint_name": endpoint,
                "endpoint_type": "wsx", "delivery_method": "web-socket",
                "active_status": "pub-sub", "delivery_batch_size": 1, "delivery_max_retry": 1,
                "ext_client_id": "", "creation_time": "2026-01-02T03:04:05.000000",
                "last_interaction_time": "2026-01-02T03:04:05.000000",
                "sub_pattern_matched": "", "current_depth": 0, "in_flight": 0, "dead": 0,
                "delivered": 0, "redelivered": 0, "acknowledged": 0, "is_attached": false,
            }))
            .unwrap()
        };
        let all = [queue(1, "crm"), queue(2, "web"), queue(3, "web")];
        assert_eq!(named("crm//a", &all).unwrap(), 1);
        assert_eq!(named("erp//a", &all).unwrap_err().exit_code(), 1);
        assert!(named("web//a", &all).unwrap_err().to_string().contains("which of 2, 3"));
    }
}
