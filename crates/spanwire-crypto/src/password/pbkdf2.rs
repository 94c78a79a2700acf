//! PBKDF2 in passlib's modular-crypt text, with its own base64: `.` for `+`, no padding.

use base64::Engine as _;
use base64::alphabet::Alphabet;
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};
use hmac::Hmac;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::HashError;
use crate::{Secret, random};

pub(super) fn hash(password: &Secret, rounds: u32, salt_size: usize) -> Result<Secret, HashError> {
    if !(1..=MOST_ROUNDS).contains(&rounds) || !(1..=MOST_SALT).contains(&salt_size) {
        return Err(HashError::Settings);
    }
    let salt = random::bytes::<MOST_SALT>()?;
    let salt = salt.get(..salt_size).unwrap_or_default();
    let hash = Parsed { digest: Digest::Sha512, rounds, salt: salt.to_vec(), expected: Vec::new() };
    let derived = hash.derive(password.expose().as_bytes(), Digest::Sha512.bytes());
    let engine = engine()?;
    let (salt, derived) = (engine.encode(salt), Zeroizing::new(engine.encode(&*derived)));
    Ok(Secret::new(format!("$pbkdf2-sha512${rounds}${salt}${}", &*derived)))
}

/// As [`hash`], with a digest that was drawn.
pub(super) fn decoy(rounds: u32, salt_size: usize) -> Result<Secret, HashError> {
    if !(1..=MOST_ROUNDS).contains(&rounds) || !(1..=MOST_SALT).contains(&salt_size) {
        return Err(HashError::Settings);
    }
    let (salt, digest) = (random::bytes::<MOST_SALT>()?, random::bytes::<64>()?);
    let engine = engine()?;
    let salt = engine.encode(salt.get(..salt_size).unwrap_or_default());
    Ok(Secret::new(format!("$pbkdf2-sha512${rounds}${salt}${}", engine.encode(digest))))
}

/// The parts of a hash's text.
pub(super) struct Parsed {
    digest: Digest,
    rounds: u32,
    salt: Vec<u8>,
    expected: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

impl Digest {
    fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl Parsed {
    pub(super) fn read(text: &str) -> Result<Self, HashError> {
        let mut parts = text.split('$').skip(1);
        let mut next = || parts.next().ok_or(HashError::Unknown);
        let digest = match next()? {
            "pbkdf2-sha512" => Digest::Sha512,
            "pbkdf2-sha256" => Digest::Sha256,
            "pbkdf2" => Digest::Sha1,
            _ => return Err(HashError::Unknown),
        };
        let rounds: u32 = next()?.parse().map_err(|_| HashError::Unknown)?;
        let engine = engine()?;
        // passlib reads the usual alphabet as well.
        let decode =
            |text: &str| engine.decode(text.replace('+', ".")).map_err(|_| HashError::Unknown);
        let (salt, expected) = (decode(next()?)?, decode(next()?)?);
        if next().is_ok() || rounds == 0 || expected.len() != digest.bytes() {
            return Err(HashError::Unknown);
        }
        if rounds > MOST_ROUNDS || salt.len() > MOST_SALT {
            return Err(HashError::TooExpensive {
                what: "PBKDF2 takes at most 20,000,000 rounds and 1,024 bytes of salt",
            });
        }
        Ok(Self { digest, rounds, salt, expected })
    }

    pub(super) fn is_made_with(&self, rounds: u32, salt_size: usize) -> bool {
        self.digest == Digest::Sha512 && self.rounds == rounds && self.salt.len() == salt_size
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        self.derive(password, self.expected.len()).ct_eq(&self.expected).into()
    }

    fn derive(&self, password: &[u8], bytes: usize) -> Zeroizing<Vec<u8>> {
        let mut derived = Zeroizing::new(vec![0; bytes]);
        // It fails for keys of a length that HMAC does not take, and HMAC takes all.
        let _ = match self.digest {
            Digest::Sha1 => {
                pbkdf2::pbkdf2::<Hmac<sha1::Sha1>>(password, &self.salt, self.rounds, &mut derived)
            }
            Digest::Sha256 => pbkdf2::pbkdf2::<Hmac<sha2::Sha256>>(
                password,
                &self.salt,
                self.rounds,
                &mut derived,
            ),
            Digest::Sha512 => pbkdf2::pbkdf2::<Hmac<sha2::Sha512>>(
                password,
                &self.salt,
                self.rounds,
                &mut derived,
            ),
        };
        derived
    }
}

fn engine() -> Result<GeneralPurpose, HashError> {
    let alphabet =
        Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./");
    Ok(GeneralPurpose::new(&alphabet.map_err(|_| HashError::Settings)?, NO_PAD))
}

const MOST_ROUNDS: u32 = 20_000_000;
const MOST_SALT: usize = 1_024;
