//! Reading what existing clients send (reference sso 2.1): unknown keys are ignored, numbers are texts where texts are
//! wanted, yes and no come as words. Nothing that does not fit is a crash, and no value gets into a message.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};
use spanwire_protocol::Payload;
use spanwire_service::{Context, ServiceError};
use spanwire_sso::Secret;

/// The fields of an input.
pub(super) struct Input(Map<String, Value>);

/// An object that has each of its keys once.
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Fields, A::Error> {
                let mut fields = Map::new();
                while let Some((key, value)) = access.next_entry::<String, Value>()? {
                    if fields.insert(key, value).is_some() {
                        return Err(A::Error::custom("a key comes twice"));
                    }
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Input {
    pub(super) fn read(input: &Payload) -> Result<Self, ServiceError> {
        if input.is_null() {
            return Ok(Self(Map::new()));
        }
        // The cause may quote what was sent.
        let fields: Fields = input.parse().map_err(|_| bad())?;
        Ok(Self(fields.0))
    }

    /// What is there, with its keys.
    pub(super) fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A text; numbers and yes or no are made one, null is none.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, ServiceError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Bool(flag)) => Ok(Some(flag.to_string())),
            Some(_) => Err(bad()),
        }
    }

    /// A text that says something.
    pub(super) fn given(&self, key: &str) -> Result<Option<String>, ServiceError> {
        Ok(self.text(key)?.filter(|text| !text.is_empty()))
    }

    /// A text whose key has to be there; empty and null count as there.
    pub(super) fn required(&self, key: &str) -> Result<String, ServiceError> {
        if !self.0.contains_key(key) {
            return Err(bad());
        }
        Ok(self.text(key)?.unwrap_or_default())
    }

    pub(super) fn secret(&self, key: &str) -> Result<Option<Secret>, ServiceError> {
        Ok(self.given(key)?.map(Secret::new))
    }

    pub(super) fn required_secret(&self, key: &str) -> Result<Secret, ServiceError> {
        self.required(key).map(Secret::new)
    }

    /// The caller's token: in the body, or as the bearer of the request.
    pub(super) fn token(&self, ctx: &Context, key: &str) -> Result<Secret, ServiceError> {
        if self.0.contains_key(key) {
            return self.required_secret(key);
        }
        ctx.origin().http.as_ref().and_then(|http| http.bearer.clone()).ok_or_else(bad)
    }

    /// Yes or no; what is not there is not said.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ServiceError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => flag(value).map(Some),
        }
    }

    /// A whole number; an empty text is none.
    pub(super) fn integer(&self, key: &str) -> Result<Option<i64>, ServiceError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => integer(value),
        }
    }

    /// A list of texts; one text is a list of its own.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, ServiceError> {
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(bad()),
        };
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) => items.iter().map(text).collect::<Result<_, _>>().map(Some),
            Some(Value::String(one)) if one.is_empty() => Ok(None),
            Some(one) => Ok(Some(vec![text(one)?])),
        }
    }
}

pub(super) fn flag(value: &Value) -> Result<bool, ServiceError> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::Number(number) => Ok(number.as_f64() != Some(0.0)),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "on" | "1" | "yes" | "y" | "t" => Ok(true),
            "false" | "off" | "0" | "no" | "n" | "f" | "" => Ok(false),
            _ => Err(bad()),
        },
        _ => Err(bad()),
    }
}

pub(super) fn integer(value: &Value) -> Result<Option<i64>, ServiceError> {
    match value {
        Value::Number(number) => number.as_i64().ok_or_else(bad).map(Some),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => text.trim().parse().map_err(|_| bad()).map(Some),
        _ => Err(bad()),
    }
}

/// 400 as existing clients know it.
pub(super) fn bad() -> ServiceError {
    ServiceError::bad_request("Bad request")
}
