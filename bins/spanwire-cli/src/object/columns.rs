//! What tables of objects show: the name, the keys that matter most, and the state.

use spanwire_config::Kind;

use super::noun::Noun;
use crate::output::Column;

/// Returns the columns of the list of a noun.
pub(crate) fn columns(noun: &Noun) -> &'static [Column<'static>] {
    match noun.kinds {
        [(_, Kind::WebSocket), ..] => CHANNEL,
        [(_, Kind::OutgoingWsx), ..] => OUTCONN,
        [(_, Kind::Security)] => SECURITY,
        [(_, Kind::WsxGateway)] => GATEWAY,
        [(_, Kind::PubsubTopic)] => TOPIC,
        [(_, Kind::PubsubEndpoint)] => ENDPOINT,
        [(_, Kind::PubsubSubscription)] => SUBSCRIPTION,
        _ => OTHER,
    }
}

const CHANNEL: &[Column<'_>] = &[
    KIND,
    NAME,
    Column::of("address", &["address", "url_path"]),
    Column::new(&"service"),
    Column::of("security", &["sec_def", "security_name"]),
    ACTIVE,
    STATE,
];

const OUTCONN: &[Column<'_>] = &[
    KIND,
    NAME,
    Column::of("address", &["address", "host"]),
    Column::new(&"url_path"),
    Column::of("security", &["security_name"]),
    ACTIVE,
    STATE,
];

const SECURITY: &[Column<'_>] =
    &[NAME, Column::new(&"type"), Column::new(&"username"), ACTIVE, STATE];

const GATEWAY: &[Column<'_>] = &[NAME, Column::new(&"services_allowed"), ACTIVE, STATE];

const TOPIC: &[Column<'_>] = &[
    NAME,
    Column::new(&"has_gd"),
    Column::new(&"max_depth_gd"),
    Column::new(&"limit_retention"),
    ACTIVE,
    STATE,
];

const ENDPOINT: &[Column<'_>] = &[
    NAME,
    Column::new(&"endpoint_type"),
    Column::new(&"role"),
    Column::of("known_by", &["security_name", "ws_channel_name", "service_name"]),
    Column::new(&"topic_patterns"),
    ACTIVE,
    STATE,
];

const SUBSCRIPTION: &[Column<'_>] = &[
    Column::new(&"endpoint_name"),
    Column::new(&"topic_name"),
    Column::new(&"active_status"),
    Column::new(&"delivery_method"),
    ACTIVE,
    STATE,
];

const OTHER: &[Column<'_>] = &[NAME, ACTIVE, STATE];

const KIND: Column<'_> = Column::of("kind", &["meta.kind"]);
const NAME: Column<'_> = Column::new(&"name");
const ACTIVE: Column<'_> = Column::new(&"is_active");
const STATE: Column<'_> = Column::of("state", &["meta.state"]);
