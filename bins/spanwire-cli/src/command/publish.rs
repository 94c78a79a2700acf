//! `spanwire publish`

use spanwire_protocol::Timestamp;
use spanwire_protocol::admin::pubsub::{Publish as Body, Published};

use super::content::content;
use crate::args::Publish;
use crate::client::{Client, Failure};
use crate::output::Output;

pub(crate) fn run(args: &Publish, client: &Client, output: &Output) -> Result<(), Failure> {
    let (published, topic) = (send(args, client)?, &args.topic);
    let line = match &published.msg_id {
        Some(id) => format!("published {id} to {topic}"),
        None => format!("{topic} did not keep it: nobody is subscribed, or a hook did not want it"),
    };
    output.result(&published, [line])
}

/// Publishes a message.
pub(super) fn send(args: &Publish, client: &Client) -> Result<Published, Failure> {
    Ok(client.create("pubsub/publish", &body(args)?)?.0)
}

fn body(args: &Publish) -> Result<Body, Failure> {
    let properties = args.properties.clone();
    let has_gd = match (properties.gd, properties.no_gd) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let ext_pub_time = properties.ext_pub_time.map(|text| {
        let wrong = || {
            let text = "--ext-pub-time: expected a time such as 2024-03-04T10:20:30";
            Failure::Input(text.to_owned())
        };
        Timestamp::parse(&text).ok_or_else(wrong)
    });
    Ok(Body {
        topic_name: args.topic.clone(),
        data: content(args.content.as_deref(), &args.source)?,
        data_list: None,
        endpoint_name: properties.endpoint,
        priority: properties.priority,
        expiration: properties.expiration,
        has_gd,
        mime_type: properties.mime_type,
        correl_id: properties.correl_id,
        in_reply_to: properties.in_reply_to,
        ext_client_id: properties.ext_client_id,
        ext_pub_time: ext_pub_time.transpose()?,
        msg_id: properties.msg_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_is_sent() {
        let (topic, content) = ("/a".to_owned(), Some("hello".to_owned()));
        let mut publish = Publish { topic, content, ..Publish::default() };
        (publish.properties.no_gd, publish.properties.priority) = (true, Some(7));
        let expected = r#"{"topic_name":"/a","data":"hello","priority":7,"has_gd":false}"#;
        assert_eq!(serde_json::to_string(&body(&publish).unwrap()).unwrap(), expected);
        publish.properties.ext_pub_time = Some("late".to_owned());
        assert_eq!(body(&publish).unwrap_err().exit_code(), 2);
    }
}
