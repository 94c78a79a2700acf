//! Arguments of how outgoing connections stand: `spanwire outconn status|ping`.

use clap::Subcommand;

/// The verbs of `spanwire outconn` beside those of all objects.
#[derive(Debug, Subcommand)]
pub(crate) enum Outconn {
    /// How outgoing WebSocket connections stand: one, or all.
    Status {
        /// Its name.
        name: Option<String>,
    },
    /// Ask whether the peer of an `outgoing_wsx` or `outgoing_rest` object is there.
    Ping {
        /// Its name.
        name: String,
    },
}
