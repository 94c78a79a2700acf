//! Objects as somebody sent them: only keys of the kind, by their own names, and nothing that the server decides.

use serde_json::{Map, Value};
use spanwire_config::spec::{Effect, KindSpec};
use spanwire_config::{Kind, Object};
use spanwire_protocol::admin::FieldProblem;

use crate::problem::{ApiError, field_problem, field_problems, shown};

/// Makes an object of what was sent.
///
/// # Errors
/// 422 with every mistake.
pub(super) fn object(kind: Kind, mut sent: Map<String, Value>) -> Result<Object, ApiError> {
    let mut errors = take_strangers(kind, &mut sent);
    match Object::from_json(kind, &Value::Object(sent)) {
        Ok(object) if errors.is_empty() => Ok(object),
        Ok(_) => Err(ApiError::invalid(errors)),
        Err(problems) => {
            errors.extend(field_problems(problems));
            Err(ApiError::invalid(errors))
        }
    }
}

/// Applies a merge patch (RFC 7396) to an object.
///
/// # Errors
/// As [`object()`].
pub(super) fn patched(
    kind: Kind,
    present: &Object,
    mut patch: Map<String, Value>,
) -> Result<Object, ApiError> {
    let mut errors = take_strangers(kind, &mut patch);
    // A key that is taken away and was never there would be left out silently.
    let is_unknown = |key: &str| KindSpec::of(kind).fields().all(|field| field.key != key);
    for (key, _) in patch.iter().filter(|(key, value)| value.is_null() && is_unknown(key)) {
        let message = "unknown key: remove it or correct its spelling";
        errors.push(field_problem(&shown(key), message));
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid(errors));
    }
    let mut merged = fields(present);
    merge(&mut merged, patch);
    object(kind, merged)
}

/// Names an object that was sent without a name like the path that it was sent to.
pub(super) fn name_by_path(
    kind: Kind,
    name: &str,
    present: Option<&Object>,
    sent: &mut Map<String, Value>,
) {
    let is_missing = |sent: &Map<_, _>, key: &str| sent.get(key).is_none_or(Value::is_null);
    match kind {
        // Its name does not tell where that of its endpoint ends.
        Kind::PubsubSubscription => {
            let present = present.map(fields).unwrap_or_default();
            for key in ["endpoint_name", "topic_name"] {
                if let Some(value) = present.get(key).filter(|_| is_missing(sent, key)) {
                    sent.insert(key.to_owned(), value.clone());
                }
            }
        }
        _ if is_missing(sent, "name") => {
            sent.insert("name".to_owned(), name.into());
        }
        _ => {}
    }
}

/// Takes out keys that files may have and requests may not, and says why.
fn take_strangers(kind: Kind, sent: &mut Map<String, Value>) -> Vec<FieldProblem> {
    let mut errors = Vec::new();
    if sent.remove("meta").is_some() {
        let message = "is what the server says about the object: leave it out";
        errors.push(field_problem("meta", message));
    }
    for field in KindSpec::of(kind).fields() {
        for alias in field.aliases {
            if sent.remove(*alias).is_some() {
                let message = format!("unknown key, did you mean '{}'?", field.key);
                errors.push(field_problem(alias, message));
            }
        }
        if field.effect != Effect::Applied && sent.remove(field.key).is_some() {
            let message = "has no effect here and is understood in files only: leave it out";
            errors.push(field_problem(field.key, message));
        }
    }
    errors
}

fn fields(object: &Object) -> Map<String, Value> {
    match object.to_revealed() {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(&key);
            }
            Value::Object(patch) => {
                let mut inner = match target.remove(&key) {
                    Some(Value::Object(inner)) => inner,
                    _ => Map::new(),
                };
                merge(&mut inner, patch);
                target.insert(key, Value::Object(inner));
            }
            value => {
                target.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!() };
        map
    }

    #[test]
    fn patches_merge_as_the_rfc_says() {
        for (target, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut target = map(target);
            merge(&mut target, map(patch));
            assert_eq!(Value::Object(target), merged);
        }
    }

    #[test]
    fn what_only_the_server_or_a_file_says_is_refused() {
        let sent = json!({"name": "c", "address": "/c", "service_name": "s", "id": 1, "meta": {}});
        let errors = object(Kind::WebSocket, map(sent)).unwrap_err();
        let text = format!("{errors:?}");
        for part in ["\"id\"", "\"meta\"", "\"service_name\"", "did you mean 'service'"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
