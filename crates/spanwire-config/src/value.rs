//! One value of a key: from what was written to its normal form, or a sentence about the mistake.
//!
//! The normal form is JSON: texts trimmed, numbers as numbers, times as whole seconds or as
//! `1500ms`, lists as lists. It is what is stored and what the admin API shows.
//!
//! **Invariant:** no message contains a value that is secret, that came from the environment, or an
//! address.

use std::time::Duration;

use serde_json::Value as Json;

use crate::address::{WebSocketAddress, check_path, check_url};
use crate::document::{Content, Node, Scalar};
use crate::label;
use crate::password::MASK;
use crate::problem::{did_you_mean, shown};
use crate::spec::{Fallback, FieldSpec, ValueType};

/// Returns the normal form of a value; `None` if it says that there is none.
pub(crate) fn normalise(value: ValueType, node: &Node) -> Result<Option<Json>, String> {
    if node.is_null() {
        return Ok(None);
    }
    match value {
        ValueType::Any => Ok(None),
        ValueType::TextList => list(node).map(present),
        ValueType::LabelList => label::normal_form(list(node)?).map(present),
        ValueType::OriginList => {
            let origins = list(node)?;
            origins.iter().try_for_each(|origin| check_origin(origin))?;
            Ok(present(origins))
        }
        ValueType::TopicPatterns => {
            let lines = list(node)?;
            let is_pattern = |line: &String| is_topic_pattern(line);
            Ok(present(lines.into_iter().filter(is_pattern).collect()))
        }
        _ => match &node.content {
            Content::Scalar(scalar) => single(value, scalar),
            Content::List(_) | Content::Map(_) => {
                Err(format!("{} is expected, not {}", expected(value), node.describe()))
            }
        },
    }
}

/// Returns the normal form of what holds where a key is not given.
pub(crate) fn fallback(field: &FieldSpec) -> Option<Json> {
    match field.default {
        Fallback::Nothing => match field.value {
            ValueType::TextList
            | ValueType::LabelList
            | ValueType::OriginList
            | ValueType::TopicPatterns => Some(Json::Array(Vec::new())),
            _ => None,
        },
        Fallback::Bool(value) => Some(value.into()),
        Fallback::Integer(value) => Some(value.into()),
        Fallback::Text(value) => Some(value.into()),
    }
}

/// Returns whether a line is a topic pattern; lines that are not grant nothing.
pub(crate) fn is_topic_pattern(line: &str) -> bool {
    let pattern = line.strip_prefix("pub=").or_else(|| line.strip_prefix("sub="));
    pattern.is_some_and(|pattern| !pattern.trim().is_empty())
}

/// Returns the items of a list, or the lines of a text.
pub(crate) fn list(node: &Node) -> Result<Vec<String>, String> {
    match &node.content {
        Content::Scalar(scalar) => Ok(scalar
            .text
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .map(Into::into)
            .collect()),
        Content::List(items) => items
            .iter()
            .filter(|item| !item.is_null())
            .map(|item| match &item.content {
                Content::Scalar(scalar) => Ok(scalar.text.trim().to_owned()),
                Content::List(_) | Content::Map(_) => {
                    Err(format!("each item must be a text, not {}", item.describe()))
                }
            })
            .filter(|item| item.as_ref().map_or(true, |text| !text.is_empty()))
            .collect(),
        Content::Map(_) => Err("a list, or one text with an item per line, is expected, not a \
                                mapping of keys to values"
            .to_owned()),
    }
}

