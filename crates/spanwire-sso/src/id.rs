//! Ids and tokens (reference sso 1.1): a prefix and 128 random bits in Crockford's base32, as a whole number.

use spanwire_crypto::{RandomError, Secret, random};

/// What user ids begin with.
pub(crate) const USER_PREFIX: &str = "zusr";
/// What session tokens begin with, before they are encrypted.
pub(crate) const SESSION_PREFIX: &str = "zust";
/// What keys for a new password begin with, before they are encrypted.
pub(crate) const RESET_KEY_PREFIX: &str = "zprtrkey";

/// A new id.
pub(crate) fn new_id(prefix: &str) -> Result<String, RandomError> {
    Ok(format!("{prefix}{}", crockford(u128::from_be_bytes(random::bytes()?))))
}

/// A new token, which nobody may see.
pub(crate) fn new_token(prefix: &str) -> Result<Secret, RandomError> {
    new_id(prefix).map(Secret::new)
}

fn crockford(mut number: u128) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.is_empty() {
        // Five bits, so that the index is within the alphabet.
        let digit = usize::try_from(number & 31).unwrap_or_default();
        digits.push(ALPHABET.get(digit).copied().unwrap_or(b'0'));
        number >>= 5;
    }
    digits.reverse();
    digits.into_iter().map(char::from).collect()
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_base_32_as_crockford_writes_them() {
        assert_eq!(crockford(0), "0");
        assert_eq!(crockford(31), "z");
        assert_eq!(crockford(32), "10");
        assert_eq!(crockford(1_234_567_890_123), "13xrzp16b");
        assert_eq!(crockford(u128::MAX).len(), 26);
    }

    #[test]
    fn ids_have_their_prefix_and_differ() {
        let ids: std::collections::HashSet<_> =
            (0..1_000).map(|_| new_id(USER_PREFIX).unwrap()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| id.starts_with("zusr") && id.len() <= 30));
    }
}
