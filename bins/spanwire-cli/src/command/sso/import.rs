//! `spanwire sso import FILE`: a report for each line; what could not be created is told at the end by the exit code.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value};

use super::{Users, at, import_command, report_line, summary};
use crate::client::Failure;
use crate::output;

pub(super) fn run(users: &Users<'_>, file: &Path, dry_run: bool) -> Result<(), Failure> {
    let is_csv = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let input: Box<dyn Read> = match file.as_os_str() == "-" {
        true => Box::new(std::io::stdin()),
        false => Box::new(File::open(file).map_err(|error| unreadable(file, &error))?),
    };
    let rows = if is_csv { csv(file, input)? } else { ndjson(file, input)? };
    let mut reports = Vec::new();
    for batch in rows.chunks(BATCH) {
        let Some((first, _)) = batch.first() else { break };
        let lines = batch.iter().map(|(_, user)| user.clone()).collect();
        let answer = users.ask(&import_command(lines, *first, dry_run))?;
        for (report, (line, _)) in answer.as_array().into_iter().flatten().zip(batch) {
            let mut report = report.clone();
            if let Some(fields) = report.as_object_mut() {
                fields.insert("line".to_owned(), (*line).into());
            }
            if !users.output.is_json() {
                output::line(&output::clean(&report_line(&report)))?;
            }
            reports.push(report);
        }
    }
    let whole = summary(&reports);
    let failed = at(&whole, "failed").as_u64().unwrap_or_default();
    match users.output.is_json() {
        true => output::json(&reports)?,
        false => users.output.object(&whole)?,
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Known { code: 21, text: format!("{failed} users could not be created") }),
    }
}

type Row = (u64, Value);

fn ndjson(file: &Path, input: impl Read) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for (line, text) in (1..).zip(BufReader::new(input).lines()) {
        let text = text.map_err(|error| unreadable(file, &error))?;
        if text.trim().is_empty() {
            continue;
        }
        // A line that is no JSON is reported by the server, like one that is no user.
        rows.push((line, serde_json::from_str(&text).unwrap_or(Value::Null)));
    }
    Ok(rows)
}

fn csv(file: &Path, input: impl Read) -> Result<Vec<Row>, Failure> {
    let mut reader = csv::Reader::from_reader(input);
    let wrong = |error: csv::Error| Failure::Input(format!("{}: {error}", file.display()));
    let columns = reader.headers().map_err(wrong)?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        let line = record.position().map_or(0, csv::Position::line);
        // An empty cell is no value.
        let cells = columns.iter().zip(record.iter()).filter(|(_, cell)| !cell.is_empty());
        let user: Map<String, Value> =
            cells.map(|(column, cell)| (column.trim().to_owned(), value(column, cell))).collect();
        rows.push((line, user.into()));
    }
    Ok(rows)
}

fn value(column: &str, cell: &str) -> Value {
    let is_flag = column.trim().starts_with("is_") || column.trim() == "password_must_change";
    match (is_flag, cell.trim().to_ascii_lowercase().as_str()) {
        (true, "true" | "1" | "yes") => true.into(),
        (true, "false" | "0" | "no") => false.into(),
        _ => cell.into(),
    }
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::Input(format!("{} cannot be read: {error}", file.display()))
}

/// Each password takes a moment to be hashed: a batch stays well below any deadline.
const BATCH: usize = 20;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_formats_say_the_same() {
        let text = "username,first_name,is_locked,password\njoe,\"Smith, J\",yes,secret\nann,,0,\n";
        let rows = csv(Path::new("x.csv"), text.as_bytes()).unwrap();
        let expected = [
            (
                2,
                json!({"username": "joe", "first_name": "Smith, J", "is_locked": true, "password": "secret"}),
            ),
            (3, json!({"username": "ann", "is_locked": false})),
        ];
        assert_eq!(rows, expected);
        let lines: String = expected.iter().map(|(_, row)| format!("{row}\n\n")).collect();
        let rows = ndjson(Path::new("x"), lines.as_bytes()).unwrap();
        assert_eq!(
            rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>(),
            expected.map(|(_, row)| row)
        );
        assert_eq!(ndjson(Path::new("x"), &b"{\n"[..]).unwrap(), [(1, Value::Null)]);
    }
}
