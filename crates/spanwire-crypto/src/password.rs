//! Password hashes: made with one scheme, verified in any that is known.
//!
//! The text of a hash says everything that verifying needs, so that settings can change without breaking what is stored:
//!
//! | scheme | text |
//! |---|---|
//! | PBKDF2-HMAC-SHA512 | `$pbkdf2-sha512$ROUNDS$SALT$DIGEST`, as passlib writes it (reference sso 4.2); also `-sha256` and SHA-1 |
//! | Argon2 (RFC 9106) | `$argon2id$v=19$m=…,t=…,p=…$SALT$DIGEST` (PHC string format) |
//! | bcrypt | `$2a$`, `$2b$`, `$2y$`; verified only |
//!
//! Hashing is slow on purpose: keep it off threads that others wait for.

mod pbkdf2;

use std::time::{Duration, Instant};

use argon2::password_hash::{PasswordHash as PhcHash, PasswordHasher as _, SaltString};
use argon2::{Algorithm, Argon2, Params, PasswordVerifier as _, Version};
use base64::Engine as _;
use thiserror::Error;

use crate::{RandomError, Secret, random};

/// How new hashes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// PBKDF2-HMAC-SHA512 (RFC 8018).
    Pbkdf2Sha512 {
        /// Iterations.
        rounds: u32,
        /// Bytes of salt.
        salt_size: usize,
    },
    /// Argon2id (RFC 9106).
    Argon2id {
        /// Memory, in KiB.
        memory_kib: u32,
        /// Passes over the memory.
        passes: u32,
    },
}

/// A hash could not be made, or cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashError {
    /// There is no randomness for a salt.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The text is no hash of a known scheme.
    #[error(
        "this is no password hash of a known scheme: use $pbkdf2-sha512$, $pbkdf2-sha256$, $pbkdf2$, $argon2id$ or $2b$"
    )]
    Unknown,
    /// Verifying it would take more time or memory than anybody should be able to ask for.
    #[error("the hash asks for more work than is allowed: {what}")]
    TooExpensive {
        /// What is too much, and what is allowed.
        what: &'static str,
    },
    /// The scheme's numbers are out of range.
    #[error("the settings of password hashes are out of range")]
    Settings,
}

impl Scheme {
    /// Hashes a password with a new salt.
    ///
    /// # Errors
    /// [`HashError`] when there is no randomness, or when the numbers of the scheme are out of range.
    pub fn hash(self, password: &Secret) -> Result<Secret, HashError> {
        match self {
            Self::Pbkdf2Sha512 { rounds, salt_size } => pbkdf2::hash(password, rounds, salt_size),
            Self::Argon2id { memory_kib, passes } => {
                let salt = random::bytes::<16>()?;
                let salt = SaltString::encode_b64(&salt).map_err(|_| HashError::Settings)?;
                let hasher = argon2id(memory_kib, passes)?;
                let hash = hasher.hash_password(password.expose().as_bytes(), &salt);
                Ok(Secret::new(hash.map_err(|_| HashError::Settings)?.to_string()))
            }
        }
    }

    /// A hash that no password has, and that takes as long to verify as one of these settings. Making it takes no time.
    ///
    /// # Errors
    /// As [`hash`](Self::hash).
    pub fn decoy(self) -> Result<Secret, HashError> {
        match self {
            Self::Pbkdf2Sha512 { rounds, salt_size } => pbkdf2::decoy(rounds, salt_size),
            Self::Argon2id { memory_kib, passes } => {
                argon2id(memory_kib, passes)?;
                let base64 = base64::engine::general_purpose::STANDARD_NO_PAD;
                let (salt, digest) = (random::bytes::<16>()?, random::bytes::<32>()?);
                let (salt, digest) = (base64.encode(salt), base64.encode(digest));
                Ok(Secret::new(format!(
                    "$argon2id$v=19$m={memory_kib},t={passes},p=1${salt}${digest}"
                )))
            }
        }
    }

