//! Why a history could not be read.

use std::io;
use std::path::PathBuf;

/// Why a history could not be read or recorded. Not about what the history says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The file could not be opened or read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file could not be created or written.
    #[error("cannot write {}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is no event, or contradicts another line.
    #[error("{}:{line}: {field}: {reason}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The field at fault, or `line`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
}
