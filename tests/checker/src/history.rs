//! Reading histories: several files become one, ordered in time.
//!
//! What cannot be understood is an error with file, line and field, never skipped: a lost line
//! would look like a lost message. This module does not judge what the server did.
//!
//! Invariant: records are ordered by (`at`, client, `seq`), which keeps each client's own order.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::HistoryError;
use crate::event::{Event, Record};
use crate::model::Model;
use crate::report::{Invariant, Place};

/// A history that can be understood.
#[derive(Debug, Clone, Default)]
pub struct History {
    files: Vec<PathBuf>,
    entries: Vec<Entry>,
    notes: Vec<(String, Vec<Invariant>)>,
}

/// A record and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    file: usize,
    line: usize,
    pub(crate) record: Record,
}

/// A line as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    client: Option<String>,
    seq: Option<u64>,
    at: Option<u64>,
    event: Event,
}

impl History {
    /// Reads and merges the files.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, a line is no event, a client's `seq` or `at` goes back, or an
    /// event refers to what the history does not hold.
    pub fn open<P: AsRef<Path>>(files: &[P]) -> Result<Self, HistoryError> {
        let mut history = Self::default();
        for file in files {
            let file = file.as_ref();
            let text = fs::read_to_string(file)
                .map_err(|source| HistoryError::Read { file: file.to_owned(), source })?;
            history.parse(file, &text)?;
        }
        history.finish()
    }

    /// Reads a history from memory; `name` stands for the file in errors and reports.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn from_text(name: &str, text: &str) -> Result<Self, HistoryError> {
        let mut history = Self::default();
        history.parse(Path::new(name), text)?;
        history.finish()
    }

    /// Takes records as they are; `name` stands for the file, and the n-th record for line n.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn from_records(name: &str, records: Vec<Record>) -> Result<Self, HistoryError> {
        let entries = records
            .into_iter()
            .enumerate()
            .map(|(index, record)| Entry { file: 0, line: index + 1, record })
            .collect();
        Self { files: vec![PathBuf::from(name)], entries, notes: Vec::new() }.finish()
    }

    /// How many events there are, without notes.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The notes: text, and what they say must be reported.
    pub fn notes(&self) -> impl Iterator<Item = (&str, &[Invariant])> {
        self.notes.iter().map(|(text, violates)| (text.as_str(), violates.as_slice()))
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn place(&self, index: usize) -> Place {
        self.entries.get(index).map_or_else(
            || Place { file: PathBuf::new(), line: 0 },
            |entry| Place { file: self.file(entry), line: entry.line },
        )
    }

    fn file(&self, entry: &Entry) -> PathBuf {
        self.files.get(entry.file).cloned().unwrap_or_default()
    }

    fn parse(&mut self, file: &Path, text: &str) -> Result<(), HistoryError> {
        let number = self.files.len();
        self.files.push(file.to_owned());
        for (index, text) in text.lines().enumerate() {
            if text.trim().is_empty() {
                continue;
            }
            let fail = |field: &str, reason: &str| HistoryError::Line {
                file: file.to_owned(),
                line: index + 1,
                field: field.to_owned(),
                reason: reason.to_owned(),
            };
            let line: Line = serde_json::from_str(text)
                .map_err(|error| fail(&field_at(text, &error), &said(&error)))?;
            if let Event::Note { text, violates } = line.event {
                self.notes.push((text, violates));
                continue;
            }
            let record = Record {
                client: line.client.ok_or_else(|| fail("client", "missing"))?,
                seq: line.seq.ok_or_else(|| fail("seq", "missing"))?,
                at: line.at.ok_or_else(|| fail("at", "missing"))?,
                event: line.event,
            };
            self.entries.push(Entry { file: number, line: index + 1, record });
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Self, HistoryError> {
        self.entries.sort_by(|a, b| {
            let (a, b) = (&a.record, &b.record);
            (a.at, &a.client, a.seq).cmp(&(b.at, &b.client, b.seq))
        });
        self.check_clients()?;
        if let Some(problem) = Model::build(&self).problem {
            return Err(self.error(problem.index, problem.field, &problem.reason));
        }
        Ok(self)
    }

    /// In time order each client's `seq` must increase; otherwise one of the two went back.
    fn check_clients(&self) -> Result<(), HistoryError> {
        let mut last: HashMap<&str, u64> = HashMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let Record { client, seq, .. } = &entry.record;
            if let Some(before) = last.insert(client, *seq) {
                if before == *seq {
                    return Err(self.error(index, "seq", "used twice by this client"));
                }
                if before > *seq {
                    return Err(self.error(
                        index,
                        "at",
                        "time and `seq` of this client do not increase together",
                    ));
                }
            }
        }
        Ok(())
    }

    fn error(&self, index: usize, field: &str, reason: &str) -> HistoryError {
        let Place { file, line } = self.place(index);
        HistoryError::Line { file, line, field: field.to_owned(), reason: reason.to_owned() }
    }
}

/// The field at fault: the one the error names, or the last key before its column.
fn field_at(text: &str, error: &serde_json::Error) -> String {
    if error.is_data() {
        let said = error.to_string();
        for named in ["missing field `", "unknown field `"] {
            let rest = said.split_once(named).and_then(|(_, rest)| rest.split_once('`'));
            if let Some((field, _)) = rest {
                return field.to_owned();
            }
        }
        let before = text.get(..error.column()).unwrap_or(text);
        let mut quoted = before.rmatch_indices("\":").filter_map(|(end, _)| {
            let head = before.get(..end)?;
            head.get(head.rfind('"')? + 1..)
        });
        if let Some(key) = quoted.next() {
            return key.to_owned();
        }
    }
    String::from("line")
}

/// The error without its "at line 1 column n": the line is one of many.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        History::from_text("h.jsonl", text).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_file_line_and_field() {
        let good = r#"{"client":"a","seq":1,"at":1,"event":{"server_running":{}}}"#;
        for (text, expected) in [
            ("{", "h.jsonl:1: line: EOF"),
            (r#"{"seq":1,"at":1,"event":{"server_running":{}}}"#, "h.jsonl:1: client: missing"),
            (
                r#"{"client":"a","seq":"x","at":1,"event":{"server_running":{}}}"#,
                "h.jsonl:1: seq: invalid type",
            ),
            (
                r#"{"client":"a","seq":1,"at":1,"event":{"server_stopping":{"how":"bored"}}}"#,
                "h.jsonl:1: how: unknown variant `bored`",
            ),
            (
                r#"{"client":"a","seq":1,"at":1,"event":{"drained":{"subscription":"s"}}}"#,
                "h.jsonl:1: subscription: ",
            ),
            (
                r#"{"client":"a","seq":1,"at":1,"event":{"publish_refused":{"call":"c"}}}"#,
                "h.jsonl:1: call: ",
            ),
        ] {
            let error = refused(text);
            assert!(error.starts_with(expected), "{error}");
            let error = refused(&format!("{}\n\n{text}", good.replace("\"a\"", "\"b\"")));
            assert!(error.contains(":3: ") || error.starts_with("h.jsonl:3"), "{error}");
        }
        assert!(refused(&format!("{good}\n{good}")).contains("h.jsonl:2: seq: used twice"));
        let back = r#"{"client":"a","seq":2,"at":0,"event":{"server_running":{}}}"#;
        assert!(refused(&format!("{good}\n{back}")).contains(": at: "));
    }
}
