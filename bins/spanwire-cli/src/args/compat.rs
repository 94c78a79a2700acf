//! Arguments of `spanwire pubsub`: the commands, arguments and defaults of `zato pubsub`, and a few beside.
//!
//! Switches take an optional value there, so that `--gd` and `--gd true` mean the same.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::pubsub::{Publish, Take};

#[derive(Debug, Subcommand)]
pub(crate) enum PubSub {
    /// What all topics come to.
    Status(Place),
    /// Give space back on disk that nothing needs.
    Compact(Place),
    /// Make a topic.
    CreateTopic(CreateTopic),
    /// Topics with their depths.
    #[command(visible_alias = "get-topic")]
    GetTopics(GetTopics),
    /// Delete topics; the first of these options that is given counts.
    #[command(visible_alias = "delete-topic")]
    DeleteTopics(DeleteTopics),
    /// Make many topics with publishers, subscribers and messages.
    CreateTestTopics(CreateTestTopics),
    /// Make an endpoint.
    CreateEndpoint(Box<CreateEndpoint>),
    /// Delete an endpoint.
    DeleteEndpoint(DeleteEndpoint),
    /// Remove now what is due: expired messages, subscriptions of those who stay away.
    Cleanup(Cleanup),
    /// Publish a message.
    Publish(Box<PublishTo>),
    /// Take messages from the queue of an endpoint.
    Consume(ConsumeFrom),
    /// Subscribe an endpoint to a topic.
    Subscribe(SubscribeTo),
}

impl PubSub {
    /// The data folder that the command itself names.
    pub(crate) fn path(&self) -> Option<&PathBuf> {
        let place = match self {
            Self::Status(place) | Self::Compact(place) => place,
            Self::CreateTopic(args) => &args.place,
            Self::GetTopics(args) => &args.place,
            Self::DeleteTopics(args) => &args.place,
            Self::CreateTestTopics(args) => &args.place,
            Self::CreateEndpoint(args) => &args.place,
            Self::DeleteEndpoint(args) => &args.place,
            Self::Cleanup(args) => &args.place,
            Self::Publish(args) => &args.place,
            Self::Consume(args) => &args.place,
            Self::Subscribe(args) => &args.place,
        };
        place.path.as_ref()
    }

    /// Whether its result is one JSON document, also if it fails.
    pub(crate) fn is_compatible(&self) -> bool {
        !matches!(self, Self::Status(_) | Self::Compact(_))
    }
}