/// Parses a time: `5`, `5s`, `500ms`, `2m`, `1h`, `30d`; a bare number is in seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let seconds = match unit.trim() {
        "ms" => return Some(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

fn present(items: Vec<String>) -> Option<Json> {
    Some(Json::Array(items.into_iter().map(Json::String).collect()))
}

fn single(value: ValueType, scalar: &Scalar) -> Result<Option<Json>, String> {
    let text = scalar.text.trim();
    if let ValueType::Secret = value {
        return secret(&scalar.text);
    }
    if text.is_empty() {
        return match value {
            ValueType::Name => Err("is empty: write a name".to_owned()),
            _ => Ok(None),
        };
    }
    let told = || {
        if scalar.is_from_env { "the value".to_owned() } else { format!("'{}'", shown(text)) }
    };
    let wrong = || format!("{} is expected, not {}", expected(value), told());
    match value {
        ValueType::Text => Ok(text.into()),
        ValueType::Name => check_name(text).map(|()| text.into()),
        ValueType::Path => check_path(text, true).map(|()| text.into()),
        ValueType::Url(schemes) => check_url(text, schemes).map(|()| text.into()),
        ValueType::ListenAddress => WebSocketAddress::parse(text).map(|a| a.to_string().into()),
        ValueType::FilePath if text.contains('\0') => Err(wrong()),
        ValueType::FilePath => Ok(text.into()),
        ValueType::Method if !is_token(text) => Err(wrong()),
        ValueType::Method => Ok(text.to_ascii_uppercase().into()),
        ValueType::HeaderName if !is_token(text) => Err(wrong()),
        ValueType::HeaderName => Ok(text.into()),
        ValueType::Bool => boolean(text).map(Json::from).ok_or_else(wrong),
        ValueType::Integer { min, max } => text
            .parse::<u64>()
            .ok()
            .filter(|number| (min..=max).contains(number))
            .map(Json::from)
            .ok_or_else(wrong),
        ValueType::Size { min, max } => size(text)
            .filter(|number| (min..=max).contains(number))
            .map(Json::from)
            .ok_or_else(wrong),
        ValueType::Duration { min_ms, max_ms } => {
            let bounds = Duration::from_millis(min_ms)..=Duration::from_millis(max_ms);
            let time = duration(text).filter(|time| bounds.contains(time));
            time.map(time_to_json).ok_or_else(wrong)
        }
        ValueType::TimeLimit => {
            let time = duration(text).filter(|time| *time <= TEN_YEARS).ok_or_else(wrong)?;
            return Ok((!time.is_zero()).then(|| time_to_json(time)));
        }
        ValueType::Choice(words) => choice(text, words, &told()),
        ValueType::Reference(_, none) if none.contains(&text) => {
            // One word for all of them, where it is kept at all.
            Ok(none.first().copied().unwrap_or_default().into())
        }
        ValueType::Reference(..) | ValueType::ServiceName => check_name(text).map(|()| text.into()),
        ValueType::Secret
        | ValueType::Any
        | ValueType::TextList
        | ValueType::LabelList
        | ValueType::OriginList
        | ValueType::TopicPatterns => return Ok(None),
    }
    .map(Some)
}

/// Says what a value should be.
fn expected(value: ValueType) -> String {
    match value {
        ValueType::Bool => "true or false".to_owned(),
        ValueType::Integer { min, max } => format!("a whole number from {min} to {max}"),
        ValueType::Size { min, max } => {
            format!("a number of bytes from {min} to {max}, like 65536, 512KiB or 16MiB,")
        }
        ValueType::Duration { min_ms, max_ms } => format!(
            "a time from {} to {}, like 5, 5s, 500ms, 2m or 1h (seconds without a unit),",
            time_to_text(Duration::from_millis(min_ms)),
            time_to_text(Duration::from_millis(max_ms)),
        ),
        ValueType::TimeLimit => {
            "a time of at most ten years, like 60, 5m or 30d (seconds without a unit),".to_owned()
        }
        ValueType::Method => "an HTTP method like GET or POST".to_owned(),
        ValueType::HeaderName => "the name of an HTTP header like X-API-Key".to_owned(),
        ValueType::FilePath => "the path of a file".to_owned(),
        ValueType::Choice(words) => format!("one of {}", words.join(", ")),
        _ => "a single value".to_owned(),
    }
}

fn secret(text: &str) -> Result<Option<Json>, String> {
    if text.is_empty() {
        return Err("is empty: leave the key out to get an unusable random one".to_owned());
    }
    if text == MASK {
        return Err(format!(
            "'{MASK}' stands for a secret that is not shown: leave the key out to keep the secret, or \
             write a new one"
        ));
    }
    Ok(Some(text.into()))
}

fn check_name(text: &str) -> Result<(), String> {
    if text.chars().any(char::is_control) {
        return Err("a name is a single line without control characters".to_owned());
    }
    if text.chars().count() > MAX_NAME {
        return Err(format!("a name has at most {MAX_NAME} characters: shorten it"));
    }
    Ok(())
}

fn check_origin(origin: &str) -> Result<(), String> {
    let has_path = |rest: &str| rest.contains(['/', '?']);
    let is_origin = origin == "*"
        || (check_url(origin, &["http", "https"]).is_ok()
            && origin.split_once("://").is_some_and(|(_, rest)| !has_path(rest)));
    if is_origin {
        return Ok(());
    }
    Err("an origin is a scheme, a host and perhaps a port, like https://app.example.com, without a \
         path; '*' is any"
        .to_owned())
}

fn choice(text: &str, words: &[&str], told: &str) -> Result<Json, String> {
    if words.contains(&text) {
        return Ok(text.into());
    }
    let hint = did_you_mean(text, words.iter().copied());
    Err(format!("{told} is not accepted, use one of: {}{hint}", words.join(", ")))
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let unit: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

fn is_token(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Returns whole seconds as a number, other times as `1500ms`.
pub(crate) fn time_to_json(time: Duration) -> Json {
    if time.subsec_nanos() == 0 {
        time.as_secs().into()
    } else {
        format!("{}ms", time.as_millis()).into()
    }
}

fn time_to_text(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{}ms", time.as_millis()),
        seconds if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        seconds => format!("{seconds}s"),
    }
}

pub(crate) const MAX_NAME: usize = 200;
pub(crate) const TEN_YEARS: Duration = Duration::from_secs(3_650 * 86_400);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: ValueType, input: &Json) -> Result<Option<Json>, String> {
        normalise(value, &Node::from_json(input))
    }

    #[test]
    fn values_get_their_normal_form() {
        let time = ValueType::Duration { min_ms: 1, max_ms: 86_400_000 };
        let number = ValueType::Integer { min: 1, max: 10 };
        let size = ValueType::Size { min: 1, max: 1 << 40 };
        let cases = [
            (ValueType::Text, json!(1.5), json!("1.5")),
            (ValueType::Bool, json!("Yes"), json!(true)),
            (ValueType::Bool, json!(0), json!(false)),
            (number, json!("7"), json!(7)),
            (size, json!("16MiB"), json!(16_777_216)),
            (size, json!("2 KiB"), json!(2048)),
            (time, json!(5), json!(5)),
            (time, json!("500ms"), json!("500ms")),
            (time, json!("2000ms"), json!(2)),
            (time, json!("2 m"), json!(120)),
            (time, json!("1h"), json!(3600)),
            (ValueType::TextList, json!("a\n\n b \n"), json!(["a", "b"])),
            (ValueType::TextList, json!(["a", null, " "]), json!(["a"])),
            (ValueType::TopicPatterns, json!("pub=/a\nx\nsub="), json!(["pub=/a"])),
            (ValueType::Method, json!("get"), json!("GET")),
            (ValueType::OriginList, json!(["*", "https://a.b:8"]), json!(["*", "https://a.b:8"])),
        ];
        for (value, input, expected) in cases {
            assert_eq!(of(value, &input), Ok(Some(expected)), "{value:?} {input}");
        }
        for value in [ValueType::Text, ValueType::Bool, time, ValueType::Secret] {
            assert_eq!(of(value, &Json::Null), Ok(None));
        }
        assert_eq!(of(ValueType::TimeLimit, &json!(0)), Ok(None));
    }

    #[test]
    fn times_beyond_every_bound_are_not_times() {
        for text in
            ["", "s", "-1", "1.5", "5 weeks", "99999999999999999999", "18446744073709551615d"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn values_from_the_environment_are_not_shown() {
        let scalar = Scalar { text: "hunter2".to_owned(), is_plain: false, is_from_env: true };
        let node = Node { line: 1, content: Content::Scalar(scalar) };
        for value in [ValueType::Bool, ValueType::TimeLimit, ValueType::Choice(&["json"])] {
            let error = normalise(value, &node).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
