//! Bytes, tokens and passwords from the operating system's randomness.
//!
//! Nothing here keeps a state or falls back to a weaker source: without randomness there is an error.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use crate::{RandomError, Secret};

/// Returns `N` random bytes.
///
/// # Errors
///
/// [`RandomError`] when the operating system gives no randomness.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut buffer = [0; N];
    fill(&mut buffer)?;
    Ok(buffer)
}

/// Returns `bytes` random bytes as lowercase hexadecimal digits, two for each byte.
///
/// Use at least 16 (128 bits) for anything that grants access.
///
/// # Errors
///
/// [`RandomError`] when the operating system gives no randomness.
pub fn hex_token(bytes: usize) -> Result<Secret, RandomError> {
    let mut buffer = Zeroizing::new(vec![0; bytes]);
    fill(&mut buffer)?;
    // All the room at once: growing would leave unwiped copies behind.
    let mut text = String::with_capacity(bytes * 2);
    for byte in buffer.iter() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(Secret::new(text))
}

/// Returns a password of 24 characters, 138 bits, that can be read aloud and typed.
///
/// Letters and digits only, without those that are taken for each other: `0 O o`, `1 I i l`.
///
/// # Errors
///
/// [`RandomError`] when the operating system gives no randomness.
pub fn password() -> Result<Secret, RandomError> {
    // All the room at once: growing would leave unwiped copies behind.
    let mut text = String::with_capacity(PASSWORD_LENGTH);
    while text.len() < PASSWORD_LENGTH {
        let batch = Zeroizing::new(bytes::<32>()?);
        let characters = batch.iter().filter_map(|byte| character(*byte));
        text.extend(characters.take(PASSWORD_LENGTH - text.len()));
    }
    Ok(Secret::new(text))
}

/// Maps a random byte to a character, or to none where the mapping would prefer some characters.
fn character(byte: u8) -> Option<char> {
    let byte = usize::from(byte);
    let fair = 256 - 256 % ALPHABET.len();
    if byte >= fair {
        return None;
    }
    ALPHABET.get(byte % ALPHABET.len()).copied().map(char::from)
}

fn fill(buffer: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(buffer).map_err(|error| RandomError::Unavailable { reason: error.to_string() })
}

const ALPHABET: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz";
const PASSWORD_LENGTH: usize = 24;

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn bytes_differ_from_call_to_call() {
        assert_ne!(bytes::<32>().unwrap(), bytes::<32>().unwrap());
    }

    #[test]
    fn a_hex_token_has_two_digits_for_each_byte() {
        for length in [0, 1, 16, 33] {
            let token = hex_token(length).unwrap();
            assert_eq!(token.expose().len(), length * 2);
            assert!(
                token.expose().bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            );
        }
    }

    #[test]
    fn the_alphabet_gives_128_bits_and_has_no_lookalikes() {
        let distinct: HashSet<_> = ALPHABET.iter().collect();
        assert_eq!(distinct.len(), ALPHABET.len());
        assert!(ALPHABET.iter().all(|c| !b"0Oo1Iil".contains(c)));
        let bits = f64::from(u32::try_from(ALPHABET.len()).unwrap()).log2() * 24.0;
        assert!(bits >= 128.0, "{bits}");
    }

    #[test]
    fn passwords_have_24_characters_and_differ() {
        let passwords: HashSet<_> =
            (0..200).map(|_| password().unwrap().expose().to_owned()).collect();
        assert_eq!(passwords.len(), 200);
        for password in passwords {
            assert_eq!(password.len(), 24);
            assert!(password.bytes().all(|c| ALPHABET.contains(&c)));
        }
    }

    #[test]
    fn every_character_is_as_likely_as_any_other() {
        let mut count: HashMap<char, usize> = HashMap::new();
        for character in (0..=u8::MAX).filter_map(character) {
            *count.entry(character).or_default() += 1;
        }
        assert_eq!(count.len(), ALPHABET.len());
        assert!(count.values().all(|n| *n == 256 / ALPHABET.len()));
    }
}
