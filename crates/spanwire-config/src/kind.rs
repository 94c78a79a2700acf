//! The kinds of managed objects and the words that files use for them.
//!
//! Only names live here. What an object of a kind may contain is in [`crate::spec`], its typed form
//! in [`crate::Object`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of managed object.
///
/// The order is the order in which objects are created: what others refer to comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Credentials: who may call a channel, or what an outgoing connection presents.
    Security,
    /// A service implemented behind a URL.
    Service,
    /// A list of services that WebSocket clients may call.
    WsxGateway,
    /// An inbound WebSocket channel.
    WebSocket,
    /// An inbound REST channel.
    ChannelRest,
    /// An outgoing HTTP connection.
    OutgoingRest,
    /// An outgoing WebSocket connection.
    OutgoingWsx,
    /// A topic of publish/subscribe.
    PubsubTopic,
    /// An application that takes part in publish/subscribe.
    PubsubEndpoint,
    /// The subscription of an endpoint to a topic.
    PubsubSubscription,
}

impl Kind {
    /// Every kind, in the order in which objects are created.
    pub const ALL: [Self; 10] = [
        Self::Security,
        Self::Service,
        Self::WsxGateway,
        Self::WebSocket,
        Self::ChannelRest,
        Self::OutgoingRest,
        Self::OutgoingWsx,
        Self::PubsubTopic,
        Self::PubsubEndpoint,
        Self::PubsubSubscription,
    ];

    /// Returns the word that stands for the kind in files, in the store and in the admin API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Service => "service",
            Self::WsxGateway => "wsx_gateway",
            Self::WebSocket => "web_socket",
            Self::ChannelRest => "channel_rest",
            Self::OutgoingRest => "outgoing_rest",
            Self::OutgoingWsx => "outgoing_wsx",
            Self::PubsubTopic => "pubsub_topic",
            Self::PubsubEndpoint => "pubsub_endpoint",
            Self::PubsubSubscription => "pubsub_subscription",
        }
    }

    /// Returns the kind that a key at the top of a file stands for, older names included.
    ///
    /// [`GENERIC_CONNECTION`] is not one of them: its objects say themselves what they are.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == key);
        found.or_else(|| ALIASES.iter().find(|(alias, _)| *alias == key).map(|(_, kind)| *kind))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The older key for connections of several types; objects with `type_: outconn-wsx` are
/// [`Kind::OutgoingWsx`], others are refused.
pub const GENERIC_CONNECTION: &str = "zato_generic_connection";

/// The `type_` of an outgoing WebSocket connection under [`GENERIC_CONNECTION`].
pub(crate) const GENERIC_OUTGOING_WSX: &str = "outconn-wsx";

/// Names of kinds in older files.
const ALIASES: [(&str, Kind); 3] = [
    ("def_sec", Kind::Security),
    ("channel_plain_http", Kind::ChannelRest),
    ("outconn_plain_http", Kind::OutgoingRest),
];

/// Kinds of existing files that Spanwire has no counterpart for: an empty list of them is fine.
pub(crate) const FOREIGN: &[&str] = &[
    "amazon_s3",
    "cassandra_query",
    "channel_amqp",
    "channel_jms_wmq",
    "channel_soap",
    "channel_zmq",
    "cloud_aws_s3",
    "cloud_microsoft_365",
    "def_amqp",
    "def_cassandra",
    "def_jms_wmq",
    "email_imap",
    "email_smtp",
    "groups",
    "json_rpc",
    "outconn_amqp",
    "outconn_ftp",
    "outconn_jms_wmq",
    "outconn_odoo",
    "outconn_redis",
    "outconn_sap",
    "outconn_sftp",
    "outconn_soap",
    "outconn_sql",
    "outconn_zmq",
    "outgoing_ldap",
    "outgoing_soap",
    "query_cassandra",
    "rbac_permission",
    "rbac_role",
    "rbac_role_permission",
    "scheduler",
    "search_es",
    "search_solr",
    "security_groups",
    "zato_cache_builtin",
    "zato_cache_memcached",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_own_word() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_key(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn older_names_are_accepted() {
        assert_eq!(Kind::from_key("def_sec"), Some(Kind::Security));
        assert_eq!(Kind::from_key("channel_plain_http"), Some(Kind::ChannelRest));
        assert_eq!(Kind::from_key("outconn_plain_http"), Some(Kind::OutgoingRest));
        assert_eq!(Kind::from_key("scheduler"), None);
    }
}
