//! Arguments of what topics and queues hold: `spanwire topic|queue|publish`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

/// The verbs of `spanwire topic` beside those of all objects.
#[derive(Debug, Subcommand)]
pub(crate) enum Topic {
    /// Depths and last publications: of one topic, or of all.
    Status {
        /// Its name.
        name: Option<String>,
        /// Only topics with this in their name.
        #[arg(long, value_name = "PART", conflicts_with = "name")]
        part: Option<String>,
    },
    /// Delete every message of a topic, from all of its queues too.
    Clear {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// The messages that a topic holds, in the order of publication.
    Messages {
        /// Its name.
        name: String,
        #[command(flatten)]
        page: Page,
    },
    /// One message: show, edit, delete.
    #[command(subcommand)]
    Message(TopicMessage),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicMessage {
    /// A message with its content.
    Show {
        /// The topic.
        topic: String,
        /// Its id or offset.
        message: String,
    },
    /// Correct a message that waits: the next attempt delivers what it is then.
    Edit(Box<Edit>),
    /// Delete a message, from all queues too.
    Delete {
        /// The topic.
        topic: String,
        /// Its id or offset.
        message: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// What is changed of a message.
#[derive(Debug, ClapArgs)]
pub(crate) struct Edit {
    /// The topic.
    pub(crate) topic: String,
    /// Its id or offset.
    pub(crate) message: String,
    /// Another content: JSON if it is an object or an array, otherwise a text.
    #[arg(value_name = "DATA", conflicts_with_all = ["data_file", "stdin"])]
    pub(crate) content: Option<String>,
    #[command(flatten)]
    pub(crate) source: Source,
    /// 1 to 9, the highest.
    #[arg(long, value_name = "N")]
    pub(crate) priority: Option<i64>,
    /// Seconds from now to its expiry.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) expiration: Option<i64>,
    /// What the content is.
    #[arg(long, value_name = "TYPE")]
    pub(crate) mime_type: Option<String>,
    /// The correlation id.
    #[arg(long, value_name = "ID")]
    pub(crate) correl_id: Option<String>,
    /// The message that it answers.
    #[arg(long, value_name = "ID")]
    pub(crate) in_reply_to: Option<String>,
}

/// A content that is no argument.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Source {
    /// Read the content from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    pub(crate) data_file: Option<PathBuf>,
    /// Read the content from stdin.
    #[arg(long)]
    pub(crate) stdin: bool,
    /// The content is JSON, also where it is a number, true or false, or a quoted text.
    #[arg(long, conflicts_with = "text")]
    pub(crate) json: bool,
    /// The content is a text, also where it looks like JSON.
    #[arg(long)]
    pub(crate) text: bool,
}

/// `spanwire queue`
#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// Subscriptions with their queues, oldest first.
    List {
        /// Only those of this topic.
        #[arg(long)]
        topic: Option<String>,
        /// Only those of this endpoint.
        #[arg(long)]
        endpoint: Option<String>,
        /// Only those with dead messages.
        #[arg(long)]
        with_dead: bool,
        /// Show keys of subscriptions in full.
        #[arg(long)]
        reveal_secrets: bool,
    },
    /// One subscription with its queue.
    Show {
        /// Its number, or ENDPOINT/TOPIC.
        queue: String,
        /// Show the key of the subscription in full.
        #[arg(long)]
        reveal_secrets: bool,
    },
    /// The messages that wait in a queue, or are under way.
    Messages {
        /// Its number, or ENDPOINT/TOPIC.
        queue: String,
        /// Those that were put aside as undeliverable.
        #[arg(long)]
        dead: bool,
        #[command(flatten)]
        page: Page,
    },
    /// One message as it stands in a queue: show, delete.
    #[command(subcommand)]
    Message(QueueMessage),
    /// Dead messages of a queue and why they are; without one, the queues that have some.
    Dead {
        /// Its number, or ENDPOINT/TOPIC.
        queue: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Put dead messages back into their queue: these, or all.
    Requeue {
        /// Its number, or ENDPOINT/TOPIC.
        queue: String,
        /// Their ids or offsets.
        messages: Vec<String>,
    },
    /// Take messages from a queue and print them.
    Consume {
        /// Its number, or ENDPOINT/TOPIC.
        queue: String,
        #[command(flatten)]
        take: Take,
    },
    /// Say that messages that were taken with --lease are done with.
    Acknowledge {
        /// Its number, or ENDPOINT/TOPIC.
        queue: String,
        /// Their ids.
        #[arg(required = true)]
        messages: Vec<String>,
    },
    /// Delete every message of a queue.
    Clear {
        /// Its number, or ENDPOINT/TOPIC.
        queue: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// End a subscription, with every message in its queue.
    Delete {
        /// Its number, or ENDPOINT/TOPIC.
        queue: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueMessage {
    /// A message with its content.
    Show {
        /// The queue's number, or ENDPOINT/TOPIC.
        queue: String,
        /// Its id or offset.
        message: String,
    },
    /// Delete a message from this queue only.
    Delete {
        /// The queue's number, or ENDPOINT/TOPIC.
        queue: String,
        /// Its id or offset.
        message: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Which messages of a list.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Page {
    /// Only those with this in the first 64 characters of their content.
    #[arg(long, value_name = "TEXT")]
    pub(crate) query: Option<String>,
    /// Only those behind this offset.
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    pub(crate) after: u64,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
}

/// How messages are taken.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Take {
    /// How many at most [default: as the subscription says].
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Only borrow them: what is not acknowledged in so many seconds is delivered again.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) lease: Option<f64>,
    /// How many seconds to wait for the first one [default: 0].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait: Option<f64>,
}

/// `spanwire publish`, and `spanwire pubsub publish`. An option `--data` is the folder of the server.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Publish {
    /// The topic.
    pub(crate) topic: String,
    /// The content: JSON if it is an object or an array, otherwise a text.
    #[arg(
        value_name = "DATA",
        required_unless_present_any = ["data_file", "stdin"],
        conflicts_with_all = ["data_file", "stdin"]
    )]
    pub(crate) content: Option<String>,
    #[command(flatten)]
    pub(crate) source: Source,
    #[command(flatten)]
    pub(crate) properties: Properties,
}

/// What a message says beside its content.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Properties {
    /// The endpoint that publishes [default: the server itself].
    #[arg(long, alias = "endpoint-name", value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// 1 to 9, the highest [default: 5].
    #[arg(long, value_name = "N")]
    pub(crate) priority: Option<i64>,
    /// After how many seconds it is of no use any more [default: as the topic says].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) expiration: Option<i64>,
    /// Guarantee its delivery.
    #[arg(long, conflicts_with = "no_gd")]
    pub(crate) gd: bool,
    /// Do not guarantee its delivery.
    #[arg(long)]
    pub(crate) no_gd: bool,
    /// What the content is [default: application/json].
    #[arg(long, value_name = "TYPE")]
    pub(crate) mime_type: Option<String>,
    /// The correlation id.
    #[arg(long, value_name = "ID")]
    pub(crate) correl_id: Option<String>,
    /// The message that it answers.
    #[arg(long, value_name = "ID")]
    pub(crate) in_reply_to: Option<String>,
    /// The publisher's own name for itself.
    #[arg(long, value_name = "ID")]
    pub(crate) ext_client_id: Option<String>,
    /// When it came to be, such as 2024-03-04T10:20:30.
    #[arg(long, value_name = "TIME")]
    pub(crate) ext_pub_time: Option<String>,
    /// Its id [default: a new one].
    #[arg(long, value_name = "ID")]
    pub(crate) msg_id: Option<String>,
}
