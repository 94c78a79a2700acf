//! `outgoing_rest` and `outgoing_wsx` in their typed form.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{DataFormat, time};
use crate::RemoteUrl;

/// An HTTP server that services and notifications call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OutgoingRest {
    /// The name, unique within the kind.
    pub name: String,
    /// Whether the object is in use.
    pub is_active: bool,
    /// Whether the object belongs to the platform.
    pub is_internal: bool,
    /// The beginning of the URL: scheme, host, port.
    pub host: RemoteUrl,
    /// The path, in which `{name}` is a parameter.
    pub url_path: String,
    /// The HTTP method, in capitals, where a call names none.
    pub method: String,
    /// The format of bodies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_format: Option<DataFormat>,
    /// The content type of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// How long an answer may take.
    #[serde(with = "time")]
    pub timeout: Duration,
    /// How many idle connections are kept.
    pub pool_size: u32,
    /// The HTTP method of a ping, in capitals.
    pub ping_method: String,
    /// The name of the credentials that are presented to the peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_name: Option<String>,
    /// A PEM file with certificate authorities; the well-known ones if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Words by which objects are grouped, such as for `--prune`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// A WebSocket server that Spanwire connects to and stays connected with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OutgoingWsx {
    /// The name, unique within the kind.
    pub name: String,
    /// Whether the object is in use.
    pub is_active: bool,
    /// Whether the object belongs to the platform.
    pub is_internal: bool,
    /// The URL of the peer.
    pub address: RemoteUrl,
    /// Whether the peer speaks the client protocol: log in, call, subscribe.
    pub is_zato: bool,
    /// The name of the credentials that are presented to the peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_name: Option<String>,
    /// Whether incoming messages of a plain peer are parsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_format: Option<DataFormat>,
    /// Whether a lost connection is made again.
    pub has_auto_reconnect: bool,
    /// How many connections are kept.
    pub pool_size: u32,
    /// Topics of the peer to subscribe to.
    pub subscription_list: Vec<String>,
    /// A PEM file with certificate authorities; the well-known ones if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// A PEM file with the certificate chain that is presented to the peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_cert_file: Option<String>,
    /// A PEM file with its private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_key_file: Option<String>,
    /// Whether the peer's certificate has to be for the host of the address.
    #[serde(default = "yes")]
    pub tls_check_host_name: bool,
    /// The service that is called when connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_connect_service_name: Option<String>,
    /// The service that is called with each message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_message_service_name: Option<String>,
    /// The service that is called when disconnected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_close_service_name: Option<String>,
    /// The service that is asked for more topics to subscribe to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_subscribe_service_name: Option<String>,
    /// The time between two pings.
    #[serde(with = "time")]
    pub ping_interval: Duration,
    /// After how many unanswered pings in a row the peer counts as gone.
    pub pings_missed_threshold: u32,
    /// Without an effect: a peer may be silent as long as it answers pings.
    #[serde(with = "time")]
    pub socket_read_timeout: Duration,
    /// How long sending may take.
    #[serde(with = "time")]
    pub socket_write_timeout: Duration,
    /// The longest pause before connecting again.
    #[serde(with = "time", default = "half_a_minute")]
    pub max_reconnect_pause: Duration,
    /// How often connecting is tried in a row; without a bound if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connect_attempts: Option<u32>,
    /// Words by which objects are grouped, such as for `--prune`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// Objects that were stored before there was a choice.
fn yes() -> bool {
    true
}

/// The same.
fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}
