//! `web_socket`: inbound WebSocket channels.

use super::shared::{
    LIMITS_AND_LOGS, NO_SECURITY_WORDS, STORED, TIME, TIMEOUT, is_active, is_internal, labels, name,
};
use super::{Fallback, FieldSpec, KindSpec, ValueType};
use crate::Kind;

pub(super) const WEB_SOCKET: KindSpec = KindSpec {
    kind: Kind::WebSocket,
    doc: "A channel on which WebSocket clients log in and call services.",
    groups: &[FIELDS, TIMES, BOUNDS, LEGACY, LIMITS_AND_LOGS, STORED],
};

const FIELDS: &[FieldSpec] = &[
    name("The name of the channel."),
    is_active("Whether clients may connect."),
    is_internal(),
    labels(),
    FieldSpec::new(
        "address",
        ValueType::ListenAddress,
        "A path on the main listener, or ws://host:port/path or wss://host:port/path for a listener \
         of its own.",
    )
    .required(),
    FieldSpec::new(
        "service",
        ValueType::ServiceName,
        "The service or gateway that receives what clients send.",
    )
    .aliases(&["service_name"])
    .required(),
    FieldSpec::new(
        "sec_def",
        ValueType::Reference(Kind::Security, NO_SECURITY_WORDS),
        "The credentials that clients log in with; 'zato-no-security' lets everyone in.",
    )
    .aliases(&["security_name", "security", "security_def"])
    .required(),
    FieldSpec::new("data_format", ValueType::Choice(&["json"]), "The format of messages.")
        .or(Fallback::Text("json")),
    FieldSpec::new(
        "allowed_origins",
        ValueType::OriginList,
        "Origins of browsers that may connect besides the channel's own host; '*' is any.",
    ),
    FieldSpec::new("on_connect_service", ValueType::ServiceName, "Called when a client has logged in."),
    FieldSpec::new("on_disconnect_service", ValueType::ServiceName, "Called when a client has gone."),
    FieldSpec::new(
        "tls_cert_file",
        ValueType::FilePath,
        "The PEM file of the certificate chain of a wss:// address.",
    ),
    FieldSpec::new(
        "tls_key_file",
        ValueType::FilePath,
        "The PEM file of the private key of a wss:// address.",
    ),
];

const TIMES: &[FieldSpec] = &[
    FieldSpec::new(
        "new_token_wait_time",
        TIME,
        "How long a client may take to log in, in seconds.",
    )
    .or(Fallback::Integer(5)),
    FieldSpec::new(
        "token_ttl",
        ValueType::Duration { min_ms: 1_000, max_ms: 315_360_000_000 },
        "How long a login is valid without being renewed, in seconds.",
    )
    .or(Fallback::Integer(3_600)),
    FieldSpec::new("ping_interval", TIME, "The time between two pings, in seconds.")
        .or(Fallback::Integer(45)),
    FieldSpec::new("ping_timeout", TIMEOUT, "How long the answer to a ping may take, in seconds.")
        .or(Fallback::Integer(5)),
    FieldSpec::new(
        "pings_missed_threshold",
        ValueType::Integer { min: 1, max: 1_000 },
        "After how many unanswered pings in a row a client counts as gone.",
    )
    .or(Fallback::Integer(2)),
    FieldSpec::new(
        "service_timeout",
        TIMEOUT,
        "How long a call of a service may take, in seconds; the server's bound if not given.",
    ),
];

const BOUNDS: &[FieldSpec] = &[
    FieldSpec::new(
        "max_in_flight",
        ValueType::Integer { min: 1, max: 65_536 },
        "How many calls of one connection are handled at a time.",
    )
    .or(Fallback::Integer(64)),
    FieldSpec::new(
        "ordered_replies",
        ValueType::Bool,
        "Whether replies are sent in the order of the calls; if not given, only in the compat \
         profile.",
    ),
    FieldSpec::new(
        "max_message_size",
        ValueType::Size { min: 1_024, max: 1_073_741_824 },
        "The largest message accepted, in bytes; the server's bound if not given.",
    ),
    FieldSpec::new(
        "outgoing_queue_size",
        ValueType::Size { min: 65_536, max: 1_073_741_824 },
        "How much may wait for a slow client, in bytes; the server's bound if not given.",
    ),
    FieldSpec::new(
        "unsub_on_wsx_close",
        ValueType::Bool,
        "Whether subscriptions end with the connection; if not given, the subscribing call decides.",
    ),
];

const LEGACY: &[FieldSpec] = &[
    FieldSpec::unsupported("hook_service", "A hook; see on_connect_service."),
    FieldSpec::ignored("is_out", "The direction, which the kind says already."),
    FieldSpec::ignored("extra_properties", "Unused."),
];
