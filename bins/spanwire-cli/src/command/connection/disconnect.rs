//! `spanwire connection disconnect`: some by their ids, or many by their attributes.

use spanwire_protocol::admin::{ConnectionInfo, Disconnect, Disconnected};

use crate::args::Close;
use crate::client::{Client, Failure, segment};
use crate::confirm::Consent;
use crate::output::{Output, counted};

pub(super) fn run(close: &Close, client: &Client, output: &Output) -> Result<(), Failure> {
    if close.ids.is_empty() { many(close, client, output) } else { some(close, client, output) }
}

/// Closes connections by their ids, the others also if one is not there.
fn some(close: &Close, client: &Client, output: &Output) -> Result<(), Failure> {
    let mut refusals = Vec::new();
    for id in &close.ids {
        match one(id, close, client, output) {
            Err(Failure::Refused { status, text, .. }) => refusals.push((status, text)),
            result => result?,
        }
    }
    match refusals.first() {
        None => Ok(()),
        Some((status, _)) => {
            let texts: Vec<&str> = refusals.iter().map(|(_, text)| text.as_str()).collect();
            Err(Failure::refusal(*status, &texts.join("\n")))
        }
    }
}

fn one(id: &str, close: &Close, client: &Client, output: &Output) -> Result<(), Failure> {
    let (code, path) = (close.code, format!("connections/{}", segment(id)));
    if close.dry_run {
        let _: ConnectionInfo = client.get(&path)?;
        return output.done(&format!("{id} would be closed with {code}"));
    }
    client.delete(&format!("{path}?code={code}&reason={}", segment(&close.reason)))?;
    output.done(&format!("{id} is being closed with {code}"))
}

/// Closes every connection that matches, after showing which ones.
fn many(close: &Close, client: &Client, output: &Output) -> Result<(), Failure> {
    let consent = Consent::new(close.yes || close.dry_run)?;
    if close.dry_run || consent == Consent::Ask {
        let preview = send(close, true, client)?;
        if close.dry_run {
            return output.result(&preview, lines(&preview, close.code));
        }
        output.lines(lines(&preview, close.code))?;
        if preview.count == 0 {
            // Whoever connects from now on was not asked about.
            return Ok(());
        }
        consent.get(&format!("close {}?", counted(preview.count, "connection")))?;
    }
    let closed = send(close, false, client)?;
    let line = match closed.count {
        1 => format!("1 connection is being closed with {}", close.code),
        count => format!("{count} connections are being closed with {}", close.code),
    };
    output.result(&closed, [line])
}

fn send(close: &Close, dry_run: bool, client: &Client) -> Result<Disconnected, Failure> {
    let body = Disconnect {
        filter: close.filter.pairs().map(|(key, value)| (key, value.to_owned())).collect(),
        all: close.all,
        dry_run,
        code: Some(close.code),
        reason: close.reason.clone(),
    };
    let (closed, _) = client.create("connections/disconnect", &body)?;
    Ok(closed)
}

fn lines(preview: &Disconnected, code: u16) -> Vec<String> {
    let ids = preview.connections.iter().map(|id| id.as_str().to_owned());
    let mut lines: Vec<String> = ids.collect();
    let more = preview.count.saturating_sub(lines.len());
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.push(format!("{} would be closed with {code}", counted(preview.count, "connection")));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_preview_lists_ids_and_tells_how_many() {
        let id = "ws.0123456789abcdef01234567";
        let preview = json!({"dry_run": true, "count": 3, "connections": [id]});
        let preview: Disconnected = serde_json::from_value(preview).unwrap();
        let expected = [id, "and 2 more", "3 connections would be closed with 4005"];
        assert_eq!(lines(&preview, 4005), expected);
    }
}
