//! What services are told and can do, in an app of this process.

mod clients;
mod order;

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use spanwire_protocol::{Codec, Payload};
use spanwire_runtime::resolver::ReverseDns;
use spanwire_runtime::{App, AppBuilder, Context, ServiceError};
use spanwire_service::BoxFuture;
use spanwire_tests::http::{basic, request};
use spanwire_tests::{Client, PATIENCE};
use tokio::sync::mpsc;

/// No address has a name, so that no test depends on the machine's resolver.
struct NoNames;

impl ReverseDns for NoNames {
    fn lookup(&self, _: IpAddr) -> BoxFuture<'static, Option<String>> {
        Box::pin(std::future::ready(None))
    }
}

const SECURITY: &str =
    "security: [{name: definition-1, type: basic_auth, username: user1, password: secret1}]\n";

fn app() -> AppBuilder {
    App::builder().reverse_dns(NoNames)
}

/// A channel named `c` on `/ws/c` that calls this service.
fn channel(service: &str, more: &str) -> String {
    format!(
        "{SECURITY}web_socket: [{{name: c, address: /ws/c, service: {service}, sec_def: definition-1{more}}}]\n"
    )
}

fn url(app: &App) -> String {
    format!("ws://{}/ws/c", app.address())
}

async fn log_in(app: &App) -> Client {
    Client::log_in(&url(app), "user1", "secret1").await
}

/// Logs in with an id, a name and attributes.
async fn log_in_as(app: &App, id: &str, name: &str, attrs: &str) -> Client {
    let mut client = Client::connect(&url(app)).await;
    let meta = json!({"action": "create-session", "id": "1", "client_id": id, "client_name": name,
                      "attrs": attrs, "username": "user1", "secret": "secret1"});
    client.send(&json!({"meta": meta})).await;
    let reply = client.receive().await;
    reply["data"]["token"].as_str().unwrap().clone_into(&mut client.token);
    client
}

async fn next<T>(events: &mut mpsc::Receiver<T>) -> T {
    let next = tokio::time::timeout(PATIENCE, events.recv()).await;
    next.expect("it does not happen").expect("it cannot happen any more")
}

/// Everything of DESIGN 7.
async fn describe(ctx: Context, _: Value) -> Result<Value, ServiceError> {
    Ok(json!({
        "cid": ctx.cid().to_string(),
        "service": ctx.service(),
        "channel_name": ctx.channel_name(),
        "channel_type": ctx.channel_type().as_str(),
        "security_name": ctx.security_name(),
        "username": ctx.username(),
        "connection_id": ctx.connection_id().map(ToString::to_string),
        "client_id": ctx.client_id(),
        "client_name": ctx.client_name(),
        "peer_address": ctx.peer_address(),
        "peer_fqdn": ctx.peer_fqdn(),
        "remaining_ms": u64::try_from(ctx.remaining().as_millis()).unwrap(),
        "has_deadline": ctx.deadline() > std::time::Instant::now(),
        "is_cancelled": ctx.cancellation().is_cancelled(),
    }))
}

#[tokio::test]
async fn a_service_is_told_who_calls_over_a_websocket() {
    let objects = channel("describe", ", service_timeout: 7");
    let app = app().service_fn("describe", describe).objects(objects).start().await.unwrap();
    let mut client = log_in_as(&app, "crm.1", "CRM", "").await;
    let live = app.connections().list(&spanwire_runtime::ConnectionFilter::default());
    let reply = client.call(&json!({})).await;
    let told = &reply["data"];
    let remaining = told["remaining_ms"].as_u64().unwrap();
    assert!((5000..=7000).contains(&remaining), "{told}");
    let expected = json!({
        "cid": reply["meta"]["id"],
        "service": "describe",
        "channel_name": "c",
        "channel_type": "web-socket",
        "security_name": "definition-1",
        "username": "user1",
        "connection_id": live[0].pub_client_id.as_str(),
        "client_id": "crm.1",
        "client_name": "CRM",
        "peer_address": live[0].peer_address,
        "peer_fqdn": "(Unknown)",
        "remaining_ms": remaining,
        "has_deadline": true,
        "is_cancelled": false,
    });
    assert_eq!(*told, expected);
    assert!(live[0].peer_address.starts_with("127.0.0.1:"), "{live:?}");
    // Each call has a correlation id of its own; the connection stays the same.
    let second = client.call(&json!({})).await;
    assert_ne!(second["data"]["cid"], told["cid"]);
    assert_eq!(second["data"]["connection_id"], told["connection_id"]);
}

