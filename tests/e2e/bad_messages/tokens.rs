//! B-08: wrong, old, expired and foreign tokens, with each action.

use std::time::Duration;

use serde_json::json;
use spanwire_tests::Client;

use super::{Bystander, Forbidden, Probe, Replied, SessionCreated, server};

const ACTIONS: [&str; 4] = ["invoke-service", "client-response", "create-session", "unheard-of"];

fn message(action: &str, token: &str) -> String {
    let meta = json!({"action": action, "id": "m1", "timestamp": "t", "token": token, "in_reply_to": "x",
                      "username": "app1", "secret": "secret1"});
    json!({"meta": meta, "data": 1}).to_string()
}

#[tokio::test]
async fn a_token_is_taken_only_as_it_was_given() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    let changes: [fn(&str) -> String; 11] = [
        |token| token.to_ascii_uppercase(),
        |token| format!("{token} "),
        |token| format!(" {token}"),
        |token| format!("{token}0"),
        |token| token.chars().take(token.len() - 1).collect(),
        |token| token.trim_start_matches("zwsxt.").to_owned(),
        |token| token.replace("zwsxt.", "ws.token."),
        |token| format!("{token}\u{0}"),
        |token| token.chars().rev().collect(),
        |token| format!("zwsxt.{}", "0".repeat(token.len() - 6)),
        |_| "zwsxt.".to_owned(),
    ];
    for action in ACTIONS {
        for change in changes {
            let token = change(probe.token());
            assert_ne!(token, probe.token());
            probe.expect(&message(action, &token), &Forbidden).await;
        }
    }
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn a_token_is_of_no_use_on_another_connection() {
    let server = server();
    let mut owner = Client::log_in(&server.ws("/ws/echo"), "app1", "secret1").await;
    let foreign = owner.token.clone();
    let mut other = Client::log_in(&server.ws("/ws/other"), "other", "secret2").await;
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    for action in ACTIONS {
        for token in [&foreign, &other.token] {
            probe.expect(&message(action, token), &Forbidden).await;
        }
    }
    for client in [&mut owner, &mut other] {
        assert_eq!(client.call(&json!(1)).await["data"], 1);
    }
    // Nor after its connection has ended.
    drop(owner);
    probe.expect(&message("invoke-service", &foreign), &Forbidden).await;
}

#[tokio::test]
async fn a_renewal_replaces_the_token() {
    let server = server();
    let mut client = Client::log_in(&server.ws("/ws/echo"), "app1", "secret1").await;
    let old = client.token.clone();
    let meta = json!({"action": "create-session", "id": "2", "token": old, "username": "app1", "secret": "secret1"});
    client.send(&json!({"meta": meta})).await;
    let new = client.receive().await["data"]["token"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    assert!(new.starts_with("zwsxt.") && new.len() >= 6 + 32, "{new}");
    client.token = new;
    assert_eq!(client.call(&json!(1)).await["data"], 1);
    client.token = old;
    client.start_call(&json!(1)).await;
    let (messages, frame) = client.receive_close().await;
    assert_eq!(super::classify(&messages[0].to_string()), Forbidden);
    assert_eq!(u16::from(frame.unwrap().code), 1008);
}

#[tokio::test]
async fn an_expired_token_is_refused_with_each_action() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let expire = |action: &'static str| {
        let url = server.ws("/ws/brief");
        async move {
            let mut client = Client::log_in(&url, "app1", "secret1").await;
            // Each accepted message keeps it alive.
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(600)).await;
                assert_eq!(client.call(&json!(1)).await["meta"]["status"], 200);
            }
            tokio::time::sleep(Duration::from_millis(1300)).await;
            let text = message(action, &client.token);
            client.send(&serde_json::from_str(&text).unwrap()).await;
            let (messages, frame) = client.receive_close().await;
            assert_eq!(messages.len(), 1, "{messages:?}");
            assert_eq!(super::classify(&messages[0].to_string()), Forbidden, "{action}");
            assert_eq!(u16::from(frame.unwrap().code), 1008);
        }
    };
    futures_util::future::join_all(ACTIONS.map(expire)).await;
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn unheard_of_actions_are_calls() {
    let server = server();
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    for action in
        ["unheard-of", "INVOKE-SERVICE", "invoke-service ", "delete-session", "create-session "]
    {
        let text = message(action, probe.token());
        probe.expect(&text, &Replied(200)).await;
    }
    let text = message("create-session", probe.token());
    assert_eq!(probe.send_answered(&text).await, SessionCreated);
}