    /// Whether a hash was made with exactly these settings.
    #[must_use]
    pub fn made(self, hash: &Secret) -> bool {
        match self {
            Self::Pbkdf2Sha512 { rounds, salt_size } => pbkdf2::Parsed::read(hash.expose())
                .is_ok_and(|hash| hash.is_made_with(rounds, salt_size)),
            Self::Argon2id { memory_kib, passes } => {
                let Ok(hash) = PhcHash::new(hash.expose()) else { return false };
                let params = Params::try_from(&hash);
                let same =
                    |params: Params| params.m_cost() == memory_kib && params.t_cost() == passes;
                hash.algorithm.as_str() == "argon2id" && params.is_ok_and(same)
            }
        }
    }

    /// How long one hash takes on this machine: the shortest of a few, because others use the machine, too.
    ///
    /// # Errors
    /// As [`hash`](Self::hash).
    pub fn measure(self, times: u32) -> Result<Duration, HashError> {
        let password = random::password()?;
        let mut shortest = Duration::MAX;
        for _ in 0..times.max(1) {
            let begun = Instant::now();
            self.hash(&password)?;
            shortest = shortest.min(begun.elapsed());
        }
        Ok(shortest)
    }
}

/// Whether a password belongs to a hash. The time it takes depends on the hash's settings alone.
///
/// # Errors
/// [`HashError::Unknown`] and [`HashError::TooExpensive`], as [`check`].
pub fn verify(password: &Secret, hash: &Secret) -> Result<bool, HashError> {
    check(hash)?;
    let (password, text) = (password.expose().as_bytes(), hash.expose());
    match Family::of(text)? {
        Family::Pbkdf2 => Ok(pbkdf2::Parsed::read(text)?.matches(password)),
        Family::Argon2 => {
            let parsed = PhcHash::new(text).map_err(|_| HashError::Unknown)?;
            Ok(Argon2::default().verify_password(password, &parsed).is_ok())
        }
        // What is beyond 72 bytes never counted there.
        Family::Bcrypt => bcrypt::verify(password, text).map_err(|_| HashError::Unknown),
    }
}

/// Whether a hash from elsewhere can be kept: its scheme is known, and verifying it is not too expensive.
///
/// # Errors
/// [`HashError::Unknown`] or [`HashError::TooExpensive`].
pub fn check(hash: &Secret) -> Result<(), HashError> {
    let text = hash.expose();
    match Family::of(text)? {
        Family::Pbkdf2 => pbkdf2::Parsed::read(text).map(drop),
        Family::Argon2 => {
            let parsed = PhcHash::new(text).map_err(|_| HashError::Unknown)?;
            let params = Params::try_from(&parsed).map_err(|_| HashError::Unknown)?;
            if parsed.hash.is_none() || parsed.salt.is_none() {
                return Err(HashError::Unknown);
            }
            if params.m_cost() > MOST_MEMORY_KIB || params.t_cost() > 100 || params.p_cost() > 16 {
                return Err(HashError::TooExpensive {
                    what: "Argon2 takes at most 1 GiB, 100 passes and 16 lanes",
                });
            }
            Ok(())
        }
        Family::Bcrypt => {
            let cost = text.split('$').nth(2).and_then(|cost| cost.parse::<u32>().ok());
            match cost {
                Some(4..=16) if text.len() == 60 => Ok(()),
                Some(17..) => {
                    Err(HashError::TooExpensive { what: "bcrypt takes a cost of at most 16" })
                }
                _ => Err(HashError::Unknown),
            }
        }
    }
}

enum Family {
    Pbkdf2,
    Argon2,
    Bcrypt,
}

impl Family {
    fn of(text: &str) -> Result<Self, HashError> {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
        if starts(&["$pbkdf2-sha512$", "$pbkdf2-sha256$", "$pbkdf2$"]) {
            Ok(Self::Pbkdf2)
        } else if starts(&["$argon2id$", "$argon2i$", "$argon2d$"]) {
            Ok(Self::Argon2)
        } else if starts(&["$2a$", "$2b$", "$2y$"]) {
            Ok(Self::Bcrypt)
        } else {
            Err(HashError::Unknown)
        }
    }
}

fn argon2id(memory_kib: u32, passes: u32) -> Result<Argon2<'static>, HashError> {
    if memory_kib > MOST_MEMORY_KIB {
        return Err(HashError::Settings);
    }
    let params = Params::new(memory_kib, passes, 1, None).map_err(|_| HashError::Settings)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

const MOST_MEMORY_KIB: u32 = 1024 * 1024;

#[cfg(test)]
mod tests;
