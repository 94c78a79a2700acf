//! Printing results, for people or for programs.
//!
//! All that is printed goes through here, so that a reader that leaves is no error and that control
//! characters, which names and texts from outside may hold, never reach a terminal.

mod table;

use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use serde_json::Value;

pub(crate) use self::table::{Column, render};
use crate::args::Format;
use crate::client::Failure;

/// Where and how results go.
pub(crate) struct Output {
    format: Format,
}

/// Whether somebody still reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Reads,
    Gone,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Tells whether somebody watches who can be shown a picture that changes.
    pub(crate) fn is_live(&self) -> bool {
        !self.is_json() && io::stdout().is_terminal()
    }

    /// Prints a list: a table of these columns, or one JSON array with every field.
    pub(crate) fn list<T: Serialize>(&self, rows: &[T], columns: &[&str]) -> Result<(), Failure> {
        let columns: Vec<Column<'_>> = columns.iter().map(Column::new).collect();
        self.table(rows, &columns)
    }

    /// Prints a list whose columns are not simply keys.
    pub(crate) fn table<T: Serialize>(
        &self,
        rows: &[T],
        columns: &[Column<'_>],
    ) -> Result<(), Failure> {
        if self.is_json() {
            return print_json(&rows);
        }
        print(&render(rows, columns))
    }

    /// Prints one object: a line a field, or JSON.
    pub(crate) fn object<T: Serialize>(&self, object: &T) -> Result<(), Failure> {
        let value = serde_json::to_value(object).unwrap_or_default();
        let fields = value.as_object().into_iter().flatten();
        let fields: Vec<_> = fields.map(|(key, value)| (key.as_str(), value.clone())).collect();
        self.fields(object, &fields)
    }

    /// Prints one object with its fields in this order, or as JSON.
    pub(crate) fn fields<T: Serialize>(
        &self,
        object: &T,
        fields: &[(&str, Value)],
    ) -> Result<(), Failure> {
        if self.is_json() {
            return print_json(object);
        }
        let lines = fields.iter().map(|(key, value)| format!("{key:<26} {}", cell(Some(value))));
        self.lines(lines)
    }

    /// Prints a result: these lines, or JSON.
    pub(crate) fn result<T: Serialize>(
        &self,
        result: &T,
        lines: impl IntoIterator<Item = String>,
    ) -> Result<(), Failure> {
        if self.is_json() { print_json(result) } else { self.lines(lines) }
    }

    /// Prints a response: always JSON, because that is what it is.
    pub(crate) fn response(&self, response: &Value) -> Result<(), Failure> {
        print_json(response)
    }

    /// Says that something was done; programs read the exit code instead.
    pub(crate) fn done(&self, text: &str) -> Result<(), Failure> {
        self.lines([text.to_owned()])
    }

    /// Prints lines for people; programs get none.
    pub(crate) fn lines(&self, lines: impl IntoIterator<Item = String>) -> Result<(), Failure> {
        if self.is_json() {
            return Ok(());
        }
        let text: String = lines.into_iter().map(|line| clean(&line) + "\n").collect();
        print(&text)
    }
}

/// Prints one JSON value, whatever the output is for.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    print_json(value)
}

/// Prints one line of a stream, and tells whether somebody still reads.
pub(crate) fn line(text: &str) -> Result<Reader, Failure> {
    write(&format!("{}\n", clean(text)))
}

/// Puts a picture on an otherwise empty terminal.
pub(crate) fn picture(lines: &[String]) -> Result<Reader, Failure> {
    let lines: String = lines.iter().map(|line| clean(line) + "\n").collect();
    write(&format!("\u{1b}[H\u{1b}[2J{lines}"))
}

/// Prints a document: as it is into a file or a pipe, without control characters on a terminal.
pub(crate) fn document(text: &str) -> Result<(), Failure> {
    if !io::stdout().is_terminal() {
        return print(text);
    }
    let text: String = text.lines().map(|line| clean(line) + "\n").collect();
    print(&text)
}

/// Says on stderr what a person should know.
pub(crate) fn warn(text: &str) {
    let text: String = text.lines().map(|line| clean(line) + "\n").collect();
    // Whoever closed stderr does not want to read it.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Puts a question on stderr; the answer comes on the same line.
pub(crate) fn question(text: &str) {
    let _ = io::stderr().write_all(clean(text).as_bytes());
}

/// One value as a text on one line.
pub(crate) fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    };
    clean(&text)
}

/// Texts that clients chose may hold anything: control characters would reach the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// So many of something: `1 object`, `2 objects`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// JSON for one line, control characters escaped.
pub(crate) fn compact(value: &Value) -> String {
    escape(&value.to_string())
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| Failure::Input(error.to_string()))?;
    print(&format!("{}\n", escape(&text)))
}

/// Escapes what JSON allows unescaped in texts and terminals take for commands.
fn escape(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_control() && c != '\n' {
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Prints a text as it is.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    write(text).map(drop)
}

fn write(text: &str) -> Result<Reader, Failure> {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Reader::Reads),
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Failure::Input(format!("cannot print: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_hold_no_control_characters() {
        assert_eq!(cell(Some(&json!("a\u{1b}[31m\u{9b}b\n"))), "a\u{fffd}[31m\u{fffd}b\u{fffd}");
        assert_eq!(cell(Some(&json!(["a", "b"]))), "a, b");
        assert_eq!(cell(Some(&json!([1, "b"]))), "[1,\"b\"]");
        assert_eq!(cell(Some(&Value::Null)), "");
        assert_eq!(cell(Some(&json!(true))), "true");
    }

    #[test]
    fn json_stays_what_it_is_without_control_characters() {
        let value = json!({"x": "a\u{1b}\u{9b}\u{7f}\nb"});
        let text = compact(&value);
        assert!(!text.contains(char::is_control), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
