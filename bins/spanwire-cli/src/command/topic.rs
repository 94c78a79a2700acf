//! `spanwire topic status|clear|messages|message`: what topics hold.

use spanwire_protocol::admin::pubsub::{Cleared, EditMessage, MessageInfo, TopicInfo};

use super::content::{self, COLUMNS, content};
use crate::args::{Edit, Topic, TopicMessage};
use crate::client::{Client, Failure, Query, segment};
use crate::confirm::Consent;
use crate::output::{Output, counted};

pub(crate) fn run(verb: &Topic, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        Topic::Status { name: Some(name), .. } => {
            let topic: TopicInfo = client.get(&path(name))?;
            output.object(&topic)
        }
        Topic::Status { name: None, part } => {
            let query = Query::default().maybe("q", part.as_deref());
            let topics: Vec<TopicInfo> = client.list("pubsub/topics", &query)?;
            output.list(&topics, STATUS)
        }
        Topic::Clear { name, yes } => {
            let consent = Consent::new(*yes)?;
            let _: TopicInfo = client.get(&path(name))?;
            consent.get(&format!("delete every message of topic '{name}'?"))?;
            let done: Cleared = client.post(&format!("{}/clear", path(name)), Vec::new())?;
            output.result(&done, [format!("{} deleted", messages(done.cleared))])
        }
        Topic::Messages { name, page } => {
            let path = format!("{}/messages", path(name));
            content::list(&path, Query::default(), page, COLUMNS, client, output)
        }
        Topic::Message(verb) => message(verb, client, output),
    }
}

fn message(verb: &TopicMessage, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        TopicMessage::Show { topic, message } => {
            let message: MessageInfo = client.get(&message_path(topic, message))?;
            content::show(&message, output)
        }
        TopicMessage::Edit(args) => {
            let edit = edited(args)?;
            let path = message_path(&args.topic, &args.message);
            let message: MessageInfo = client.replace(&path, &edit)?;
            output.result(&message, [format!("message {} is changed", message.msg_id)])
        }
        TopicMessage::Delete { topic, message, yes } => {
            let consent = Consent::new(*yes)?;
            consent.get(&format!("delete message {message} of topic '{topic}'?"))?;
            client.delete(&message_path(topic, message))?;
            output.done(&format!("message {message} is deleted"))
        }
    }
}

fn edited(args: &Edit) -> Result<EditMessage, Failure> {
    let edit = EditMessage {
        data: content(args.content.as_deref(), &args.source)?,
        mime_type: args.mime_type.clone(),
        priority: args.priority,
        expiration: args.expiration,
        correl_id: args.correl_id.clone(),
        in_reply_to: args.in_reply_to.clone(),
    };
    if edit.is_empty() {
        let text = "nothing is to be changed: give a content or a property, as --help lists them";
        return Err(Failure::Input(text.to_owned()));
    }
    Ok(edit)
}

fn path(topic: &str) -> String {
    format!("pubsub/topics/{}", segment(topic))
}

fn message_path(topic: &str, message: &str) -> String {
    format!("{}/messages/{}", path(topic), segment(message))
}

/// So many messages.
pub(super) fn messages(count: u64) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "message")
}

const STATUS: &[&str] = &[
    "name",
    "current_depth_gd",
    "current_depth_non_gd",
    "sub_count",
    "published",
    "last_pub_time",
    "last_endpoint_name",
];
