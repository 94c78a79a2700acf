//! Times in JSON: whole seconds as a number, others as `1500ms`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::Value as Json;

use crate::value;

pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    value::time_to_json(*time).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let time = match Json::deserialize(deserializer)? {
        Json::Number(number) => number.as_u64().map(Duration::from_secs),
        Json::String(text) => value::duration(&text),
        _ => None,
    };
    time.ok_or_else(|| D::Error::custom("not a time"))
}

/// The same for a time that may be missing.
pub(super) mod option {
    use super::{Deserializer, Duration, Serialize, Serializer, value};

    pub(in crate::object) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(value::time_to_json).serialize(serializer)
    }

    pub(in crate::object) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::deserialize(deserializer).map(Some)
    }
}
