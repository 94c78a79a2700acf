//! `channel_rest`: inbound REST channels.

use super::shared::{
    HTTP_LEGACY, LIMITS_AND_LOGS, NO_SECURITY_WORDS, STORED, TIMEOUT, is_active, is_internal,
    labels, name,
};
use super::{Fallback, FieldSpec, KindSpec, ValueType};
use crate::Kind;

pub(super) const CHANNEL_REST: KindSpec = KindSpec {
    kind: Kind::ChannelRest,
    doc: "A path on the main listener that calls a service.",
    groups: &[FIELDS, INPUT, SECURITY_LEGACY, HTTP_LEGACY, LIMITS_AND_LOGS, STORED],
};

const FIELDS: &[FieldSpec] = &[
    name("The name of the channel."),
    is_active("Whether the channel answers; if not, its path is not found."),
    is_internal(),
    labels(),
    FieldSpec::new("url_path", ValueType::Path, "The path, in which {name} is a parameter.")
        .required(),
    FieldSpec::new("method", ValueType::Method, "The HTTP method; any if not given.")
        .or(Fallback::Text("")),
    FieldSpec::new("service", ValueType::ServiceName, "The service that is called.")
        .aliases(&["service_name"])
        .required(),
    FieldSpec::new(
        "security_name",
        ValueType::Reference(Kind::Security, NO_SECURITY_WORDS),
        "The credentials that callers present; without them everyone may call.",
    )
    .aliases(&["sec_def", "security", "security_def"]),
    FieldSpec::new(
        "data_format",
        ValueType::Choice(&["json", "form", "xml", "text"]),
        "The format of requests and responses; json is parsed, and errors are JSON then.",
    ),
    FieldSpec::new(
        "cors_origins",
        ValueType::OriginList,
        "Origins whose pages may call the channel from a browser; '*' is any.",
    ),
    FieldSpec::new(
        "timeout",
        TIMEOUT,
        "How long the service may take, in seconds; the server's bound if not given.",
    ),
    FieldSpec::new("content_type", ValueType::Text, "The content type of responses."),
    FieldSpec::new("content_encoding", ValueType::Choice(&["gzip"]), "The encoding of responses."),
];

const INPUT: &[FieldSpec] = &[
    FieldSpec::new("match_slash", ValueType::Bool, "Whether a parameter may span '/'.")
        .or(Fallback::Bool(false)),
    FieldSpec::new(
        "merge_url_params_req",
        ValueType::Bool,
        "Whether parameters of the path and the query become input of the service.",
    )
    .or(Fallback::Bool(true)),
    FieldSpec::new(
        "url_params_pri",
        ValueType::Choice(&["qs-over-path", "path-over-qs"]),
        "Which parameter counts if both have one of a name.",
    )
    .or(Fallback::Text("qs-over-path")),
    FieldSpec::new(
        "params_pri",
        ValueType::Choice(&["channel-params-over-msg", "msg-over-channel-params"]),
        "Whether parameters of the URL or fields of the message count.",
    )
    .or(Fallback::Text("channel-params-over-msg")),
];

/// Protection that Spanwire does not have: to ignore it would leave a channel open.
const SECURITY_LEGACY: &[FieldSpec] = &[
    FieldSpec::refused("security_groups", "Groups of credentials."),
    FieldSpec::refused("security_groups_count", "Groups of credentials."),
    FieldSpec::refused("has_rbac", "Role-based access."),
    FieldSpec::refused("sec_use_rbac", "Role-based access."),
    FieldSpec::refused("http_accept", "Choosing a channel by the Accept header."),
];
