//! B-08 before the login: only a good login gets in, everything else is refused or ignored, and nobody stays for ever.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spanwire_tests::{Client, Server};
use tokio_tungstenite::tungstenite::Message;

use super::envelope::{FIELDS, values, with};
use super::{Bystander, Closed, Forbidden, Outcome, SessionCreated, classify, server};

/// Sends a first message that gets no answer, and gives the connection back.
async fn ignored(server: &Server, message: Message) -> Client {
    let shown = format!("{message:.100}");
    let mut client = Client::connect(&server.ws("/ws/echo")).await;
    client.send_frame(message).await;
    assert!(client.is_quiet().await, "{shown}");
    client
}

/// What comes of a first message that is answered.
async fn first_answered(server: &Server, text: &str) -> Outcome {
    let mut client = Client::connect(&server.ws("/ws/echo")).await;
    client.send_frame(Message::text(text)).await;
    match client.receive_frame().await {
        Some(Message::Text(answer)) => {
            let outcome = classify(&answer);
            if outcome == Forbidden {
                let frame = client.receive_close().await.1.unwrap();
                assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1008, ""));
            }
            outcome
        }
        Some(Message::Close(frame)) => Closed(frame.map_or(0, |frame| u16::from(frame.code))),
        other => panic!("{text:.300}: {other:?}"),
    }
}

fn is_nothing(value: Option<&Value>) -> bool {
    value.is_none_or(Value::is_null)
}

#[tokio::test]
async fn fields_of_a_login() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    // Before the login less is read: the great value is for afterwards.
    let values: Vec<Value> =
        values().into_iter().filter(|value| value.to_string().len() < 50_000).collect();
    for field in FIELDS {
        for value in values.iter().map(Some).chain([None]) {
            let meta = json!({"action": "create-session", "id": "m1", "timestamp": "t", "client_id": "c",
                              "username": "app1", "secret": "secret1"});
            let expected = match field {
                "id" if is_nothing(value) => continue,
                "action" | "username" | "secret" => Forbidden,
                // There is no session yet whose token it could be: clients send null, nothing, or an old one.
                _ => SessionCreated,
            };
            let text = with(&meta, field, value);
            assert_eq!(first_answered(&server, &text).await, expected, "{text:.300}");
        }
    }
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn nothing_but_a_login_is_let_in() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    for text in [
        json!({"meta": {"action": "invoke-service", "id": "1"}, "data": {}}),
        json!({"meta": {"action": "invoke-service", "id": "1", "token": "zwsxt.000000000000000000000000"}}),
        json!({"meta": {"action": "client-response", "id": "1", "in_reply_to": "x"}}),
        json!({"meta": {"action": "Create-Session", "id": "1", "username": "app1", "secret": "secret1"}}),
        json!({"meta": {"action": "authenticate", "id": "1", "username": "app1", "secret": "secret1"}}),
        json!({"meta": {"action": "create-session", "id": "1", "username": "app1", "secret": "Secret1"}}),
        json!({"meta": {"action": "create-session", "id": "1", "username": "App1", "secret": "secret1"}}),
        json!({"meta": {"action": "create-session", "id": "1", "username": "other", "secret": "secret2"}}),
        json!({"meta": {"action": "create-session", "id": "1", "username": ["app1"], "secret": ["secret1"]}}),
        json!({"meta": {}}),
        json!({"data": {"username": "app1", "secret": "secret1"}}),
        json!({}),
    ] {
        let text = text.to_string();
        assert_eq!(first_answered(&server, &text).await, Forbidden, "{text}");
    }
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_ignored_and_a_login_still_works() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let without_id =
        json!({"meta": {"action": "create-session", "username": "app1", "secret": "secret1"}});
    for message in [
        Message::text(""),
        Message::text("hello"),
        Message::text("[]"),
        Message::text("{\"meta\":"),
        Message::text("[".repeat(30_000)),
        Message::text("zato-keep-alive-ping"),
        Message::text(without_id.to_string()),
        Message::binary(vec![0xff; 100]),
        Message::Ping(vec![1; 125].into()),
    ] {
        if matches!(message, Message::Ping(_)) {
            let mut client = Client::connect(&server.ws("/ws/echo")).await;
            client.send_frame(message).await;
            assert!(
                matches!(client.receive_any().await, Some(Message::Pong(pong)) if pong.len() == 125)
            );
            client.create_session("app1", "secret1").await;
            continue;
        }
        ignored(&server, message).await.create_session("app1", "secret1").await;
    }
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn before_the_login_little_is_read() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let secret = "x".repeat(10 << 20);
    let meta = json!({"action": "create-session", "id": "1", "username": "app1", "secret": secret});
    let mut client = Client::connect(&server.ws("/ws/echo")).await;
    client.send(&json!({"meta": meta})).await;
    let (messages, _) = client.receive_close().await;
    assert!(
        messages.iter().all(|message| message["meta"]["msg_type"] == "zwsx.merr"),
        "{messages:?}"
    );
    let frame =
        json!({"meta": {"action": "create-session", "id": "1"}, "data": "y".repeat(100_000)});
    let mut client = Client::connect(&server.ws("/ws/echo")).await;
    client.send(&frame).await;
    let (messages, _) = client.receive_close().await;
    assert!(
        messages.iter().all(|message| message["meta"]["msg_type"] == "zwsx.merr"),
        "{messages:?}"
    );
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn who_does_not_log_in_is_sent_away() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let begun = Instant::now();
    let mut silent = Client::connect(&server.ws("/ws/echo")).await;
    let mut chatty = Client::connect(&server.ws("/ws/echo")).await;
    let chat = async {
        for _ in 0..30 {
            chatty.send_frame(Message::text("hello")).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        chatty.receive_close().await
    };
    let (silent, chatty) = tokio::join!(silent.receive_close(), chat);
    for (messages, frame) in [silent, chatty] {
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert_eq!(classify(&messages[0].to_string()), Forbidden);
        assert_eq!(u16::from(frame.unwrap().code), 1008);
    }
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(9), "{took:?}");
    bystander.goes_on_unharmed().await;
}
