//! `service` and `wsx_gateway` in their typed form.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time;
use crate::RemoteUrl;

/// A service that is implemented behind a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpService {
    /// The name, unique within the kind.
    pub name: String,
    /// Whether the object is in use.
    pub is_active: bool,
    /// Where requests are sent.
    pub url: RemoteUrl,
    /// The HTTP method of the requests, in capitals.
    pub method: String,
    /// How long an answer may take.
    #[serde(with = "time")]
    pub timeout: Duration,
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

/// A service through which WebSocket clients call those services that it lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WsxGateway {
    /// The name, unique within the kind.
    pub name: String,
    /// Whether the object is in use.
    pub is_active: bool,
    /// Names of services, or patterns with `*`; what is not listed is refused.
    pub services_allowed: Vec<String>,
    /// Words by which objects are grouped, such as for `--prune`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}
