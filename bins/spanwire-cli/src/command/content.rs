//! Contents of messages: from an argument, a file or stdin; and messages on paper.

use std::io::Read;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use spanwire_protocol::admin::pubsub::MessageInfo;

use crate::args::{Page, Source};
use crate::client::{Client, Failure, Query};
use crate::output::Output;

/// Reads a content; `None` if there is none.
pub(super) fn content(
    data: Option<&str>,
    source: &Source,
) -> Result<Option<Box<RawValue>>, Failure> {
    let text = match (data, &source.data_file) {
        (Some(text), _) => text.to_owned(),
        (None, Some(path)) => std::fs::read_to_string(path).map_err(|error| {
            Failure::Input(format!("{} cannot be read: {error}", path.display()))
        })?,
        (None, None) if source.stdin => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| Failure::Input(format!("stdin cannot be read: {error}")))?;
            text
        }
        (None, None) => return Ok(None),
    };
    understood(&text, source.json, source.text).map(Some)
}

/// Objects and arrays are JSON, anything else is a text, unless it is said what it is.
fn understood(text: &str, is_json: bool, is_text: bool) -> Result<Box<RawValue>, Failure> {
    let looks_like_json = text.trim_start().starts_with(['{', '[']);
    if !is_text && (is_json || looks_like_json) {
        match RawValue::from_string(text.to_owned()) {
            Err(error) if is_json => {
                return Err(Failure::Input(format!("the content is not JSON: {error}")));
            }
            Err(_) => {}
            json => return json.map_err(|error| Failure::Input(error.to_string())),
        }
    }
    to_raw_value(text).map_err(|error| Failure::Input(error.to_string()))
}

/// Prints messages behind an offset.
pub(super) fn list(
    path: &str,
    query: Query,
    page: &Page,
    columns: &[&str],
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    let query = query.maybe("q", page.query.as_deref()).with("after", &page.after.to_string());
    let messages: Vec<MessageInfo> = match page.limit {
        0 => Vec::new(),
        limit => client.follow(path, &query, limit)?,
    };
    output.list(&messages, columns)
}

/// Prints a message, its content last.
pub(super) fn show(message: &MessageInfo, output: &Output) -> Result<(), Failure> {
    let fields = json!(message);
    let fields = fields.as_object().into_iter().flatten();
    let hidden = ["data", "data_prefix_short"];
    let mut fields: Vec<(&str, Value)> = fields
        .filter(|(key, _)| !hidden.contains(&key.as_str()))
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect();
    let data = message.data.as_ref().map(|data| data.get());
    fields.extend(data.map(|data| ("data", data.into())));
    output.fields(message, &fields)
}

/// What lists of messages show.
pub(super) const COLUMNS: &[&str] = &[
    "offset",
    "msg_id",
    "pub_time",
    "priority",
    "has_gd",
    "size",
    "endpoint_name",
    "data_prefix_short",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_what_they_look_like_unless_it_is_said() {
        let read = |text: &str, json, is_text| understood(text, json, is_text);
        for (text, expected) in [
            ("hello", r#""hello""#),
            ("42", r#""42""#),
            ("", r#""""#),
            (" {\"z\": 1.0, \"a\": 1}\n", r#"{"z": 1.0, "a": 1}"#),
            ("[1]", "[1]"),
            ("{not json", r#""{not json""#),
        ] {
            assert_eq!(read(text, false, false).unwrap().get(), expected, "{text}");
        }
        assert_eq!(read("42", true, false).unwrap().get(), "42");
        assert_eq!(read("[1]", false, true).unwrap().get(), r#""[1]""#);
        assert_eq!(read("hello", true, false).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn contents_come_from_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.json");
        std::fs::write(&path, "{\"a\": 1}").unwrap();
        let source = Source { data_file: Some(path.clone()), ..Source::default() };
        assert_eq!(content(None, &source).unwrap().unwrap().get(), "{\"a\": 1}");
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(content(None, &source).unwrap_err().exit_code(), 2);
        assert!(content(None, &Source::default()).unwrap().is_none());
    }
}
