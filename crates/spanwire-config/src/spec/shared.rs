//! Keys that several kinds have in common.

use super::{Fallback, FieldSpec, ValueType};
use crate::Kind;

pub(super) const fn name(doc: &'static str) -> FieldSpec {
    FieldSpec::new("name", ValueType::Name, doc).required()
}

pub(super) const fn is_active(doc: &'static str) -> FieldSpec {
    FieldSpec::new("is_active", ValueType::Bool, doc).or(Fallback::Bool(true))
}

pub(super) const fn is_internal() -> FieldSpec {
    let doc = "Whether the object belongs to the platform.";
    FieldSpec::new("is_internal", ValueType::Bool, doc).or(Fallback::Bool(false))
}

pub(super) const fn labels() -> FieldSpec {
    let doc = "Words by which objects are grouped, such as for --prune; one per line.";
    FieldSpec::new("labels", ValueType::LabelList, doc)
}

/// Credentials for calls to somebody else.
pub(super) const fn outgoing_security() -> FieldSpec {
    let doc = "The credentials that are presented to the peer.";
    FieldSpec::new("security_name", ValueType::Reference(Kind::Security, NO_SECURITY_WORDS), doc)
        .aliases(&["sec_def", "security", "security_def"])
}

pub(super) const fn timeout(seconds: u64, doc: &'static str) -> FieldSpec {
    FieldSpec::new("timeout", TIMEOUT, doc).or(Fallback::Integer(seconds))
}

pub(super) const fn ca_file() -> FieldSpec {
    let doc = "A PEM file with the certificate authorities that the peer's certificate is checked \
               against; the well-known ones if not given.";
    FieldSpec::new("ca_file", ValueType::FilePath, doc)
}

/// One second to one day.
pub(super) const TIME: ValueType = ValueType::Duration { min_ms: 1_000, max_ms: 86_400_000 };
/// One millisecond to one day.
pub(super) const TIMEOUT: ValueType = ValueType::Duration { min_ms: 1, max_ms: 86_400_000 };
/// Words for no security definition.
pub(super) const NO_SECURITY_WORDS: &[&str] = &[super::NO_SECURITY, "ZATO_NONE"];

/// Keys of the storage of existing systems.
pub(super) const STORED: &[FieldSpec] = &[
    FieldSpec::ignored("id", "A number given by another system."),
    FieldSpec::ignored("cluster_id", "A number given by another system."),
    FieldSpec::ignored("cluster", "The name of another system."),
    FieldSpec::ignored("cluster_name", "The name of another system."),
    FieldSpec::ignored("opaque1", "Storage of another system."),
    FieldSpec::ignored("service_id", "A number given by another system; the name counts."),
    FieldSpec::ignored("security_id", "A number given by another system; the name counts."),
];

/// Rate limits and message logs of existing systems.
pub(super) const LIMITS_AND_LOGS: &[FieldSpec] = &[
    FieldSpec::unsupported("is_rate_limit_active", "A rate limit of the object."),
    FieldSpec::ignored("rate_limit_type", "The kind of a rate limit."),
    FieldSpec::unsupported("rate_limit_def", "The definition of a rate limit."),
    FieldSpec::ignored("rate_limit_check_parent_def", "Part of a rate limit."),
    FieldSpec::unsupported("is_audit_log_sent_active", "A log of messages sent."),
    FieldSpec::unsupported("is_audit_log_received_active", "A log of messages received."),
    FieldSpec::ignored("max_len_messages_sent", "The size of a message log."),
    FieldSpec::ignored("max_len_messages_received", "The size of a message log."),
    FieldSpec::ignored("max_bytes_per_message_sent", "The size of a message log."),
    FieldSpec::ignored("max_bytes_per_message_received", "The size of a message log."),
];

/// Keys of HTTP objects, in both directions, that existing files contain.
pub(super) const HTTP_LEGACY: &[FieldSpec] = &[
    FieldSpec::ignored("connection", "The direction, which the kind says already."),
    FieldSpec::ignored("transport", "The transport, which the kind says already."),
    FieldSpec::unsupported("soap_action", "A SOAP action."),
    FieldSpec::unsupported("soap_version", "A version of SOAP."),
    FieldSpec::ignored("serialization_type", "How SOAP messages are represented."),
    FieldSpec::ignored("data_encoding", "An encoding of characters."),
    FieldSpec::unsupported("cache_id", "A cache of responses."),
    FieldSpec::unsupported("cache_name", "A cache of responses."),
    FieldSpec::ignored("cache_type", "A kind of cache."),
    FieldSpec::ignored("cache_expiry", "How long responses are cached, in minutes."),
    FieldSpec::unsupported("cache", "A cache of responses."),
    FieldSpec::unsupported("hl7_version", "A version of HL7."),
    FieldSpec::unsupported("json_path", "A path in HL7 or JSON messages."),
    FieldSpec::ignored("should_parse_on_input", "Part of HL7."),
    FieldSpec::ignored("should_validate", "Part of HL7."),
    FieldSpec::ignored("should_return_errors", "Part of HL7."),
];

/// Keys of generic connections of existing systems.
pub(super) const GENERIC: &[FieldSpec] = &[
    FieldSpec::ignored("type_", "The type of a generic connection, which the kind says already."),
    FieldSpec::ignored("is_channel", "The direction, which the kind says already."),
    FieldSpec::ignored("is_outconn", "The direction, which the kind says already."),
    FieldSpec::ignored("address_masked", "Derived from the address."),
    FieldSpec::ignored("needs_spawn", "Internal to another system."),
    FieldSpec::ignored("queue_build_cap", "Internal to another system."),
    FieldSpec::ignored("sec_use_rbac", "Unused for this type of connection."),
    FieldSpec::ignored("cache_expiry", "Unused for this type of connection."),
    FieldSpec::ignored("cache_id", "Unused for this type of connection."),
    FieldSpec::ignored("conn_def_id", "Unused for this type of connection."),
    FieldSpec::ignored("port", "Unused for this type of connection."),
    FieldSpec::ignored("timeout", "Unused for this type of connection."),
    FieldSpec::ignored("version", "Unused for this type of connection."),
    FieldSpec::ignored("extra", "Unused for this type of connection."),
    FieldSpec::ignored("username_type", "Unused for this type of connection."),
    FieldSpec::ignored("secret_type", "Unused for this type of connection."),
];
