//! Errors of the admin API.

use serde::{Deserialize, Serialize};

/// An error of the admin API (RFC 9457, problem details).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// A short, fixed summary.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here and what to do.
    pub detail: String,
    /// Every single mistake, where there can be several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// The correlation id to look for in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cid: Option<String>,
}

/// One mistake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldProblem {
    /// The file, as it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in the file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The kind of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The name of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The key in the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl std::fmt::Display for FieldProblem {
    /// As in `objects.yaml:12: web_socket 'crm.wsx', field 'token_tll': unknown key`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: ")?,
            (Some(file), None) => write!(f, "{file}: ")?,
            (None, _) => {}
        }
        let object = match (&self.kind, &self.name) {
            (Some(kind), Some(name)) => Some(format!("{kind} '{name}'")),
            (Some(kind), None) => Some(kind.clone()),
            (None, _) => None,
        };
        let field = self.field.as_ref().map(|field| format!("field '{field}'"));
        let place: Vec<String> = object.into_iter().chain(field).collect();
        if !place.is_empty() {
            write!(f, "{}: ", place.join(", "))?;
        }
        f.write_str(&self.message)
    }
}
