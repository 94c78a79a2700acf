//! Tables for people.

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;

use super::cell;

/// A column: its title, and the keys of which the first that a row has is shown.
///
/// `meta.state` is the key `state` in what is under `meta`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<'a> {
    title: &'a str,
    keys: &'a [&'a str],
}

impl<'a> Column<'a> {
    /// A column of one key, which is also its title.
    pub(crate) const fn new(key: &'a &'a str) -> Self {
        Self { title: key, keys: std::slice::from_ref(key) }
    }

    /// A column of the first of several keys.
    pub(crate) const fn of(title: &'a str, keys: &'a [&'a str]) -> Self {
        Self { title, keys }
    }

    fn value<'v>(&self, row: &'v Value) -> Option<&'v Value> {
        self.keys.iter().find_map(|key| match key.split_once('.') {
            Some((outer, inner)) => row.get(outer)?.get(inner),
            None => row.get(key),
        })
    }
}

/// Returns a table with a line of titles.
pub(crate) fn render<T: Serialize>(rows: &[T], columns: &[Column<'_>]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(columns.iter().map(|column| column.title.to_uppercase()));
    for row in rows {
        let row = serde_json::to_value(row).unwrap_or_default();
        table.add_row(columns.iter().map(|column| cell(column.value(&row))));
    }
    format!("{table}\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_keys_or_the_first_of_several() {
        let rows = [
            json!({"name": "a", "address": "/ws", "meta": {"state": "running"}}),
            json!({"name": "b", "url_path": "/x", "meta": {}}),
        ];
        let columns = [
            Column::new(&"name"),
            Column::of("address", &["address", "url_path"]),
            Column::of("state", &["meta.state"]),
        ];
        let table = render(&rows, &columns);
        let lines: Vec<Vec<&str>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        let expected =
            [vec!["NAME", "ADDRESS", "STATE"], vec!["a", "/ws", "running"], vec!["b", "/x"]];
        assert_eq!(lines, expected);
    }
}
