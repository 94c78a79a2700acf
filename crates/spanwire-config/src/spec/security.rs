//! `security`: credentials.

use super::shared::{LIMITS_AND_LOGS, STORED, is_active, is_internal, labels, name};
use super::{Fallback, FieldSpec, KindSpec, ValueType};
use crate::Kind;

pub(super) const SECURITY: KindSpec = KindSpec {
    kind: Kind::Security,
    doc: "Credentials: who may call a channel, or what an outgoing connection presents.",
    groups: &[FIELDS, OTHER_TYPES, LIMITS_AND_LOGS, STORED],
};

const FIELDS: &[FieldSpec] = &[
    name("The name by which channels and connections refer to the credentials."),
    FieldSpec::new(
        "type",
        ValueType::Choice(&["basic_auth", "apikey", "sso"]),
        "A username with a password, a key in a header, or the users of single sign-on; these are for WebSocket channels.",
    )
    .aliases(&["type_", "sec_type"])
    .required(),
    is_active("Whether the credentials are accepted and presented."),
    is_internal(),
    labels(),
    FieldSpec::new("username", ValueType::Text, "The username; basic_auth needs it."),
    FieldSpec::new(
        "password",
        ValueType::Secret,
        "The password or key. A new definition without one gets an unusable random one; an existing \
         one keeps what it has.",
    )
    .aliases(&["secret"]),
    FieldSpec::new("header", ValueType::HeaderName, "The header that carries the key of an apikey.")
        .or(Fallback::Text("X-API-Key")),
    FieldSpec::new("realm", ValueType::Text, "The realm in the challenge of basic_auth."),
];

/// Keys of types that are not accepted; exports write them for every type.
const OTHER_TYPES: &[FieldSpec] = &[
    FieldSpec::ignored("auth_server_url", "Where bearer tokens are issued."),
    FieldSpec::ignored("client_id_field", "A field in requests for bearer tokens."),
    FieldSpec::ignored("client_secret_field", "A field in requests for bearer tokens."),
    FieldSpec::ignored("grant_type", "How bearer tokens are asked for."),
    FieldSpec::ignored("scopes", "What bearer tokens are for."),
    FieldSpec::ignored("extra_fields", "More fields in requests for bearer tokens."),
    FieldSpec::ignored("data_format", "The format of requests for bearer tokens."),
];
