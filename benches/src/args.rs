//! Arguments of the load tool.

pub(crate) mod pubsub;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::Result;
use crate::rpc::Point;

/// Measures the server next to a bare WebSocket echo, in turns and in the same run.
#[derive(Debug, Parser)]
#[command(name = "spanwire-bench")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every scenario takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Where `spanwire-server` is [default: the folder of this program].
    #[arg(long, env = "SPANWIRE_BIN_DIR", value_name = "DIR", global = true)]
    bin_dir: Option<PathBuf>,
    /// How long each measurement of one point takes [default: 3; 1.5 with messages].
    #[arg(long, value_parser = positive, global = true)]
    seconds: Option<f64>,
    /// How often each of the servers has its turn; medians are reported [default: 3; 1 with messages].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=99), global = true)]
    rounds: Option<u32>,
    /// How many cores others may keep busy before a pair of turns is repeated.
    #[arg(long, value_name = "CORES", default_value_t = 0.15, global = true)]
    pub(crate) max_foreign: f64,
    /// How often it is repeated at most.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(0..=99), global = true)]
    pub(crate) retries: u32,
    /// What the server logs, as `RUST_LOG`; it goes to a file.
    #[arg(long, value_name = "FILTER", default_value = "info", global = true)]
    pub(crate) server_log: String,
    /// The read buffer of each connection of the bare echo, in bytes; the server's own is 4096.
    #[arg(long, value_name = "BYTES", default_value_t = 4096, global = true)]
    pub(crate) bare_read_buffer: usize,
    /// Write the rows as JSON, one object in a line, into this file too.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) json: Option<PathBuf>,
    /// What goes to the standard output.
    #[arg(long, value_enum, default_value_t = Output::Table, global = true)]
    pub(crate) output: Output,
}

impl Common {
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.unwrap_or(3.0))
    }

    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(3)
    }

    /// The publish/subscribe scenarios have many points and many servers: each has less time.
    pub(crate) fn short_time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.unwrap_or(1.5))
    }

    /// As `rounds`, of the publish/subscribe scenarios.
    pub(crate) fn turns(&self) -> u32 {
        self.rounds.unwrap_or(1)
    }

    /// The program that is measured.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn server(&self) -> Result<PathBuf> {
        let dir = match &self.bin_dir {
            Some(dir) => dir.clone(),
            None => std::env::current_exe()?.parent().map(PathBuf::from).unwrap_or_default(),
        };
        let server = dir.join("spanwire-server");
        if server.is_file() {
            Ok(server)
        } else {
            Err(format!("no {}: build it, or set SPANWIRE_BIN_DIR", server.display()).into())
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// One object in a line for each row.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Calls of an echo service by logged-in connections.
    Rpc(Points),
    /// Connections made: handshake and login.
    Connect(Connect),
    /// Resident memory of logged-in connections that do nothing.
    Idle(Idle),
    /// Starting with many managed objects, changing one among them, and what others notice of changes.
    Config(Config),
    /// The client of outgoing connections, beside one that only counts.
    Outconn(Outconn),
    /// Logins and calls at the same time, verified sessions, searching, and what time tells of refused logins.
    Sso(Sso),
    /// Guaranteed publishing, beside other servers and the bare disk.
    Durable(pubsub::Durable),
    /// One publisher, many subscribers.
    Fanout(pubsub::Fanout),
    /// A start with many stored messages, and their delivery to one subscriber.
    Replay(pubsub::Stored),
    /// A start with many stored messages.
    Restart(pubsub::Stored),
    /// Topics with subscriptions in which nothing happens.
    IdleTopics(pubsub::IdleTopics),
    /// What subscribers notice of others that stop reading.
    Stalled(pubsub::Stalled),
    /// Clients that come back to what they have missed.
    Resume(pubsub::Resume),
    /// All publish/subscribe scenarios as they are by default.
    Pubsub,
    /// The server to compare with; says its address on stdout and ends with its stdin.
    #[command(hide = true)]
    BareEcho(BareEcho),
}

/// How much a client calls.
#[derive(Debug, clap::Args)]
pub(crate) struct Outconn {
    /// How many calls.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub(crate) calls: u64,
    /// How many are under way at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) pipeline: u32,
}

/// How single sign-on is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Sso {
    /// How long each point is measured, in seconds.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// How many call at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) callers: u32,
    /// Among how many users is searched.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(10_000..=2_000_000))]
    pub(crate) users: u32,
    /// How many refused logins of each class.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub(crate) tries: u32,
}

/// How much is configured and changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    /// How many objects there are.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(4..=100_000))]
    pub(crate) objects: u32,
    /// How many changes are made.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) changes: u32,
    /// How many sockets call a service meanwhile.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(crate) sockets: u32,
}

/// Which points are measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Points {
    /// Only a few points.
    #[arg(long)]
    quick: bool,
    /// One point: how many connections.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: Option<u32>,
    /// One point: how many calls each connection has in flight.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    pipeline: Option<u32>,
    /// One point: how many bytes of data each call carries.
    #[arg(long, value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    payload: Option<u32>,
}

impl Points {
    /// All combinations of what was not chosen by an argument.
    pub(crate) fn points(&self) -> Vec<Point> {
        let chosen = [self.connections, self.pipeline, self.payload];
        if self.quick && chosen == [None; 3] {
            return QUICK.map(Point::from).to_vec();
        }
        let all = |chosen: Option<u32>, all: &[u32]| chosen.map_or(all.to_vec(), |one| vec![one]);
        // A point that is only half chosen is completed by what the budget is about.
        let one = chosen != [None; 3];
        let connections = all(self.connections, if one { &[16] } else { &[1, 16, 50, 64, 500] });
        let pipelines = all(self.pipeline, if one { &[1] } else { &[1, 16] });
        let payloads = all(self.payload, if one { &[100] } else { &[100, 4096] });
        let mut points = Vec::new();
        for &payload in &payloads {
            for &pipeline in &pipelines {
                points.extend(connections.iter().map(|&c| Point::from((c, pipeline, payload))));
            }
        }
        points
    }
}

/// Connections, calls in flight on each, bytes.
const QUICK: [(u32, u32, u32); 4] = [(1, 1, 100), (16, 1, 100), (64, 16, 100), (50, 16, 4096)];

#[derive(Debug, clap::Args)]
pub(crate) struct Connect {
    /// How many connections are being made at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) concurrency: u32,
    /// Only this transport [default: both].
    #[arg(long, value_enum)]
    pub(crate) transport: Option<Transport>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Idle {
    /// How many connections are held.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=25_000))]
    pub(crate) connections: u32,
    /// Only this transport [default: both].
    #[arg(long, value_enum)]
    pub(crate) transport: Option<Transport>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BareEcho {
    /// A PEM file with a certificate; none is plain TCP.
    #[arg(long, requires = "key")]
    pub(crate) certificate: Option<PathBuf>,
    /// A PEM file with the private key.
    #[arg(long, requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    Plain,
    Tls,
}

impl Transport {
    /// The chosen one, or both.
    pub(crate) fn chosen(one: Option<Self>) -> Vec<Self> {
        one.map_or(vec![Self::Plain, Self::Tls], |one| vec![one])
    }
}

/// What a scenario takes when no argument is given.
pub(crate) fn by_default<A: clap::Args>() -> Result<A> {
    let command = A::augment_args(clap::Command::new("default").no_binary_name(true));
    Ok(A::from_arg_matches(&command.try_get_matches_from([""; 0])?)?)
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected 0.1 to 3600 seconds".to_owned()),
    }
}
