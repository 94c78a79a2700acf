//! Settings of a server: `spanwire.toml`, overlaid by `SPANWIRE_*` variables, overlaid by arguments.

mod check;
mod control;
mod load;
mod reference;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use spanwire_channel::rest::ErrorBody;
use spanwire_channel::transport::LimitSettings;

pub use check::unsafe_defaults;
pub(crate) use control::SettingsControl;
pub use load::{Loaded, Overrides, Sources};
pub use reference::{Setting, reference};

/// What a server is set to. Every key has a default that is safe in production.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The server's name, in connection records and logs; `server1`.
    pub name: String,
    /// Where channels, SSO and health are served; `127.0.0.1:17010`. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where the admin API and metrics are served; `127.0.0.1:8183`.
    pub admin_listen: SocketAddr,
    /// `dev`, `production` or `compat`; when absent, `dev` if every listener is on loopback, else `production`.
    pub profile: Option<Profile>,
    /// `text` or `json`; text.
    pub log_format: LogFormat,
    /// How long a stop may take, from SIGTERM to exit; 15 s.
    #[serde(with = "seconds")]
    pub drain_timeout: Duration,
    /// Addresses and networks whose forwarding headers, and PROXY headers, are believed; none.
    pub trusted_proxies: Vec<String>,
    /// Whether connections from trusted proxies start with a PROXY protocol header; no.
    pub proxy_protocol: bool,
    /// A PEM file with the certificate chain of the main listener; none, which is plain HTTP.
    pub tls_certificate: Option<PathBuf>,
    /// A PEM file with the private key of the main listener.
    pub tls_key: Option<PathBuf>,
    /// A PEM file with the certificate chain of the admin listener; none.
    pub admin_tls_certificate: Option<PathBuf>,
    /// A PEM file with the private key of the admin listener.
    pub admin_tls_key: Option<PathBuf>,
    /// Which release existing clients expect: `3.2`, or `3.0` with its units and counts; 3.2.
    pub protocol: Protocol,
    /// Publish/subscribe.
    pub pubsub: PubSubSettings,
    /// Limits.
    pub limits: Limits,
    /// Single sign-on.
    pub sso: spanwire_sso::Settings,
}

/// Which release existing clients expect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// Expirations in milliseconds, `delivery_count` starting at 0 in the `compat` profile, errors in `zato_env`.
    #[serde(rename = "3.0")]
    V3_0,
    /// Expirations in seconds, `delivery_count` starting at 1.
    #[default]
    #[serde(rename = "3.2")]
    V3_2,
}

impl Protocol {
    /// How REST channels write errors.
    #[must_use]
    pub(crate) fn errors(self) -> ErrorBody {
        match self {
            Self::V3_0 => ErrorBody::ZatoEnv,
            Self::V3_2 => ErrorBody::Flat,
        }
    }
}

/// Settings of publish/subscribe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PubSubSettings {
    /// The engine of the message log: `sled` or `redb`. A log of the other engine is rewritten at the start.
    pub store: MessageEngine,
    /// A file that gets a line for each publication and each delivery; none.
    pub audit: Option<PathBuf>,
    /// Whether these lines have the contents of messages; no.
    pub audit_payload: bool,
}

impl MessageEngine {
    /// The word in settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        }
    }
}

/// The engine of the message log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageEngine {
    /// sled 0.34.
    Sled,
    /// redb 4: the default, by decision 015.
    #[default]
    Redb,
}

/// Limits of a server (DESIGN 10).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections of one address; 10,000. Loopback is exempt in the `dev` profile.
    pub connections_per_address: u32,
    /// New connections of one address in a second; 200. Loopback is exempt in the `dev` profile.
    pub handshakes_per_second_per_address: u32,
    /// Open connections altogether; 100,000.
    pub connections: u32,
    /// Headers of one request; 100.
    pub headers: usize,
    /// Bytes of all headers of one request; 65,536.
    pub header_bytes: usize,
    /// How long the headers of a request may take, and how long a connection may idle between requests; 30 s.
    #[serde(with = "seconds")]
    pub header_timeout: Duration,
    /// How long a client may take nothing of an answer; 30 s.
    #[serde(with = "seconds")]
    pub write_timeout: Duration,
    /// How long a TLS handshake or a PROXY header may take; 10 s.
    #[serde(with = "seconds")]
    pub handshake_timeout: Duration,
    /// Bytes of one message or body; 16 MiB.
    pub message_bytes: usize,
    /// Bytes that may wait to be sent to one connection; 8 MiB.
    pub outgoing_queue_bytes: usize,
    /// Failed logins in a row of one user from one address before delays begin; 5.
    pub failed_logins: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "server1".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 17010)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 8183)),
            profile: None,
            log_format: LogFormat::Text,
            drain_timeout: Duration::from_secs(15),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            tls_certificate: None,
            tls_key: None,
            admin_tls_certificate: None,
            admin_tls_key: None,
            protocol: Protocol::default(),
            pubsub: PubSubSettings::default(),
            limits: Limits::default(),
            sso: spanwire_sso::Settings::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_address: 10_000,
            handshakes_per_second_per_address: 200,
            connections: 100_000,
            headers: 100,
            header_bytes: 64 * 1024,
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            message_bytes: 16 * 1024 * 1024,
            outgoing_queue_bytes: 8 * 1024 * 1024,
            failed_logins: 5,
        }
    }
}

/// Which defaults hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// One person's machine: loopback is exempt from the limits per address.
    Dev,
    /// Everything else.
    Production,
    /// `production`, with the switches that existing applications need: ordered replies.
    Compat,
}

impl Profile {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Production => "production",
            Self::Compat => "compat",
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Settings {
    /// The profile in force.
    #[must_use]
    pub fn effective_profile(&self) -> Profile {
        let loopback = self.listen.ip().is_loopback() && self.admin_listen.ip().is_loopback();
        self.profile.unwrap_or(if loopback { Profile::Dev } else { Profile::Production })
    }

    /// The settings of single sign-on, with what the profile says where they say nothing.
    #[must_use]
    pub(crate) fn sso_settings(&self) -> spanwire_sso::Settings {
        self.sso.clone().resolve(self.effective_profile() == Profile::Compat)
    }

    pub(crate) fn limit_settings(&self) -> LimitSettings {
        LimitSettings {
            connections: self.limits.connections_per_address,
            handshakes_per_second: self.limits.handshakes_per_second_per_address,
            loopback_exempt: self.effective_profile() == Profile::Dev,
            total_connections: self.limits.connections,
        }
    }
}

/// Durations as `15`, `"15s"`, `"500ms"` or `"2m"`.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Number(u64),
        Text(String),
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let duration = match Text::deserialize(deserializer)? {
            Text::Number(seconds) => Some(Duration::from_secs(seconds)),
            Text::Text(text) => spanwire_config::parse_duration(&text),
        };
        duration.ok_or_else(|| {
            serde::de::Error::custom("expected a time such as \"15s\", \"500ms\" or \"2m\"")
        })
    }

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if duration.subsec_millis() == 0 {
            serializer.serialize_str(&format!("{}s", duration.as_secs()))
        } else {
            serializer.serialize_str(&format!("{}ms", duration.as_millis()))
        }
    }
}
