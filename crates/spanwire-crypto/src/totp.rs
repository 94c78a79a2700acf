//! Time-based one-time passwords (RFC 6238): HMAC-SHA-1, six digits, steps of 30 seconds, as authenticator apps do it.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac as _};
use subtle::ConstantTimeEq as _;

use crate::{RandomError, Secret, random};

/// Makes a key of 160 bits, the length that RFC 4226 recommends, in base32.
///
/// # Errors
/// [`RandomError`] when the operating system gives no randomness.
pub fn new_key() -> Result<Secret, RandomError> {
    Ok(Secret::new(BASE32_NOPAD.encode(&random::bytes::<20>()?)))
}

/// A key as people and programs write it: base32 in either case, with spaces, dashes and padding. `None` if it is none,
/// or shorter than 80 bits.
#[must_use]
pub fn canonical_key(text: &str) -> Option<Secret> {
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '='))
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let bytes = BASE32_NOPAD.decode(plain.as_bytes()).ok()?;
    (10..=128).contains(&bytes.len()).then(|| Secret::new(plain))
}

/// The step that a time belongs to, in seconds since 1970.
#[must_use]
pub fn step(seconds: u64) -> u64 {
    seconds / STEP
}

/// The step for which a code is right: this one, or one of `window` before or after. `None` when it is wrong, or no code
/// at all. All steps are compared, so that time tells nothing.
#[must_use]
pub fn matching_step(key: &Secret, code: &str, now: u64, window: u64) -> Option<u64> {
    let bytes = BASE32_NOPAD.decode(key.expose().as_bytes()).ok()?;
    let is_code = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    let mut found = None;
    for step in now.saturating_sub(window)..=now.saturating_add(window) {
        let matches = bool::from(code_at(&bytes, step).as_bytes().ct_eq(code.as_bytes()));
        if matches && is_code {
            found = Some(step);
        }
    }
    found
}

/// The code of a step.
#[must_use]
pub fn code(key: &Secret, step: u64) -> Option<String> {
    let bytes = BASE32_NOPAD.decode(key.expose().as_bytes()).ok()?;
    Some(code_at(&bytes, step))
}

fn code_at(key: &[u8], step: u64) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<sha1::Sha1>::new_from_slice(key) else { return String::new() };
    mac.update(&step.to_be_bytes());
    let hash: [u8; 20] = mac.finalize().into_bytes().into();
    // RFC 4226, 5.3: four bytes, from where the last one points.
    let offset = usize::from(hash.last().copied().unwrap_or_default() & 0xf);
    let four =
        hash.iter().skip(offset).take(4).fold(0_u32, |all, byte| (all << 8) | u32::from(*byte));
    format!("{:06}", (four & 0x7fff_ffff) % 1_000_000)
}

const STEP: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the last six of its eight digits.
    #[test]
    fn the_vectors_of_the_standard() {
        let key = Secret::new(BASE32_NOPAD.encode(b"12345678901234567890"));
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(&key, step(seconds)).unwrap(), expected);
            assert_eq!(matching_step(&key, expected, step(seconds), 0), Some(step(seconds)));
        }
    }

    #[test]
    fn a_code_counts_within_its_window_only() {
        let key = new_key().unwrap();
        let right = code(&key, 1_000).unwrap();
        for (now, found) in [
            (998, None),
            (999, Some(1_000)),
            (1_000, Some(1_000)),
            (1_001, Some(1_000)),
            (1_002, None),
        ] {
            // A neighbour may have the same code, once in a million.
            if code(&key, 999) != code(&key, 1_000) && code(&key, 1_001) != code(&key, 1_000) {
                assert_eq!(matching_step(&key, &right, now, 1), found, "{now}");
            }
        }
        for odd in ["", "12345", "1234567", " 12345", "１２３４５６", "-12345", "12345\0"] {
            assert_eq!(matching_step(&key, odd, 1_000, 1), None, "{odd:?}");
        }
    }

    #[test]
    fn keys_are_read_as_people_write_them() {
        assert_eq!(canonical_key("jbsw y3dp-EHPK 3PXP==").unwrap().expose(), "JBSWY3DPEHPK3PXP");
        for odd in ["", "x", "JBSWY3DP", "JBSWY3DPEHPK3PX1", "żółć"] {
            assert!(canonical_key(odd).is_none(), "{odd}");
        }
        assert_eq!(new_key().unwrap().expose().len(), 32);
    }
}
