//! Saying what a change did.

use spanwire_config::Kind;
use spanwire_protocol::admin::{Changed, ManagedObject, ObjectState};

use super::diff;
use crate::client::Failure;
use crate::output::{Output, warn};

/// Says what a request changed, or would change.
pub(crate) fn changed(changed: &Changed, output: &Output) -> Result<(), Failure> {
    output.result(changed, diff::lines(changed))?;
    warnings(changed, output);
    Ok(())
}

/// Says on stderr what is probably not as it was meant; in JSON it is part of the result.
pub(crate) fn warnings(changed: &Changed, output: &Output) {
    if !output.is_json() {
        changed.warnings.iter().for_each(|warning| warn(&format!("warning: {warning}")));
    }
}

/// Says what became of an object, and why it does not run.
pub(crate) fn stored(
    kind: Kind,
    object: &ManagedObject,
    done: &str,
    output: &Output,
) -> Result<(), Failure> {
    output.result(object, [stored_line(kind, object, done)])?;
    failed(kind, object);
    Ok(())
}

/// Says on stderr why an object does not run, if so.
pub(crate) fn failed(kind: Kind, object: &ManagedObject) {
    if object.meta.state == ObjectState::Failed {
        let error = object.meta.error.as_deref().unwrap_or("it could not be put to work");
        warn(&format!("{kind} '{}': {error}", name(kind, object)));
    }
}

fn stored_line(kind: Kind, object: &ManagedObject, done: &str) -> String {
    let (version, state) = (object.meta.version, object.meta.state.as_str());
    format!("{kind} '{}' {done} (version {version}, {state})", name(kind, object))
}

/// The name of an object; a subscription has those of what it connects.
pub(crate) fn name(kind: Kind, object: &ManagedObject) -> String {
    let text = |key| object.fields.get(key).and_then(|value| value.as_str()).unwrap_or_default();
    match kind {
        Kind::PubsubSubscription => format!("{}/{}", text("endpoint_name"), text("topic_name")),
        _ => text("name").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_line_says_what_became_of_an_object() {
        let meta = json!({"kind": "x", "id": 1, "version": 1, "revision": 3, "state": "running",
            "changed_at": "2026-01-02T03:04:05.000000", "changed_by": "admin",
            "since": "2026-01-02T03:04:05.000000"});
        let object = |mut fields: serde_json::Value| -> ManagedObject {
            fields["meta"] = meta.clone();
            serde_json::from_value(fields).unwrap()
        };
        let channel = object(json!({"name": "crm.wsx"}));
        assert_eq!(
            stored_line(Kind::WebSocket, &channel, "created"),
            "web_socket 'crm.wsx' created (version 1, running)"
        );
        let subscription = object(json!({"endpoint_name": "crm", "topic_name": "/a/b"}));
        assert_eq!(name(Kind::PubsubSubscription, &subscription), "crm//a/b");
    }
}
