//! From what the configuration knows to what the API shows. Secrets are masked throughout.

use spanwire_config::{ChangedObject, Meta, Object, diff};
use spanwire_protocol::admin::{
    Changed, FieldChange, ManagedObject, ObjectAction, ObjectChange, ObjectMeta, ObjectVersion,
    Revision,
};

use crate::{Applied, Backend, ObjectStatus};

/// Shows an object and how the server stands to it.
pub(crate) fn managed(backend: &dyn Backend, object: &Object, meta: &Meta) -> ManagedObject {
    let ObjectStatus { state, error, since } = backend.status(meta.id);
    let fields = match object.to_masked() {
        serde_json::Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    };
    let meta = ObjectMeta {
        kind: object.kind().as_str().to_owned(),
        id: meta.id,
        version: meta.version,
        revision: meta.revision,
        changed_at: meta.at,
        changed_by: meta.who.clone(),
        state,
        error,
        since,
    };
    ManagedObject { fields, meta }
}

/// Shows what a request changed.
pub(crate) fn changed(applied: &Applied, dry_run: bool) -> Changed {
    let outcome = &applied.outcome;
    Changed {
        dry_run,
        revision: outcome.revision,
        changes: outcome.changes.iter().map(|change| object_change(change, true)).collect(),
        warnings: outcome.warnings.iter().map(ToString::to_string).collect(),
        closed_connections: applied.closed_connections,
    }
}

/// Shows what happened to one object, with the keys that differ if `with_diff`.
#[must_use]
pub(crate) fn object_change(change: &ChangedObject, with_diff: bool) -> ObjectChange {
    let (before, after) = (change.before.as_deref(), change.after.as_deref());
    ObjectChange {
        kind: change.kind.as_str().to_owned(),
        id: change.id,
        name: change.name(),
        version: change.version,
        action: action(before, after),
        diff: if with_diff { fields(before, after) } else { Vec::new() },
    }
}

/// Shows a change of the configuration, with the keys that differ if `with_diff`.
#[must_use]
pub(crate) fn revision(revision: spanwire_config::Revision, with_diff: bool) -> Revision {
    let spanwire_config::Revision { number, at, who, from, reason, changes } = revision;
    let changes = changes.iter().map(|change| object_change(change, with_diff)).collect();
    Revision { revision: number, at, who, from, reason, changes }
}

/// Shows a change to those who watch: with the keys that differ, unless that is much to be kept for slow readers. The
/// history has all of it.
#[must_use]
pub fn event(change: spanwire_config::Revision) -> Revision {
    let mut shown = revision(change, true);
    let is_large = |changes: &[ObjectChange]| {
        serde_json::to_vec(changes).is_ok_and(|json| json.len() > MAX_EVENT_BYTES)
    };
    if is_large(&shown.changes) {
        shown.changes.iter_mut().for_each(|change| change.diff.clear());
    }
    shown
}

/// The largest differences that an event carries, as JSON.
const MAX_EVENT_BYTES: usize = 64 * 1024;

/// Shows one version in the history of an object.
pub(crate) fn version(version: spanwire_config::Version) -> ObjectVersion {
    let spanwire_config::Version { version, revision, at, who, from, reason, name, before, after } =
        version;
    ObjectVersion {
        version,
        revision,
        at,
        who,
        from,
        reason,
        name,
        action: action(before.as_deref(), after.as_deref()),
        diff: fields(before.as_deref(), after.as_deref()),
        object: after.map(|object| object.to_masked()),
    }
}

fn action(before: Option<&Object>, after: Option<&Object>) -> ObjectAction {
    match (before, after) {
        (None, _) => ObjectAction::Created,
        (Some(_), None) => ObjectAction::Deleted,
        (Some(_), Some(_)) => ObjectAction::Updated,
    }
}

fn fields(before: Option<&Object>, after: Option<&Object>) -> Vec<FieldChange> {
    let one = |it: spanwire_config::FieldChange| FieldChange {
        field: it.field,
        from: it.from,
        to: it.to,
    };
    diff(before, after).into_iter().map(one).collect()
}
