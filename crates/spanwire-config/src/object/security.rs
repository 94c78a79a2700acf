//! `security` in its typed form.

use serde::{Deserialize, Serialize};

use crate::Password;

/// Credentials: who may call a channel, or what an outgoing connection presents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Security {
    /// The name, unique within the kind.
    pub name: String,
    /// What the credentials are.
    pub r#type: SecurityType,
    /// Whether the object is in use.
    pub is_active: bool,
    /// Whether the object belongs to the platform.
    pub is_internal: bool,
    /// The username; always there with [`SecurityType::BasicAuth`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password or key; with `None`, nothing that a client sends may match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    /// The header that carries the key of [`SecurityType::ApiKey`].
    pub header: String,
    /// The realm in the challenge of [`SecurityType::BasicAuth`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// Words by which objects are grouped, such as for `--prune`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// What credentials are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SecurityType {
    /// A username with a password.
    BasicAuth,
    /// A key in a header.
    #[serde(rename = "apikey")]
    ApiKey,
    /// The users of single sign-on.
    Sso,
}
