//! `web_socket` and `channel_rest` in their typed form.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time;
use crate::WebSocketAddress;

/// A channel on which WebSocket clients log in and call services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WebSocketChannel {
    /// The name, unique within the kind.
    pub name: String,
    /// Whether the object is in use.
    pub is_active: bool,
    /// Whether the object belongs to the platform.
    pub is_internal: bool,
    /// Where the channel listens.
    pub address: WebSocketAddress,
    /// The service or gateway that receives what clients send.
    pub service: String,
    /// The name of the credentials that clients log in with; `None` lets everyone in.
    #[serde(with = "no_security")]
    pub sec_def: Option<String>,
    /// The format of messages: [`DataFormat::Json`].
    pub data_format: DataFormat,
    /// Origins of browsers that may connect besides the channel's own host; `*` is any.
    pub allowed_origins: Vec<String>,
    /// The service that is called when a client has logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_connect_service: Option<String>,
    /// The service that is called when a client has gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_disconnect_service: Option<String>,
    /// The PEM file of the certificate chain; always there with `wss://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_cert_file: Option<String>,
    /// The PEM file of the private key; always there with `wss://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_key_file: Option<String>,
    /// How long a client may take to log in.
    #[serde(with = "time")]
    pub new_token_wait_time: Duration,
    /// How long a login is valid without being renewed.
    #[serde(with = "time")]
    pub token_ttl: Duration,
    /// The time between two pings.
    #[serde(with = "time")]
    pub ping_interval: Duration,
    /// How long the answer to a ping may take.
    #[serde(with = "time")]
    pub ping_timeout: Duration,
    /// After how many unanswered pings in a row a client counts as gone.
    pub pings_missed_threshold: u32,
    /// How long a call of a service may take; the server's bound if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    pub service_timeout: Option<Duration>,
    /// How many calls of one connection are handled at a time.
    pub max_in_flight: u32,
    /// Whether replies are sent in the order of the calls; the profile decides if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered_replies: Option<bool>,
    /// The largest message accepted, in bytes; the server's bound if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_message_size: Option<u64>,
    /// How much may wait for a slow client, in bytes; the server's bound if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing_queue_size: Option<u64>,
    /// Whether subscriptions end with the connection; the subscribing call decides if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsub_on_wsx_close: Option<bool>,
    /// Words by which objects are grouped, such as for `--prune`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// A path on the main listener that calls a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RestChannel {
    /// The name, unique within the kind.
    pub name: String,
    /// Whether the object is in use.
    pub is_active: bool,
    /// Whether the object belongs to the platform.
    pub is_internal: bool,
    /// The path, in which `{name}` is a parameter.
    pub url_path: String,
    /// The HTTP method in capitals; empty is any.
    pub method: String,
    /// The service that is called.
    pub service: String,
    /// The name of the credentials that callers present; `None` lets everyone call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_name: Option<String>,
    /// The format of requests and responses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_format: Option<DataFormat>,
    /// Origins whose pages may call the channel from a browser; `*` is any.
    pub cors_origins: Vec<String>,
    /// How long the service may take; the server's bound if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    pub timeout: Option<Duration>,
    /// The content type of responses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The encoding of responses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<ContentEncoding>,
    /// Whether a parameter may span `/`.
    pub match_slash: bool,
    /// Whether parameters of the path and the query become input of the service.
    pub merge_url_params_req: bool,
    /// Which parameter counts if the path and the query have one of a name.
    pub url_params_pri: UrlParamsPriority,
    /// Whether parameters of the URL or fields of the message count.
    pub params_pri: ParamsPriority,
    /// Words by which objects are grouped, such as for `--prune`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// A format of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DataFormat {
    /// JSON, parsed for the service.
    Json,
    /// Fields of an HTML form.
    Form,
    /// XML, which reaches the service as text.
    Xml,
    /// Text as it is.
    Text,
}

/// An encoding of responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ContentEncoding {
    /// Compressed with gzip.
    Gzip,
}

/// Which of two parameters of one name counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UrlParamsPriority {
    /// The one in the query.
    QsOverPath,
    /// The one in the path.
    PathOverQs,
}

/// Which of two inputs of one name counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ParamsPriority {
    /// The parameter of the URL.
    ChannelParamsOverMsg,
    /// The field of the message.
    MsgOverChannelParams,
}

/// A missing definition has a word of its own, because it must be said.
mod no_security {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::spec::NO_SECURITY;

    pub(super) fn serialize<S: Serializer>(
        name: &Option<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_deref().unwrap_or(NO_SECURITY))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<String>, D::Error> {
        String::deserialize(deserializer).map(|name| (name != NO_SECURITY).then_some(name))
    }
}
