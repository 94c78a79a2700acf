//! The errors of this crate, small per operation.
//!
//! Every text says what to do. None contains a secret, a key, or a part of one.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// The operating system gave no randomness.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RandomError {
    /// The system call failed.
    #[error(
        "the operating system gave no randomness ({reason}); \
         check that this process may use getrandom(2) or read /dev/urandom"
    )]
    Unavailable {
        /// What the operating system said.
        reason: String,
    },
}

/// A key ring could not be opened, created or rotated.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyRingError {
    /// The file or its folder could not be used.
    #[error("could not {action} {}; check that the folder exists and belongs to this user", path.display())]
    Io {
        /// What was being done, as a verb: `read`, `write`, …
        action: &'static str,
        /// The file or folder it was done to.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Other users of this machine can get at the keys.
    #[error(
        "{} is open to other users of this machine (mode {mode:03o}); run: chmod 600 {}",
        path.display(), path.display()
    )]
    OpenToOthers {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A later release wrote the file.
    #[error(
        "{} has key format {found} and this release reads up to {supported}; \
         use the release that wrote it, or a later one", path.display()
    )]
    NewerFormat {
        /// The key file.
        path: PathBuf,
        /// The version the file names.
        found: u64,
        /// The newest version this release reads.
        supported: u64,
    },
    /// The ring has as many keys as it may have.
    #[error(
        "{} has {keys} keys, which is the most: once nothing is encrypted with the oldest ones (a rotation encrypts \
         everything again), remove their lines while the server is stopped", path.display()
    )]
    Full {
        /// The key file.
        path: PathBuf,
        /// How many keys it has.
        keys: usize,
    },
    /// The file is not a key ring.
    #[error("{} line {line}: {problem}; restore the file from a backup", path.display())]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong with the line, without its content.
        problem: &'static str,
    },
    /// No key could be made.
    #[error("could not make a new key")]
    Random(#[from] RandomError),
}

/// A stored value could not be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecryptError {
    /// No key of the ring encrypted this value, or the value was changed since.
    #[error(
        "no key in the key ring decrypts this value; \
         restore the secret.key it was stored with, or enter the secret again"
    )]
    NoKeyFits,
}
