//! `outgoing_rest` and `outgoing_wsx`: connections to others.

use super::shared::{
    GENERIC, HTTP_LEGACY, LIMITS_AND_LOGS, STORED, TIME, ca_file, is_active, is_internal, labels,
    name, outgoing_security, timeout,
};
use super::{Fallback, FieldSpec, KindSpec, ValueType};
use crate::Kind;

pub(super) const OUTGOING_REST: KindSpec = KindSpec {
    kind: Kind::OutgoingRest,
    doc: "An HTTP server that services and notifications call.",
    groups: &[REST_FIELDS, REST_LEGACY, HTTP_LEGACY, LIMITS_AND_LOGS, STORED],
};

const REST_FIELDS: &[FieldSpec] = &[
    name("The name of the connection."),
    is_active("Whether calls are made."),
    is_internal(),
    labels(),
    FieldSpec::new(
        "host",
        ValueType::Url(&["http", "https"]),
        "The beginning of the URL: scheme, host, port.",
    )
    .required(),
    FieldSpec::new("url_path", ValueType::Path, "The path, in which {name} is a parameter.")
        .or(Fallback::Text("/")),
    FieldSpec::new("method", ValueType::Method, "The HTTP method where a call names none.")
        .or(Fallback::Text("POST")),
    FieldSpec::new(
        "data_format",
        ValueType::Choice(&["json", "form", "xml", "text"]),
        "The format of bodies.",
    ),
    FieldSpec::new("content_type", ValueType::Text, "The content type of requests."),
    timeout(10, "How long an answer may take, in seconds."),
    FieldSpec::new(
        "pool_size",
        ValueType::Integer { min: 1, max: 10_000 },
        "How many idle connections are kept.",
    )
    .or(Fallback::Integer(20)),
    FieldSpec::new("ping_method", ValueType::Method, "The HTTP method of a ping.")
        .or(Fallback::Text("HEAD")),
    outgoing_security(),
    ca_file(),
];

const REST_LEGACY: &[FieldSpec] = &[
    FieldSpec::ignored("merge_url_params_req", "Of channels only."),
    FieldSpec::ignored("match_slash", "Of channels only."),
    FieldSpec::ignored("url_params_pri", "Of channels only."),
    FieldSpec::ignored("params_pri", "Of channels only."),
    FieldSpec::ignored("has_rbac", "Of channels only."),
    FieldSpec::ignored("sec_use_rbac", "Of channels only."),
    FieldSpec::ignored("content_encoding", "Of channels only."),
    FieldSpec::unsupported("sec_tls_ca_cert_id", "Certificate authorities; see ca_file."),
    FieldSpec::unsupported("sec_tls_ca_cert_name", "Certificate authorities; see ca_file."),
    FieldSpec::unsupported("tls_verify", "How certificates are checked; see ca_file."),
];

pub(super) const OUTGOING_WSX: KindSpec = KindSpec {
    kind: Kind::OutgoingWsx,
    doc: "A WebSocket server that Spanwire connects to and stays connected with.",
    groups: &[WSX_FIELDS, WSX_HOOKS, WSX_TIMES, GENERIC, LIMITS_AND_LOGS, WSX_LEGACY, STORED],
};

const WSX_FIELDS: &[FieldSpec] = &[
    name("The name of the connection; 'name:service' calls a service behind it."),
    is_active("Whether connections are made."),
    is_internal(),
    labels(),
    FieldSpec::new("address", ValueType::Url(&["ws", "wss"]), "The URL of the peer.").required(),
    FieldSpec::new(
        "is_zato",
        ValueType::Bool,
        "Whether the peer speaks the client protocol (log in, call, subscribe); otherwise messages \
         are sent as they are and no reply is awaited.",
    )
    .or(Fallback::Bool(false)),
    outgoing_security(),
    FieldSpec::new(
        "data_format",
        ValueType::Choice(&["json"]),
        "Whether incoming messages are parsed.",
    ),
    FieldSpec::new(
        "has_auto_reconnect",
        ValueType::Bool,
        "Whether a lost connection is made again.",
    )
    .or(Fallback::Bool(true)),
    FieldSpec::new(
        "pool_size",
        ValueType::Integer { min: 1, max: 1_000 },
        "How many connections are kept.",
    )
    .or(Fallback::Integer(1)),
    FieldSpec::new(
        "subscription_list",
        ValueType::TextList,
        "Topics of the peer to subscribe to, one per line.",
    )
    .aliases(&["subscriptions"]),
    ca_file(),
    FieldSpec::new(
        "tls_cert_file",
        ValueType::FilePath,
        "The PEM file of the certificate chain that is presented to a wss:// peer that asks for one.",
    ),
    FieldSpec::new("tls_key_file", ValueType::FilePath, "The PEM file of its private key."),
    FieldSpec::new(
        "tls_check_host_name",
        ValueType::Bool,
        "Whether the certificate of a wss:// peer has to be for the host of the address. Without it \
         anybody with a certificate of a trusted authority is taken for the peer.",
    )
    .or(Fallback::Bool(true)),
];

const WSX_HOOKS: &[FieldSpec] = &[
    FieldSpec::new("on_connect_service_name", ValueType::ServiceName, "Called when connected.")
        .aliases(&["on_connect_service"]),
    FieldSpec::new("on_message_service_name", ValueType::ServiceName, "Called with each message.")
        .aliases(&["on_message_service"]),
    FieldSpec::new("on_close_service_name", ValueType::ServiceName, "Called when disconnected.")
        .aliases(&["on_close_service"]),
    FieldSpec::new(
        "on_subscribe_service_name",
        ValueType::ServiceName,
        "Called for the names of more topics to subscribe to.",
    )
    .aliases(&["on_subscribe_service"]),
];

const WSX_TIMES: &[FieldSpec] = &[
    FieldSpec::new("ping_interval", TIME, "The time between two pings, in seconds.")
        .or(Fallback::Integer(45)),
    FieldSpec::new(
        "pings_missed_threshold",
        ValueType::Integer { min: 1, max: 1_000 },
        "After how many unanswered pings in a row the peer counts as gone.",
    )
    .or(Fallback::Integer(1)),
    FieldSpec::new(
        "socket_read_timeout",
        TIME,
        "Without an effect: a peer may be silent as long as it answers pings.",
    )
        .or(Fallback::Integer(60)),
    FieldSpec::new("socket_write_timeout", TIME, "How long sending may take, in seconds.")
        .or(Fallback::Integer(60)),
    FieldSpec::new(
        "max_reconnect_pause",
        TIME,
        "The longest pause before connecting again, in seconds. Pauses begin with one second, and with this one after a \
         login that was refused.",
    )
    .or(Fallback::Integer(30)),
    FieldSpec::new(
        "max_connect_attempts",
        ValueType::Integer { min: 1, max: u32::MAX as u64 },
        "How often connecting is tried in a row; without a bound if not given.",
    ),
];

const WSX_LEGACY: &[FieldSpec] = &[
    FieldSpec::ignored("on_connect_service_id", "A number given by another system."),
    FieldSpec::ignored("on_message_service_id", "A number given by another system."),
    FieldSpec::ignored("on_close_service_id", "A number given by another system."),
    FieldSpec::ignored("on_subscribe_service_id", "A number given by another system."),
    FieldSpec::unsupported("username", "Credentials; name a security definition instead."),
    FieldSpec::unsupported("secret", "Credentials; name a security definition instead."),
];
