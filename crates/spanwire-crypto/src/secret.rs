//! A string that must not be seen: hidden in `Debug`, wiped on drop, compared in constant time.
//!
//! It has no `Display`, no `Serialize` and no `PartialEq` on purpose: whoever needs the text writes
//! [`Secret::expose`], which is easy to find in a review. It does not encrypt anything in memory and
//! cannot wipe copies that others made.

use std::fmt;

use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A password, token or key as text.
///
/// A clone is a second copy, wiped on its own drop.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over `text`, without copying it.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Shows the text. Never pass the result to a log, an error or a metric.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Says whether `candidate` is this secret.
    ///
    /// The time taken depends on the two lengths only, never on the content. An empty secret matches
    /// nothing, not even an empty candidate: it means that no secret was set.
    #[must_use]
    pub fn matches(&self, candidate: &str) -> bool {
        let same = self.0.as_bytes().ct_eq(candidate.as_bytes());
        !self.0.is_empty() && bool::from(same)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_text_matches() {
        let cases = [
            ("hunter2", "hunter2", true),
            ("hunter2", "hunter3", false),
            ("hunter2", "hunter", false),
            ("hunter2", "hunter22", false),
            ("hunter2", "", false),
            ("zażółć", "zażółć", true),
        ];
        for (secret, candidate, expected) in cases {
            let matches = Secret::new(secret.to_owned()).matches(candidate);
            assert_eq!(matches, expected, "{secret} against {candidate}");
        }
    }

    #[test]
    fn an_empty_secret_matches_nothing() {
        let empty = Secret::new(String::new());
        assert!(!empty.matches(""));
        assert!(!empty.matches("x"));
    }

    #[test]
    fn debug_hides_the_text() {
        #[derive(Debug)]
        struct Login {
            #[expect(dead_code, reason = "read through Debug")]
            password: Secret,
        }
        let login = Login { password: Secret::new("hunter2".to_owned()) };
        assert_eq!(format!("{login:?}"), "Login { password: Secret(***) }");
    }

    #[test]
    fn it_is_read_from_a_string() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert!(serde_json::from_str::<Secret>("7").is_err());
    }
}
