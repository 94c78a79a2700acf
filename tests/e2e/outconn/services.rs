//! What services do with outgoing connections: `ctx.out()`, in an app of this process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use spanwire_protocol::Payload;
use spanwire_runtime::{App, Context, ServiceError};
use spanwire_service::OutgoingError;
use spanwire_service::outgoing::{Adapter, CloseEvent, ConnectEvent, MessageEvent, WsxAdapter};
use spanwire_tests::endpoint::{Endpoint, Received, Reply};
use spanwire_tests::http::{Answer, admin, connections, request};
use spanwire_tests::{PATIENCE, Server, until};
use tokio::sync::mpsc;

use super::ACCEPTS;
use crate::cli::on;

/// A channel for each service: `/s/NAME` calls `NAME`.
fn channels(names: &[&str]) -> String {
    let channel = |name: &&str| json!({"name": name, "url_path": format!("/s/{name}"), "service": name, "security_name": "zato-no-security"});
    json!({ "channel_rest": names.iter().map(channel).collect::<Vec<_>>() }).to_string()
}

async fn call(app: &App, service: &str, input: &Value) -> Answer {
    request(app.address(), "POST", &format!("/s/{service}"), &[], &input.to_string()).await
}

/// An error by its name, as a service sees it.
fn name(error: &OutgoingError) -> &'static str {
    match error {
        OutgoingError::Unknown(_) => "unknown",
        OutgoingError::NotConnected(_) => "not connected",
        OutgoingError::TimedOut => "timed out",
        OutgoingError::Closed => "closed",
        OutgoingError::Refused { .. } => "refused",
        OutgoingError::Unsuitable(_) => "unsuitable",
        _ => "another",
    }
}

#[tokio::test]
async fn a_service_calls_another_server_in_two_lines_and_knows_what_went_wrong() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = json!({
        "service": [{"name": "slow", "url": format!("http://{}/", silent.local_addr().unwrap())}],
        "wsx_gateway": [{"name": "helpers.web-sockets-gateway", "services_allowed": ["slow", "zato.ping", "zato.helpers.echo"]}],
    });
    let mut b = Server::setup().objects(ACCEPTS).objects(&slow.to_string()).start();
    let outconns = json!({
        "security": [{"name": "b", "type": "basic_auth", "username": "app1", "password": "secret1"}],
        "outgoing_wsx": [
            {"name": "b", "address": b.ws("/ws/b"), "is_zato": true, "security_name": "b"},
            {"name": "nobody", "address": "ws://127.0.0.1:1/", "is_zato": true},
        ],
    });
    let app = App::builder()
        .service_fn("invoke", async |ctx: Context, (name_of, service): (String, String)| {
            let wsx = match ctx.out().wsx(&name_of) {
                Ok(wsx) => wsx.timeout(Duration::from_millis(500)),
                Err(error) => return Ok(json!({ "error": name(&error) })),
            };
            let reply: Result<Value, _> = wsx.invoke(&service, &json!({"a": 1})).await;
            Ok(reply.unwrap_or_else(|error| json!({ "error": name(&error) })))
        })
        .service_fn("plainly", async |ctx: Context, (): ()| {
            let reply: Value = ctx.out().wsx("b")?.invoke("zato.helpers.echo", &json!([1])).await?;
            // By its name, as if it were here.
            let same: Value = ctx.call("b:zato.helpers.echo", &json!([1])).await?;
            assert_eq!(reply, same);
            Ok::<_, ServiceError>(reply)
        })
        .objects(outconns.to_string())
        .objects(channels(&["invoke", "plainly"]))
        .start()
        .await
        .unwrap();
    let ask = async |name: &str, service: &str| {
        call(&app, "invoke", &json!([name, service])).await.json()
    };
    until("it is connected", async || {
        (ask("b", "zato.ping").await == json!({"pong": "zato"})).then_some(())
    })
    .await;
    assert_eq!(call(&app, "plainly", &Value::Null).await.json(), json!([1]));
    for (name, service, error) in [
        ("none", "zato.ping", "unknown"),
        ("nobody", "zato.ping", "not connected"),
        ("b", "zato.server.get-list", "refused"),
        ("b", "slow", "timed out"),
    ] {
        assert_eq!(ask(name, service).await, json!({ "error": error }), "{name}:{service}");
    }
    b.kill();
    until("it is missed", async || {
        (ask("b", "zato.ping").await == json!({"error": "not connected"})).then_some(())
    })
    .await;
    let refused = call(&app, "plainly", &Value::Null).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    app.shutdown().await;
}