#[tokio::test]
async fn a_service_is_told_who_calls_over_rest() {
    let objects = format!(
        "{SECURITY}channel_rest:\n  \
         - {{name: r, url_path: /describe, service: describe, security_name: definition-1, data_format: json}}\n  \
         - {{name: open, url_path: /open, service: describe, data_format: json, timeout: 3}}\n"
    );
    let app = app().service_fn("describe", describe).objects(objects).start().await.unwrap();
    let authorization = basic("user1", "secret1");
    let headers = [("Authorization", &*authorization)];
    let answer = request(app.address(), "POST", "/describe", &headers, "{}").await;
    let told = answer.json();
    assert_eq!(told["cid"], answer.header("x-zato-cid"));
    let expected = json!({"channel_name": "r", "channel_type": "rest", "security_name": "definition-1",
                          "username": "user1", "connection_id": null, "client_id": null});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(told[key], *value, "{key}: {told}");
    }
    assert!(told["peer_address"].as_str().unwrap().starts_with("127.0.0.1:"), "{told}");
    let told = request(app.address(), "POST", "/open", &[], "{}").await.json();
    assert_eq!((&told["security_name"], &told["username"]), (&json!(""), &json!("")));
    assert!(told["remaining_ms"].as_u64().unwrap() <= 3000, "{told}");
}

#[tokio::test]
async fn services_call_services() {
    let app = app()
        .service_fn("describe", describe)
        .service_fn("outer", |ctx: Context, _: Value| async move {
            let inner: Value = ctx.call("describe", &json!({})).await?;
            let payload = Payload::from_serialize(Codec::Json, &[1, 2])?;
            let echoed: Value = ctx.call_payload("zato.helpers.echo", payload).await?.parse()?;
            Ok(json!({"inner": inner, "echoed": echoed, "own": describe(ctx, Value::Null).await?}))
        })
        .service_fn("refused", |ctx: Context, _: Value| async move {
            ctx.call::<_, Value>("refusing", &json!({})).await
        })
        .service_fn("refusing", |_: Context, _: Value| async move {
            Err::<Value, _>(ServiceError::new(
                spanwire_protocol::Status(409),
                "it is there already",
            ))
        })
        .service_fn("lost", |ctx: Context, _: Value| async move {
            ctx.call::<_, Value>("no.such", &json!({})).await
        })
        .service_fn("circle", |ctx: Context, _: Value| async move {
            Box::pin(ctx.call::<_, Value>("circle", &json!({}))).await
        })
        .objects(
            "wsx_gateway: [{name: all, services_allowed: [outer, refused, lost, circle]}]\n"
                .to_owned()
                + &channel("all", ""),
        )
        .start()
        .await
        .unwrap();
    let mut client = log_in_as(&app, "crm.1", "CRM", "").await;
    let reply = client.invoke("outer", &json!({})).await;
    let data = &reply["data"];
    assert_eq!(data["echoed"], json!([1, 2]), "{reply}");
    assert_eq!(data["inner"]["channel_type"], "invoke");
    for same in ["cid", "channel_name", "security_name", "username", "connection_id", "client_id"] {
        assert_eq!(data["inner"][same], data["own"][same], "{same}: {reply}");
    }
    assert_eq!(data["inner"]["cid"], reply["meta"]["id"]);
    assert!(data["inner"]["remaining_ms"].as_u64() <= Some(30_000), "{reply}");
    for (service, status, text) in [
        ("refused", 409, "it is there already"),
        ("lost", 500, "Internal server error"),
        ("circle", 500, "Internal server error"),
    ] {
        let meta = client.invoke(service, &json!({})).await["meta"].clone();
        assert_eq!((&meta["status"], &meta["error_message"]), (&json!(status), &json!(text)));
    }
}

