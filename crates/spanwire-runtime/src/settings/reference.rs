//! Every setting with its default and its meaning; `docs/reference/settings.md` is made of this.

use super::Settings;
use super::load::{flat, known_keys};

/// One setting: its key, its default as in `spanwire.toml` (empty for none), and its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As in the file, with its section: `limits.headers`.
    pub key: String,
    /// The variable that overlays it: `SPANWIRE_LIMITS_HEADERS`.
    pub variable: String,
    /// The value when nobody says otherwise.
    pub default: String,
    /// What it is for.
    pub meaning: &'static str,
    /// Whether a reload takes a new value, without a restart.
    pub reloadable: bool,
}

/// Keys that take a restart: they name the server, decide which defaults hold, or belong to what is set up once.
const AFTER_RESTART: [&str; 9] = [
    "sso.enabled",
    "sso.hash.parallel",
    "name",
    "profile",
    "log_format",
    "protocol",
    "pubsub.store",
    "pubsub.audit",
    "pubsub.audit_payload",
];

/// All settings, by key.
#[must_use]
pub fn reference() -> Vec<Setting> {
    let defaults = flat(&Settings::default());
    let keys = known_keys().into_keys().map(|key| {
        let meaning =
            meanings().find(|(known, _)| *known == key).map_or("", |(_, meaning)| meaning);
        let default = defaults.get(&key).map(ToString::to_string).unwrap_or_default();
        let variable = super::load::variable(&key);
        let reloadable = !AFTER_RESTART.contains(&key.as_str());
        Setting { key, variable, default, meaning, reloadable }
    });
    keys.collect()
}

fn meanings() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    MEANINGS.iter().chain(spanwire_sso::settings::MEANINGS)
}

const MEANINGS: &[(&str, &str)] = &[
    ("name", "the server's name, in connection records and logs"),
    ("listen", "where channels and health are served; port 0 lets the system choose"),
    ("admin_listen", "where the admin API and metrics are served"),
    (
        "profile",
        "`dev`, `production` or `compat`; by default `dev` if every listener is on loopback, else `production`",
    ),
    ("log_format", "`text` or `json`"),
    (
        "protocol",
        "which release existing clients expect: `3.2`, or `3.0` with its units, counts and error bodies",
    ),
    (
        "pubsub.store",
        "engine of the message log, `sled` or `redb`; a log of the other engine is rewritten at the start",
    ),
    ("pubsub.audit", "file that gets a line for each publication and each delivery"),
    ("pubsub.audit_payload", "whether these lines have the contents of messages"),
    ("drain_timeout", "how long a stop may take, from SIGTERM to exit"),
    ("trusted_proxies", "addresses and networks whose forwarding and PROXY headers are believed"),
    (
        "proxy_protocol",
        "whether connections from trusted proxies start with a PROXY protocol header, version 1 or 2",
    ),
    (
        "tls_certificate",
        "PEM file with the certificate chain of the main listener; taken again when it changes",
    ),
    ("tls_key", "PEM file with the private key of the main listener"),
    ("admin_tls_certificate", "PEM file with the certificate chain of the admin listener"),
    ("admin_tls_key", "PEM file with the private key of the admin listener"),
    (
        "limits.connections_per_address",
        "open connections of one address; loopback is exempt in the `dev` profile",
    ),
    (
        "limits.handshakes_per_second_per_address",
        "new connections of one address in a second; as above",
    ),
    ("limits.connections", "open connections altogether"),
    ("limits.headers", "headers of one request"),
    ("limits.header_bytes", "bytes of all headers of one request"),
    (
        "limits.header_timeout",
        "how long headers may take, and how long a connection may idle between requests",
    ),
    (
        "limits.write_timeout",
        "how long a client may take nothing of an answer before its connection is dropped",
    ),
    ("limits.handshake_timeout", "how long a TLS handshake or a PROXY header may take"),
    ("limits.message_bytes", "bytes of one WebSocket message or of one request body"),
    ("limits.outgoing_queue_bytes", "bytes that may wait to be sent to one WebSocket connection"),
    (
        "limits.failed_logins",
        "failed logins in a row of one user from one address before delays begin",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_explained_and_every_explanation_has_its_setting() {
        let settings = reference();
        for setting in &settings {
            assert!(!setting.meaning.is_empty(), "{} has no meaning", setting.key);
        }
        assert_eq!(settings.len(), meanings().count());
    }
}
