//! JSON bodies: duplicate keys and deep nesting are refused, and so is every key that nobody asked for.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use spanwire_protocol::admin::FieldProblem;

use crate::problem::{ApiError, field_problem, shown};

/// Parses a text; the error says where it is wrong and repeats no value.
pub(crate) fn parse(text: &[u8]) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: MAX_DEPTH }.deserialize(&mut reader);
    let value = value.map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// The fields of an object, taken one by one. Every mistake is told at the end.
#[derive(Debug)]
pub(crate) struct Fields {
    left: Map<String, Value>,
    known: Vec<&'static str>,
    errors: Vec<FieldProblem>,
}

impl Fields {
    pub(crate) fn new(left: Map<String, Value>) -> Self {
        Self { left, known: Vec::new(), errors: Vec::new() }
    }

    /// Takes a value of any type.
    pub(crate) fn any(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.left.remove(key)
    }

    /// Takes a value that `read` accepts; null is none where `may_be_null`.
    pub(crate) fn read<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        may_be_null: bool,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.any(key).filter(|value| !(may_be_null && value.is_null()))?;
        let read = read(value);
        if read.is_none() {
            self.wrong(key, format!("expected {expected}"));
        }
        read
    }

    /// Takes a text.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        self.read(key, "a text", false, |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    /// Takes a text of at most `bytes` bytes; null is none.
    pub(crate) fn label(&mut self, key: &'static str, bytes: usize) -> Option<String> {
        let expected = format!("a text of at most {bytes} bytes");
        self.read(key, &expected, true, |value| match value {
            Value::String(text) if text.len() <= bytes => Some(text),
            _ => None,
        })
    }

    /// Takes a text that says something.
    pub(crate) fn name(&mut self, key: &'static str) -> Option<String> {
        self.read(key, "a text that is not empty", true, |value| match value {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        })
    }

    /// Takes a text that says something and may not be left out.
    pub(crate) fn required(&mut self, key: &'static str) -> String {
        let name = self.name(key);
        if name.is_none() && !self.is_wrong(key) {
            self.wrong(key, "is missing: add it");
        }
        name.unwrap_or_default()
    }

    /// Takes a whole number within bounds; null is none.
    pub(crate) fn number(&mut self, key: &'static str, bounds: RangeInclusive<i64>) -> Option<i64> {
        let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        self.read(key, &expected, true, |value| value.as_i64().filter(|it| bounds.contains(it)))
    }

    /// Takes a switch; off when it is not given.
    pub(crate) fn flag(&mut self, key: &'static str) -> bool {
        self.read(key, "true or false", false, |value| value.as_bool()).unwrap_or_default()
    }

    /// Tells of a mistake.
    pub(crate) fn wrong(&mut self, key: &str, message: impl Into<String>) {
        self.errors.push(field_problem(key, message));
    }

    /// Whether a mistake in a key is known.
    pub(crate) fn is_wrong(&self, key: &str) -> bool {
        self.errors.iter().any(|error| error.field.as_deref() == Some(key))
    }

    /// Refuses what is left.
    ///
    /// # Errors
    /// 422 with every mistake.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        let Self { left, known, mut errors } = self;
        let known = known.join(", ");
        for key in left.keys().take(MAX_TOLD) {
            errors.push(field_problem(&shown(key), format!("unknown key: known are {known}")));
        }
        if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(errors)) }
    }
}

/// Builds a value with at most so many more levels.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1);
        depth.map(|depth| Self { depth }).ok_or_else(|| {
            E::custom(format_args!("values are nested deeper than {MAX_DEPTH} levels"))
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(deeper)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if key.starts_with(RESERVED) {
                return Err(A::Error::custom("a key is reserved"));
            }
            if map.contains_key(&key) {
                let key = shown(&key);
                return Err(A::Error::custom(format_args!("key '{key}' is given twice")));
            }
            let value = entries.next_value_seed(deeper)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// How deep values may be nested.
const MAX_DEPTH: usize = 64;
/// How many unknown keys are told.
const MAX_TOLD: usize = 100;
/// By such a key the JSON library tells itself that a text is JSON.
const RESERVED: &str = "$serde_json::private::";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_read_as_they_are() {
        let text = r#"{"a": [1, -2, 2.5, true, null, "ä\n"], "b": {"a": {}}}"#;
        let value = json!({"a": [1, -2, 2.5, true, null, "ä\n"], "b": {"a": {}}});
        assert_eq!(parse(text.as_bytes()).unwrap(), value);
    }

    #[test]
    fn odd_texts_are_refused() {
        for (text, why) in [
            ("", "EOF"),
            ("{", "EOF"),
            ("1 2", "trailing"),
            (r#"{"a": 1, "a": 2}"#, "key 'a' is given twice"),
            (r#"{"b": {"a": 1, "\u0061": 2}}"#, "key 'a' is given twice"),
            (r#"{"$serde_json::private::RawValue": "1"}"#, "reserved"),
            ("1e999", "out of range"),
            ("NaN", "expected"),
            ("\"\\ud800\"", "at line 1"),
            (&"[".repeat(100_000), "deeper than 64"),
            (&"{\"a\":".repeat(100_000), "deeper than 64"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!(parse(b"\"\xff\"").is_err());
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(deep(64).as_bytes()).is_ok());
        assert!(parse(deep(65).as_bytes()).is_err());
    }

    #[test]
    fn every_mistake_in_fields_is_told() {
        let Value::Object(map) = json!({"a": 1, "b": "x", "c": true, "d\n": 1}) else { panic!() };
        let mut fields = Fields::new(map);
        assert_eq!(fields.text("a"), None);
        assert!(!fields.flag("b"));
        assert!(fields.flag("c"));
        assert!(fields.is_wrong("a") && !fields.is_wrong("c"));
        let text = format!("{:?}", fields.finish().unwrap_err());
        for part in ["expected a text", "expected true or false", "d\u{fffd}", "known are a, b, c"]
        {
            assert!(text.contains(part), "{text}");
        }
    }
}
