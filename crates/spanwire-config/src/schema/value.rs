//! The schema of one value.
//!
//! Patterns keep to what the regular expressions of JSON Schema and of common languages share: no
//! lookaround, no classes by name.

use serde_json::{Value as Json, json};

use super::insert;
use crate::Kind;
use crate::address::MAX_PATH;
use crate::label::{MAX_LABEL, MAX_LABELS};
use crate::password::MASK;
use crate::spec::{FieldSpec, ValueType};
use crate::value::{MAX_NAME, TEN_YEARS};

/// Returns the schema of the strict form of a value.
pub(super) fn strict(kind: Kind, field: &FieldSpec) -> Json {
    match field.value {
        // The one rule for the name that depends on the kind.
        ValueType::Name if kind == Kind::PubsubTopic => {
            json!({"type": "string", "maxLength": MAX_NAME, "pattern": "^[\\x20-\\x7e]+$"})
        }
        ValueType::Name | ValueType::Reference(..) | ValueType::ServiceName => json!({
            "type": "string", "minLength": 1, "maxLength": MAX_NAME,
            "pattern": format!("^[^{CONTROL}]+$"),
        }),
        ValueType::Path => json!({
            "type": "string", "maxLength": MAX_PATH,
            "pattern": format!("^/{PATH}*(\\{{{PARAMETER}\\}}{PATH}+)*(\\{{{PARAMETER}\\}})?$"),
        }),
        ValueType::Url(schemes) => json!({
            "type": "string", "pattern": url(schemes),
            "not": {"type": "string", "pattern": "=\\*\\*\\*"},
        }),
        ValueType::ListenAddress => json!({
            "type": "string",
            "pattern": format!("^(/{PATH}*|wss?://{HOST}:[0-9]+(/{PATH}*)?)$"),
        }),
        ValueType::FilePath => json!({"type": "string", "pattern": "^[^\\x00]*$"}),
        ValueType::Method | ValueType::HeaderName => json!({
            "type": "string", "maxLength": 64, "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]*$",
        }),
        ValueType::Bool => json!({"type": "boolean"}),
        ValueType::Integer { min, max } => {
            json!({"type": "integer", "minimum": min, "maximum": max})
        }
        ValueType::Duration { min_ms, max_ms } => time(min_ms.div_ceil(1_000), max_ms / 1_000),
        ValueType::TimeLimit => time(0, TEN_YEARS.as_secs()),
        ValueType::Size { min, max } => json!({"anyOf": [
            {"type": "integer", "minimum": min, "maximum": max},
            {"type": "string", "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB)$"},
        ]}),
        ValueType::TextList => json!({"type": "array", "items": {"type": "string"}}),
        ValueType::LabelList => {
            let pattern = format!("^[A-Za-z0-9._/-]{{1,{MAX_LABEL}}}$");
            let label = json!({"type": "string", "pattern": pattern});
            json!({"type": "array", "maxItems": MAX_LABELS, "items": label})
        }
        ValueType::OriginList => {
            let origin = format!("^(\\*|https?://{HOST}{PORT})$");
            json!({"type": "array", "items": {"type": "string", "pattern": origin}})
        }
        ValueType::TopicPatterns => {
            json!({"type": "array", "items": {"type": "string", "pattern": "^(pub|sub)=."}})
        }
        ValueType::Choice(words) => json!({"type": "string", "enum": words}),
        ValueType::Secret => json!({
            "type": "string", "format": "password", "writeOnly": true, "minLength": 1,
            "pattern": format!("^[^{CONTROL}]+$"), "not": {"const": MASK},
        }),
        ValueType::Text => json!({"type": "string"}),
        ValueType::Any => json!({}),
    }
}

/// Returns the schema of a value as it is shown.
pub(super) fn shown(kind: Kind, field: &FieldSpec) -> Json {
    match field.value {
        ValueType::Secret => json!({"type": "string", "const": MASK}),
        ValueType::Url(schemes) => json!({"type": "string", "pattern": url(schemes)}),
        _ => strict(kind, field),
    }
}

/// Makes a schema accept null as well.
pub(super) fn make_nullable(schema: &mut Json) {
    if let Some(Json::Array(alternatives)) = schema.get_mut("anyOf") {
        return alternatives.push(json!({"type": "null"}));
    }
    if let Some(Json::Array(words)) = schema.get_mut("enum") {
        words.push(Json::Null);
    }
    if let Some(of) = schema.get("type").cloned() {
        insert(schema, "type", json!([of, "null"]));
    }
}

fn time(min: u64, max: u64) -> Json {
    json!({"anyOf": [
        {"type": "integer", "minimum": min, "maximum": max},
        {"type": "string", "pattern": "^[0-9]+ ?(ms|s|m|h|d)$"},
    ]})
}

fn url(schemes: &[&str]) -> String {
    format!("^({})://{HOST}{PORT}([/?][^\\s#{CONTROL}]*)?$", schemes.join("|"))
}

/// Control characters, in a class.
const CONTROL: &str = "\\x00-\\x1f\\x7f-\\x9f";
/// A character of a path outside its parameters.
const PATH: &str = "[^\\s?#{}\\x00-\\x1f\\x7f-\\x9f]";
/// The name of a parameter.
const PARAMETER: &str = "[A-Za-z0-9_.-]+";
/// A host name or an address.
const HOST: &str = "(\\[[0-9A-Fa-f:.]+\\]|[^\\s/?#@:\\[\\]\\x00-\\x1f\\x7f-\\x9f]+)";
/// A port of a peer, perhaps.
const PORT: &str = "(:0*[1-9][0-9]{0,4})?";
