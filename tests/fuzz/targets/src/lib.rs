//! Gives bytes from anywhere to everything that reads what strangers send.
//!
//! Each module is one target: `run` takes any bytes and panics when an invariant is broken. The
//! fuzzer in the folder above calls them with nightly; `tests/seeds.rs` runs the committed seeds on
//! stable.

pub mod config_bundle;
pub mod config_file;
mod envelope;
pub mod envelope_json;
pub mod envelope_msgpack;
pub mod forwarded;
pub mod password_hash;
pub mod proxy_header;
pub mod session_inputs;
pub mod stored_message;
pub mod topic_pattern;

/// What a target does with one input.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also the name of its binary and of its folder of seeds.
pub const TARGETS: &[(&str, Target)] = &[
    ("config_bundle", config_bundle::run),
    ("config_file", config_file::run),
    ("envelope_json", envelope_json::run),
    ("envelope_msgpack", envelope_msgpack::run),
    ("forwarded", forwarded::run),
    ("password_hash", password_hash::run),
    ("proxy_header", proxy_header::run),
    ("session_inputs", session_inputs::run),
    ("stored_message", stored_message::run),
    ("topic_pattern", topic_pattern::run),
];

/// Runs one input of the target with this name.
///
/// # Panics
/// When the input breaks an invariant of the target, or when there is no such target.
pub fn run(target: &str, bytes: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    assert!(found.is_some(), "no target is called {target}");
    if let Some((_, run)) = found {
        run(bytes);
    }
}
