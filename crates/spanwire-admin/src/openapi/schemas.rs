//! The components: static types describe themselves, objects are described by their kinds.

use serde_json::{Map, Value, json};
use spanwire_config::{Kind, MASK, MAX_FILES, schema};
use spanwire_protocol::admin::{self as body, pubsub};
use utoipa::ToSchema;

use super::operation::{component, text};

/// Every component.
pub(super) fn all() -> Value {
    let mut all = Map::new();
    add::<body::Problem>(&mut all);
    add::<body::ServerInfo>(&mut all);
    add::<body::sso::SsoCommand>(&mut all);
    add::<body::sso::NewSsoUser>(&mut all);
    add::<body::sso::SsoSearch>(&mut all);
    add::<body::ServiceInfo>(&mut all);
    add::<body::OutconnInfo>(&mut all);
    add::<body::Pinged>(&mut all);
    add::<body::Invoked>(&mut all);
    add::<body::SettingInfo>(&mut all);
    add::<body::Reloaded>(&mut all);
    add::<body::KeyRotated>(&mut all);
    add::<body::ConnectionInfo>(&mut all);
    add::<body::ClosedConnection>(&mut all);
    add::<body::InvokeConnection>(&mut all);
    add::<body::Disconnect>(&mut all);
    add::<body::Disconnected>(&mut all);
    add::<body::Changed>(&mut all);
    add::<body::Revision>(&mut all);
    add::<body::ObjectVersion>(&mut all);
    add::<body::ObjectMeta>(&mut all);
    add::<body::HistoryVerified>(&mut all);
    add::<body::StateEvent>(&mut all);
    add::<body::ConnectionEvent>(&mut all);
    add_pubsub(&mut all);
    for kind in Kind::ALL {
        all.insert(kind.as_str().to_owned(), schema::object(kind));
        all.insert(format!("{kind}_replacement"), replacement(kind));
        all.insert(format!("{kind}_patch"), schema::patch(kind));
        all.insert(format!("{kind}_shown"), shown(kind));
    }
    all.insert("Timestamp".to_owned(), timestamp());
    all.insert("Bundle".to_owned(), bundle());
    all.insert("Revert".to_owned(), revert());
    all.insert("SetPassword".to_owned(), set_password());
    all.insert("Health".to_owned(), health());
    Value::Object(all)
}

fn add_pubsub(all: &mut Map<String, Value>) {
    add::<pubsub::PubSubInfo>(all);
    add::<pubsub::TopicInfo>(all);
    add::<pubsub::QueueInfo>(all);
    add::<pubsub::MessageInfo>(all);
    add::<pubsub::EditMessage>(all);
    add::<pubsub::Publish>(all);
    add::<pubsub::Published>(all);
    add::<pubsub::Subscribe>(all);
    add::<pubsub::Subscribed>(all);
    add::<pubsub::Consume>(all);
    add::<pubsub::Acknowledge>(all);
    add::<pubsub::Acknowledged>(all);
    add::<pubsub::Requeue>(all);
    add::<pubsub::Requeued>(all);
    add::<pubsub::Cleared>(all);
    add::<pubsub::Compacted>(all);
    add::<pubsub::CleanUp>(all);
    add::<pubsub::Cleaned>(all);
}

fn add<T: ToSchema>(all: &mut Map<String, Value>) {
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    for (name, schema) in schemas {
        // Schemas are maps with texts as keys, which always have a JSON form.
        all.insert(name, serde_json::to_value(schema).unwrap_or_default());
    }
}

/// An object for PUT, where the path names it.
fn replacement(kind: Kind) -> Value {
    let mut schema = schema::object(kind);
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|key| key != "name");
    }
    schema
}

/// An object with what the server says about it.
fn shown(kind: Kind) -> Value {
    let mut schema = schema::shown(kind);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("meta".to_owned(), component("ObjectMeta"));
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.push("meta".into());
    }
    schema
}

/// More exact than what the type says of itself: there is no zone, so that it is no `date-time`.
fn timestamp() -> Value {
    json!({
        "type": "string",
        "description": "UTC, in microseconds, without a zone.",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}$",
        "examples": ["2024-03-04T10:20:30.123456"],
    })
}

fn bundle() -> Value {
    let texts = json!({"type": "array", "items": text()});
    let file = json!({
        "type": "object",
        "properties": {"path": text(), "also": texts, "text": text()},
        "required": ["path", "text"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "description": "Files of objects, with what they include and take from the environment.",
        "properties": {
            "roots": texts,
            "files": {"type": "array", "items": file, "maxItems": MAX_FILES},
            "environment": {"type": "object", "additionalProperties": text()},
        },
        "required": ["roots", "files"],
        "additionalProperties": false,
    })
}

fn revert() -> Value {
    json!({
        "type": "object",
        "properties": {"version": {"type": "integer", "minimum": 1, "maximum": u64::MAX}},
        "required": ["version"],
        "additionalProperties": false,
    })
}

fn set_password() -> Value {
    let password = schema::object(Kind::Security);
    let password = password.pointer("/properties/password").cloned().unwrap_or_default();
    // Unlike in an object, null is none here.
    let text = json!({"type": "string", "not": {"const": MASK}});
    json!({
        "type": "object",
        "properties": {"password": {"allOf": [password, text]}},
        "required": ["password"],
        "additionalProperties": false,
    })
}

fn health() -> Value {
    json!({
        "type": "object",
        "properties": {"status": {"enum": ["ok", "unavailable"]}, "reason": text()},
        "required": ["status"],
    })
}
