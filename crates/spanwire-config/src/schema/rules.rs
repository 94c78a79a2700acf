//! What keys of an object must be like together: [`crate::rules`] as conditions of a schema.

use serde_json::{Value as Json, json};

use crate::Kind;

/// Returns the conditions for a kind.
pub(super) fn of(kind: Kind) -> Vec<Json> {
    match kind {
        Kind::Security => {
            let username = json!({"type": "string", "pattern": "^[^:\\x00-\\x1f\\x7f-\\x9f]+$"});
            vec![when(
                &json!({"type": {"const": "basic_auth"}}),
                &json!(["username"]),
                &json!({"username": username}),
            )]
        }
        Kind::WebSocket => {
            let files = |of: Json| json!({"tls_cert_file": of, "tls_key_file": of});
            let given = json!(["tls_cert_file", "tls_key_file"]);
            let is_tls = json!({"address": {"type": "string", "pattern": "^wss://"}});
            let mut rule = when(&is_tls, &given, &files(text()));
            super::insert(&mut rule, "else", json!({"properties": files(json!({"type": "null"}))}));
            vec![rule]
        }
        Kind::OutgoingWsx => {
            let pair = ["tls_cert_file", "tls_key_file"];
            let rule = |one: &str, other: &str| {
                when(&json!({one: text()}), &json!([other]), &json!({other: text()}))
            };
            vec![rule(pair[0], pair[1]), rule(pair[1], pair[0])]
        }
        Kind::PubsubEndpoint => {
            let recognised_by =
                [("rest", "security_name"), ("wsx", "ws_channel_name"), ("srv", "service_name")];
            let rule = |(of, key): (&str, &str)| {
                let is_it = json!({"endpoint_type": {"const": of}});
                when(&is_it, &json!([key]), &json!({key: text()}))
            };
            recognised_by.into_iter().map(rule).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns that where properties are like this, others are there and like that.
fn when(condition: &Json, required: &Json, then: &Json) -> Json {
    let keys: Json = condition.as_object().into_iter().flat_map(|it| it.keys().cloned()).collect();
    json!({
        "if": {"properties": condition, "required": keys},
        "then": {"properties": then, "required": required},
    })
}

fn text() -> Json {
    json!({"type": "string", "minLength": 1})
}
