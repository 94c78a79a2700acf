//! The client of `spanwire-outconn` against the real server.

use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use spanwire_outconn::{
    CallError, CallOptions, Client, ClientOptions, ConnectError, Delivery, Handler, HandlerError,
    NoHandler, Publication, Request, Side,
};
use spanwire_protocol::{Codec, Payload};
use spanwire_tests::http::{admin, connections};
use spanwire_tests::{Server, eventually};
use tokio::sync::mpsc;

use crate::cli::{on, parse};

const OBJECTS: &str = "\
    security: [{name: app1, type: basic_auth, username: app1, password: secret1}]\n\
    web_socket: [{name: crm, address: /ws/crm, service: helpers.web-sockets-gateway, sec_def: app1}]\n\
    pubsub_topic: [{name: /customer/gd, has_gd: true}]\n\
    pubsub_endpoint: [{name: crm, endpoint_type: wsx, ws_channel_name: crm, topic_patterns: \"pub=/customer/**\\nsub=/customer/**\"}]\n";

fn start() -> Server {
    Server::setup().objects(OBJECTS).start()
}

pub(super) fn options(server: &Server, path: &str) -> ClientOptions {
    let mut options = ClientOptions::new(server.ws(path).parse().unwrap());
    options.username = "app1".to_owned();
    options.password = spanwire_crypto::Secret::new("secret1".to_owned());
    options.client_id = "outconn.test".to_owned();
    options.client_name = "A client".to_owned();
    options
}

fn payload(value: &Value) -> Payload {
    Payload::from_serialize(Codec::Json, value).unwrap()
}

fn value(payload: &Payload) -> Value {
    payload.parse().unwrap()
}

/// Answers what it is asked with what it was asked, and refuses deliveries as often as it is told to.
struct Recorder {
    delivered: mpsc::Sender<Value>,
    refusals: Mutex<u32>,
}

impl Recorder {
    fn new(refusals: u32) -> (Self, mpsc::Receiver<Value>) {
        let (delivered, deliveries) = mpsc::channel(1_000);
        (Self { delivered, refusals: Mutex::new(refusals) }, deliveries)
    }
}

impl Handler for Recorder {
    fn asked(&self, _: Client, request: Request) -> BoxFuture<'_, Result<Payload, HandlerError>> {
        Box::pin(async move {
            match value(&request.data) {
                Value::String(text) if text == "fail" => Err(HandlerError("as asked".to_owned())),
                Value::String(text) if text == "panic" => panic!("as asked"),
                asked => Ok(payload(&json!({ "asked": asked }))),
            }
        })
    }

    fn delivered(&self, _: Client, delivery: Delivery) -> BoxFuture<'_, Result<(), HandlerError>> {
        self.delivered.try_send(value(&delivery.as_list())).unwrap();
        let mut refusals = self.refusals.lock().unwrap();
        let refuses = *refusals > 0;
        *refusals = refusals.saturating_sub(1);
        Box::pin(
            async move { if refuses { Err(HandlerError("not now".to_owned())) } else { Ok(()) } },
        )
    }
}

#[tokio::test]
async fn it_calls_services_many_at_once_and_errors_are_typed() {
    let server = start();
    let client = Client::connect(&options(&server, "/ws/crm"), NoHandler).await.unwrap();
    assert!(client.has_additions() && client.is_open());
    assert_eq!(value(&client.ask("zato.ping", &json!({})).await.unwrap()), json!({"pong": "zato"}));
    // F15 and more: each answer goes to its caller.
    let calls = (0..10_000).map(|number| {
        let client = client.clone();
        async move {
            let input = json!({ "response": number });
            let answer = client.ask("zato.helpers.echo", &input).await.unwrap();
            assert_eq!(value(&answer), input);
        }
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(client.in_flight(), 0);
    // F13: a service that is not allowed.
    let refused = client.ask("zato.server.get-list", &json!({})).await.unwrap_err();
    let CallError::Status { status, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(status.0, 403);
    let all = connections(&server).await;
    assert_eq!(all[0]["ext_client_id"], "outconn.test");
    assert_eq!(all[0]["ext_client_name"], "A client");
    let closed = client.close().await;
    assert_eq!((closed.side, closed.code), (Side::Us, 1000));
    assert_eq!(client.ask("zato.ping", &json!({})).await.unwrap_err(), CallError::Closed);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_given_up_and_later_ones_work() {
    // It lets everybody in and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let objects = format!(
        "service: [{{name: slow, url: 'http://{}/'}}]\n\
         wsx_gateway: [{{name: all, services_allowed: ['slow', 'zato.ping']}}]\n\
         security: [{{name: app1, type: basic_auth, username: app1, password: secret1}}]\n\
         web_socket: [{{name: all, address: /ws/all, service: all, sec_def: app1}}]\n",
        silent.local_addr().unwrap()
    );
    let server = Server::setup().objects(&objects).start();
    let client = Client::connect(&options(&server, "/ws/all"), NoHandler).await.unwrap();
    let short = CallOptions { timeout: Some(Duration::from_millis(200)), ..CallOptions::default() };
    for _ in 0..3 {
        let late = client.invoke("slow", &payload(&json!({})), short.clone()).await;
        assert!(matches!(late, Err(CallError::TimedOut | CallError::Status { .. })), "{late:?}");
        assert!(client.ask("zato.ping", &json!({})).await.is_ok());
    }
    // Who goes away while waiting leaves nothing behind.
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.ask("slow", &json!({})).await }
    });
    eventually("it waits", async || client.in_flight() == 1).await;
    waiting.abort();
    eventually("it waits no more", async || client.in_flight() == 0).await;
    // The end of the connection is the end of calls.
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.ask("slow", &json!({})).await }
    });
    eventually("it waits", async || client.in_flight() == 1).await;
    let id = connections(&server).await[0]["pub_client_id"].as_str().unwrap().to_owned();
    assert_eq!(on(&server, &["connection", "disconnect", &id]).await.code, 0);
    assert_eq!(waiting.await.unwrap(), Err(CallError::Closed));
    let closed = client.closed().await;
    assert_eq!((closed.side, closed.code), (Side::Peer, 4005), "{closed:?}");
}

