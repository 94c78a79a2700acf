//! What each noun and verb does.

pub(crate) mod config;
pub(crate) mod connection;
mod content;
mod deletes;
mod diff;
pub(crate) mod enmasse;
pub(crate) mod history;
pub(crate) mod object;
pub(crate) mod outconn;
pub(crate) mod publish;
pub(crate) mod pubsub;
pub(crate) mod queue;
mod report;
pub(crate) mod server;
pub(crate) mod service;
pub(crate) mod sso;
pub(crate) mod topic;

use std::io::Read;

use crate::client::Failure;

/// Prints completions for a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::args::command(), "spanwire", &mut script);
    crate::output::print(&String::from_utf8_lossy(&script))
}

/// Reads JSON from an argument, or from stdin for `-`.
fn json(argument: Option<&str>, default: &str) -> Result<String, Failure> {
    let text = match argument {
        None => return Ok(default.to_owned()),
        Some("-") => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| Failure::Input(format!("stdin cannot be read: {error}")))?;
            text
        }
        Some(text) => text.to_owned(),
    };
    let value: Result<serde::de::IgnoredAny, _> = serde_json::from_str(&text);
    value.map_err(|error| {
        Failure::Input(format!("the input is not JSON ({error}); write texts as '\"text\"'"))
    })?;
    Ok(text)
}

fn check_timeout(timeout: Option<f64>) -> Result<Option<f64>, Failure> {
    match timeout {
        Some(seconds) if !(seconds.is_finite() && seconds > 0.0) => {
            Err(Failure::Input("--timeout: expected a number of seconds above 0".to_owned()))
        }
        timeout => Ok(timeout),
    }
}
