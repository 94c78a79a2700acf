//! Asking clients: answers, their order, and what becomes of questions that nobody answers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spanwire_tests::http::{Answer, admin};
use spanwire_tests::{Client, Server};

use super::{CHANNELS, crm, id_of};
use crate::api::problem;
use crate::live::ok;

async fn ask(server: &Server, id: &str, body: Value) -> Answer {
    admin(server, "POST", &format!("/api/v1/connections/{id}/invoke"), &body.to_string()).await
}

async fn answer(client: &mut Client, response: impl Into<Value>) -> Value {
    let request = client.receive().await;
    client.answer(&request, &response.into()).await;
    request["data"].clone()
}

#[tokio::test]
async fn a_client_answers_what_it_is_asked() {
    let server = Server::setup().objects(CHANNELS).start();
    let mut client = crm(&server, "a", "A", "").await;
    let id = id_of(&server, "a").await;
    let large = "ż\u{0}😀".repeat(10_000);
    for (request, response) in [
        (json!({"cmd": "uptime"}), json!({"up": 5.5, "of": [null, true]})),
        (json!(null), json!(null)),
        (json!([]), json!("")),
        (json!("text"), json!(0)),
        (json!({"text": large}), json!({"text": large})),
    ] {
        let (reply, asked) = tokio::join!(
            ask(&server, &id, json!({"request": request})),
            answer(&mut client, response.clone())
        );
        // Nothing is an empty object to clients.
        assert_eq!(asked, if request.is_null() { json!({}) } else { request });
        let reply = ok(reply);
        assert_eq!(reply["response"], response);
        assert_eq!(reply["cid"].as_str().unwrap().len(), 24, "{reply}");
    }
}

#[tokio::test]
async fn questions_at_once_get_their_own_answers() {
    let server = Server::setup().objects(CHANNELS).start();
    let mut client = crm(&server, "a", "A", "").await;
    let id = id_of(&server, "a").await;
    let answering = async {
        let mut requests = Vec::new();
        for _ in 0..4 {
            requests.push(client.receive().await);
        }
        // The last comes first.
        for request in requests.iter().rev() {
            client.answer(request, &json!({"to": request["data"]})).await;
        }
    };
    let asking = |number: u64| ask(&server, &id, json!({"request": number, "timeout": 10}));
    let (a, b, c, d, ()) = tokio::join!(asking(1), asking(2), asking(3), asking(4), answering);
    for (number, reply) in (1..).zip([a, b, c, d]) {
        assert_eq!(ok(reply)["response"], json!({"to": number}));
    }
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_told_of() {
    let server = Server::setup().objects(CHANNELS).start();
    let mut client = crm(&server, "a", "A", "").await;
    let id = id_of(&server, "a").await;
    for (timeout, text) in [(json!(0.2), "0.2 s"), (json!(0.75), "0.75 s"), (json!(1), "1 s")] {
        let begun = Instant::now();
        let refused = ask(&server, &id, json!({"request": {"n": 1}, "timeout": timeout})).await;
        let took = begun.elapsed().as_secs_f64();
        assert_eq!(refused.status, 504, "{refused:?}");
        let found = refused.json();
        assert!(
            found["detail"].as_str().unwrap().contains(&format!("no reply within {text}")),
            "{found}"
        );
        assert!(
            took >= timeout.as_f64().unwrap() && took < timeout.as_f64().unwrap() + 3.0,
            "{took}"
        );
        // An answer that comes later is nobody's, and the client stays.
        answer(&mut client, "late").await;
    }
    assert_eq!(client.call(&json!(1)).await["data"], 1);
    let (reply, _) =
        tokio::join!(ask(&server, &id, json!({"request": 2})), answer(&mut client, "in time"));
    assert_eq!(ok(reply)["response"], "in time");
    for timeout in [json!(0), json!(-1), json!(3601), json!("1"), json!(1e300), json!([1])] {
        let refused = problem(&ask(&server, &id, json!({"timeout": timeout})).await, 422);
        assert_eq!(refused["errors"][0]["field"], "timeout", "{refused}");
    }
    // None of these reached the client.
    assert_eq!(client.call(&json!(2)).await["data"], 2);
}

#[tokio::test]
async fn who_leaves_while_it_is_asked_ends_the_question() {
    let server = Server::setup().objects(CHANNELS).start();
    let mut client = crm(&server, "a", "A", "").await;
    let id = id_of(&server, "a").await;
    let begun = Instant::now();
    let leaving = async {
        client.receive().await;
        client.close(1000, "").await
    };
    let (refused, _) = tokio::join!(ask(&server, &id, json!({"timeout": 60})), leaving);
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body.contains("disconnected"), "{refused:?}");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert!(begun.elapsed() < Duration::from_secs(10));
    problem(&ask(&server, &id, json!({})).await, 404);
}

/// An administrator that goes away does not keep a question alive.
#[tokio::test]
async fn who_asks_may_leave() {
    let server = Server::setup().objects(CHANNELS).start();
    let mut client = crm(&server, "a", "A", "").await;
    let id = id_of(&server, "a").await;
    let asking = ask(&server, &id, json!({"request": 1, "timeout": 60}));
    // Its connection ends when the future is dropped.
    let request = tokio::select! {
        _ = asking => panic!("nobody answered"),
        request = client.receive() => request,
    };
    client.answer(&request, &json!("to nobody")).await;
    let (reply, _) =
        tokio::join!(ask(&server, &id, json!({"request": 2})), answer(&mut client, "to you"));
    assert_eq!(ok(reply)["response"], "to you");
}
