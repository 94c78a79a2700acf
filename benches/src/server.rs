//! Servers of messages, seen alike: this one, and others where they are installed.

mod nats;
mod rabbit;
mod redis;
mod wsx;

use std::time::Duration;

use crate::Result;
use crate::args::Common;
use crate::args::pubsub::Store;
use crate::child::Child;
use crate::load::{Consume, Link, Publish};
use crate::machine::Measured;
use crate::peer::{Peer, Program};

pub(crate) use self::wsx::Wsx;

/// A running server.
pub(crate) enum Server {
    Spanwire(Child),
    Redis(Peer),
    Nats(Peer),
    Rabbit(Peer),
}

/// What is published and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// Letters and digits.
    pub(crate) topic: &'a str,
    pub(crate) bytes: u32,
    pub(crate) guaranteed: bool,
}

impl Server {
    /// This server, with topics.
    pub(crate) async fn spanwire(common: &Common, store: Store, topics: &[String]) -> Result<Self> {
        let topics: Vec<String> = topics.iter().map(|topic| path(topic)).collect();
        Ok(Self::Spanwire(Child::with_messages(common, store, &topics).await?))
    }

    /// All others that are installed; says of the rest how to get them.
    pub(crate) async fn others(guaranteed: bool) -> Result<Vec<(String, Self)>> {
        let mut servers = Vec::new();
        if let Some(program) = found("redis-server", &[], "redis-server") {
            let version = program.version(&["--version"]).unwrap_or_default();
            let peer = redis::start(&program, tempfile::tempdir()?).await?;
            let what = if guaranteed { "streams, appendfsync always" } else { "PUBLISH" };
            servers.push((format!("Redis {version}, {what}"), Self::Redis(peer)));
        }
        if let Some(program) = found("nats-server", &[], "nats-server") {
            let version = program.version(&["--version"]).unwrap_or_default();
            let peer = nats::start(&program, tempfile::tempdir()?).await?;
            let what = if guaranteed { "JetStream, not forced" } else { "core" };
            servers.push((format!("NATS {version}, {what}"), Self::Nats(peer)));
        }
        if guaranteed
            && let Some(program) =
                found("rabbitmq-server", &["/usr/lib/rabbitmq/bin"], "rabbitmq-server")
            && let Some(epmd) = found("epmd", &[], "erlang-base")
        {
            let peer = rabbit::start(&program, &epmd, tempfile::tempdir()?).await?;
            let what = "RabbitMQ, classic queue, confirms".to_owned();
            servers.push((what, Self::Rabbit(peer)));
        }
        Ok(servers)
    }

    /// Makes what a topic needs.
    pub(crate) async fn prepare(&self, topic: &str) -> Result<()> {
        match self {
            Self::Spanwire(_) => Ok(()),
            Self::Redis(peer) => redis::prepare(peer, topic).await,
            Self::Nats(peer) => nats::prepare(peer, topic).await,
            Self::Rabbit(peer) => rabbit::prepare(peer, topic).await,
        }
    }

    /// A publisher; numbers are different ones.
    pub(crate) async fn publisher(
        &self,
        message: Message<'_>,
        number: u32,
    ) -> Result<(Link, Box<dyn Publish>)> {
        let Message { topic, bytes, guaranteed } = message;
        match self {
            Self::Spanwire(child) => {
                Wsx::open(&child.target, false).await?.publisher(&path(topic), bytes, guaranteed)
            }
            Self::Redis(peer) => redis::publisher(peer, topic, bytes, guaranteed).await,
            Self::Nats(peer) => nats::publisher(peer, topic, number, bytes, guaranteed).await,
            Self::Rabbit(peer) => rabbit::publisher(peer, topic, bytes).await,
        }
    }

    /// A subscriber. One of guaranteed messages acknowledges them if asked to.
    pub(crate) async fn consumer(
        &self,
        topic: &str,
        guaranteed: bool,
        acknowledges: bool,
    ) -> Result<(Link, Box<dyn Consume>)> {
        match self {
            Self::Spanwire(child) => {
                let mut client = Wsx::open(&child.target, acknowledges).await?;
                let subscribed = client.subscribe(&path(topic), acknowledges, true).await?;
                match acknowledges {
                    true => client.consumer(&subscribed),
                    false => Ok(client.reader()),
                }
            }
            Self::Redis(peer) => redis::consumer(peer, topic, guaranteed).await,
            Self::Nats(peer) => nats::consumer(peer, topic, guaranteed).await,
            Self::Rabbit(peer) => rabbit::consumer(peer, topic).await,
        }
    }

    pub(crate) fn resident_kib(&self) -> Option<u64> {
        match self {
            Self::Spanwire(child) => child.resident_kib().ok(),
            _ => None,
        }
    }
}

impl Measured for Server {
    fn cpu(&self) -> Result<Duration> {
        match self {
            Self::Spanwire(child) => child.cpu(),
            Self::Redis(peer) | Self::Nats(peer) | Self::Rabbit(peer) => peer.cpu(),
        }
    }
}

/// The name of a topic as this server's objects have it.
pub(crate) fn path(topic: &str) -> String {
    format!("/bench/{topic}")
}

fn found(name: &str, folders: &[&str], package: &str) -> Option<Program> {
    let program = Program::find(name, folders);
    if program.is_none() {
        eprintln!("no {name}, so it is left out; to have it: apt-get install {package}");
    }
    program
}
