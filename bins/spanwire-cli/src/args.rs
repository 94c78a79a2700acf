//! Arguments: `spanwire NOUN VERB`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Services and live connections of a running spanwire server.
#[derive(Debug, Parser)]
#[command(name = "spanwire", version)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) server: Server,
    /// How results are printed.
    #[arg(long, value_enum, default_value = "table", global = true)]
    pub(crate) output: Format,
    #[command(subcommand)]
    pub(crate) noun: Noun,
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
        global = true
    )]
    pub(crate) data: PathBuf,
    /// The admin address of a server, such as `http://127.0.0.1:8183`.
    #[arg(long, requires = "token", global = true)]
    pub(crate) url: Option<String>,
    /// The content of the server's admin.token; better given as `SPANWIRE_TOKEN`, which no process list shows.
    #[arg(long, env = "SPANWIRE_TOKEN", hide_env_values = true, global = true)]
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

#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Ask the server whether it is there.
    Ping,
    /// Services: list, invoke.
    #[command(subcommand)]
    Service(Service),
    /// Live WebSocket connections: list, show, invoke, disconnect.
    #[command(subcommand)]
    Connection(Connection),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Service {
    /// All services that can be called.
    List,
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
pub(crate) enum Connection {
    /// The live connections, newest first; every given attribute must match.
    List(Filter),
    /// One live connection.
    Show {
        /// Its id, `ws.…`.
        id: String,
    },
    /// Ask a client and print its answer.
    Invoke {
        /// Its connection's id, `ws.…`.
        id: String,
        /// What to ask, as JSON; `-` reads it from stdin [default: null].
        #[arg(long, value_name = "JSON")]
        request: Option<String>,
        /// How many seconds to wait [default: 5].
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<f64>,
    },
    /// Close a connection.
    Disconnect {
        /// Its id, `ws.…`.
        id: String,
        /// The close code.
        #[arg(long, default_value_t = 4005)]
        code: u16,
        /// The close reason.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// The last connections that ended, and how.
    History,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Filter {
    /// The id the client chose.
    #[arg(long)]
    pub(crate) client_id: Option<String>,
    /// The name the client chose.
    #[arg(long)]
    pub(crate) client_name: Option<String>,
    /// The channel.
    #[arg(long)]
    pub(crate) channel: Option<String>,
    /// The address of the client, with or without its port.
    #[arg(long)]
    pub(crate) peer: Option<String>,
    /// The security definition it logged in with.
    #[arg(long)]
    pub(crate) security: Option<String>,
}
