//! Paths of the history, and of files.

use serde_json::{Value, json};
use spanwire_config::Kind;

use super::operation::{Operation, Paths, component, flag, list_of, text};
use crate::extract::JSON;
use crate::history::{DEFAULT_LIMIT, MAX_LIMIT};

pub(super) fn add(paths: &mut Paths) {
    let kinds = json!({"type": "string", "enum": Kind::ALL.map(Kind::as_str)});
    let limit = json!({
        "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT,
    });
    let list = Operation::new("history", "history", "Changes, newest first.")
        .query("before", number(), "Only what came before this revision.")
        .query("limit", limit, "How many to return at most.")
        .query("kind", kinds, "What changed such an object.")
        .query("name", text(), "What changed an object of this name.")
        .query("who", text(), "A part of who made the change; case does not matter.")
        .answers(200, "Changes, without the keys that differ.", &list_of("Revision"))
        .with_headers(200, &[("Link", "Earlier changes, also when none of these matched.")])
        .fails(&[500, 503]);
    paths.add("get", "/api/v1/history", list);
    let show = revision("revision", "One change.")
        .answers(200, "The change.", &component("Revision"))
        .fails(&[500, 503]);
    paths.add("get", "/api/v1/history/{revision}", show);
    let revert = revision("undo", "Undoes a change.").changing().answers(
        200,
        "What was changed.",
        &component("Changed"),
    );
    paths.add("post", "/api/v1/history/{revision}/revert", revert);
    let summary = "Goes through the history and compares where it leads with what holds.";
    let verify = Operation::new("verify_history", "history", summary)
        .answers(200, "Whether they are the same.", &component("HistoryVerified"))
        .fails(&[409, 500, 503]);
    paths.add("get", "/api/v1/history/verify", verify);
    files(paths);
}

fn files(paths: &mut Paths) {
    let import = selecting(Operation::new("import", "history", "Imports files of objects."))
        .query("replace", flag(), "Update objects that are there.")
        .query("prune", flag(), "Delete objects with the label that the files do not have.")
        .query("label", text(), "A label for every object that is imported.")
        .changing()
        .body(&[JSON], &component("Bundle"), true)
        .fails(&[404])
        .answers(200, "What was changed.", &component("Changed"));
    paths.add("post", "/api/v1/import", import);
    let format = json!({"type": "string", "enum": ["yaml", "json"], "default": "yaml"});
    let doc = "A file that an import reads.";
    let export = selecting(Operation::new("export", "history", "Exports objects as a file."))
        .query("format", format, "The form of the file.")
        .query("reveal_secrets", flag(), "Write secrets in clear instead of leaving them out.")
        // Readers of the document may parse it or take it as a text.
        .answers_as(200, doc, "application/yaml", &json!({}))
        .answers(200, doc, &json!({"type": "object"}));
    paths.add("get", "/api/v1/export", export);
}

fn selecting(operation: Operation) -> Operation {
    operation
        .query("include_type", text(), "Only these kinds or groups of kinds, with commas.")
        .query("include_name", text(), "Only these names, with commas; `*` is any text.")
}

fn revision(id: &str, summary: &str) -> Operation {
    Operation::new(id, "history", summary).path("revision", number(), "Its number.")
}

fn number() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": u64::MAX})
}
