//! Bundles of files, as the admin API takes them.

use spanwire_config::{Bundle, Existing, MAX_PROBLEMS, import_bundle};

/// Imports the bytes as a bundle in JSON.
///
/// # Panics
/// When a refusal names no problem or too many, or when the same bundle is read differently a second time.
pub fn run(bytes: &[u8]) {
    let Ok(bundle) = serde_json::from_slice::<Bundle>(bytes) else { return };
    let first = import_bundle(&bundle, Existing::nothing());
    if let Err(problems) = &first {
        assert!((1..=MAX_PROBLEMS).contains(&problems.len()), "{} problems", problems.len());
    }
    assert_eq!(first, import_bundle(&bundle, Existing::nothing()));
}
