//! kill -9 while users are made, log in and change attributes: what was answered is there, and nothing is half made.

use std::sync::Mutex;

use futures_util::future::join_all;
use serde_json::{Value, json};
use spanwire_tests::{eventually, is_long};

use super::{PASSWORD, World};
use crate::cli::{on, parse};

#[derive(Default)]
struct Answered {
    users: Vec<String>,
    tokens: Vec<String>,
    attributes: Vec<(String, String)>,
}

#[tokio::test]
async fn what_was_answered_outlives_a_kill() {
    let more = "[sso.login]\nfailures_per_address = 100000\n";
    let mut world = World::with(more, "security: []").await;
    let rounds = if is_long() { 100 } else { 4 };
    let answered = Mutex::new(Answered::default());
    for round in 0..rounds {
        let address = world.server.address();
        let root = world.root.clone();
        // A request may find nobody: then it has no answer, and nothing is known of it.
        let call = async |method: &str, path: &str, body: Value| {
            let mut body = body;
            body["current_app"] = json!("CRM");
            let asking = request_or_nothing(address, method, path, body.to_string());
            asking.await.filter(|answer| answer["status"] == "ok")
        };
        let work = |worker: usize| {
            let (root, call, answered) = (&root, &call, &answered);
            async move {
                for number in 0.. {
                    let name = format!("u{round}.{worker}.{number}");
                    let body = json!({"ust": root, "username": name, "password": PASSWORD, "auto_approve": true});
                    if call("POST", "/zato/sso/user", body).await.is_none() {
                        return;
                    }
                    answered.lock().unwrap().users.push(name.clone());
                    let login = json!({"username": name, "password": PASSWORD});
                    let Some(session) = call("POST", "/zato/sso/user/login", login).await else {
                        return;
                    };
                    let ust = session["ust"].as_str().unwrap().to_owned();
                    answered.lock().unwrap().tokens.push(ust.clone());
                    let attribute =
                        json!({"ust": ust, "name": "a", "value": name, "encrypt": true});
                    if call("PUT", "/zato/sso/user/attr", attribute).await.is_none() {
                        return;
                    }
                    answered.lock().unwrap().attributes.push((ust, name));
                }
            }
        };
        let killing = async {
            // In the middle of work, and not always after as much of it.
            let enough = answered.lock().unwrap().users.len() + 20 + 30 * (round % 4);
            eventually("users are made", async || answered.lock().unwrap().users.len() >= enough)
                .await;
            world.server.kill();
        };
        tokio::join!(killing, join_all((0..100).map(work)));
        world.server.start_again();
        let known = {
            let answered = answered.lock().unwrap();
            (answered.users.clone(), answered.tokens.clone(), answered.attributes.clone())
        };
        assert!(!known.0.is_empty(), "nothing was made in time");
        let listed = parse(&on(&world.server, &["sso", "list", "--output", "json"]).await);
        let names: std::collections::HashSet<_> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["username"].as_str().unwrap().to_owned())
            .collect();
        for name in &known.0 {
            assert!(names.contains(name), "{name} is lost");
        }
        // Whoever is there is whole: can log in, or was never answered and can all the same.
        for name in names.iter().filter(|name| name.starts_with(&format!("u{round}."))).take(20) {
            world.login(name).await;
        }
        for ust in known.1.iter().rev().take(30) {
            world.ok("GET", "/user", json!({"ust": ust})).await;
        }
        for (ust, value) in known.2.iter().rev().take(30) {
            let got = world.ok("GET", "/user/attr", json!({"ust": ust, "name": "a"})).await;
            assert_eq!(got["value"], json!(value));
        }
        let verified = on(&world.server, &["sso", "audit", "verify"]).await;
        assert_eq!(verified.code, 0, "{verified:?}");
    }
}

/// The JSON that came back, if any did.
async fn request_or_nothing(
    address: std::net::SocketAddr,
    method: &str,
    path: &str,
    body: String,
) -> Option<Value> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}
