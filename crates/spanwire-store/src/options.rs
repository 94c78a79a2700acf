//! How a store is opened: engine, cache, queue, and what is kept free.
//!
//! Plain values; nothing is checked here.

use std::fmt;

/// How a store is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The engine of a new store; an existing one must have been written by it. Default
    /// [`EngineKind::Sled`].
    pub engine: EngineKind,
    /// The engine's cache in bytes. Default 64 MiB; 64 to 128 MiB is sensible. With sled the process takes
    /// up to four times as much.
    pub cache_bytes: u64,
    /// How many batches may wait for the writer; a further one waits before it is queued. Default 1,024.
    pub queue: usize,
    /// What must stay free on the disk, in bytes. Default 32 MiB; 0 turns the check off.
    ///
    /// A batch with puts that would go into it is refused with [`StoreError::Full`], before it is tried and
    /// without harm. Batches of deletes only go on until an eighth of it is left, since deleting takes
    /// some room too. Reads are never refused. Systems other than Unix have no check.
    ///
    /// [`StoreError::Full`]: crate::StoreError::Full
    pub reserve_bytes: u64,
    /// When an open [rewrites](crate::rewrite()) the store by itself, for an engine that gives nothing back
    /// while it is open (sled). Default: the files take over 1 GiB and ten times what is stored.
    pub compact_when: Option<CompactWhen>,
}

/// When a store is rewritten as it is opened. Both must be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactWhen {
    /// Its files take more than this many bytes; below that an open does not look further.
    pub disk_bytes: u64,
    /// They take more than so many times the bytes of all keys and values, which takes reading them all.
    pub times_live: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            engine: EngineKind::Sled,
            cache_bytes: 64 * 1024 * 1024,
            queue: 1024,
            reserve_bytes: 32 * 1024 * 1024,
            compact_when: Some(CompactWhen { disk_bytes: 1024 * 1024 * 1024, times_live: 10 }),
        }
    }
}

/// The database underneath.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EngineKind {
    /// sled 0.34: a log, fast for a few writers. It hardly gives space back and opens at once.
    Sled,
    /// redb 4: one file, far less memory, gives space back when asked. Each open reads the whole file and
    /// checks every page of it.
    Redb,
}

impl EngineKind {
    /// Its name on disk and in settings: `sled`, `redb`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        }
    }

    /// The engine of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sled, Self::Redb].into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
