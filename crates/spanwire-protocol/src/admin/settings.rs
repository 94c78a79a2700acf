//! Settings of the server: where each value comes from.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One setting of `spanwire.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingInfo {
    /// As in the file, with its section: `limits.headers`.
    pub key: String,
    /// The variable that overlays it: `SPANWIRE_LIMITS_HEADERS`.
    pub variable: String,
    /// The value in force; null for none.
    pub value: Value,
    /// Where it comes from.
    pub origin: SettingOrigin,
    /// The file and line, the variable, or the argument; absent for a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The value when nobody says otherwise.
    pub default: Value,
    /// Whether a reload takes a new value, without a restart.
    pub reloadable: bool,
    /// A value that was read and waits for a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_restart: Option<Value>,
    /// What it is for.
    pub meaning: String,
}

/// Where the value of a setting comes from; later ones win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SettingOrigin {
    /// Nobody set it.
    Default,
    /// `spanwire.toml`.
    File,
    /// A `SPANWIRE_*` variable.
    Environment,
    /// An argument of the server.
    Argument,
}

/// What a reload of the settings did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reloaded {
    /// Keys with a new value in force.
    pub changed: Vec<String>,
    /// Keys with a new value that needs a restart.
    pub needs_restart: Vec<String>,
}
