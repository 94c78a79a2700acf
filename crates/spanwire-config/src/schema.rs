//! JSON Schemas (2020-12, as OpenAPI 3.1 embeds them) of objects and of files, made from [`crate::spec`].
//!
//! They describe the strict form: what a careful client writes. Validation takes that and more, such
//! as numbers written as texts, `yes`, or an empty text for none; [`file()`] describes that too, as
//! people write files. A value in its normal form satisfies the schema; a value in strict form that
//! violates it is refused. What a schema cannot say, such as that the bounds of a time hold for `90m`
//! as well, that a host is well-formed or that what is referred to exists, only validation knows.

mod file;
mod rules;
mod value;

use serde_json::{Map, Value as Json, json};

pub use self::file::file;
use crate::Kind;
use crate::spec::{Effect, FieldSpec, KindSpec, ValueType};
use crate::value::fallback;

/// Returns the schema of an object as it is created or replaced, secrets in clear.
///
/// Only keys that have an effect are accepted, by their own names. Null is the same as leaving a key
/// out, where it may be left out.
#[must_use]
pub fn object(kind: Kind) -> Json {
    let mut schema = body(kind);
    insert(&mut schema, "required", required(kind));
    let rules = rules::of(kind);
    if !rules.is_empty() {
        insert(&mut schema, "allOf", rules);
    }
    schema
}

/// Returns the schema of a JSON merge patch of an object.
///
/// Nothing is required. Null gives a key its default again; those that must be given do not take it.
/// What several keys must be like together is checked when the patch has been merged.
#[must_use]
pub fn patch(kind: Kind) -> Json {
    let mut schema = body(kind);
    // A default would be filled in where the patch says nothing.
    if let Some(Json::Object(properties)) = schema.get_mut("properties") {
        for property in properties.values_mut().filter_map(Json::as_object_mut) {
            property.remove("default");
        }
    }
    schema
}

/// Returns the schema of an object as [`crate::Object::to_masked`] shows it.
///
/// Secrets are [`crate::MASK`], absent keys are absent rather than null, and what always has a value
/// is required. More keys may be there.
#[must_use]
pub fn shown(kind: Kind) -> Json {
    let properties: Map<_, _> = applied(kind)
        .map(|field| {
            let mut property = value::shown(kind, field);
            describe(&mut property, field);
            (field.key.to_owned(), property)
        })
        .collect();
    let always = |field: &&FieldSpec| {
        field.value != ValueType::LabelList && (field.required || fallback(field).is_some())
    };
    let required: Json = applied(kind).filter(always).map(|field| field.key).collect();
    json!({
        "type": "object",
        "description": KindSpec::of(kind).doc,
        "properties": properties,
        "required": required,
    })
}

/// Returns the part that creating, replacing and patching have in common.
fn body(kind: Kind) -> Json {
    let properties: Map<_, _> = applied(kind)
        .map(|field| {
            let mut property = value::strict(kind, field);
            if !field.required {
                value::make_nullable(&mut property);
            }
            describe(&mut property, field);
            (field.key.to_owned(), property)
        })
        .collect();
    json!({
        "type": "object",
        "description": KindSpec::of(kind).doc,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn required(kind: Kind) -> Json {
    applied(kind).filter(|field| field.required).map(|field| field.key).collect()
}

fn applied(kind: Kind) -> impl Iterator<Item = &'static FieldSpec> {
    KindSpec::of(kind).fields().filter(|field| field.effect == Effect::Applied)
}

fn describe(property: &mut Json, field: &FieldSpec) {
    insert(property, "description", field.doc);
    if let Some(default) = fallback(field) {
        insert(property, "default", default);
    }
}

fn insert(schema: &mut Json, key: &str, value: impl Into<Json>) {
    if let Json::Object(schema) = schema {
        schema.insert(key.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests;
