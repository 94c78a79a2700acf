//! Objects as files that an import reads back.
//!
//! What an import takes for a variable of the environment is written so that it stays the text it is
//! (see [`crate::environment`]). Whoever reads the file elsewhere sees plain YAML or JSON.

mod yaml;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value as Json;

use crate::Kind;
use crate::environment;
use crate::object::Object;
use crate::spec::{Effect, FieldSpec, KindSpec};
use crate::value::fallback;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportFormat {
    /// YAML in block style.
    Yaml,
    /// JSON, indented.
    Json,
}

/// What an export contains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// Whether secrets are written in clear.
    ///
    /// Without it, passwords are left out, so that an import keeps those that there are. Addresses
    /// with a secret in their query are masked: they must be there, and an import refuses them until
    /// the secret is written in again.
    pub reveal: bool,
}

impl ExportOptions {
    /// Returns the options of an export without secrets.
    #[must_use]
    pub const fn new() -> Self {
        Self { reveal: false }
    }
}

/// Returns a file with objects: by kind in the order of [`Kind::ALL`], then by name.
///
/// Keys stand in the order of [`KindSpec::fields`]; those that have their default value are left
/// out. With [`ExportOptions::reveal`], importing the file gives equal objects. The end is a line
/// break. No objects are an empty mapping.
pub fn export<'a>(
    objects: impl IntoIterator<Item = &'a Object>,
    format: ExportFormat,
    options: ExportOptions,
) -> String {
    let mut objects: Vec<_> = objects.into_iter().map(|it| (it.kind(), it.name(), it)).collect();
    objects
        .sort_by(|(kind, name, _), (other, other_name, _)| (kind, name).cmp(&(other, other_name)));
    let mut sections: Vec<(Kind, Vec<Fields>)> = Vec::new();
    for (kind, _, object) in objects {
        let fields = Fields::of(object, options);
        match sections.last_mut() {
            Some((last, list)) if *last == kind => list.push(fields),
            _ => sections.push((kind, vec![fields])),
        }
    }
    match format {
        ExportFormat::Yaml => yaml::write(&sections),
        // Maps with texts as keys always have a JSON form.
        ExportFormat::Json => {
            let json = serde_json::to_string_pretty(&Sections(&sections)).unwrap_or_default();
            format!("{json}\n")
        }
    }
}

/// The fields of an object that are written, in their order.
struct Fields(Vec<(&'static str, Json)>);

impl Fields {
    fn of(object: &Object, options: ExportOptions) -> Self {
        let mut values = object.fields();
        for (key, secret) in object.secrets() {
            if options.reveal {
                values.insert(key.to_owned(), secret.into());
            } else if key == "password" {
                values.remove(key);
            }
        }
        let written = |field: &'static FieldSpec| {
            let mut value = values.remove(field.key)?;
            if !field.required && fallback(field).as_ref() == Some(&value) {
                return None;
            }
            keep_from_variables(&mut value);
            Some((field.key, value))
        };
        let fields = KindSpec::of(object.kind()).fields();
        Self(fields.filter(|field| field.effect == Effect::Applied).filter_map(written).collect())
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
        map.end()
    }
}

/// A whole file: a map of lists.
struct Sections<'a>(&'a [(Kind, Vec<Fields>)]);

impl Serialize for Sections<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(kind, list)| map.serialize_entry(kind.as_str(), list))?;
        map.end()
    }
}

fn keep_from_variables(value: &mut Json) {
    match value {
        Json::String(text) => {
            if let Some(escaped) = environment::escaped(text) {
                *text = escaped;
            }
        }
        Json::Array(items) => items.iter_mut().for_each(keep_from_variables),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
