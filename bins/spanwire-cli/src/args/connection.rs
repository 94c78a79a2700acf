//! Arguments of `spanwire connection`.

use clap::{Args as ClapArgs, Subcommand};

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
    /// Close connections: these, those whose attributes match, or all.
    Disconnect(Close),
    /// The last connections that ended, and how.
    History {
        /// Only those of the client with this id.
        #[arg(long)]
        client_id: Option<String>,
    },
    /// Show connections as they come and go: a live table, or a line for each where no terminal is.
    Watch {
        /// End after so many events.
        #[arg(long, value_name = "N")]
        count: Option<u64>,
    },
}

/// Which connections are closed, and how.
#[derive(Debug, ClapArgs)]
pub(crate) struct Close {
    /// Their ids, `ws.…`.
    #[arg(
        value_name = "ID",
        required_unless_present_any = FILTERS.iter().copied().chain(["all"]),
        conflicts_with_all = FILTERS.iter().copied().chain(["all"])
    )]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Every connection.
    #[arg(long, conflicts_with_all = FILTERS)]
    pub(crate) all: bool,
    /// The close code.
    #[arg(long, default_value_t = 4005)]
    pub(crate) code: u16,
    /// The close reason.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// Only print which ones would be closed.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Attributes of connections.
#[derive(Debug, Default, ClapArgs)]
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
    /// The host name of the client.
    #[arg(long)]
    pub(crate) fqdn: Option<String>,
    /// The security definition it logged in with.
    #[arg(long)]
    pub(crate) security: Option<String>,
    /// The user name it logged in with.
    #[arg(long)]
    pub(crate) username: Option<String>,
    /// Something the client said about itself; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = attribute)]
    pub(crate) attr: Vec<(String, String)>,
    /// Any other attribute of a connection, by its name in the admin API, such as `state=draining`; may be repeated.
    #[arg(long = "where", value_name = "KEY=VALUE", value_parser = attribute)]
    pub(crate) other: Vec<(String, String)>,
}

impl Filter {
    /// The attributes that were given, as the admin API names them.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (String, &str)> {
        let fixed = [
            ("ext_client_id", &self.client_id),
            ("ext_client_name", &self.client_name),
            ("channel_name", &self.channel),
            ("peer_address", &self.peer),
            ("peer_fqdn", &self.fqdn),
            ("security_name", &self.security),
            ("username", &self.username),
        ];
        let fixed =
            fixed.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.as_deref()?)));
        let attr = self.attr.iter().map(|(key, value)| (format!("attr.{key}"), value.as_str()));
        let other = self.other.iter().map(|(key, value)| (key.clone(), value.as_str()));
        fixed.chain(attr).chain(other)
    }
}

/// The ids of the options of [`Filter`].
const FILTERS: [&str; 9] = [
    "client_id",
    "client_name",
    "channel",
    "peer",
    "fqdn",
    "security",
    "username",
    "attr",
    "other",
];

fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}
