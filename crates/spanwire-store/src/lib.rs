//! Embedded storage: batches of writes to named trees, on disk when the commit returns.
//!
//! | Module / type | What it is |
//! |---|---|
//! | [`KeyValue`] | the face: get, scan, submit, commit, health; object-safe, the same above every engine |
//! | [`Batch`] | writes to any number of trees that are applied as a whole |
//! | [`Store`] | the durable implementation: folder, lock, format version, writer thread, engine |
//! | [`Options`], [`EngineKind`] | how it is opened, and what is underneath |
//! | [`MemoryStore`] | the same in memory, for tests and for what need not survive |
//! | [`rewrite()`] | a store copied into fresh files, to shrink it or to change its engine |
//! | [`Store::export`], [`import`] | all entries as one stream with checksums, the same for every engine |
//! | `testing` | the suite every implementation passes (feature `testing`) |
//!
//! Inside: `writer` (the one thread that writes, group commit), `engine` (what an engine must do),
//! `sled_engine` (sled 0.34 by the rules that make it durable), `redb_engine` (redb 4), `record` (the form of a stored value),
//! `space` (room on the disk), `folder` (lock and format of the data folder).
//!
//! It does not know what is stored, has no queries beyond key prefixes, no expiry and no async: **every
//! call blocks**, reads on a cold cache included, so async callers use `spawn_blocking`. Use one store
//! for messages and another for users and configuration: an engine has one log for all its trees.
//!
//! **Invariant:** a forced batch that was answered with `Ok` is on the device, and so is every batch
//! before it; after one failed flush there is never another `Ok`.
//!
//! ```
//! use spanwire_store::{Batch, KeyValue, Options, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let store = Store::open(&folder.path().join("config"), Options::default())?;
//! let mut batch = Batch::new();
//! batch.put("user", b"u1", "{…}").put("user_name", b"ada", "u1");
//! store.commit(batch)?; // both on disk, or neither
//!
//! assert_eq!(store.get("user_name", b"ada")?.as_deref(), Some(&b"u1"[..]));
//! assert_eq!(store.scan("user_name", b"a")?.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Cargo features: `testing` (off by default) adds the module `testing`.

mod batch;
mod engine;
mod error;
mod folder;
mod key_value;
mod memory;
mod options;
mod record;
mod redb_engine;
mod rewrite;
mod sled_engine;
mod space;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transfer;
mod writer;

pub use batch::{Batch, MAX_BATCH_BYTES, MAX_KEY_BYTES, MAX_TREE_NAME_BYTES};
pub use error::{ExportError, ImportError, OpenError, StoreError};
pub use key_value::{Compaction, Done, Durability, Entry, Health, KeyValue};
pub use memory::MemoryStore;
pub use options::{CompactWhen, EngineKind, Options};
pub use rewrite::rewrite;
pub use store::Store;
pub use transfer::{Transfer, import};
