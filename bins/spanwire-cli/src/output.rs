//! Printing results, for people or for programs.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;

use crate::args::Format;
use crate::client::Failure;

/// Where and how results go.
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Prints a list: a table of these columns, or one JSON array with every field.
    pub(crate) fn list<T: Serialize>(&self, rows: &[T], columns: &[&str]) -> Result<(), Failure> {
        if self.format == Format::Json {
            return print_json(&rows);
        }
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_header(columns.iter().map(|column| column.to_uppercase()));
        for row in rows {
            let row = serde_json::to_value(row).unwrap_or_default();
            table.add_row(columns.iter().map(|column| cell(row.get(column))));
        }
        print(&format!("{table}\n"))
    }

    /// Prints one object: a line a field, or JSON.
    pub(crate) fn object<T: Serialize>(&self, object: &T) -> Result<(), Failure> {
        if self.format == Format::Json {
            return print_json(object);
        }
        let value = serde_json::to_value(object).unwrap_or_default();
        let fields = value.as_object().into_iter().flatten();
        let lines: String =
            fields.map(|(key, value)| format!("{key:<26} {}\n", cell(Some(value)))).collect();
        print(&lines)
    }

    /// Prints a response: always JSON, because that is what it is.
    pub(crate) fn response(&self, response: &Value) -> Result<(), Failure> {
        print_json(response)
    }

    /// Says that something was done; programs read the exit code instead.
    pub(crate) fn done(&self, text: &str) -> Result<(), Failure> {
        if self.format == Format::Json { Ok(()) } else { print(&format!("{text}\n")) }
    }
}

/// Texts that clients chose may hold anything: control characters would reach the terminal.
fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| Failure::Input(error.to_string()))?;
    print(&format!("{text}\n"))
}

pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| Failure::Input(format!("cannot print: {error}"))),
    }
}
