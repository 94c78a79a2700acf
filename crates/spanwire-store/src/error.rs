//! The errors of this crate: an enum each for opening a store, using it, exporting and importing it.
//!
//! Every text says what to do. None contains a stored value.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::EngineKind;

/// A store could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another part of this one, has the store open.
    #[error(
        "{} is in use by {holder}; stop that process first, or choose another data folder",
        dir.display()
    )]
    Locked {
        /// The folder of the store.
        dir: PathBuf,
        /// Who holds it, as far as known: `process 4711`.
        holder: String,
    },
    /// A later release wrote the store.
    #[error(
        "{} has store format {found} and this release reads up to {supported}; \
         use the release that wrote it, or a later one", dir.display()
    )]
    NewerFormat {
        /// The folder of the store.
        dir: PathBuf,
        /// The version found.
        found: u64,
        /// The newest version this release reads.
        supported: u64,
    },
    /// The store belongs to an engine this release does not have.
    #[error(
        "{} was written by the storage engine {engine:?}, which this release does not have; \
         use the release that wrote it, or export there and import here", dir.display()
    )]
    OtherEngine {
        /// The folder of the store.
        dir: PathBuf,
        /// The name of the engine.
        engine: String,
    },
    /// The store belongs to another engine than the options chose.
    #[error(
        "{} was written by the storage engine {found} and {chosen} is chosen; \
         choose {found}, or rewrite the store for {chosen} while no server uses it, \
         or export there and import into a new folder", dir.display()
    )]
    WrongEngine {
        /// The folder of the store.
        dir: PathBuf,
        /// The engine that wrote it.
        found: EngineKind,
        /// The engine that was asked for.
        chosen: EngineKind,
    },
    /// The store is damaged.
    #[error(
        "the store in {} is damaged ({reason}); move the folder aside, start with an empty one \
         and restore an export or a backup", dir.display()
    )]
    Corrupt {
        /// The folder of the store.
        dir: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The folder or a file in it could not be used.
    #[error(
        "could not {action} {}; check that it belongs to this user and that the disk has room",
        path.display()
    )]
    Io {
        /// What was being done, as a verb: `create`, `read`, …
        action: &'static str,
        /// The file or folder it was done to.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A read or a commit failed.
///
/// It can be cloned because the commits that shared a flush share its failure.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The caller's batch or key breaks a limit; nothing of it was written.
    #[error("{what} has {size} bytes, allowed are {least} to {most}; split it or shorten it")]
    Size {
        /// What is too short or too long: `a key`, …
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The least bytes allowed.
        least: usize,
        /// The most bytes allowed.
        most: usize,
    },
    /// The disk is nearly full and this batch was not written. The store is unharmed: it accepts writes
    /// again as soon as there is room.
    #[error(
        "the disk of the store has {available} bytes left and this write needs {needed} with the \
         reserve; free some space there or delete what is no longer needed"
    )]
    Full {
        /// What was free, in bytes.
        available: u64,
        /// What must be free, in bytes: the reserve and what the write takes.
        needed: u64,
    },
    /// An earlier or this write did not reach the disk, and the store accepts no more.
    ///
    /// The commit that met the failure may or may not be found after a restart.
    #[error(
        "the store refuses writes because one did not reach the disk ({why}); \
         repair or free the disk and restart: what was acknowledged before is kept"
    )]
    Poisoned {
        /// What failed first.
        why: String,
    },
    /// The engine cannot do this.
    #[error("{what}")]
    Unsupported {
        /// What it cannot do, and what to do instead.
        what: &'static str,
    },
    /// Something else that is going on is in the way.
    #[error("{why}; try again later")]
    Busy {
        /// What it is.
        why: &'static str,
    },
    /// A stored value is not what was written.
    #[error(
        "the value of key {key} in tree {tree} is damaged ({reason}); \
         delete or write it again, or restore an export or a backup"
    )]
    Corrupt {
        /// The tree.
        tree: &'static str,
        /// The start of the key, in hexadecimal.
        key: String,
        /// What was found.
        reason: &'static str,
    },
    /// The engine could not read.
    #[error(
        "the store could not be read ({why}); if a restart does not help, \
         move its folder aside and restore an export or a backup"
    )]
    Read {
        /// What the engine said.
        why: String,
    },
}

/// A store could not be exported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// An entry could not be read.
    #[error("the store could not be exported as a whole")]
    Read(#[source] StoreError),
    /// The export could not be written.
    #[error("the export could not be written; check that its disk has room")]
    Write(#[source] io::Error),
}

/// An export could not be imported; there is no store in the folder then.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is something in the folder already.
    #[error("{} has a store in it; import into a new folder", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// The export is not what was written.
    #[error(
        "the export is damaged at byte {place}, after {entries} entries ({reason}); \
         nothing was imported: fetch it again, or take an earlier one"
    )]
    Damaged {
        /// How many bytes were read up to there.
        place: u64,
        /// How many entries before it are sound.
        entries: u64,
        /// What was found.
        reason: &'static str,
    },
    /// The export could not be read.
    #[error("the export could not be read")]
    Read(#[source] io::Error),
    /// The new store could not be written.
    #[error("the new store could not be written")]
    Open(#[from] OpenError),
}
