//! Changes as lines for people.

use serde_json::Value;
use spanwire_protocol::admin::{Changed, FieldChange, ObjectAction, ObjectChange};

use crate::output::{cell, counted};

/// What a request did, or would do: a line for each object, and with a preview its keys, too.
pub(crate) fn lines(changed: &Changed) -> Vec<String> {
    let mut lines = Vec::new();
    for change in &changed.changes {
        lines.push(object(change, changed.dry_run));
        if changed.dry_run {
            lines.extend(fields(&change.diff));
        }
    }
    if lines.is_empty() {
        let text = if changed.dry_run { "nothing would change" } else { "nothing changed" };
        lines.push(text.to_owned());
    }
    if changed.closed_connections > 0 {
        lines.push(format!("{} closed", counted(changed.closed_connections, "connection")));
    }
    lines
}

/// One object of a change.
pub(crate) fn object(change: &ObjectChange, is_preview: bool) -> String {
    let ObjectChange { kind, name, action, version, .. } = change;
    let word = action.as_str();
    match (is_preview, action) {
        (true, _) => format!("{kind} '{name}' would be {word}"),
        (false, ObjectAction::Deleted) => format!("{kind} '{name}' {word}"),
        (false, _) => format!("{kind} '{name}' {word} (version {version})"),
    }
}

/// The keys that differ, a line for each.
pub(crate) fn fields(diff: &[FieldChange]) -> impl Iterator<Item = String> {
    diff.iter().map(|change| {
        format!("  {}: {} -> {}", change.field, shown(&change.from), shown(&change.to))
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(_) => cell(Some(value)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changed(dry_run: bool) -> Changed {
        let changes = json!([
            {"kind": "web_socket", "id": 1, "name": "crm", "version": 4, "action": "updated", "diff": [
                {"field": "token_ttl", "from": 3600, "to": 60},
                {"field": "service", "from": null, "to": "crm.in"},
                {"field": "allowed_origins", "from": ["a"], "to": []},
                {"field": "method", "from": "", "to": "a\u{1b}b"}]},
            {"kind": "security", "id": 2, "name": "app1", "version": 2, "action": "deleted", "diff": []}
        ]);
        serde_json::from_value(json!({"dry_run": dry_run, "changes": changes})).unwrap()
    }

    #[test]
    fn a_preview_shows_what_differs() {
        let expected = [
            "web_socket 'crm' would be updated",
            "  token_ttl: 3600 -> 60",
            "  service: (none) -> crm.in",
            "  allowed_origins: [\"a\"] -> []",
            "  method: \"\" -> a\u{fffd}b",
            "security 'app1' would be deleted",
        ];
        assert_eq!(lines(&changed(true)), expected);
    }

    #[test]
    fn what_was_done_is_a_line_an_object() {
        let mut changed = changed(false);
        changed.closed_connections = 3;
        let expected = [
            "web_socket 'crm' updated (version 4)",
            "security 'app1' deleted",
            "3 connections closed",
        ];
        assert_eq!(lines(&changed), expected);
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let mut changed = changed(true);
        changed.changes.clear();
        assert_eq!(lines(&changed), ["nothing would change"]);
        changed.dry_run = false;
        assert_eq!(lines(&changed), ["nothing changed"]);
    }
}
