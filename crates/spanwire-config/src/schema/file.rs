//! The schema of files, for editors: everything that an import takes, in the ways people write it.

use serde_json::{Map, Value as Json, json};

use super::{applied, describe, insert, value};
use crate::Kind;
use crate::kind::{FOREIGN, GENERIC_CONNECTION, GENERIC_OUTGOING_WSX};
use crate::normalise::TOPIC_LISTS;
use crate::spec::{Effect, FieldSpec, KindSpec, ValueType};

/// Returns the schema of a file that [`crate::import`] reads: kinds with lists of objects.
///
/// It knows older words for kinds and keys, includes, values from the environment, and keys that are
/// accepted without effect, which it marks as deprecated. It is for YAML as well as for JSON. Files
/// that are included under a kind may also be a list of its objects, or one object; they are not
/// described here.
#[must_use]
pub fn file() -> Json {
    let mut properties = Map::new();
    let mut definitions = Map::new();
    for kind in Kind::ALL {
        definitions.insert(kind.as_str().to_owned(), object(kind));
        let mut list = section(&reference(kind.as_str()));
        insert(&mut list, "description", KindSpec::of(kind).doc);
        properties.insert(kind.as_str().to_owned(), list);
    }
    for word in OLDER_KINDS {
        if let Some(kind) = Kind::from_key(word) {
            let mut list = section(&reference(kind.as_str()));
            insert(&mut list, "description", format!("The older word for '{kind}'."));
            insert(&mut list, "deprecated", true);
            properties.insert(word.to_owned(), list);
        }
    }
    properties.insert(GENERIC_CONNECTION.to_owned(), generic());
    for word in FOREIGN {
        let empty = json!({
            "description": "There are no such objects in Spanwire: a list must be empty.",
            "type": ["array", "null"], "maxItems": 0, "deprecated": true,
        });
        properties.insert((*word).to_owned(), empty);
    }
    properties.insert("include".to_owned(), include());
    definitions.insert("variable".to_owned(), variable());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Managed objects of Spanwire",
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// Returns the schema of a list of objects, some or all of which may be in files.
fn section(item: &Json) -> Json {
    let file = json!({"type": "string", "pattern": "^file://"});
    json!({"anyOf": [
        {"type": "array", "items": {"anyOf": [item, file]}},
        file,
        {"type": "null"},
    ]})
}

fn generic() -> Json {
    let connection = json!({
        "allOf": [reference(Kind::OutgoingWsx.as_str())],
        "properties": {"type_": {"const": GENERIC_OUTGOING_WSX}},
        "required": ["type_"],
    });
    let mut list = section(&connection);
    insert(&mut list, "description", "The older word for 'outgoing_wsx' and others.");
    insert(&mut list, "deprecated", true);
    list
}

fn include() -> Json {
    json!({
        "description": "Files that are read as well; their paths are relative to this file.",
        "anyOf": [
            {"type": "array", "items": {"type": ["string", "null"]}},
            {"type": ["string", "null"]},
        ],
    })
}

/// A value from the environment. Unquoted braces are a mapping to a YAML parser.
fn variable() -> Json {
    let names = "(Spanwire_Env|SpanwireEnv|Zato_Enmasse_Env|ZatoEnmasseEnv)\\.";
    json!({
        "description": "A value with variables: Spanwire_Env.NAME, or {Spanwire_Env.NAME} in a text.",
        "anyOf": [
            {"type": "string", "pattern": names},
            {
                "type": "object", "minProperties": 1, "maxProperties": 1,
                "propertyNames": {"pattern": format!("^{names}")},
                "additionalProperties": {"type": "null"},
            },
        ],
    })
}

fn object(kind: Kind) -> Json {
    let spec = KindSpec::of(kind);
    let mut properties = Map::new();
    for field in spec.fields() {
        let property = match field.effect {
            Effect::Applied => {
                let mut property = lenient(kind, field);
                describe(&mut property, field);
                for alias in field.aliases {
                    let mut older = property.clone();
                    insert(&mut older, "description", format!("Another word for '{}'.", field.key));
                    properties.insert((*alias).to_owned(), older);
                }
                property
            }
            Effect::Ignored | Effect::Unsupported => {
                json!({"description": field.doc, "deprecated": true})
            }
            Effect::Refused => json!({"description": field.doc, "enum": unset()}),
        };
        properties.insert(field.key.to_owned(), property);
    }
    if kind == Kind::PubsubSubscription {
        let topics = json!({"type": ["array", "string"], "items": {"type": "string"}});
        for key in TOPIC_LISTS {
            properties.insert(key.to_owned(), topics.clone());
        }
    }
    let required: Vec<Json> = applied(kind)
        .filter(|field| field.required)
        .map(|field| {
            let lists: &[&str] = if field.key == "topic_name" { &TOPIC_LISTS } else { &[] };
            let words = std::iter::once(&field.key).chain(field.aliases).chain(lists);
            let one: Vec<Json> = words.map(|word| json!({"required": [word]})).collect();
            json!({ "oneOf": one })
        })
        .collect();
    json!({
        "type": "object",
        "description": spec.doc,
        "properties": properties,
        "additionalProperties": false,
        "allOf": required,
    })
}

/// Returns the schema of a value in any form that an import takes.
fn lenient(kind: Kind, field: &FieldSpec) -> Json {
    let mut forms = vec![value::strict(kind, field)];
    match field.value {
        // Numbers and words are texts to an import.
        ValueType::Text
        | ValueType::Name
        | ValueType::Reference(..)
        | ValueType::ServiceName
        | ValueType::Secret => forms.push(json!({"type": ["number", "boolean"]})),
        ValueType::Bool => forms.push(json!({
            "enum": [0, 1, "0", "1", "true", "True", "TRUE", "false", "False", "FALSE",
                "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF"],
        })),
        ValueType::Integer { .. }
        | ValueType::Duration { .. }
        | ValueType::TimeLimit
        | ValueType::Size { .. } => forms.push(json!({"type": "string", "pattern": "^[0-9]+$"})),
        ValueType::TextList
        | ValueType::LabelList
        | ValueType::OriginList
        | ValueType::TopicPatterns => forms.push(json!({
            "type": ["array", "string", "number"],
            "items": {"type": ["string", "number", "boolean", "object", "null"]},
        })),
        _ => {}
    }
    if !field.required {
        forms.push(json!({"enum": ["", null]}));
    }
    forms.push(reference("variable"));
    json!({ "anyOf": forms })
}

fn reference(definition: &str) -> Json {
    json!({"$ref": format!("#/$defs/{definition}")})
}

/// Returns what a key that is refused may say: nothing.
fn unset() -> Json {
    json!([null, false, 0, [], {}, "", "false", "no", "off", "0", "none", "None", "ZATO_NONE"])
}

/// Older words for kinds that [`Kind::from_key`] knows.
const OLDER_KINDS: [&str; 3] = ["def_sec", "channel_plain_http", "outconn_plain_http"];
