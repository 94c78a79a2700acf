//! `service` and `wsx_gateway`.

use super::shared::{STORED, ca_file, is_active, labels, name, outgoing_security, timeout};
use super::{Fallback, FieldSpec, KindSpec, ValueType};
use crate::Kind;

pub(super) const SERVICE: KindSpec = KindSpec {
    kind: Kind::Service,
    doc: "A service that is implemented behind a URL.",
    groups: &[SERVICE_FIELDS, STORED],
};

const SERVICE_FIELDS: &[FieldSpec] = &[
    name("The name by which the service is called."),
    is_active("Whether the service may be called."),
    labels(),
    FieldSpec::new("url", ValueType::Url(&["http", "https"]), "Where requests are sent.")
        .required(),
    FieldSpec::new("method", ValueType::Method, "The HTTP method of the requests.")
        .or(Fallback::Text("POST")),
    timeout(10, "How long an answer may take, in seconds."),
    outgoing_security(),
    ca_file(),
];

pub(super) const WSX_GATEWAY: KindSpec = KindSpec {
    kind: Kind::WsxGateway,
    doc: "A service through which WebSocket clients call those services that it lists.",
    groups: &[GATEWAY_FIELDS, STORED],
};

const GATEWAY_FIELDS: &[FieldSpec] = &[
    name("The name that WebSocket channels give as their service."),
    is_active("Whether clients may call anything."),
    labels(),
    FieldSpec::new(
        "services_allowed",
        ValueType::TextList,
        "Names of services, or patterns with '*'; what is not listed is refused.",
    ),
];
