//! `spanwire history …`

use serde_json::json;
use spanwire_protocol::admin::{Changed, Revision};

use super::{deletes, diff, report};
use crate::args::{Change, History};
use crate::client::{Client, Failure, Query};
use crate::output::Output;

pub(crate) fn run(verb: &History, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        History::List { limit, kind, name, who } => {
            let query = Query::default()
                .maybe("kind", kind.as_deref())
                .maybe("name", name.as_deref())
                .maybe("who", who.as_deref());
            list(&revisions(*limit, &query, client)?, output)
        }
        History::Show { revision } => {
            let revision: Revision = client.get(&format!("history/{revision}"))?;
            output.result(&revision, lines(&revision))
        }
        History::Revert { revision, yes, change } => {
            let ask = |change: &Change| -> Result<Changed, Failure> {
                let query = Query::default().change(change);
                client.post(&format!("history/{revision}/revert{query}"), Vec::new())
            };
            deletes::consent(*yes, change, ask)?;
            report::changed(&ask(change)?, output)
        }
    }
}

/// Returns the newest revisions, page by page.
fn revisions(limit: u64, query: &Query, client: &Client) -> Result<Vec<Revision>, Failure> {
    let mut all: Vec<Revision> = Vec::new();
    let mut left = limit;
    while left > 0 {
        let page = left.min(PAGE);
        let before = all.last().map(|last| last.revision.to_string());
        let query =
            query.clone().with("limit", &page.to_string()).maybe("before", before.as_deref());
        let revisions: Vec<Revision> = client.get(&format!("history{query}"))?;
        let got = u64::try_from(revisions.len()).unwrap_or(u64::MAX);
        all.extend(revisions);
        if got < page {
            break;
        }
        left = left.saturating_sub(got);
    }
    Ok(all)
}

fn list(revisions: &[Revision], output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.list(revisions, &[]);
    }
    let rows: Vec<_> = revisions
        .iter()
        .map(|it| {
            json!({"revision": it.revision, "at": it.at, "who": it.who, "from": it.from,
                   "changes": summary(it), "reason": it.reason})
        })
        .collect();
    output.list(&rows, &["revision", "at", "who", "from", "changes", "reason"])
}

/// The first object of a revision, and how many more there are.
fn summary(revision: &Revision) -> String {
    let Some(first) = revision.changes.first() else {
        return String::new();
    };
    let first_line = format!("{} '{}' {}", first.kind, first.name, first.action.as_str());
    match revision.changes.len() {
        1 => first_line,
        all => format!("{first_line} and {} more", all.saturating_sub(1)),
    }
}

fn lines(revision: &Revision) -> Vec<String> {
    let Revision { revision: number, at, who, from, reason, changes } = revision;
    let mut lines = vec![format!("revision {number}, {}, {who} from {from}", at.to_iso().as_str())];
    lines.extend(reason.iter().map(|reason| format!("reason: {reason}")));
    for change in changes {
        lines.push(diff::object(change, false));
        lines.extend(diff::fields(&change.diff));
    }
    lines
}

/// How many revisions the server returns at once at most.
const PAGE: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_shown_key_by_key() {
        let revision: Revision = serde_json::from_value(json!({
            "revision": 9, "at": "2026-01-02T03:04:05.000000", "who": "admin", "from": "127.0.0.1",
            "reason": "weekly", "changes": [
                {"kind": "security", "id": 1, "name": "app1", "version": 2, "action": "updated",
                 "diff": [{"field": "realm", "from": "a", "to": null}]},
                {"kind": "security", "id": 2, "name": "app2", "version": 1, "action": "created"}]
        }))
        .unwrap();
        let expected = [
            "revision 9, 2026-01-02T03:04:05.000000, admin from 127.0.0.1",
            "reason: weekly",
            "security 'app1' updated (version 2)",
            "  realm: a -> (none)",
            "security 'app2' created (version 1)",
        ];
        assert_eq!(lines(&revision), expected);
        assert_eq!(summary(&revision), "security 'app1' updated and 1 more");
    }
}
