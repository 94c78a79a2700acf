//! Disconnecting: one, many, with a preview; code and reason as the client sees them.

use serde_json::{Value, json};
use spanwire_tests::http::{admin, connections, history};
use spanwire_tests::{Client, Server, eventually};

use super::{CHANNELS, crm, id_of};
use crate::api::problem;
use crate::live::ok;

const ALL: &str = "/api/v1/connections/disconnect";

async fn disconnect(server: &Server, body: Value) -> Value {
    ok(admin(server, "POST", ALL, &body.to_string()).await)
}

async fn closed(client: &mut Client) -> (u16, String) {
    let frame = client.receive_close().await.1.expect("a close frame");
    (frame.code.into(), frame.reason.to_string())
}

#[tokio::test]
async fn one_is_closed_as_it_was_asked_for() {
    let server = Server::setup().objects(CHANNELS).start();
    let mut other = crm(&server, "other", "", "").await;
    let longest = "ż".repeat(61) + "!";
    for (query, code, reason) in [
        (String::new(), 4005, ""),
        ("?code=1000".to_owned(), 1000, ""),
        ("?code=1013&reason=come+back".to_owned(), 1013, "come back"),
        ("?reason=za%20du%C5%BCo%20%26%20wi%C4%99cej".to_owned(), 4005, "za dużo & więcej"),
        (format!("?code=4999&reason={longest}").replace('ż', "%C5%BC"), 4999, &longest),
    ] {
        let mut client = crm(&server, "a", "", "").await;
        let path = format!("/api/v1/connections/{}", id_of(&server, "a").await);
        let answer = admin(&server, "DELETE", &format!("{path}{query}"), "").await;
        assert_eq!((answer.status, &*answer.body), (204, ""), "{answer:?}");
        assert_eq!(closed(&mut client).await, (code, reason.to_owned()));
        drop(client);
        eventually("it is history", || async {
            history(&server)
                .await
                .iter()
                .any(|it| path.ends_with(it["pub_client_id"].as_str().unwrap()))
        })
        .await;
        let last = history(&server).await[0].clone();
        assert_eq!(
            (&last["code"], &last["reason"], &last["closed_by"]),
            (&json!(code), &json!(reason), &json!("server"))
        );
        problem(&admin(&server, "DELETE", &path, "").await, 404);
    }
    let path = format!("/api/v1/connections/{}", id_of(&server, "other").await);
    let too_long = format!("?reason={}", "x".repeat(124));
    for query in [
        "?code=1005",
        "?code=1006",
        "?code=1015",
        "?code=999",
        "?code=5000",
        "?code=2999",
        "?code=4005.0",
        "?reason=%0a",
        &*too_long,
    ] {
        problem(&admin(&server, "DELETE", &format!("{path}{query}"), "").await, 400);
    }
    assert_eq!(other.call(&json!(1)).await["data"], 1);
}

#[tokio::test]
async fn many_are_closed_after_a_preview() {
    let server = Server::setup().objects(CHANNELS).start();
    let mut eu = Vec::new();
    for number in 0..5 {
        eu.push(crm(&server, &format!("eu{number}"), "CRM", "region=eu").await);
    }
    let mut us = crm(&server, "us", "CRM", "region=us").await;
    let filter = json!({"attr.region": "eu", "channel_name": "crm"});

    let preview =
        disconnect(&server, json!({"filter": filter, "dry_run": true, "code": 4100})).await;
    assert_eq!((&preview["dry_run"], &preview["count"]), (&json!(true), &json!(5)));
    for client in &mut eu {
        assert_eq!(client.call(&json!(1)).await["data"], 1, "a preview closed a connection");
    }
    assert_eq!(connections(&server).await.len(), 6);

    let done =
        disconnect(&server, json!({"filter": filter, "code": 4100, "reason": "moving to eu-2"}))
            .await;
    assert_eq!(done["dry_run"], false);
    assert_eq!(
        (&done["count"], &done["connections"]),
        (&preview["count"], &preview["connections"])
    );
    for client in &mut eu {
        assert_eq!(closed(client).await, (4100, "moving to eu-2".to_owned()));
    }
    drop(eu);
    eventually("only one is left", || async { connections(&server).await.len() == 1 }).await;
    assert_eq!(us.call(&json!(1)).await["data"], 1);
    let ended = history(&server).await;
    assert!(ended.iter().all(|it| it["code"] == 4100 && it["closed_by"] == "server"), "{ended:?}");

    // Nobody is left whom the filter means.
    let none = disconnect(&server, json!({"filter": filter})).await;
    assert_eq!((&none["count"], &none["connections"]), (&json!(0), &json!([])));
    let all = disconnect(&server, json!({"all": true})).await;
    assert_eq!(all["count"], 1);
    assert_eq!(closed(&mut us).await, (4005, String::new()));
}

#[tokio::test]
async fn a_careless_request_closes_nobody() {
    let server = Server::setup().objects(CHANNELS).start();
    let mut client = crm(&server, "a", "CRM", "region=eu").await;
    for body in [
        json!({}),
        json!({"filter": {}}),
        json!({"all": false}),
        json!({"all": "true"}),
        json!({"filter": null, "all": true}),
        json!({"filter": {"region": "eu"}}),
        json!({"filter": {"attr.": "eu"}}),
        json!({"filter": {"attr.region": 1}}),
        json!({"filter": {"channel_name": ["crm"]}}),
        json!({"filter": "crm"}),
        json!({"filter": {"channel_name": "crm"}, "code": 1005}),
        json!({"filter": {"channel_name": "crm"}, "code": 4100.5}),
        json!({"filter": {"channel_name": "crm"}, "reason": "x".repeat(124)}),
        json!({"filter": {"channel_name": "crm"}, "reason": "a\u{0}b"}),
        json!({"filter": {"channel_name": "crm"}, "dry-run": true}),
    ] {
        problem(&admin(&server, "POST", ALL, &body.to_string()).await, 422);
        assert_eq!(client.call(&json!(1)).await["data"], 1, "{body}");
    }
    let empty = disconnect(&server, json!({"filter": {"ext_client_id": ""}})).await;
    assert_eq!(empty["count"], 0);
    assert_eq!(client.call(&json!(1)).await["data"], 1);
}
