//! Reading what existing clients send: nulls for what is not set, numbers and yes or no as text, ids as numbers.

use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use spanwire_protocol::{Codec, Payload};
use spanwire_service::ServiceError;

/// Reads an input; none at all is an empty one.
pub(super) fn read<T: DeserializeOwned>(input: &Payload) -> Result<T, ServiceError> {
    match input.is_null() {
        true => Ok(Payload::empty(Codec::Json).parse()?),
        false => Ok(input.parse()?),
    }
}

/// What has to be there.
pub(super) fn required<T>(value: Option<T>, name: &str) -> Result<T, ServiceError> {
    value.ok_or_else(|| ServiceError::input(format!("`{name}` is missing")))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Flag(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

fn scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Scalar>, D::Error> {
    let given = Option::<Scalar>::deserialize(deserializer)?;
    Ok(given.filter(|it| !matches!(it, Scalar::Text(text) if text.trim().is_empty())))
}

/// A text; an empty one is none.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match scalar(deserializer)? {
        None => Ok(None),
        Some(Scalar::Text(text)) => Ok(Some(text)),
        Some(Scalar::Integer(number)) => Ok(Some(number.to_string())),
        Some(Scalar::Float(number)) => Ok(Some(number.to_string())),
        Some(Scalar::Flag(_)) => Err(D::Error::custom("expected a text")),
    }
}

/// A whole number.
pub(super) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let whole = |text: &str| {
        let text = text.trim();
        text.parse().map_err(|_| D::Error::custom("expected a whole number"))
    };
    match scalar(deserializer)? {
        None => Ok(None),
        Some(Scalar::Integer(number)) => Ok(Some(number)),
        Some(Scalar::Float(number)) => whole(&number.to_string()).map(Some),
        Some(Scalar::Text(text)) => whole(&text).map(Some),
        Some(Scalar::Flag(_)) => Err(D::Error::custom("expected a whole number")),
    }
}

/// Yes or no.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match scalar(deserializer)? {
        None => Ok(None),
        Some(Scalar::Flag(flag)) => Ok(Some(flag)),
        Some(Scalar::Integer(1)) => Ok(Some(true)),
        Some(Scalar::Integer(0)) => Ok(Some(false)),
        Some(Scalar::Text(text)) if text.eq_ignore_ascii_case("true") || text == "1" => {
            Ok(Some(true))
        }
        Some(Scalar::Text(text)) if text.eq_ignore_ascii_case("false") || text == "0" => {
            Ok(Some(false))
        }
        Some(_) => Err(D::Error::custom("expected true or false")),
    }
}

/// A time span in seconds, fractions included, not below zero and at most twelve hours.
pub(super) fn seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let given = match scalar(deserializer)? {
        None => return Ok(None),
        Some(Scalar::Integer(number)) => number.to_string(),
        Some(Scalar::Float(number)) => number.to_string(),
        Some(Scalar::Text(text)) => text,
        Some(Scalar::Flag(_)) => return Err(D::Error::custom("expected a number of seconds")),
    };
    let span = given.trim().parse().ok().and_then(|it| Duration::try_from_secs_f64(it).ok());
    let span = span.filter(|span| *span <= MAX_SPAN);
    let span = span.ok_or_else(|| D::Error::custom("expected seconds from 0 to 43200"))?;
    Ok(Some(span))
}

/// Texts in a list, or in one text with commas between them.
pub(super) fn list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        List(Vec<String>),
        Text(String),
    }
    let given = Option::<Texts>::deserialize(deserializer)?;
    let texts = given.map(|given| match given {
        Texts::List(texts) => texts,
        Texts::Text(text) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        }
    });
    Ok(texts.filter(|texts| !texts.is_empty()))
}

const MAX_SPAN: Duration = Duration::from_secs(43_200);

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Input {
        #[serde(deserialize_with = "text")]
        text: Option<String>,
        #[serde(deserialize_with = "integer")]
        integer: Option<i64>,
        #[serde(deserialize_with = "flag")]
        flag: Option<bool>,
        #[serde(deserialize_with = "seconds")]
        seconds: Option<Duration>,
        #[serde(deserialize_with = "list")]
        list: Option<Vec<String>>,
    }

    fn read_json(input: &Value) -> Vec<Option<Input>> {
        let of = |codec| Payload::from_serialize(codec, input).unwrap();
        [Codec::Json, Codec::MsgPack].map(|codec| read(&of(codec)).ok()).into()
    }

    #[test]
    fn what_is_not_set_is_none() {
        for nothing in [json!(null), json!(""), json!(" ")] {
            let input = json!({
                "text": nothing, "integer": nothing, "flag": nothing, "seconds": nothing, "list": nothing,
            });
            assert_eq!(read_json(&input), [Some(Input::default()), Some(Input::default())]);
        }
        assert_eq!(read_json(&json!(null)), [Some(Input::default()), Some(Input::default())]);
    }

    #[test]
    fn numbers_and_flags_may_be_text() {
        let expected = || {
            Some(Input {
                text: Some("7".to_owned()),
                integer: Some(7),
                flag: Some(true),
                seconds: Some(Duration::from_millis(1500)),
                list: Some(vec!["a".to_owned(), "b".to_owned()]),
            })
        };
        for input in [
            json!({"text": 7, "integer": "7", "flag": "True", "seconds": "1.5", "list": "a, b,"}),
            json!({"text": "7", "integer": 7.0, "flag": 1, "seconds": 1.5, "list": ["a", "b"]}),
        ] {
            assert_eq!(read_json(&input), [expected(), expected()]);
        }
    }

    #[test]
    fn other_types_are_refused() {
        for input in [
            json!({"text": true}),
            json!({"text": {}}),
            json!({"integer": 1.5}),
            json!({"integer": "x"}),
            json!({"integer": 1e300}),
            json!({"flag": "perhaps"}),
            json!({"seconds": -1}),
            json!({"seconds": 1e9}),
            json!({"seconds": "NaN"}),
            json!({"list": [1]}),
            json!(7),
            json!("x"),
        ] {
            assert_eq!(read_json(&input), [None, None], "{input}");
        }
    }
}
