//! Arguments of the publish/subscribe scenarios.

use clap::ValueEnum;

/// The engine of the message log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Store {
    Sled,
    Redb,
}

impl Store {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        }
    }
}

/// Which engines are measured.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Stores {
    /// Only these engines of the message log.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Store::Sled, Store::Redb])]
    pub(crate) store: Vec<Store>,
}

/// Guaranteed publishing.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Durable {
    #[command(flatten)]
    pub(crate) stores: Stores,
    /// Publishers and how many messages each has unacknowledged, as 4x16.
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = publishers,
        default_values_t = [Publishers(1, 1), Publishers(4, 16), Publishers(256, 1)]
    )]
    pub(crate) point: Vec<Publishers>,
    /// Bytes of each message.
    #[arg(long, value_delimiter = ',', default_values_t = [128, 512], value_parser = clap::value_parser!(u32).range(17..=1_000_000))]
    pub(crate) bytes: Vec<u32>,
    /// Leave other servers out.
    #[arg(long)]
    pub(crate) alone: bool,
}

/// How many publishers, and how many messages each has unacknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Publishers(pub(crate) u32, pub(crate) u32);

impl std::fmt::Display for Publishers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.0, self.1)
    }
}

fn publishers(text: &str) -> Result<Publishers, String> {
    let parts = text.split_once('x').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    match parts {
        Some((publishers @ 1..=5_000, each @ 1..=64)) => Ok(Publishers(publishers, each)),
        _ => Err("expected publishers × messages, as 4x16; at most 5000x64".to_owned()),
    }
}

/// One publisher, many subscribers.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Fanout {
    /// The engine of the message log.
    #[arg(long, value_enum, default_value_t = Store::Sled)]
    pub(crate) store: Store,
    /// How many subscribers.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 50, 1_000], value_parser = clap::value_parser!(u32).range(1..=9_000))]
    pub(crate) subscribers: Vec<u32>,
    /// Bytes of each message.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(17..=1_000_000))]
    pub(crate) bytes: u32,
    /// How many deliveries a second the low rate comes to.
    #[arg(long, default_value_t = 10_000.0)]
    pub(crate) low_rate: f64,
    /// Leave other servers out.
    #[arg(long)]
    pub(crate) alone: bool,
}

/// Many stored messages.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Stored {
    #[command(flatten)]
    pub(crate) stores: Stores,
    /// How many messages are stored.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
    pub(crate) messages: u32,
    /// Bytes of each message.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(17..=10_000))]
    pub(crate) bytes: u32,
}

/// Topics in which nothing happens.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct IdleTopics {
    /// The engine of the message log.
    #[arg(long, value_enum, default_value_t = Store::Sled)]
    pub(crate) store: Store,
    /// How many topics, each with a subscription of a connected client.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) topics: u32,
    /// How many connections share the subscriptions.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(crate) connections: u32,
    /// How long the processor time is watched, in seconds.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) idle_seconds: f64,
}

/// Subscribers that stop reading.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Stalled {
    /// The engine of the message log.
    #[arg(long, value_enum, default_value_t = Store::Sled)]
    pub(crate) store: Store,
    /// How many subscribers.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=5_000))]
    pub(crate) subscribers: u32,
    /// How many of them stop reading.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4_999))]
    pub(crate) stalled: u32,
    /// How many messages of 4 KiB are published before, so that what the system buffers is full.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) before: u32,
    /// Messages a second.
    #[arg(long, default_value_t = 100.0)]
    pub(crate) rate: f64,
}

/// Clients that come back.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    pub(crate) stores: Stores,
    /// How many clients.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=15_000))]
    pub(crate) clients: u32,
    /// How many messages each has missed.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) missed: u32,
    /// How many clients share a topic.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=15_000))]
    pub(crate) share: u32,
    /// How many connections are being made at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) concurrency: u32,
}
