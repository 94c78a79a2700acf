//! Changing a running server: what is changed changes, and nothing else notices.

mod channels;
mod crashes;
mod listeners;
mod reload;
mod untouched;

use serde_json::{Value, json};
use spanwire_tests::Server;
use spanwire_tests::http::{Answer, admin};

/// A channel with credentials and a gateway, and a REST channel with the same.
pub(crate) const OBJECTS: &str = r#"
security:
  - {name: app1, type: basic_auth, username: app1, password: secret1}
wsx_gateway:
  - {name: gate, services_allowed: [zato.ping, zato.helpers.echo]}
web_socket:
  - {name: crm, address: /ws/crm, service: gate, sec_def: app1}
  - {name: open, address: /ws/open, service: zato.helpers.echo, sec_def: zato-no-security}
channel_rest:
  - {name: echo, url_path: /echo, service: zato.helpers.echo, security_name: app1, data_format: json}
"#;

/// The path of an object in the API.
pub(crate) fn path(kind: &str, name: &str) -> String {
    format!(
        "/api/v1/objects/{kind}/{}",
        name.replace('%', "%25").replace('/', "%2F").replace(' ', "%20")
    )
}

/// Changes keys of an object, and returns the object.
pub(crate) async fn patch(server: &Server, kind: &str, name: &str, patch: Value) -> Value {
    ok(admin(server, "PATCH", &path(kind, name), &patch.to_string()).await)
}

/// Makes an object, and returns it.
pub(crate) async fn create(server: &Server, kind: &str, object: Value) -> Value {
    ok(admin(server, "POST", &format!("/api/v1/objects/{kind}"), &object.to_string()).await)
}

/// Deletes an object, and returns what was changed.
pub(crate) async fn delete(server: &Server, kind: &str, name: &str) -> Value {
    ok(admin(server, "DELETE", &path(kind, name), "").await)
}

/// One object.
pub(crate) async fn show(server: &Server, kind: &str, name: &str) -> Value {
    ok(admin(server, "GET", &path(kind, name), "").await)
}

/// The body of an answer that is no refusal.
#[expect(clippy::needless_pass_by_value, reason = "wraps what was just awaited")]
pub(crate) fn ok(answer: Answer) -> Value {
    assert!((200..300).contains(&answer.status), "{answer:?}");
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

/// Nothing failed, what runs is what is wanted, and the history leads there.
pub(crate) async fn assert_consistent(server: &Server) {
    let info = ok(admin(server, "GET", "/api/v1/server", "").await);
    assert_eq!(info["failed_objects"], 0, "{info}");
    assert_eq!(info["state_hash"], info["running_hash"], "{info}");
    let verified = ok(admin(server, "GET", "/api/v1/history/verify", "").await);
    assert_eq!(verified["matches"], json!(true), "{verified}");
    assert_eq!(verified["state_hash"], info["state_hash"]);
}

/// Numbers that look random, the same ones in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}
