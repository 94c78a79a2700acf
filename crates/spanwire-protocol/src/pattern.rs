//! Patterns of service names: what a WebSocket client may call through a gateway.

use wildmatch::WildMatchPattern;

/// A list of patterns; a name is allowed when one of them matches the whole name. `*` stands for any characters.
///
/// Services with more power than a client should get by accident are *trusted*: only a pattern that names them fully
/// allows them (DESIGN 13).
///
/// ```
/// use spanwire_protocol::ServicePatterns;
/// let patterns = ServicePatterns::new(["crm.*", "zato.ping"]);
/// assert!(patterns.allow("crm.get-customer") && patterns.allow("zato.ping"));
/// assert!(!patterns.allow("zato.ping2") && !patterns.allow("old.crm.get-customer"));
/// assert!(!ServicePatterns::new(["*"]).allow("zato.pubsub.publish.publish"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ServicePatterns {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    // Names hold no NUL, so the wildcard for one character is switched off.
    matcher: WildMatchPattern<'*', '\u{0}'>,
}

impl ServicePatterns {
    /// Compiles a list of patterns. An empty list allows nothing.
    #[must_use]
    pub fn new<P: AsRef<str>>(patterns: impl IntoIterator<Item = P>) -> Self {
        let patterns = patterns
            .into_iter()
            .map(|p| Pattern {
                text: p.as_ref().to_owned(),
                matcher: WildMatchPattern::new(p.as_ref()),
            })
            .collect();
        Self { patterns }
    }

    /// Whether a service of this name may be called.
    #[must_use]
    pub fn allow(&self, service: &str) -> bool {
        let trusted = is_trusted(service);
        self.patterns.iter().any(|pattern| {
            if trusted { pattern.text == service } else { pattern.matcher.matches(service) }
        })
    }
}

/// Whether a service acts with the server's own rights, so that no wildcard may reach it.
#[must_use]
pub fn is_trusted(service: &str) -> bool {
    TRUSTED_PREFIXES.iter().any(|prefix| service.starts_with(prefix))
}

/// Built-in services that can see or steer other clients, or publish without an endpoint's restrictions.
const TRUSTED_PREFIXES: &[&str] = &[
    "zato.pubsub.publish.",
    "zato.pubsub.queue.",
    "zato.channel.",
    "zato.service.",
    "zato.server.",
    "zato.security.",
    "zato.generic.",
    "zato.info.",
    "helpers.service-gateway",
    "helpers.web-sockets-",
    "pub.zato.service.",
    "spanwire.",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trusted_service_needs_its_full_name() {
        let name = "zato.channel.web-socket.invoke-wsx";
        assert!(!ServicePatterns::new(["*", "zato.*", "zato.channel.*"]).allow(name));
        assert!(ServicePatterns::new([name]).allow(name));
    }

    #[test]
    fn only_the_star_is_special() {
        let patterns = ServicePatterns::new(["crm.get?", "a*c"]);
        assert!(
            !patterns.allow("crm.getX") && patterns.allow("crm.get?") && patterns.allow("abbc")
        );
        assert!(!ServicePatterns::default().allow("zato.ping"));
    }
}
