//! What differs between two versions of an object, field by field, as it may be shown.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::object::Object;
use crate::spec::{Effect, KindSpec};

/// A field that differs between two versions of an object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FieldChange {
    /// The key of the field.
    pub field: String,
    /// The value before, with secrets masked; null if there was none.
    pub from: Json,
    /// The value after, with secrets masked; null if there is none.
    ///
    /// Of a secret that changed although both values look the same, it is the masked value followed
    /// by ` (changed)`.
    pub to: Json,
}

/// Returns the fields that differ, in the order of [`KindSpec::fields`].
///
/// `None` stands for an object that is not there, before it was created or after it was deleted.
/// Two versions of an object are of one kind; the fields of objects of two kinds come one kind after
/// the other.
#[must_use]
pub fn diff(before: Option<&Object>, after: Option<&Object>) -> Vec<FieldChange> {
    let (old, new) = (Version::of(before), Version::of(after));
    let mut keys: Vec<&'static str> = Vec::new();
    for object in [before, after].into_iter().flatten() {
        for field in KindSpec::of(object.kind()).fields() {
            if field.effect == Effect::Applied && !keys.contains(&field.key) {
                keys.push(field.key);
            }
        }
    }
    let change = |key: &'static str| {
        let (from, to) = (old.shown(key), new.shown(key));
        if from != to {
            return Some(FieldChange { field: key.to_owned(), from, to });
        }
        if old.secret(key) == new.secret(key) {
            return None;
        }
        let to = format!("{} (changed)", to.as_str().unwrap_or_default()).into();
        Some(FieldChange { field: key.to_owned(), from, to })
    };
    keys.into_iter().filter_map(change).collect()
}

/// One version of an object: its values as they may be shown, and its secrets.
struct Version<'a> {
    fields: Map<String, Json>,
    secrets: Vec<(&'static str, &'a str)>,
}

impl<'a> Version<'a> {
    fn of(object: Option<&'a Object>) -> Self {
        Self {
            fields: object.map(Object::fields).unwrap_or_default(),
            secrets: object.map(Object::secrets).unwrap_or_default(),
        }
    }

    fn shown(&self, key: &str) -> Json {
        self.fields.get(key).cloned().unwrap_or_default()
    }

    fn secret(&self, key: &str) -> Option<&'a str> {
        self.secrets.iter().find(|(field, _)| *field == key).map(|(_, secret)| *secret)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Kind;
    use crate::object::tests::full;

    fn object(kind: Kind, value: &Json) -> Object {
        Object::from_json(kind, value).unwrap()
    }

    fn between(kind: Kind, before: &Json, after: &Json) -> Vec<(String, Json, Json)> {
        let (before, after) = (object(kind, before), object(kind, after));
        let changes = diff(Some(&before), Some(&after));
        changes.into_iter().map(|it| (it.field, it.from, it.to)).collect()
    }

    #[test]
    fn only_what_differs_is_there_in_the_order_of_the_description() {
        let before =
            json!({"name": "w", "address": "/w", "service": "g", "sec_def": "s", "token_ttl": 60});
        let mut after = before.clone();
        after["sec_def"] = json!("zato-no-security");
        after["token_ttl"] = json!(null);
        after["labels"] = json!(["a"]);
        after["max_message_size"] = json!("1MiB");
        let expected = [
            ("labels".to_owned(), json!(null), json!(["a"])),
            ("sec_def".to_owned(), json!("s"), json!("zato-no-security")),
            ("token_ttl".to_owned(), json!(60), json!(3600)),
            ("max_message_size".to_owned(), json!(null), json!(1_048_576)),
        ];
        assert_eq!(between(Kind::WebSocket, &before, &after), expected);
        assert_eq!(between(Kind::WebSocket, &before, &before), []);
    }

    #[test]
    fn secrets_that_differ_are_told_and_not_shown() {
        let with = |password: Json| json!({"name": "s", "type": "apikey", "password": password});
        let field = || "password".to_owned();
        let changed = [(field(), json!("***"), json!("*** (changed)"))];
        let one = with(json!("hunter1"));
        assert_eq!(between(Kind::Security, &one, &with(json!("hunter2"))), changed);
        assert_eq!(between(Kind::Security, &one, &one), []);
        let removed = [(field(), json!("***"), json!(null))];
        assert_eq!(between(Kind::Security, &one, &with(json!(null))), removed);

        let with = |url: &str| json!({"name": "o", "address": url});
        let url = with("ws://h/?token=hunter1");
        let changed = [(
            "address".to_owned(),
            json!("ws://h/?token=***"),
            json!("ws://h/?token=*** (changed)"),
        )];
        assert_eq!(between(Kind::OutgoingWsx, &url, &with("ws://h/?token=hunter2")), changed);
        let moved =
            [("address".to_owned(), json!("ws://h/?token=***"), json!("ws://i/?token=***"))];
        assert_eq!(between(Kind::OutgoingWsx, &url, &with("ws://i/?token=hunter2")), moved);
    }

    #[test]
    fn creating_and_deleting_change_every_field_there_is() {
        for (kind, value) in full() {
            let object = object(kind, &value);
            let created = diff(None, Some(&object));
            assert_eq!(created.len(), object.fields().len(), "{kind}");
            assert!(created.iter().all(|it| it.from.is_null() && !it.to.is_null()));
            let deleted = diff(Some(&object), None);
            assert!(deleted.iter().zip(&created).all(|(it, created)| it.from == created.to));
            assert!(!serde_json::to_string(&created).unwrap().contains("hunter2"));
        }
        assert_eq!(diff(None, None), []);
    }
}
