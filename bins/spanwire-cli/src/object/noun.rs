//! The nouns, and the kinds of objects that they stand for.

use spanwire_config::Kind;

/// A noun.
#[derive(Debug)]
pub(crate) struct Noun {
    /// The word on the command line.
    pub(crate) word: &'static str,
    /// What it is, for the help.
    pub(crate) about: &'static str,
    /// Its kinds; with several, commands say which one by its word.
    pub(crate) kinds: &'static [(&'static str, Kind)],
}

impl Noun {
    /// Whether commands must tell its kinds apart.
    pub(crate) fn has_types(&self) -> bool {
        self.kinds.len() > 1
    }

    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.kinds.iter().any(|(_, own)| *own == kind)
    }

    /// Returns the kinds that a word stands for; all of them without a word.
    pub(crate) fn typed(&self, word: Option<&str>) -> Vec<Kind> {
        let wanted = self.kinds.iter().filter(|(own, _)| word.is_none_or(|word| word == *own));
        wanted.map(|(_, kind)| *kind).collect()
    }
}

/// The keys that make up the name of an object, which `edit` does not change.
pub(crate) fn identity(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::PubsubSubscription => &["endpoint_name", "topic_name"],
        _ => &["name"],
    }
}

/// Every noun.
pub(crate) const NOUNS: &[Noun] = &[
    Noun {
        word: "channel",
        about: "Channels that others connect to, WebSocket and REST",
        kinds: &[("wsx", Kind::WebSocket), ("rest", Kind::ChannelRest)],
    },
    Noun {
        word: "outconn",
        about: "Outgoing connections, WebSocket and REST, and how they stand",
        kinds: &[("wsx", Kind::OutgoingWsx), ("rest", Kind::OutgoingRest)],
    },
    Noun {
        word: "security",
        about: "Credentials of clients and for outgoing connections",
        kinds: &[("security", Kind::Security)],
    },
    Noun {
        word: "service",
        about: "Services: list, invoke; those behind a URL are objects, too",
        kinds: &[("service", Kind::Service)],
    },
    Noun {
        word: "gateway",
        about: "Lists of services that WebSocket clients may call",
        kinds: &[("gateway", Kind::WsxGateway)],
    },
    Noun {
        word: "topic",
        about: "Topics that messages are published to, and the messages in them",
        kinds: &[("topic", Kind::PubsubTopic)],
    },
    Noun {
        word: "endpoint",
        about: "Applications that publish and subscribe",
        kinds: &[("endpoint", Kind::PubsubEndpoint)],
    },
    Noun {
        word: "subscription",
        about: "Subscriptions of endpoints to topics; their names are ENDPOINT/TOPIC",
        kinds: &[("subscription", Kind::PubsubSubscription)],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_noun() {
        for kind in Kind::ALL {
            assert_eq!(NOUNS.iter().filter(|noun| noun.has(kind)).count(), 1, "{kind}");
        }
    }
}
