//! Names of things: topics, subscriptions, endpoints, messages, positions.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spanwire_crypto::{RandomError, random};

/// A topic, whatever it is called. Whoever makes topics gives the number, and gives none twice: a topic that is renamed
/// keeps it, one that is made anew under an old name has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TopicId(pub u64);

/// A subscription, whatever its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubscriptionId(pub u64);

/// An endpoint, whatever it is called. Its giver gives no number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EndpointId(pub u64);

impl EndpointId {
    /// The server itself, and services that publish: no patterns apply to it.
    pub const INTERNAL: Self = Self(0);
}

/// Where a message stands in its topic.
///
/// Offsets grow by one from message to message. They belong to an epoch: a topic whose history begins anew has another
/// one, so that an old position is recognised as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Which history of the topic.
    pub epoch: u64,
    /// Which message of it.
    pub offset: u64,
}

/// The secret by which a subscriber names its subscription: `zpsk.`, the type of its endpoint, its client id if it has
/// one, and 128 bits of the operating system's randomness as 32 hexadecimal digits.
///
/// [`Debug`](fmt::Debug) shows the beginning only.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubKey(Arc<str>);

impl SubKey {
    /// Makes a key. `kind` is the type of the endpoint, such as `wsx`; of the client id only what is harmless in a URL
    /// and a log is taken.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn random(kind: &str, client_id: &str) -> Result<Self, RandomError> {
        let secret = random::hex_token(16)?;
        let harmless = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let client: String = client_id.chars().filter(harmless).take(MAX_CLIENT_IN_KEY).collect();
        let dot = if client.is_empty() { "" } else { "." };
        Ok(Self(format!("zpsk.{kind}{dot}{client}.{}", secret.expose()).into()))
    }

    /// A key as somebody gave it.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    /// The key as its subscriber knows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The key without its secret, for logs and for people.
    #[must_use]
    pub fn masked(&self) -> String {
        let (start, _) = self.0.rsplit_once('.').unwrap_or_default();
        format!("{start}.***")
    }
}

impl fmt::Debug for SubKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// Makes the id of a message: `zpsm` and 24 hexadecimal digits.
///
/// # Errors
/// When the operating system gives no randomness.
pub(crate) fn message_id() -> Result<Arc<str>, RandomError> {
    let id = spanwire_protocol::CorrelationId::from_random(random::bytes()?);
    Ok(format!("zpsm{id}").into())
}

/// How much of a client id shows in its keys.
const MAX_CLIENT_IN_KEY: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_128_bits_and_hide_them() {
        let (one, two) =
            (SubKey::random("wsx", "crm.1").unwrap(), SubKey::random("wsx", "").unwrap());
        let secret = one.expose().strip_prefix("zpsk.wsx.crm.1.").unwrap();
        assert_eq!(secret.len(), 32);
        assert!(two.expose().starts_with("zpsk.wsx.") && one != two);
        assert_eq!(format!("{one:?}"), "zpsk.wsx.crm.1.***");
        let odd = SubKey::random("wsx", "a\"b/c\n?d").unwrap();
        assert!(odd.expose().starts_with("zpsk.wsx.abcd."), "{}", odd.expose());
    }

    #[test]
    fn message_ids_have_their_documented_form() {
        let id = message_id().unwrap();
        assert!(id.starts_with("zpsm") && id.len() == 28);
    }
}
