//! Secrets of the Spanwire server.
//!
//! | Module / type | What it is |
//! |---|---|
//! | [`Secret`] | a string that is never printed, is wiped on drop and compared in constant time |
//! | [`random`] | bytes, tokens and passwords from the operating system's randomness |
//! | [`KeyRing`] | the file `secret.key`: encrypts secrets at rest, decrypts with any key, rotates |
//! | [`RandomError`], [`KeyRingError`], [`DecryptError`] | what can go wrong, and what to do about it |
//!
//! It does not hash passwords, knows no users or sessions, and never logs.
//!
//! **Invariant:** no `Debug`, `Display` or error text of this crate contains a secret or a key.
//!
//! ```
//! use spanwire_crypto::{KeyRing, random};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let ring = KeyRing::open_or_create(folder.path().join("secret.key"))?;
//! let password = random::password()?;
//! let stored = ring.encrypt(password.expose().as_bytes());
//!
//! ring.rotate()?; // a new newest key; what the old one encrypted stays readable
//! let plain = String::from_utf8(ring.decrypt(&stored)?)?;
//! assert!(password.matches(&plain));
//! assert_eq!(format!("{password:?}"), "Secret(***)");
//! # Ok(())
//! # }
//! ```
//!
//! The crate has no Cargo features.

mod error;
mod key_ring;
mod keyed;
pub mod password;
mod private_file;
pub mod random;
mod secret;
pub mod throttle;
pub mod totp;

pub use error::{DecryptError, KeyRingError, RandomError};
pub use key_ring::KeyRing;
pub use keyed::DigestKey;
pub use secret::Secret;
