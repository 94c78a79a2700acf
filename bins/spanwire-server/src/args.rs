//! Arguments of the server.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use spanwire_runtime::settings::{LogFormat, Overrides};
use spanwire_runtime::{LogTask, Profile};

/// A WebSocket integration server: clients log in and call services, services call clients.
#[derive(Debug, Parser)]
#[command(name = "spanwire-server", version)]
pub(crate) struct Args {
    /// The folder that holds everything; made into a working environment if it is empty or missing.
    #[arg(long, value_name = "DIR", default_value = "./spanwire-data", global = true)]
    pub(crate) data: PathBuf,
    /// Where REST and WebSocket channels and health are served [default: 127.0.0.1:17010]; port 0 works.
    #[arg(long, value_name = "ADDR", global = true)]
    listen: Option<SocketAddr>,
    /// Where the admin API and metrics are served [default: 127.0.0.1:8183]; port 0 works.
    #[arg(long, value_name = "ADDR", global = true)]
    admin_listen: Option<SocketAddr>,
    /// Managed objects to create or update before the server is ready; may be repeated.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) import: Vec<PathBuf>,
    /// Which defaults hold [default: dev on loopback, else production].
    #[arg(long, value_enum, global = true)]
    profile: Option<ProfileName>,
    /// How log lines look [default: text].
    #[arg(long, value_enum, global = true)]
    log_format: Option<Format>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Validate settings and managed objects, refuse unsafe defaults in the production profile, and exit.
    Check,
    /// Work on the message log while no server runs, and exit.
    Messages {
        #[command(subcommand)]
        task: MessagesTask,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum MessagesTask {
    /// Write the log anew, without what nothing needs.
    Compact,
    /// Write everything in the log to a new file.
    Export { file: PathBuf },
    /// Make the log of an exported file; there must be none yet.
    Import { file: PathBuf },
}

impl MessagesTask {
    pub(crate) fn to_log_task(&self) -> LogTask {
        match self {
            Self::Compact => LogTask::Compact,
            Self::Export { file } => LogTask::Export(file.clone()),
            Self::Import { file } => LogTask::Import(file.clone()),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileName {
    Dev,
    Production,
    Compat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Args {
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            listen: self.listen,
            admin_listen: self.admin_listen,
            profile: self.profile.map(|profile| match profile {
                ProfileName::Dev => Profile::Dev,
                ProfileName::Production => Profile::Production,
                ProfileName::Compat => Profile::Compat,
            }),
            log_format: self.log_format.map(|format| match format {
                Format::Text => LogFormat::Text,
                Format::Json => LogFormat::Json,
            }),
        }
    }
}
