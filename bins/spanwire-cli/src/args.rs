//! Arguments: `spanwire NOUN VERB`.
//!
//! What is written down here is derived by clap; the nouns of managed objects are built from the
//! description of their kinds, see [`crate::object`]. [`command`] joins both.

mod compat;
mod connection;
mod enmasse;
mod outconn;
mod pubsub;
mod sso;

use std::path::PathBuf;

use clap::{ArgMatches, Args as ClapArgs, Command, CommandFactory, FromArgMatches};
use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use self::compat::{
    Cleanup, ConsumeFrom, CreateEndpoint, CreateTestTopics, CreateTopic, DeleteEndpoint,
    DeleteTopics, GetTopics, Method, PubSub, SubscribeTo,
};
pub(crate) use self::connection::{Close, Connection, Filter};
pub(crate) use self::enmasse::{Diff, Enmasse, Export, ExportFormat, Import, Selection};
pub(crate) use self::outconn::Outconn;
pub(crate) use self::pubsub::{
    Edit, Page, Publish, Queue, QueueMessage, Source, Take, Topic, TopicMessage,
};
pub(crate) use self::sso::{Audit, Lifetime, NewUser as NewSsoArgs, Sso};
use crate::object;

/// Objects, services, live connections and messages of a running spanwire server.
#[derive(Debug, Parser)]
#[command(name = "spanwire", version)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// What every command takes.
#[derive(Debug, ClapArgs)]
pub(crate) struct Global {
    #[command(flatten)]
    pub(crate) server: Server,
    /// How results are printed.
    #[arg(long, value_enum, default_value = "table", global = true, help_heading = GLOBAL)]
    pub(crate) output: Format,
}

/// Which server.
#[derive(Debug, ClapArgs)]
pub(crate) struct Server {
    /// The data folder of a server on this machine: its address and token are read from there.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./spanwire-data",
        conflicts_with = "url",
        global = true,
        help_heading = GLOBAL
    )]
    pub(crate) data: PathBuf,
    /// The admin address of a server, such as `http://127.0.0.1:8183`.
    #[arg(long, requires = "token", global = true, help_heading = GLOBAL)]
    pub(crate) url: Option<String>,
    /// The content of the server's admin.token; better given as `SPANWIRE_TOKEN`, which no process list shows.
    #[arg(long, env = "SPANWIRE_TOKEN", hide_env_values = true, global = true, help_heading = GLOBAL)]
    pub(crate) token: Option<String>,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: one JSON value with the admin API's field names.
    Json,
}

/// The heading of options that every command takes.
pub(crate) const GLOBAL: &str = "Global options";

/// How a change is made.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Change {
    /// Only print what would change.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Why, for the history.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Ask the server whether it is there.
    Ping,
    /// Services: list, invoke; those behind a URL are objects, too.
    #[command(subcommand)]
    Service(Service),
    /// Live WebSocket connections: list, show, invoke, disconnect, watch.
    #[command(subcommand)]
    Connection(Connection),
    /// Outgoing connections, WebSocket and REST, and how they stand.
    #[command(subcommand)]
    Outconn(Outconn),
    /// Topics that messages are published to, and the messages in them.
    #[command(subcommand)]
    Topic(Topic),
    /// Subscriptions with their queues, and the messages in them.
    #[command(subcommand)]
    Queue(Queue),
    /// Publish a message.
    Publish(Box<Publish>),
    /// Publish/subscribe as a whole, and the commands of `zato pubsub`.
    #[command(subcommand)]
    Pubsub(PubSub),
    /// Changes of the configuration: list, show, revert.
    #[command(subcommand)]
    History(History),
    /// Files of objects: import, export, diff.
    #[command(subcommand)]
    Enmasse(Enmasse),
    /// Settings of the server: list, explain, reload.
    #[command(subcommand)]
    Config(Config),
    /// Users of single sign-on, their sessions, and the audit.
    #[command(subcommand)]
    Sso(Box<Sso>),
    /// The key that secrets are stored with: rotate.
    #[command(subcommand)]
    SecretKey(SecretKey),
    /// The server itself: info.
    #[command(subcommand)]
    Server(ServerVerb),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Service {
    /// All services that can be called.
    List {
        /// Only those with this in their name.
        #[arg(long, value_name = "PART")]
        name: Option<String>,
    },
    /// Call a service and print its response.
    Invoke {
        /// Its name.
        name: String,
        /// Its input as JSON; `-` reads it from stdin [default: {}].
        #[arg(long, value_name = "JSON")]
        payload: Option<String>,
        /// How many seconds to wait.
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<f64>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum History {
    /// Changes, newest first.
    List {
        /// How many at most.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u64,
        /// Only changes of objects of this kind.
        #[arg(long)]
        kind: Option<String>,
        /// Only changes of objects of this name.
        #[arg(long)]
        name: Option<String>,
        /// Only what they changed.
        #[arg(long)]
        who: Option<String>,
    },
    /// One change, key by key.
    Show {
        /// Its number.
        revision: u64,
    },
    /// Undo what a change did.
    Revert {
        /// Its number.
        revision: u64,
        /// Do not ask, also where objects that it made are deleted.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Every setting with its value.
    List,
    /// Where the value of a setting comes from, and what it is for.
    Explain {
        /// The setting with its section, such as `limits.headers`.
        key: String,
    },
    /// Read spanwire.toml again.
    Reload,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretKey {
    /// Make a new key and encrypt every stored secret with it.
    Rotate,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServerVerb {
    /// Version, process, addresses, and how much there is.
    Info,
}

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) global: Global,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Noun(Noun),
    Objects(object::Verb),
}

/// Returns the whole command line.
pub(crate) fn command() -> Command {
    let mut command = Args::command().mut_subcommand("completions", |last| last.display_order(100));
    for noun in object::NOUNS {
        let known = command.find_subcommand(noun.word);
        command = match known.map(|known| known.find_subcommand("list").is_some()) {
            None => command.subcommand(object::command(noun)),
            Some(lists_more) => command.mut_subcommand(noun.word, |known| {
                let list = (!lists_more).then(|| object::list(noun));
                known.subcommands(list).subcommands(object::more_verbs(noun))
            }),
        };
    }
    command
}

/// Tells what arguments ask for.
pub(crate) fn read(matches: &ArgMatches) -> Result<Asked, clap::Error> {
    let verb = matches.subcommand().and_then(|(word, matches)| {
        let noun = object::NOUNS.iter().find(|noun| noun.word == word)?;
        object::read(noun, matches).transpose()
    });
    match verb {
        Some(verb) => {
            let global = Global::from_arg_matches(matches)?;
            Ok(Asked { global, what: What::Objects(verb?) })
        }
        None => {
            let Args { global, noun } = Args::from_arg_matches(matches)?;
            Ok(Asked { global, what: What::Noun(noun) })
        }
    }
}

#[cfg(test)]
mod tests;
