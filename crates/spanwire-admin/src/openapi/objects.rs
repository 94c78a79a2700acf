//! Paths of managed objects: each kind has its own, with the schema of its objects.

use serde_json::{Value, json};
use spanwire_config::Kind;

use super::operation::{Operation, PAGE, Paths, component, list_of, segment, text};
use crate::extract::{JSON, MERGE_PATCH};
use crate::objects::filters;

pub(super) fn add(paths: &mut Paths) {
    for kind in Kind::ALL {
        collection(paths, kind);
        item(paths, kind);
    }
    let kinds = json!({"type": "string", "enum": Kind::ALL.map(Kind::as_str)});
    let versions = Operation::new("object_history", "history", "Every version of an object.")
        .path("kind", kinds.clone(), "The kind.")
        .path("name", segment(), "The object.")
        .answers(200, "Versions, newest first.", &list_of("ObjectVersion"))
        .fails(&[500, 503]);
    paths.add("get", "/api/v1/objects/{kind}/{name}/history", versions);
    let revert = Operation::new("revert_object", "history", "Makes an object what it was.")
        .path("kind", kinds, "The kind.")
        .path("name", segment(), "The object.")
        .changing()
        .body(&[JSON], &component("Revert"), true)
        .answers(200, "What was changed.", &component("Changed"));
    paths.add("post", "/api/v1/objects/{kind}/{name}/revert", revert);
    let password = Operation::new("set_password", "objects", "Gives credentials another password.")
        .path("name", segment(), "The security definition.")
        .explained()
        .body(&[JSON], &component("SetPassword"), true)
        .answers_nothing(204, "It has the password.");
    paths.add("post", "/api/v1/objects/security/{name}/password", conditional(password));
}

fn collection(paths: &mut Paths, kind: Kind) {
    let path = format!("/api/v1/objects/{kind}");
    let states = json!({"type": "string", "enum": ["running", "inactive", "failed"]});
    let list = Operation::new(&format!("list_{kind}"), "objects", &format!("Every {kind}."))
        .query("q", text(), "A part of the name; case does not matter.")
        .query("state", states, "How the server stands to the object.");
    let list = filters(kind).fold(list, |list, key| {
        let doc = format!("What '{key}' is, as it is shown; of a list, one of its items.");
        list.query(key, text(), &doc)
    });
    let list = list
        .paged()
        .answers(200, "Objects by name.", &list_of(&format!("{kind}_shown")))
        .with_headers(200, PAGE);
    paths.add("get", &path, list);

    let object = component(&format!("{kind}_shown"));
    let create = Operation::new(&format!("create_{kind}"), "objects", &format!("Makes a {kind}."))
        .changing()
        .body(&[JSON], &component(kind.as_str()), true)
        .answers(201, "It was made.", &object)
        .with_headers(201, WRITTEN)
        .answers(200, "An equal one is there; or a dry run.", &or_changed(&object))
        .with_headers(200, WRITTEN);
    paths.add("post", &path, create);
}

fn item(paths: &mut Paths, kind: Kind) {
    let path = format!("/api/v1/objects/{kind}/{{name}}");
    let object = component(&format!("{kind}_shown"));
    let operation = |verb: &str, summary: &str| {
        let summary = summary.replace("{}", kind.as_str());
        let operation = Operation::new(&format!("{verb}_{kind}"), "objects", &summary);
        operation.path("name", segment(), "The name.")
    };
    let show = operation("show", "One {}.")
        .header("If-None-Match", tag(), "The version that is known.")
        .answers(200, "The object.", &object)
        .with_headers(200, &[("ETag", "The version.")])
        .answers_nothing(304, "The version is the one that is known.");
    paths.add("get", &path, show);

    let put = conditional(operation("replace", "Makes or replaces a {}; another name renames."))
        .changing()
        .body(&[JSON], &component(&format!("{kind}_replacement")), true)
        .answers(200, "It is so; or a dry run.", &or_changed(&object))
        .with_headers(200, WRITTEN)
        .answers(201, "It was made.", &object)
        .with_headers(201, WRITTEN);
    paths.add("put", &path, put);

    let patch = conditional(operation("patch", "Changes keys of a {}; another name renames."))
        .changing()
        .body(&[MERGE_PATCH, JSON], &component(&format!("{kind}_patch")), true)
        .answers(200, "It is so; or a dry run.", &or_changed(&object))
        .with_headers(200, WRITTEN);
    paths.add("patch", &path, patch);

    let delete = conditional(operation("delete", "Deletes a {} that is not in use."))
        .changing()
        .answers(200, "What was changed.", &component("Changed"));
    paths.add("delete", &path, delete);
}

fn conditional(operation: Operation) -> Operation {
    operation
        .header("If-Match", tag(), "The version that the change is based on.")
        .header("If-None-Match", tag(), "`*` for an object that must not be there yet.")
        .fails(&[412])
}

fn or_changed(object: &Value) -> Value {
    json!({"anyOf": [object, component("Changed")]})
}

fn tag() -> Value {
    json!({"type": "string", "pattern": "^(\\*|\"[0-9]+\")$", "examples": ["\"3\""]})
}

const WRITTEN: &[(&str, &str)] = &[
    ("ETag", "The version."),
    ("Location", "Where a new or renamed object is."),
    (
        "X-Closed-Connections",
        "How many connections were closed, because they would not be let in any more; absent for none.",
    ),
];