#[tokio::test]
async fn a_panic_is_an_error_with_a_correlation_id() {
    let objects = channel("panics", "")
        + "channel_rest: [{name: r, url_path: /panics, service: panics, data_format: json}]\n";
    let app = app()
        .service_fn("panics", |_: Context, when: String| async move {
            assert!(when != "at once", "a secret of the service");
            tokio::task::yield_now().await;
            assert!(when != "later", "a secret of the service");
            Ok(when)
        })
        .objects(objects)
        .start()
        .await
        .unwrap();
    let mut client = log_in(&app).await;
    for when in ["at once", "later"] {
        let reply = client.call(&json!(when)).await;
        assert_eq!(reply["meta"]["status"], 500, "{reply}");
        assert_eq!(reply["meta"]["error_message"], "Internal server error", "{reply}");
        assert_eq!(reply["data"], json!({"cid": reply["meta"]["id"]}));
        assert_eq!(client.call(&json!("fine")).await["data"], "fine");
        let answer = request(app.address(), "POST", "/panics", &[], &json!(when).to_string()).await;
        assert_eq!(answer.status, 500);
        assert_eq!(answer.json()["cid"], answer.header("x-zato-cid"));
        assert!(!answer.body.contains("secret"), "{answer:?}");
    }
}

/// Tells when its call was dropped.
struct Dropped(mpsc::Sender<&'static str>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.try_send("dropped").unwrap();
    }
}

/// A service that takes for ever, and tells how it ends.
fn endless(events: mpsc::Sender<&'static str>) -> AppBuilder {
    app().service_fn("endless", move |ctx: Context, _: Value| {
        let events = events.clone();
        async move {
            let (told, token) = (events.clone(), ctx.cancellation().clone());
            tokio::spawn(async move {
                token.cancelled().await;
                told.send("cancelled").await.unwrap();
            });
            let _guard = Dropped(events.clone());
            events.send("started").await.unwrap();
            std::future::pending::<()>().await;
            Ok(())
        }
    })
}

async fn ends(events: &mut mpsc::Receiver<&'static str>) {
    let mut seen = [next(events).await, next(events).await];
    seen.sort_unstable();
    assert_eq!(seen, ["cancelled", "dropped"]);
}

#[tokio::test]
async fn a_call_past_its_deadline_is_cancelled() {
    let (events, mut seen) = mpsc::channel(16);
    let objects = channel("endless", ", service_timeout: 200ms")
        + "channel_rest: [{name: r, url_path: /r, service: endless, timeout: 200ms, data_format: json}]\n";
    let app = endless(events).objects(objects).start().await.unwrap();
    let mut client = log_in(&app).await;
    for _ in 0..2 {
        let begun = tokio::time::Instant::now();
        let reply = client.call(&json!({})).await;
        assert_eq!(reply["meta"]["status"], 504, "{reply}");
        assert_eq!(reply["data"], json!({"cid": reply["meta"]["id"]}));
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(2), "{took:?}");
        assert_eq!(next(&mut seen).await, "started");
        ends(&mut seen).await;
    }
    let answer = request(app.address(), "POST", "/r", &[], "{}").await;
    assert_eq!(answer.status, 504, "{answer:?}");
    assert_eq!(next(&mut seen).await, "started");
    ends(&mut seen).await;
}

#[tokio::test]
async fn a_call_is_cancelled_when_nobody_waits_any_more() {
    let (events, mut seen) = mpsc::channel(16);
    let app = endless(events).objects(channel("endless", "")).start().await.unwrap();
    // The connection is lost; the client closes; the server closes it.
    for how in 0..3 {
        let mut client = log_in(&app).await;
        client.start_call(&json!({})).await;
        assert_eq!(next(&mut seen).await, "started");
        match how {
            0 => drop(client),
            1 => drop(client.close(1000, "").await),
            _ => {
                let id = &app.connections().list(&Default::default())[0].pub_client_id;
                let frame = spanwire_protocol::CloseFrame::DISCONNECTED;
                app.connections().disconnect(id, frame).unwrap();
                assert!(client.receive_close().await.1.is_some());
            }
        }
        ends(&mut seen).await;
    }
}
