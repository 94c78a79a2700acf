//! Paths of publish/subscribe: topics and queues, their messages, and what an operator does.

use serde_json::{Value, json};
use spanwire_protocol::admin::pubsub::QueueState;

use super::operation::{Operation, PAGE, Paths, component, flag, list_of, segment, text};
use crate::extract::JSON;
use crate::pubsub::{DEFAULT_LIMIT, MAX_LIMIT};

pub(super) fn add(paths: &mut Paths) {
    let totals = operation("pubsub", "What all topics come to.");
    let totals = totals.answers(200, "Totals.", &component("PubSubInfo"));
    paths.add("get", "/api/v1/pubsub", totals);
    let compact = operation("compact_messages", "Gives space back on disk that nothing needs.")
        .answers(200, "What is taken then.", &component("Compacted"));
    paths.add("post", "/api/v1/pubsub/compact", compact);
    let clean_up = operation("clean_up_messages", "Removes now what is due.");
    let clean_up = clean_up.body(&[JSON], &component("CleanUp"), false).fails(&[422]).answers(
        200,
        "What is gone.",
        &component("Cleaned"),
    );
    paths.add("post", "/api/v1/pubsub/cleanup", clean_up);
    let publish = operation("publish", "Publishes messages, all or none.")
        .body(&[JSON], &component("Publish"), true)
        .answers(200, "Their ids.", &component("Published"))
        .fails(&[404, 422]);
    paths.add("post", "/api/v1/pubsub/publish", publish);
    let subscribe = operation("subscribe", "Subscribes an endpoint to a topic.")
        .body(&[JSON], &component("Subscribe"), true)
        .answers(200, "The subscription, with its key.", &component("Subscribed"))
        .fails(&[404, 422]);
    paths.add("post", "/api/v1/pubsub/subscribe", subscribe);
    topics(paths);
    queues(paths);
    messages(paths);
}

fn topics(paths: &mut Paths) {
    let list = operation("topics", "Topics as they stand.")
        .query("q", text(), "A part of the name; case does not matter.")
        .paged()
        .answers(200, "Topics by name.", &list_of("TopicInfo"))
        .with_headers(200, PAGE);
    paths.add("get", "/api/v1/pubsub/topics", list);
    let show = topic("topic", "One topic as it stands.");
    let show = show.answers(200, "The topic.", &component("TopicInfo"));
    paths.add("get", "/api/v1/pubsub/topics/{name}", show);
    let clear = topic("clear_topic", "Empties a topic and all of its queues.");
    let clear = clear.answers(200, "How many messages that were.", &component("Cleared"));
    paths.add("post", "/api/v1/pubsub/topics/{name}/clear", clear);
}

fn queues(paths: &mut Paths) {
    let reveal = "Show keys of subscriptions in full instead of masked.";
    let list = operation("queues", "Subscriptions with their queues, oldest first.")
        .query("topic_name", text(), "The topic.")
        .query("endpoint_name", text(), "The endpoint.")
        .query("with_dead", flag(), "Only those with dead messages.")
        .query("reveal_secrets", flag(), reveal)
        .paged()
        .answers(200, "Queues.", &list_of("QueueInfo"))
        .with_headers(200, PAGE);
    paths.add("get", "/api/v1/pubsub/queues", list);
    let show = queue("queue", "One subscription with its queue.")
        .query("reveal_secrets", flag(), reveal)
        .answers(200, "The queue.", &component("QueueInfo"));
    paths.add("get", "/api/v1/pubsub/queues/{id}", show);
    let remove = queue("unsubscribe", "Ends a subscription, with everything in its queue.")
        .answers_nothing(204, "It has ended.");
    paths.add("delete", "/api/v1/pubsub/queues/{id}", remove);
    let clear = queue("clear_queue", "Empties a queue.");
    let clear = clear.answers(200, "How many messages that were.", &component("Cleared"));
    paths.add("post", "/api/v1/pubsub/queues/{id}/clear", clear);
    let requeue = queue("requeue", "Puts dead messages back into their queue, one or all.")
        .body(&[JSON], &component("Requeue"), false)
        .answers(200, "How many.", &component("Requeued"))
        .fails(&[422]);
    paths.add("post", "/api/v1/pubsub/queues/{id}/requeue", requeue);
    let consume = queue("consume", "Takes messages from a queue, the next ones first.")
        .body(&[JSON], &component("Consume"), false)
        .answers(200, "Messages with their contents.", &list_of("MessageInfo"))
        .fails(&[422]);
    paths.add("post", "/api/v1/pubsub/queues/{id}/consume", consume);
    let acknowledge = queue("acknowledge", "Messages that were taken are done with.")
        .body(&[JSON], &component("Acknowledge"), true)
        .answers(200, "How many waited for that.", &component("Acknowledged"))
        .fails(&[422]);
    paths.add("post", "/api/v1/pubsub/queues/{id}/acknowledge", acknowledge);
}

