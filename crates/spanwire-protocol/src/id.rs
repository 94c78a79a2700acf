//! Identifiers of wsx-protocol 2.5, made from random bytes that the caller brings.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The id of one call or one message of the server: 24 lowercase hexadecimal digits.
///
/// Held inline, because one is made for every message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CorrelationId([u8; 24]);

impl CorrelationId {
    /// Makes an id from twelve random bytes. They need to be unique, not secret.
    #[must_use]
    pub fn from_random(random: [u8; 12]) -> Self {
        let mut digits = [0; 24];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(random) {
            pair.copy_from_slice(&hex_pair(byte));
        }
        Self(digits)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ever made of ASCII digits.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Reads an id that this server made; `None` when the text cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 24] = text.as_bytes().try_into().ok()?;
        digits.iter().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(digits))
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The id of one connection, new on each connect: `ws.` and 24 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(transparent)]
pub struct ConnectionId(String);

impl ConnectionId {
    /// Makes an id from twelve random bytes.
    #[must_use]
    pub fn from_random(random: [u8; 12]) -> Self {
        Self::from_correlation_id(CorrelationId::from_random(random))
    }

    /// Makes an id that repeats the digits of a correlation id.
    #[must_use]
    pub fn from_correlation_id(id: CorrelationId) -> Self {
        Self(format!("ws.{id}"))
    }

    /// Takes an id as somebody gave it, to look a connection up.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The secret that a client presents with each message of its session: `zwsxt.` and 32 hexadecimal digits, 128 bits.
///
/// [`Debug`] does not show it.
#[derive(Clone)]
pub struct SessionToken(String);

impl SessionToken {
    /// Makes a token. The bytes must come from the operating system's random source.
    #[must_use]
    pub fn from_random(random: [u8; 16]) -> Self {
        let mut token = String::with_capacity(TOKEN_PREFIX.len() + 32);
        token.push_str(TOKEN_PREFIX);
        for byte in random {
            token.extend(hex_pair(byte).map(char::from));
        }
        Self(token)
    }

    /// The token as it goes over the wire.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in time that does not depend on where the first difference is.
    #[must_use]
    pub fn matches(&self, candidate: &str) -> bool {
        let (own, other) = (self.0.as_bytes(), candidate.as_bytes());
        own.len() == other.len()
            && own.iter().zip(other).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(***)")
    }
}

const TOKEN_PREFIX: &str = "zwsxt.";

fn hex_pair(byte: u8) -> [u8; 2] {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
    [digit(byte >> 4), digit(byte & 15)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_documented_forms() {
        assert_eq!(CorrelationId::from_random([0xab; 12]).as_str(), "ab".repeat(12));
        assert_eq!(ConnectionId::from_random([0; 12]).as_str(), format!("ws.{}", "00".repeat(12)));
        let token = SessionToken::from_random([0x1f; 16]);
        assert_eq!(token.expose(), format!("zwsxt.{}", "1f".repeat(16)));
        assert!(token.matches(&format!("zwsxt.{}", "1f".repeat(16))));
        assert!(!token.matches("zwsxt.") && !token.matches(""));
        assert_eq!(format!("{token:?}"), "SessionToken(***)");
    }

    #[test]
    fn only_own_ids_parse() {
        assert!(CorrelationId::parse(&"ab".repeat(12)).is_some());
        assert!(CorrelationId::parse(&"AB".repeat(12)).is_none());
        assert!(CorrelationId::parse("zpsm").is_none());
    }
}
