//! B-08: each field of an envelope missing, null, of another type, too long, unknown; in an open session.

use serde_json::{Map, Value, json};

use super::{
    BadRequest, Bystander, Forbidden, Ignored, Outcome, Probe, Replied, SessionCreated, server,
};

/// A value of each type, the empty one and a great one among them.
pub(super) fn values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(""),
        json!("unheard of"),
        json!(" "),
        json!("x".repeat(100_000)),
        json!("\u{0}\n\u{1b}[31m"),
        json!(0),
        json!(-1.5),
        json!(u64::MAX),
        json!(true),
        json!(false),
        json!([]),
        json!(["a", 1]),
        json!({}),
        json!({"a": {"b": 1}}),
    ]
}

/// Every field of wsx-protocol 2.1, and some that are none.
pub(super) const FIELDS: [&str; 16] = [
    "action",
    "id",
    "timestamp",
    "token",
    "client_id",
    "client_name",
    "username",
    "secret",
    "attrs",
    "in_reply_to",
    "ctx",
    "deadline_ms",
    "traceparent",
    "msg_type",
    "status",
    "unknown",
];

/// A message in which one field has another value, or is missing.
pub(super) fn with(meta: &Value, field: &str, value: Option<&Value>) -> String {
    let mut meta: Map<String, Value> = meta.as_object().unwrap().clone();
    match value {
        Some(value) => drop(meta.insert(field.to_owned(), value.clone())),
        None => drop(meta.remove(field)),
    }
    json!({"meta": meta, "data": {"k": 1}}).to_string()
}

fn is_nothing(value: Option<&Value>) -> bool {
    value.is_none_or(Value::is_null)
}

#[tokio::test]
async fn fields_of_a_call() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    let values = values();
    for field in FIELDS {
        for value in values.iter().map(Some).chain([None]) {
            let meta = json!({"action": "invoke-service", "id": "m1", "timestamp": "t", "token": probe.token()});
            let expected: &[Outcome] = match field {
                // Absent, it is a client-response, which lacks in_reply_to. Any other text means a call.
                "action" if is_nothing(value) || value == Some(&json!("")) => &[BadRequest],
                "action" if value.is_some_and(Value::is_string) => &[Replied(200)],
                // A name that is none: nobody says which of the two it is.
                "action" => &[BadRequest, Replied(200)],
                "id" if is_nothing(value) => &[BadRequest],
                "token" => &[Forbidden],
                _ => &[Replied(200)],
            };
            let text = with(&meta, field, value);
            let outcome = probe.text(&text).await;
            assert!(expected.contains(&outcome), "{text:.300}: {outcome:?}\n{:.300}", probe.answer);
        }
    }
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn fields_of_an_answer() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    let values = values();
    for field in FIELDS.into_iter().filter(|field| *field != "action") {
        for value in values.iter().map(Some).chain([None]) {
            let meta = json!({"action": "client-response", "id": "m1", "timestamp": "t", "token": probe.token(),
                              "in_reply_to": "a3f09c41d27e5b8860f1c2d4"});
            let expected: &[Outcome] = match field {
                "id" if is_nothing(value) => &[BadRequest],
                "in_reply_to" if is_nothing(value) => &[BadRequest],
                // Empty is as good as absent.
                "in_reply_to" if value == Some(&json!("")) => &[BadRequest, Ignored],
                "token" => &[Forbidden],
                _ => &[Ignored],
            };
            let text = with(&meta, field, value);
            let outcome = probe.text(&text).await;
            assert!(expected.contains(&outcome), "{text:.300}: {outcome:?}\n{:.300}", probe.answer);
        }
    }
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn fields_of_a_renewal() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    let values = values();
    for field in FIELDS.into_iter().filter(|field| *field != "action") {
        for value in values.iter().map(Some).chain([None]) {
            let meta = json!({"action": "create-session", "id": "m1", "timestamp": "t", "token": probe.token(),
                              "username": "app1", "secret": "secret1"});
            let expected = match field {
                "id" if is_nothing(value) => BadRequest,
                "token" | "username" | "secret" => Forbidden,
                _ => SessionCreated,
            };
            let text = with(&meta, field, value);
            let outcome = probe.send_answered(&text).await;
            assert_eq!(outcome, expected, "{text:.300}\n{:.300}", probe.answer);
        }
    }
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn meta_and_data() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    for value in values() {
        let expected: &[Outcome] = match &value {
            // As if it were missing.
            Value::Null => &[Forbidden, BadRequest],
            Value::Object(_) => &[Forbidden],
            _ => &[BadRequest],
        };
        let text = json!({"meta": value, "data": 1}).to_string();
        let outcome = probe.text(&text).await;
        assert!(expected.contains(&outcome), "{text:.300}: {outcome:?}");

        let meta = json!({"action": "invoke-service", "id": "m1", "token": probe.token()});
        let text = json!({"meta": meta, "data": value, "more": value}).to_string();
        probe.expect(&text, &Replied(200)).await;
        let reply: Value = serde_json::from_str(&probe.answer).unwrap();
        let echoed = if value.is_null() { json!({}) } else { value };
        assert_eq!(reply["data"], echoed);
    }
    // Keys of other cases, at other places.
    let token = probe.token().to_owned();
    let meta = json!({"action": "invoke-service", "id": "m1", "token": token});
    for text in [
        json!({"Meta": meta, "data": 1}),
        json!({"META": meta, "data": 1}),
        json!({"data": {"meta": meta}}),
        json!({"meta": {"meta": meta}}),
        json!({"meta": {"Token": token, "action": "invoke-service", "id": "m1"}}),
        json!({"action": "invoke-service", "id": "m1", "token": token}),
    ] {
        let text = text.to_string().replace(&token, probe.token());
        probe.expect(&text, &Forbidden).await;
    }
    bystander.goes_on_unharmed().await;
}

/// A service's own complaint about its input is a reply, not the end.
#[tokio::test]
async fn what_the_gateway_does_not_take() {
    let server = spanwire_tests::Server::setup()
        .objects(
            "security: [{name: app1, type: basic_auth, username: app1, password: secret1}]\n\
             web_socket: [{name: g, address: /ws/g, service: helpers.web-sockets-gateway, sec_def: app1, \
             ordered_replies: true}]\n",
        )
        .start();
    let mut client = spanwire_tests::Client::log_in(&server.ws("/ws/g"), "app1", "secret1").await;
    for value in values() {
        let meta = client.call(&value).await["meta"].clone();
        assert_eq!(meta["status"], 400, "{value:.100}: {meta}");
        assert_eq!(meta["error_message"], "I/O processing error", "{value:.100}");
        let meta = client.call(&json!({"service": value, "request": {}})).await["meta"].clone();
        let status = meta["status"].as_u64();
        let expected: &[u64] = match &value {
            Value::String(name) if !name.is_empty() => &[403],
            Value::String(_) => &[400, 403],
            // A number may be taken for a text.
            Value::Number(_) => &[400, 403],
            _ => &[400],
        };
        assert!(status.is_some_and(|status| expected.contains(&status)), "{value:.100}: {meta}");
        let reply = client.invoke("zato.helpers.echo", &value).await;
        assert_eq!(reply["meta"]["status"], 200, "{value:.100}: {reply:.200}");
    }
}
