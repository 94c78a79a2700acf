//! The input of a service, merged from path, query and body (outconn-and-platform 4.1).

use bytes::Bytes;
use serde_json::{Map, Value};
use spanwire_protocol::{Codec, Payload};

use super::{DataFormat, RestChannel};

/// Merges the input. A body that is no object takes no parameters: it is handed on as it is.
///
/// # Errors
/// When the body is not what the channel's data format promises; the text is for the caller.
pub(super) fn merge(
    channel: &RestChannel,
    path: Vec<(String, String)>,
    query: &str,
    body: Bytes,
) -> Result<Payload, String> {
    let body = read_body(channel.data_format, body)?;
    let query = if channel.merge_params { query } else { "" };
    if !channel.merge_params || (path.is_empty() && query.is_empty()) {
        return Ok(body.unwrap_or_else(|| Payload::empty(Codec::Json)));
    }
    let mut params = Map::new();
    let path: Vec<(String, Value)> =
        path.into_iter().map(|(key, value)| (key, value.into())).collect();
    let layers =
        if channel.path_over_query { [read_query(query), path] } else { [path, read_query(query)] };
    params.extend(layers.into_iter().flatten());
    let merged = match body {
        None => params,
        Some(body) => match body.parse::<Value>() {
            Ok(Value::Object(mut fields)) if channel.message_over_params => {
                params.append(&mut fields);
                params
            }
            Ok(Value::Object(mut fields)) => {
                fields.append(&mut params);
                fields
            }
            Ok(_) => return Ok(body),
            Err(error) => return Err(error.to_string()),
        },
    };
    Payload::from_serialize(Codec::Json, &merged).map_err(|error| error.to_string())
}

fn read_body(format: DataFormat, body: Bytes) -> Result<Option<Payload>, String> {
    if body.is_empty() {
        return Ok(None);
    }
    match format {
        DataFormat::Json => {
            let payload =
                Payload::from_json(body).map_err(|e| format!("the body is not JSON: {e}"))?;
            Ok(Some(payload))
        }
        DataFormat::Raw => {
            let text =
                std::str::from_utf8(&body).map_err(|_| "the body is not UTF-8".to_owned())?;
            Payload::from_serialize(Codec::Json, text).map(Some).map_err(|e| e.to_string())
        }
    }
}

/// A key that comes once is a text, one that comes several times a list.
fn read_query(query: &str) -> Vec<(String, Value)> {
    let mut fields: Vec<(String, Value)> = Vec::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()).take(MAX_QUERY_FIELDS) {
        let value = Value::from(value.into_owned());
        match fields.iter_mut().find(|(known, _)| *known == key) {
            None => fields.push((key.into_owned(), value)),
            Some((_, Value::Array(list))) => list.push(value),
            Some((_, single)) => *single = Value::from(vec![single.take(), value]),
        }
    }
    fields
}

/// More fields than any real query has.
const MAX_QUERY_FIELDS: usize = 256;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::PathPattern;
    use super::*;

    fn channel() -> RestChannel {
        RestChannel::new("c", PathPattern::parse("/c/{id}", false).unwrap(), "s")
    }

    fn merged(channel: &RestChannel, query: &str, body: &'static str) -> Result<Value, String> {
        let path = vec![("id".to_owned(), "p".to_owned())];
        merge(channel, path, query, Bytes::from_static(body.as_bytes()))
            .map(|payload| payload.parse().unwrap())
    }

    #[test]
    fn parameters_become_fields() {
        let channel = channel();
        assert_eq!(merged(&channel, "", ""), Ok(json!({"id": "p"})));
        assert_eq!(
            merged(&channel, "a=1&b=x%20y&a=2", ""),
            Ok(json!({"id": "p", "a": ["1", "2"], "b": "x y"}))
        );
        assert_eq!(merged(&channel, "", r#"{"n": 1}"#), Ok(json!({"id": "p", "n": 1})));
        assert_eq!(merged(&channel, "", "[1]"), Ok(json!([1])));
    }

    #[test]
    fn priorities_decide_between_equal_names() {
        let mut channel = channel();
        let body = r#"{"id": "m"}"#;
        assert_eq!(merged(&channel, "id=q", body), Ok(json!({"id": "q"})));
        channel.path_over_query = true;
        assert_eq!(merged(&channel, "id=q", body), Ok(json!({"id": "p"})));
        channel.message_over_params = true;
        assert_eq!(merged(&channel, "id=q", body), Ok(json!({"id": "m"})));
        channel.merge_params = false;
        assert_eq!(merged(&channel, "id=q", body), Ok(json!({"id": "m"})));
        assert_eq!(merged(&channel, "id=q", ""), Ok(json!({})));
    }

    #[test]
    fn bodies_follow_the_data_format() {
        let mut channel = channel();
        assert!(merged(&channel, "", "hello").is_err());
        channel.data_format = DataFormat::Raw;
        assert_eq!(merged(&channel, "", "hello"), Ok(json!("hello")));
        assert!(merge(&channel, vec![], "", Bytes::from_static(&[0xff])).is_err());
    }
}
