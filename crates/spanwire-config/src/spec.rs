//! What objects may contain: one table per kind, from which everything else derives.
//!
//! Validation reads these tables; the JSON Schemas of [`crate::schema`] and the reference page are
//! generated from them. The typed structs of [`crate::Object`] have exactly the keys
//! whose [`Effect`] is [`Effect::Applied`], which a test checks.
//!
//! **Invariant:** within a kind, keys and aliases are unique.

mod outgoing;
mod pubsub;
mod rest;
mod security;
mod service;
mod shared;
mod web_socket;

use crate::Kind;

/// What an object of a kind may contain.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct KindSpec {
    /// The kind.
    pub kind: Kind,
    /// What the kind is for, in a sentence.
    pub doc: &'static str,
    /// The keys, in groups that several kinds share; see [`KindSpec::fields`].
    groups: &'static [&'static [FieldSpec]],
}

impl KindSpec {
    /// Returns the description of a kind.
    #[must_use]
    pub const fn of(kind: Kind) -> &'static Self {
        match kind {
            Kind::Security => &security::SECURITY,
            Kind::Service => &service::SERVICE,
            Kind::WsxGateway => &service::WSX_GATEWAY,
            Kind::WebSocket => &web_socket::WEB_SOCKET,
            Kind::ChannelRest => &rest::CHANNEL_REST,
            Kind::OutgoingRest => &outgoing::OUTGOING_REST,
            Kind::OutgoingWsx => &outgoing::OUTGOING_WSX,
            Kind::PubsubTopic => &pubsub::PUBSUB_TOPIC,
            Kind::PubsubEndpoint => &pubsub::PUBSUB_ENDPOINT,
            Kind::PubsubSubscription => &pubsub::PUBSUB_SUBSCRIPTION,
        }
    }

    /// Returns every key, the ones that matter most first.
    pub fn fields(&self) -> impl Iterator<Item = &'static FieldSpec> {
        self.groups.iter().flat_map(|group| group.iter())
    }

    /// Returns the description of a key, or of what the key is an alias of.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&'static FieldSpec> {
        self.fields().find(|field| field.key == key || field.aliases.contains(&key))
    }
}

/// A key of a kind.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct FieldSpec {
    /// The key in files, in the store and in the admin API.
    pub key: &'static str,
    /// Other names for it in existing files.
    pub aliases: &'static [&'static str],
    /// What values it takes.
    pub value: ValueType,
    /// Whether it must be given.
    pub required: bool,
    /// What holds if it is not given.
    pub default: Fallback,
    /// What becomes of it.
    pub effect: Effect,
    /// What it means, with its unit.
    pub doc: &'static str,
}

/// The values that a key takes.
///
/// A null is the same as leaving the key out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueType {
    /// Any text; numbers and booleans count as the text they were written as.
    Text,
    /// The name of the object: 1 to 200 characters, no control characters.
    Name,
    /// The path of a URL; may contain `{parameters}`.
    Path,
    /// A URL with one of these schemes.
    Url(&'static [&'static str]),
    /// Where to listen: see [`crate::WebSocketAddress`].
    ListenAddress,
    /// A file of the server.
    FilePath,
    /// An HTTP method; an empty text is any.
    Method,
    /// The name of an HTTP header.
    HeaderName,
    /// `true` or `false`; also yes, no, on, off, 1, 0.
    Bool,
    /// A whole number within bounds.
    Integer {
        /// The lowest value accepted.
        min: u64,
        /// The highest value accepted.
        max: u64,
    },
    /// A time: a number of seconds, or a number with `ms`, `s`, `m`, `h` or `d`.
    Duration {
        /// The shortest time accepted, in milliseconds.
        min_ms: u64,
        /// The longest time accepted, in milliseconds.
        max_ms: u64,
    },
    /// A time like [`ValueType::Duration`] of at most ten years, where 0 is the same as leaving it
    /// out.
    TimeLimit,
    /// A number of bytes, or a number with `KiB`, `MiB` or `GiB`, within bounds in bytes.
    Size {
        /// The lowest value accepted.
        min: u64,
        /// The highest value accepted.
        max: u64,
    },
    /// Texts: a list, or one text with an item per line.
    TextList,
    /// Labels, as a list or one per line: see [`crate::parse_label`].
    LabelList,
    /// Origins of browsers such as `https://app.example.com`, or `*`, as a list.
    OriginList,
    /// Topic patterns: `pub=…` and `sub=…`, as a list or one per line.
    TopicPatterns,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A secret, which is encrypted where it is stored and never shown.
    Secret,
    /// The name of an object of this kind, or one of the words that mean none.
    Reference(Kind, &'static [&'static str]),
    /// The name of a service, of a gateway, or `outconn:service` for one behind an outgoing
    /// connection. It need not exist yet.
    ServiceName,
    /// Anything.
    Any,
}

/// What holds where a key is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fallback {
    /// Nothing; the typed form has `None`, `false` or an empty list.
    Nothing,
    /// A boolean.
    Bool(bool),
    /// A number; of seconds, if the value is a time.
    Integer(u64),
    /// A text.
    Text(&'static str),
}

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// It does what its description says.
    Applied,
    /// Existing files contain it; it says nothing that Spanwire needs to know.
    Ignored,
    /// Existing files contain it; Spanwire does not do it and warns if it is set.
    Unsupported,
    /// Leaving it out of account would open what was meant to be closed, so that it is an error
    /// unless it is empty.
    Refused,
}

impl FieldSpec {
    const fn new(key: &'static str, value: ValueType, doc: &'static str) -> Self {
        Self {
            key,
            aliases: &[],
            value,
            required: false,
            default: Fallback::Nothing,
            effect: Effect::Applied,
            doc,
        }
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn or(mut self, default: Fallback) -> Self {
        self.default = default;
        self
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn ignored(key: &'static str, doc: &'static str) -> Self {
        Self { effect: Effect::Ignored, ..Self::new(key, ValueType::Any, doc) }
    }

    const fn unsupported(key: &'static str, doc: &'static str) -> Self {
        Self { effect: Effect::Unsupported, ..Self::new(key, ValueType::Any, doc) }
    }

    const fn refused(key: &'static str, doc: &'static str) -> Self {
        Self { effect: Effect::Refused, ..Self::new(key, ValueType::Any, doc) }
    }
}

/// The word that says that everyone is let in.
pub(crate) const NO_SECURITY: &str = "zato-no-security";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_are_unique_and_described() {
        for kind in Kind::ALL {
            let spec = KindSpec::of(kind);
            assert_eq!(spec.kind, kind);
            assert!(spec.doc.ends_with('.'), "{kind}");
            let mut seen = BTreeSet::new();
            for field in spec.fields() {
                assert!(seen.insert(field.key), "{kind}.{} twice", field.key);
                for alias in field.aliases {
                    assert!(seen.insert(alias), "{kind}.{alias} twice");
                }
                assert!(field.doc.ends_with('.'), "{kind}.{} is not described", field.key);
                assert!(!(field.required && field.default != Fallback::Nothing), "{}", field.key);
            }
            assert!(kind == Kind::PubsubSubscription || spec.field("name").unwrap().required);
        }
    }
}