#[tokio::test]
async fn whoever_is_not_let_in_is_told() {
    let server = start();
    let mut wrong = options(&server, "/ws/crm");
    wrong.password = spanwire_crypto::Secret::new("wrong".to_owned());
    let refused = Client::connect(&wrong, NoHandler).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Login), "{refused}");
    let refused = Client::connect(&options(&server, "/none"), NoHandler).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { status: 404, .. }), "{refused}");
    let mut nobody = options(&server, "/ws/crm");
    nobody.address = "ws://127.0.0.1:1/".parse().unwrap();
    let refused = Client::connect(&nobody, NoHandler).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Network { .. }), "{refused}");
}

#[tokio::test]
async fn it_answers_the_server() {
    let server = start();
    let (recorder, _deliveries) = Recorder::new(0);
    let client = Client::connect(&options(&server, "/ws/crm"), recorder).await.unwrap();
    let id = connections(&server).await[0]["pub_client_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/connections/{id}/invoke");
    for (asked, expected) in [
        (json!({"a": [1, null]}), json!({"asked": {"a": [1, null]}})),
        (json!("fail"), Value::Null),
        (json!(2), json!({"asked": 2})),
    ] {
        let answer = admin(&server, "POST", &path, &json!({"request": asked}).to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.json()["response"] == expected || answer.json() == expected, "{answer:?}");
    }
    assert!(client.is_open());
}

#[tokio::test]
async fn it_publishes_subscribes_refuses_and_resumes() {
    let server = start();
    let (recorder, mut deliveries) = Recorder::new(1);
    let client = Client::connect(&options(&server, "/ws/crm"), recorder).await.unwrap();
    let subscribed = client.subscribe("/customer/gd").await.unwrap();
    assert!(!format!("{subscribed:?}").contains(&subscribed.sub_key));
    let forbidden = client.subscribe("/other").await.unwrap_err();
    assert!(matches!(forbidden, CallError::Status { status, .. } if status.0 == 403));
    let publication =
        Publication { priority: Some(7), mime_type: Some("text/csv"), ..Publication::default() };
    let content = payload(&json!({"n": 1}));
    let id = client.publish("/customer/gd", &content, &publication).await.unwrap().unwrap();
    // Refused once, and delivered again.
    for attempt in 1..=2 {
        let got = deliveries.recv().await.unwrap();
        let got = &got.as_array().unwrap()[0];
        assert_eq!((&got["msg_id"], &got["data"]), (&json!(id), &json!({"n": 1})));
        assert_eq!((&got["priority"], &got["mime_type"]), (&json!(7), &json!("text/csv")));
        assert_eq!((&got["delivery_count"], &got["has_gd"]), (&json!(attempt), &json!(true)));
    }
    let depth = async || {
        let queues = on(&server, &["queue", "list", "--output", "json"]).await;
        parse(&queues)[0]["current_depth"].as_u64().unwrap()
    };
    eventually("it is acknowledged", async || depth().await == 0).await;
    // What comes while nobody is there comes to whoever resumes.
    client.close().await;
    let (publisher, _none) = Recorder::new(0);
    let publisher = Client::connect(&options(&server, "/ws/crm"), publisher).await.unwrap();
    publisher.publish("/customer/gd", &payload(&json!(2)), &Publication::default()).await.unwrap();
    let (recorder, mut deliveries) = Recorder::new(0);
    let client = Client::connect(&options(&server, "/ws/crm"), recorder).await.unwrap();
    client.resume(&subscribed.sub_key).await.unwrap();
    assert_eq!(deliveries.recv().await.unwrap()[0]["data"], 2);
    eventually("it is acknowledged", async || depth().await == 0).await;
    client.unsubscribe(&subscribed.sub_key).await.unwrap();
    assert!(client.resume(&subscribed.sub_key).await.is_err());
}

/// Both sides have more to say than their queues hold, at the same time: each goes on reading, or nothing moves any more.
#[tokio::test]
async fn two_peers_that_flood_each_other_both_get_their_answers() {
    let server = start();
    let (recorder, _deliveries) = Recorder::new(0);
    let client = Client::connect(&options(&server, "/ws/crm"), recorder).await.unwrap();
    let id = connections(&server).await[0]["pub_client_id"].as_str().unwrap().to_owned();
    // 14 MiB at a time in each direction, and as much back; a queue is 8 MiB.
    let large = "x".repeat(900 * 1024);
    let calls = (0..48).map(|number| {
        let (client, large) = (client.clone(), large.clone());
        async move {
            let input = json!({"number": number, "text": large});
            assert_eq!(value(&client.ask("zato.helpers.echo", &input).await.unwrap()), input);
        }
    });
    let path = format!("/api/v1/connections/{id}/invoke");
    let questions = (0..48).map(|number| {
        let body = json!({"request": {"number": number, "text": large}, "timeout": 60});
        let (server, path) = (&server, &path);
        async move {
            let answer = admin(server, "POST", path, &body.to_string()).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.json()["response"]["asked"]["number"], number);
        }
    });
    let calls = stream::iter(calls).buffer_unordered(16).collect::<Vec<()>>();
    tokio::join!(calls, stream::iter(questions).buffer_unordered(16).collect::<Vec<()>>());
}