/// Where the server is.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Place {
    /// The data folder of the server; the same as --data.
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub(crate) path: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CreateTopic {
    /// Its name [default: /auto/topic. and the time].
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Whether delivery is guaranteed where a message does not say.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = switch)]
    pub(crate) gd: bool,
    /// Whether it belongs to the platform.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = switch)]
    pub(crate) is_internal: bool,
    /// Whether others than administrators may subscribe.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = switch)]
    pub(crate) is_api_sub_allowed: bool,
    /// How many seconds messages are kept.
    #[arg(long, value_name = "SECONDS", default_value_t = DAY)]
    pub(crate) limit_retention: u64,
    /// After how many seconds inactive subscriptions end.
    #[arg(long, value_name = "SECONDS", default_value_t = DAY)]
    pub(crate) limit_sub_inactivity: u64,
    /// The longest expiration of a message, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = DAY)]
    pub(crate) limit_message_expiry: u64,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct GetTopics {
    /// Only topics with this in their name.
    #[arg(long, value_name = "PART")]
    pub(crate) name: Option<String>,
    /// Which keys, with commas; `all` for every one.
    #[arg(long, value_delimiter = ',')]
    pub(crate) keys: Vec<String>,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DeleteTopics {
    /// The topic with this number.
    #[arg(long)]
    pub(crate) id: Option<u64>,
    /// The topics with these numbers, with commas.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub(crate) id_list: Vec<u64>,
    /// The topic of this name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The topics of these names, with commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) name_list: Vec<String>,
    /// The topics with this in their name.
    #[arg(long, value_name = "PART")]
    pub(crate) pattern: Option<String>,
    /// Do not ask on a terminal.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CreateTestTopics {
    /// How many topics.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) count: usize,
    /// What their names begin with.
    #[arg(long, default_value = "/test-perf")]
    pub(crate) prefix: String,
    /// How many publishers, and as many subscribers, each one has.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) endpoints_per_topic: usize,
    /// How many messages each publisher publishes.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) messages_per_pub: usize,
    /// Without an effect.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) msg_size: usize,
    /// Say on stderr how far it is.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = switch)]
    pub(crate) needs_stdout: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CreateEndpoint {
    /// Its name [default: auto.pubsub.endpoint. and the time].
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What it does: pub-only, sub-only or pub-sub.
    #[arg(long, default_value = "pub-sub")]
    pub(crate) role: String,
    /// Whether it is in use.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value = "true", default_missing_value = "true", value_parser = switch)]
    pub(crate) is_active: bool,
    /// Which topics, with commas.
    #[arg(long, default_value = "pub=/*,sub=/*")]
    pub(crate) topic_patterns: String,
    /// The WebSocket channel that it is recognised by, by its number or name.
    #[arg(long, value_name = "ID")]
    pub(crate) wsx_id: Option<String>,
    /// How it takes part: rest, wsx, srv or internal [default: wsx with --wsx-id].
    #[arg(long, value_name = "TYPE")]
    pub(crate) endpoint_type: Option<String>,
    /// The security definition that a rest endpoint is recognised by.
    #[arg(long, value_name = "NAME")]
    pub(crate) security_name: Option<String>,
    /// The service that a srv endpoint is.
    #[arg(long, value_name = "NAME")]
    pub(crate) service_name: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DeleteEndpoint {
    /// Its number.
    #[arg(long)]
    pub(crate) id: u64,
    /// Do not ask on a terminal.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Cleanup {
    /// Subscriptions whose subscribers stay away.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value = "true", default_missing_value = "true", value_parser = switch)]
    pub(crate) subscriptions: bool,
    /// Expired messages of topics that nobody is subscribed to.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value = "true", default_missing_value = "true", value_parser = switch)]
    pub(crate) topics_without_subscribers: bool,
    /// Messages that are older than their topics keep them.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value = "true", default_missing_value = "true", value_parser = switch)]
    pub(crate) topics_with_max_retention_reached: bool,
    /// Expired messages of queues.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value = "true", default_missing_value = "true", value_parser = switch)]
    pub(crate) queues_with_expired_messages: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PublishTo {
    #[command(flatten)]
    pub(crate) publish: Publish,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ConsumeFrom {
    /// The topic.
    #[arg(long, alias = "topic-name", value_name = "NAME")]
    pub(crate) topic: String,
    /// The endpoint.
    #[arg(long, alias = "endpoint-name", value_name = "NAME")]
    pub(crate) endpoint: String,
    #[command(flatten)]
    pub(crate) take: Take,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SubscribeTo {
    /// The topic.
    #[arg(long, alias = "topic-name", value_name = "NAME")]
    pub(crate) topic: String,
    /// The endpoint.
    #[arg(long, alias = "endpoint-name", value_name = "NAME")]
    pub(crate) endpoint: String,
    /// How messages get to the subscriber [default: as its type of endpoint does it].
    #[arg(long, value_enum, value_name = "METHOD")]
    pub(crate) delivery_method: Option<Method>,
    /// How many messages are delivered at once at most [default: 500].
    #[arg(long, value_name = "N")]
    pub(crate) delivery_batch_size: Option<u64>,
    /// The client that it is for.
    #[arg(long, value_name = "ID")]
    pub(crate) ext_client_id: Option<String>,
    /// Begin with everything that the topic still holds.
    #[arg(long)]
    pub(crate) from_first: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// How messages get to a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// It asks for them.
    Pull,
    /// They are sent over its WebSocket.
    WebSocket,
}

/// Reads a switch as `zato` does.
fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "t" | "1" => Ok(true),
        "false" | "no" | "off" | "n" | "f" | "0" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

const DAY: u64 = 86_400;
