//! A secret text that does not show itself: masked in `Debug` and when serialised.
//!
//! It is not encrypted in memory; its memory is overwritten when it is dropped.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// What stands in the place of a secret wherever objects are shown.
pub const MASK: &str = "***";

/// A password or another secret of an object.
///
/// `Debug` and `Serialize` give [`MASK`]; [`Password::reveal`] is the only way to the text. Equality
/// is for finding changes in configuration and takes time that depends on the contents: it is not
/// for checking what a client sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// Returns the secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_show_itself() {
        let password = Password::new("s3cret");
        assert_eq!(format!("{password:?}"), MASK);
        assert_eq!(serde_json::to_string(&password).unwrap(), "\"***\"");
        assert_eq!(password.reveal(), "s3cret");
    }
}
