//! The description of the API (OpenAPI 3.1), made of the table of operations; served at `/zato/sso/openapi.json`.

use serde_json::{Map, Value, json};
use spanwire_protocol::Payload;
use spanwire_service::{BoxFuture, Context, PayloadService, ServiceError};
use spanwire_sso::operation::{ENDPOINTS, Endpoint, Field, FieldType, Who};

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = path {
            methods.insert(endpoint.method.to_ascii_lowercase(), operation(endpoint));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Single sign-on", "version": env!("CARGO_PKG_VERSION"),
            "description": "Users, sessions and attributes. Inputs are a JSON object in the body, whatever the verb, or a query; unknown keys are ignored.",
        },
        "paths": paths,
        "components": {"schemas": {
            "Refused": {
                "type": "object", "required": ["status", "sub_status", "cid"],
                "properties": {
                    "status": {"const": "error"}, "cid": cid(),
                    "sub_status": {"type": "array", "items": {"type": "string", "pattern": "^[EW][0-9]{6}$"}},
                },
            },
            "Wrong": {
                "type": "object", "required": ["result", "cid", "details"],
                "properties": {"result": {"const": "Error"}, "cid": cid(), "details": {"type": "string"}},
            },
        }},
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let operation = endpoint.operation;
    let app = Field {
        name: "current_app",
        kind: FieldType::Text,
        is_required: !operation.is_app_optional(),
    };
    let purpose = Field { name: "purpose", kind: FieldType::Text, is_required: false };
    let inputs = [app, purpose].into_iter().chain(operation.inputs().iter().copied());
    let who = match endpoint.who {
        Who::Anybody => "Anybody may.",
        Who::Owner => "Users may about themselves, super-users about anybody.",
        Who::SuperUser => "Super-users may.",
    };
    let (input, output) = (object(inputs), answer(operation.outputs()));
    let refused = json!({"$ref": "#/components/schemas/Refused"});
    let wrong = content(&json!({"$ref": "#/components/schemas/Wrong"}));
    json!({
        "operationId": endpoint.service, "summary": operation.meaning(), "description": who,
        "requestBody": {"required": false, "content": {"application/json": {"schema": input}}},
        "responses": {
            "200": {"description": "Done; or the application is unknown.", "content": content(&json!({"anyOf": [output, refused]}))},
            "400": {"description": "A key is missing, or a value has the wrong type.", "content": wrong},
            "403": {"description": "Refused.", "content": content(&refused)},
            "413": {"description": "The body is larger than 64 KiB.", "content": wrong},
            "503": {"description": "Too many wait for a password to be hashed.", "content": wrong},
        },
    })
}

fn answer(outputs: &[Field]) -> Value {
    let mut answer = object(outputs.iter().copied());
    if let Some(properties) = answer.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("status".to_owned(), json!({"enum": ["ok", "warning"]}));
        properties
            .insert("sub_status".to_owned(), json!({"type": "array", "items": {"type": "string"}}));
        properties.insert("cid".to_owned(), cid());
    }
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("required".to_owned(), json!(["status", "sub_status", "cid"]));
    }
    answer
}

fn object(fields: impl Iterator<Item = Field>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in fields {
        properties.insert(field.name.to_owned(), schema(field.kind));
        if field.is_required {
            required.push(field.name);
        }
    }
    json!({"type": "object", "properties": properties, "required": required})
}

fn schema(kind: FieldType) -> Value {
    match kind {
        FieldType::Text | FieldType::Secret => json!({"type": ["string", "null"]}),
        FieldType::Flag => json!({"type": ["boolean", "null"]}),
        FieldType::Integer => json!({"type": ["integer", "null"]}),
        FieldType::Time => json!({"type": ["string", "null"], "examples": ["2345-12-27T11:22:33"]}),
        FieldType::Texts => json!({"type": ["array", "null"], "items": {"type": "string"}}),
        FieldType::List => json!({"type": ["array", "null"], "items": {}}),
        FieldType::Any => json!({}),
    }
}

fn cid() -> Value {
    json!({"type": "string", "pattern": "^[0-9a-f]{24}$"})
}

fn content(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

/// The document as a service.
pub(super) struct Document;

impl PayloadService for Document {
    fn call(&self, _: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        let document =
            Payload::from_serialize(input.codec(), &document()).map_err(ServiceError::internal);
        Box::pin(std::future::ready(document))
    }
}
