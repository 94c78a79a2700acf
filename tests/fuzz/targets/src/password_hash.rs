//! Hashes of passwords from other systems, and keys of authenticator apps, which files of users have.

use spanwire_crypto::{Secret, password, totp};

/// Reads the text as a hash and as a key.
///
/// # Panics
/// When a hash that is taken cannot be verified, or when a key that is taken has no code.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let hash = Secret::new(text.to_owned());
    // Only what takes no time: how long a hash may take is what `check` bounds.
    let is_cheap = text.len() < 400 && !text.starts_with("$argon2") && !text.starts_with("$2");
    let rounds = text.split('$').nth(2).and_then(|rounds| rounds.parse::<u32>().ok());
    if password::check(&hash).is_ok() && is_cheap && rounds.is_some_and(|rounds| rounds <= 1_000) {
        let verified = password::verify(&Secret::new("a password".to_owned()), &hash);
        assert!(verified.is_ok(), "{verified:?}");
    }
    if let Some(key) = totp::canonical_key(text) {
        assert!(totp::code(&key, 1).is_some_and(|code| code.len() == 6));
        assert_eq!(
            totp::canonical_key(key.expose()).map(|it| it.expose().to_owned()).as_deref(),
            Some(key.expose())
        );
    }
    let _ = totp::matching_step(&hash, text, u64::MAX, 1);
}