fn messages(paths: &mut Paths) {
    let list = topic("topic_messages", "Messages of a topic, in the order of offsets.");
    paths.add("get", "/api/v1/pubsub/topics/{name}/messages", listing(list));
    let states = json!({
        "type": "string", "enum": QueueState::ALL.map(QueueState::as_str), "default": "current",
    });
    let list = queue("queue_messages", "Messages of a queue, in the order of offsets.").query(
        "state",
        states,
        "Those that wait or are under way, or those put aside.",
    );
    paths.add("get", "/api/v1/pubsub/queues/{id}/messages", listing(list));

    let path = "/api/v1/pubsub/topics/{name}/messages/{message}";
    let show = message(topic("topic_message", "One message with its content."));
    paths.add("get", path, show.answers(200, "The message.", &component("MessageInfo")));
    let summary = "Changes a message that waits; the next attempt delivers what it is then.";
    let edit = message(topic("edit_message", summary))
        .body(&[JSON], &component("EditMessage"), true)
        .answers(200, "The message as it is now.", &component("MessageInfo"))
        .fails(&[422]);
    paths.add("patch", path, edit);
    let delete = message(topic("delete_message", "Deletes a message, from every queue too."));
    paths.add("delete", path, delete.answers_nothing(204, "It is gone."));

    let path = "/api/v1/pubsub/queues/{id}/messages/{message}";
    let show = message(queue("queue_message", "One message as it stands in a queue."));
    paths.add("get", path, show.answers(200, "The message.", &component("MessageInfo")));
    let delete = message(queue("delete_queue_message", "Deletes a message from one queue."));
    paths.add("delete", path, delete.answers_nothing(204, "It is gone."));
}

/// A list behind an offset.
fn listing(operation: Operation) -> Operation {
    let after = json!({"type": "integer", "minimum": 0, "maximum": u64::MAX, "default": 0});
    let limit = json!({
        "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT,
    });
    operation
        .query("q", text(), "A text that the first 64 characters have; case does not matter.")
        .query("after", after, "Only those behind this offset.")
        .query("limit", limit, "How many to return at most.")
        .answers(200, "Messages without their contents.", &list_of("MessageInfo"))
        .with_headers(200, &[("Link", "Later messages, also when none of these matched.")])
}

fn operation(id: &str, summary: &str) -> Operation {
    Operation::new(id, "pubsub", summary).fails(&[503]).fails_otherwise()
}

fn topic(id: &str, summary: &str) -> Operation {
    operation(id, summary).path("name", segment(), "The topic.")
}

fn queue(id: &str, summary: &str) -> Operation {
    operation(id, summary).path("id", number(), "The queue's number.")
}

fn message(operation: Operation) -> Operation {
    operation.path("message", segment(), "The id of the message, or its offset.")
}

fn number() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": u64::MAX})
}