#[tokio::test]
async fn a_service_calls_an_http_server_and_only_what_is_harmless_is_tried_again() {
    let fails = std::sync::Arc::new(AtomicUsize::new(0));
    let left = std::sync::Arc::clone(&fails);
    let crm = Endpoint::start(move |request: &Received| {
        let one_less = |left: usize| left.checked_sub(1);
        match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => Reply::from((503, String::new())),
            Err(_) => Reply::from((200, json!({"seen": request.body}).to_string())),
        }
    })
    .await;
    let objects = json!({
        "security": [{"name": "crm", "type": "apikey", "header": "X-Key", "password": "sesame"}],
        "outgoing_rest": [
            {"name": "crm", "host": crm.url(""), "url_path": "/customer/{id}", "security_name": "crm"},
            {"name": "nobody", "host": "http://127.0.0.1:1", "url_path": "/"},
            {"name": "off", "host": "http://127.0.0.1:1", "url_path": "/", "is_active": false},
        ],
    });
    let app = App::builder()
        .service_fn("rest", async |ctx: Context, (name_of, method): (String, String)| {
            let rest = match ctx.out().rest(&name_of) {
                Ok(rest) => rest.method(&method).param("id", "7/8").param("full", &true),
                Err(error) => return Ok(json!({ "error": name(&error) })),
            };
            Ok(match rest.json(&json!({"name": "Anna"})).send().await {
                Ok(answer) => json!({"status": answer.status, "body": answer.json::<Value>()?}),
                Err(error) => json!({ "error": name(&error) }),
            })
        })
        .objects(objects.to_string())
        .objects(channels(&["rest"]))
        .start()
        .await
        .unwrap();
    let ask =
        async |name: &str, method: &str| call(&app, "rest", &json!([name, method])).await.json();
    let fine = json!({"status": 200, "body": {"seen": {"name": "Anna"}}});
    assert_eq!(ask("crm", "POST").await, fine);
    let seen = crm.received();
    assert!(seen[0].head.starts_with("POST /customer/7%2F8?full=true HTTP/1.1"), "{seen:?}");
    assert_eq!(seen[0].header("x-key"), "sesame");
    assert_eq!(seen[0].header("content-type"), "application/json");
    // PUT twice is PUT once; POST is not.
    fails.store(2, Ordering::Relaxed);
    assert_eq!(ask("crm", "PUT").await, fine);
    assert_eq!(crm.received().len(), 4);
    fails.store(1, Ordering::Relaxed);
    assert_eq!(ask("crm", "POST").await, json!({"status": 503, "body": null}));
    assert_eq!(crm.received().len(), 5);
    // Whoever is in trouble does not get more and more of it.
    fails.store(1_000, Ordering::Relaxed);
    for _ in 0..20 {
        assert_eq!(ask("crm", "GET").await["status"], 503);
    }
    let asked = crm.received().len() - 5;
    assert!((20..=35).contains(&asked), "{asked}");
    for (name, method, error) in [
        ("none", "GET", "unknown"),
        ("nobody", "POST", "not connected"),
        ("off", "GET", "unsuitable"),
        ("crm", "NO METHOD", "unsuitable"),
    ] {
        assert_eq!(ask(name, method).await, json!({ "error": error }), "{name} {method}");
    }
    app.shutdown().await;
}

/// All events in one type, with a method for each.
struct Recorder(mpsc::Sender<String>);

impl WsxAdapter for Recorder {
    async fn on_connected(&self, _: Context, event: ConnectEvent) -> Result<(), ServiceError> {
        self.0.send(format!("connected {}", event.conn.name)).await.unwrap();
        Ok(())
    }

    async fn on_message_received(
        &self,
        _: Context,
        event: MessageEvent,
    ) -> Result<Payload, ServiceError> {
        let data: Value = event.data.parse()?;
        assert!(event.id.is_some() && event.timestamp.is_some());
        self.0.send(format!("message {data}")).await.unwrap();
        Ok(Payload::from_serialize(event.data.codec(), &json!({ "seen": data }))?)
    }

    async fn on_closed(&self, _: Context, event: CloseEvent) -> Result<(), ServiceError> {
        self.0.send(format!("closed {} {}", event.code, event.reason)).await.unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn an_adapter_has_a_method_for_each_event() {
    let b = Server::setup().objects(ACCEPTS).start();
    let objects = json!({
        "security": [{"name": "b", "type": "basic_auth", "username": "app1", "password": "secret1"}],
        "outgoing_wsx": [{
            "name": "b", "address": b.ws("/ws/b"), "is_zato": true, "security_name": "b",
            "on_connect_service_name": "adapter", "on_message_service_name": "adapter", "on_close_service_name": "adapter",
        }],
    });
    let (sender, mut events) = mpsc::channel(100);
    let app = App::builder()
        .payload_service("adapter", Adapter(Recorder(sender)))
        .objects(objects.to_string())
        .start()
        .await
        .unwrap();
    let mut next = async || tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
    assert_eq!(next().await, "connected b");
    let id = connections(&b).await[0]["pub_client_id"].as_str().unwrap().to_owned();
    let asked = json!({"request": {"a": 1}}).to_string();
    let answer = admin(&b, "POST", &format!("/api/v1/connections/{id}/invoke"), &asked).await;
    assert_eq!(answer.json()["response"], json!({"seen": {"a": 1}}), "{answer:?}");
    assert_eq!(next().await, r#"message {"a":1}"#);
    assert_eq!(on(&b, &["connection", "disconnect", &id, "--reason", "Enough"]).await.code, 0);
    assert_eq!(next().await, "closed 4005 Enough");
    assert_eq!(next().await, "connected b");
    app.shutdown().await;
}
