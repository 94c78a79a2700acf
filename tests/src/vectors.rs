//! Wire vectors as data: `tests/vectors/*.json`.

use serde_json::Value;

use crate::server::workspace;

/// All vectors of a file.
#[must_use]
pub fn load(file: &str) -> Vec<Value> {
    let path = workspace().join("tests/vectors").join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Compares a message with what a vector expects; `<…>` stands for a value of that kind.
///
/// # Errors
/// Where they differ.
pub fn compare(expected: &Value, actual: &Value) -> Result<(), String> {
    let cid = actual["meta"]["id"].as_str().unwrap_or_default();
    compare_at("", expected, actual, cid)
}

fn compare_at(place: &str, expected: &Value, actual: &Value, cid: &str) -> Result<(), String> {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            let mut keys: Vec<_> = expected.keys().chain(actual.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let place = format!("{place}.{key}");
                match (expected.get(key), actual.get(key)) {
                    (Some(expected), Some(actual)) => compare_at(&place, expected, actual, cid)?,
                    (Some(_), None) => return Err(format!("{place} is missing")),
                    (None, _) => return Err(format!("{place} is too much")),
                }
            }
            Ok(())
        }
        (Value::String(pattern), Value::String(text)) if matches(pattern, text, cid) => Ok(()),
        (expected, actual) if expected == actual => Ok(()),
        (expected, actual) => Err(format!("{place}: expected {expected}, got {actual}")),
    }
}

fn matches(pattern: &str, text: &str, cid: &str) -> bool {
    let is_hex = |text: &str, least: usize| {
        text.len() >= least && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    match pattern {
        "<hex24>" => is_hex(text, 24) && text.len() == 24,
        "<cid>" => is_hex(text, 24) && text == cid,
        "<same as meta.id>" => text == cid,
        // Tokens have 128 bits (DESIGN 10), which is 32 digits.
        "zwsxt.<hex24>" => text.strip_prefix("zwsxt.").is_some_and(|hex| is_hex(hex, 32)),
        "<iso8601-utc>" => text.len() == 26 && text.as_bytes()[10] == b'T' && !text.ends_with('Z'),
        pattern => pattern == text,
    }
}
