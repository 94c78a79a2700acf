//! What is stored. Nothing in here is a secret in clear: passwords are hashed, tokens are digests, and what is personal
//! is encrypted where the settings say so.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use spanwire_protocol::Timestamp;

/// The keyed digest of a token, a name or an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// `zusr…`; never changes.
    pub user_id: String,
    /// As it was given.
    pub username: String,
    /// What is unique: the digest of the name without regard to case and form.
    pub name_digest: Digest,
    /// Always yes; existing applications show it.
    pub is_active: bool,
    /// Whether the user belongs to the platform.
    pub is_internal: bool,
    /// Whether everything is allowed.
    pub is_super_user: bool,
    /// Whether the user is kept out.
    pub is_locked: bool,
    /// When that was last changed.
    pub locked_time: Option<Timestamp>,
    /// By whom.
    pub locked_by: Option<String>,
    /// From where the user was made, as JSON.
    pub creation_ctx: String,
    /// Whether a super-user has approved.
    pub approval_status: Approval,
    /// When that was last changed.
    pub approval_status_mod_time: Timestamp,
    /// By whom; `auto` for nobody.
    pub approval_status_mod_by: String,
    /// The hash, encrypted or not.
    pub password: String,
    /// Whether there is a password at all.
    pub password_is_set: bool,
    /// Whether the next login needs a new one.
    pub password_must_change: bool,
    /// When it was set.
    pub password_last_set: Timestamp,
    /// When it expires.
    pub password_expiry: Timestamp,
    /// Hashes of earlier ones, the newest first.
    #[serde(default)]
    pub password_history: Vec<String>,
    /// How far the sign-up is.
    pub sign_up_status: SignUp,
    /// When it began.
    pub sign_up_time: Timestamp,
    /// When it was confirmed.
    pub sign_up_confirm_time: Option<Timestamp>,
    /// What confirms it.
    pub confirm_digest: Option<Digest>,
    /// The address, encrypted or not.
    pub email: Option<Field>,
    /// What it is looked up by.
    pub email_digest: Option<Digest>,
    /// Shown to people.
    pub display_name: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Middle name.
    pub middle_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Whether the limit below holds for linked credentials.
    pub is_rate_limit_active: Option<bool>,
    /// `EXACT`.
    pub rate_limit_type: Option<String>,
    /// Lines such as `*=100/m`.
    pub rate_limit_def: Option<String>,
    /// Kept for existing applications.
    pub rate_limit_check_parent_def: Option<bool>,
    /// Whether a login needs a code.
    pub is_totp_enabled: bool,
    /// The key of the authenticator app, encrypted.
    pub totp_key: Option<Field>,
    /// What the app shows.
    pub totp_label: Option<Field>,
    /// The last step whose code was taken.
    pub totp_last_step: Option<u64>,
    /// The applications the user may use; all if empty.
    #[serde(default)]
    pub apps: Vec<String>,
    /// Whether the welcome was sent.
    #[serde(default)]
    pub was_welcomed: bool,
}

/// A field of which it is known whether it is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Field {
    /// As it is.
    #[serde(rename = "plain")]
    Plain(String),
    /// With a key of the ring.
    #[serde(rename = "sealed")]
    Sealed(String),
}

/// Whether a super-user has approved a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Not yet.
    BeforeDecision,
    /// Yes.
    Approved,
    /// No.
    Rejected,
}

/// How far a sign-up is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignUp {
    /// The token was not sent back yet.
    BeforeConfirmation,
    /// It was, or was not needed.
    Final,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Of the token.
    pub digest: Digest,
    /// What lists show instead of the token.
    pub handle: String,
    /// Whose it is.
    pub user_id: String,
    /// When it began.
    pub creation_time: Timestamp,
    /// When it ends.
    pub expiration_time: Timestamp,
    /// When somebody last proved who they are.
    pub auth_time: Timestamp,
    /// `default`, `basic_auth` or `jwt`.
    pub auth_type: String,
    /// The user name it was opened with.
    pub auth_principal: String,
    /// From where, comma-separated.
    pub remote_addr: String,
    /// With what.
    pub user_agent: String,
    /// The application it was opened from.
    #[serde(default)]
    pub app: String,
    /// For how many minutes a renewal lasts; as the settings say if 0.
    #[serde(default)]
    pub minutes: u32,
    /// Of the linked credentials.
    pub ext_session_id: Option<String>,
    /// The newest changes, oldest first.
    pub changes: Vec<StateChange>,
}

/// What a session was used for that its owner may want to know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateChange {
    /// From where, comma-separated.
    pub remote_addr: String,
    /// With what.
    pub user_agent: String,
    /// When.
    pub timestamp_utc: Timestamp,
    /// `login` or `renew`.
    pub ctx_source: String,
    /// Which one it is, from 1.
    pub idx: u64,
}

/// Whose an attribute is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A user's.
    User(String),
    /// A session's.
    Session(Digest),
}

/// An attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Its name, unique among its owner's.
    pub name: String,
    /// Its value as JSON, encrypted or not.
    pub value: Field,
    /// When it was made.
    pub creation_time: Timestamp,
    /// When it was changed.
    pub last_modified: Timestamp,
    /// Until when it is there; for ever if `None`.
    pub expiration_time: Option<Timestamp>,
}

/// Credentials that open sessions of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Whose.
    pub user_id: String,
    /// `basic_auth` or `jwt`.
    pub auth_type: String,
    /// The name of the security definition.
    pub auth_username: String,
    /// Whether it works.
    pub is_active: bool,
    /// When it was made.
    pub creation_time: Timestamp,
}

/// A password that was forgotten, on its way to a new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Of the token in the mail.
    pub digest: Digest,
    /// Whose.
    pub user_id: String,
    /// When it was asked for.
    pub creation_time: Timestamp,
    /// Until when the token is good.
    pub expiration_time: Timestamp,
    /// Of the key that was given for the token, and until when it is good.
    pub key: Option<(Digest, Timestamp)>,
}

impl Approval {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeDecision => "before_decision",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }

    /// Of the word on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::BeforeDecision, Self::Approved, Self::Rejected]
            .into_iter()
            .find(|it| it.as_str() == text)
    }
}

impl SignUp {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeConfirmation => "before_confirmation",
            Self::Final => "final",
        }
    }

    /// Of the word on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::BeforeConfirmation, Self::Final].into_iter().find(|it| it.as_str() == text)
    }
}

impl Attribute {
    /// Whether it is there at a time.
    #[must_use]
    pub fn is_there(&self, now: Timestamp) -> bool {
        self.expiration_time.is_none_or(|end| now < end)
    }
}

impl Digest {
    /// In hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        let digit = |nibble: u8| char::from(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'));
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
    }

    fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text)
            .ok_or_else(|| serde::de::Error::custom("expected 64 hexadecimal digits"))
    }
}
