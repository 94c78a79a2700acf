//! Keyed digests (HMAC-SHA-256): what is looked up by a secret is stored under its digest, and who reads the store without
//! the key can neither use what is there nor try guesses on it.

use hmac::{Hmac, Mac as _};
use zeroize::Zeroizing;

use crate::{RandomError, random};

/// A key for digests, 32 bytes.
#[derive(Clone)]
pub struct DigestKey(Zeroizing<[u8; 32]>);

impl DigestKey {
    /// A new one.
    ///
    /// # Errors
    /// [`RandomError`] when the operating system gives no randomness.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self(Zeroizing::new(random::bytes()?)))
    }

    /// One that was kept; `None` if it is not 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// To be kept, encrypted.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The digest of a value for a purpose: the same value has another one for each purpose.
    #[must_use]
    pub fn digest(&self, purpose: &str, value: &[u8]) -> [u8; 32] {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(self.0.as_slice()) else {
            return [0; 32];
        };
        // The length of the purpose first, so that no two pairs are the same bytes.
        mac.update(&(purpose.len() as u64).to_be_bytes());
        mac.update(purpose.as_bytes());
        mac.update(value);
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DigestKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_depends_on_key_purpose_and_value() {
        let key = DigestKey::generate().unwrap();
        let same = DigestKey::from_bytes(key.expose()).unwrap();
        let digest = key.digest("session", b"x");
        assert_eq!(digest, same.digest("session", b"x"));
        assert_ne!(digest, key.digest("reset", b"x"));
        assert_ne!(digest, key.digest("session", b"y"));
        assert_ne!(key.digest("a", b"bc"), key.digest("ab", b"c"));
        assert_ne!(digest, DigestKey::generate().unwrap().digest("session", b"x"));
        assert!(DigestKey::from_bytes(&[0; 31]).is_none());
        assert_eq!(format!("{key:?}"), "DigestKey(***)");
    }
}
