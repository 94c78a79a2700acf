//! YAML in block style, for lists of objects with scalars and lists of scalars.
//!
//! Texts are plain only where every reader of YAML, of whatever version, takes them for texts;
//! others are in double quotes with the escapes that JSON and YAML share.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::Fields;
use crate::Kind;

/// Writes a file.
pub(super) fn write(sections: &[(Kind, Vec<Fields>)]) -> String {
    if sections.is_empty() {
        return "{}\n".to_owned();
    }
    let mut text = String::new();
    for (kind, objects) in sections {
        if !text.is_empty() {
            text.push('\n');
        }
        line(&mut text, format_args!("{kind}:"));
        for Fields(fields) in objects {
            let mut start = "- ";
            for (key, value) in fields {
                match value {
                    Json::Array(items) if !items.is_empty() => {
                        line(&mut text, format_args!("{start}{key}:"));
                        for item in items {
                            line(&mut text, format_args!("    - {}", scalar(item)));
                        }
                    }
                    value => line(&mut text, format_args!("{start}{key}: {}", scalar(value))),
                }
                start = "  ";
            }
        }
    }
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{line}");
}

/// Writes a value in one line.
fn scalar(value: &Json) -> String {
    match value {
        Json::String(text) if is_plain(text) => text.clone(),
        Json::String(text) => quoted(text),
        // Numbers, booleans and empty lists are the same in both languages.
        other => other.to_string(),
    }
}

/// Returns whether a text without quotes is the same text to every reader.
fn is_plain(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
    let begins_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'/');
    begins_well
        && text.len() <= MAX_PLAIN
        && text.bytes().all(inner)
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // What a reader of YAML refuses, changes or does not show is named by its number.
            c if c.is_control() || is_special(c) => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Line and paragraph separators, marks of byte order and of direction, and non-characters.
const fn is_special(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{ffff}')
}

/// Longer texts are quoted, so that no reader folds them.
const MAX_PLAIN: usize = 80;

/// Words that some version of YAML does not take for texts; numbers begin with a digit, which
/// nothing plain does here.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_that_are_texts_to_everyone_are_plain() {
        for text in ["a", "crm.get-customer", "/ws/crm", "zato-no-security", "GET", "nan", "inf"] {
            assert_eq!(scalar(&text.into()), text);
        }
        for text in [
            "",
            "~",
            "yes",
            "No",
            "NULL",
            "1e3",
            "0x1",
            ".5",
            "-a",
            "- a",
            "a: b",
            "a #b",
            "*a",
            "&a",
            "!a",
            "@a",
            "%a",
            "a b",
            "1.10",
            "007",
            "2024-01-01",
            "{a}",
            "[a]",
            "'a'",
            "é",
            "|",
            ">",
        ] {
            assert_eq!(scalar(&text.into()), format!("\"{text}\""));
        }
    }

    #[test]
    fn odd_characters_are_escaped() {
        let text = "\"\\\n\t\r\u{1}\u{85}\u{2028}\u{feff}é😀";
        assert_eq!(quoted(text), r#""\"\\\n\t\u000d\u0001\u0085\u2028\ufeffé😀""#);
    }
}
