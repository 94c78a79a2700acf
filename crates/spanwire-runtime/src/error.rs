//! Why a server does not start.

use spanwire_channel::transport::listener::BindError;
use spanwire_config::Problem;
use thiserror::Error;

/// Why a server does not start. The text says what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Settings are wrong; every mistake.
    #[error("{}", lines(.0))]
    Settings(Vec<String>),
    /// Files of managed objects are wrong; every mistake, and nothing was applied.
    #[error("{}", lines(.0))]
    Objects(Vec<Problem>),
    /// A managed object is valid by itself but cannot be put to work.
    #[error("{kind} '{name}' cannot be used: {problem}")]
    Object {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The operating system refuses what a server needs.
    #[error("the operating system refuses what a server needs: {0}")]
    Runtime(#[source] std::io::Error),
    /// The data folder cannot be used.
    #[error("the data folder cannot be used: {0}")]
    Data(String),
}

impl StartError {
    /// Whether the input is to blame, rather than the machine.
    #[must_use]
    pub fn is_input(&self) -> bool {
        matches!(self, Self::Settings(_) | Self::Objects(_) | Self::Object { .. })
    }

    pub(crate) fn data(error: impl std::fmt::Display) -> Self {
        Self::Data(error.to_string())
    }
}

fn lines(problems: &[impl ToString]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
