//! Requests of the server to the client from PyPI, and its answers.

use serde_json::{Value, json};
use spanwire_tests::http::{Answer, admin, connections, request};
use spanwire_tests::{Client, Server};

use super::driver::Python;
use super::{assert_pings, start};

/// What an application elsewhere does: plain HTTP with its own credentials.
async fn post(server: &Server, path: &str, body: &Value) -> Answer {
    let headers = [("X-API-Key", "secret3"), ("Content-Type", "application/json")];
    request(server.address(), "POST", path, &headers, &body.to_string()).await
}

async fn connection_id(server: &Server, client_id: &str) -> String {
    let found = connections(server).await;
    let found = found.iter().find(|connection| connection["ext_client_id"] == client_id).unwrap();
    found["pub_client_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn it_answers_the_admin_api() {
    let server = start();
    let mut client = Python::log_in(&server.ws("/ws/crm"), "crm.1", "CRM").await;
    let path = format!("/api/v1/connections/{}/invoke", connection_id(&server, "crm.1").await);
    for (asked, expected) in [
        (
            json!({"answer": {"status": "działa 😀", "deep": [null, [1]]}}),
            json!({"status": "działa 😀", "deep": [null, [1]]}),
        ),
        (json!({"answer": null}), json!(null)),
        (json!({"answer": "text"}), json!("text")),
        (json!({"cmd": "uptime"}), json!({"seen": {"cmd": "uptime"}})),
        (json!([1, null]), json!({"seen": [1, null]})),
        (json!({}), json!({"seen": {}})),
    ] {
        let answer = admin(&server, "POST", &path, &json!({"request": asked}).to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["response"], expected);
        assert_eq!(client.event("request").await["data"], asked);
    }
    // It calls while it is asked, and what it is asked is no reply to a call.
    assert_pings(&mut client).await;
    client.stop().await;
    let gone = admin(&server, "POST", &path, r#"{"request": 1}"#).await;
    assert!(gone.status == 404 || gone.status == 503, "{gone:?}");
}

#[tokio::test]
async fn it_answers_a_service_that_is_mounted_on_rest() {
    let server = start();
    let mut client = Python::log_in(&server.ws("/ws/crm"), "crm.1", "CRM").await;
    let id = connection_id(&server, "crm.1").await;
    let question = json!({"answer": {"stock": 7}});
    for which in [
        json!({"pub_client_id": id}),
        json!({"ext_client_id": "crm.1"}),
        json!({"channel_name": "crm", "ext_client_name": "CRM", "security_name": "app1"}),
    ] {
        let mut body = which.clone();
        body["request_data"] = question.clone();
        let answer = post(&server, "/ask", &body).await;
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({"response_data": {"stock": 7}})),
            "{which}"
        );
        assert_eq!(client.event("request").await["data"], question);
    }
    // A text that is JSON is sent as what it is.
    let answer =
        post(&server, "/ask", &json!({"pub_client_id": id, "request_data": r#"{"answer": [1]}"#}))
            .await;
    assert_eq!(answer.json(), json!({"response_data": [1]}));
    for nobody in
        [json!({"pub_client_id": "ws.000000000000000000000000"}), json!({"ext_client_id": "other"})]
    {
        assert_eq!(post(&server, "/ask", &nobody).await.status, 404, "{nobody}");
    }
    assert_eq!(post(&server, "/ask", &json!({"request_data": 1})).await.status, 400);
    let headers = [("X-API-Key", "wrong")];
    let body = json!({"ext_client_id": "crm.1"}).to_string();
    assert_eq!(request(server.address(), "POST", "/ask", &headers, &body).await.status, 401);
    assert_pings(&mut client).await;
    client.stop().await;
}

#[tokio::test]
async fn a_broadcast_reaches_those_that_are_meant() {
    let server = start();
    let mut first = Python::log_in(&server.ws("/ws/crm"), "crm.1", "CRM").await;
    let mut second = Python::log_in(&server.ws("/ws/crm"), "crm.2", "CRM").await;
    let mut other = Python::log_in(&server.ws("/ws/direct"), "other", "Other").await;
    for (which, news, sent) in [
        (json!({"ext_client_id": "crm.2"}), "for crm.2", 1),
        (json!({"ext_client_id": "nobody"}), "for nobody", 0),
        (json!({"channel_name": "crm", "ext_client_id": "other"}), "for nobody, either", 0),
        (json!({"ext_client_name": "CRM"}), "for CRM", 2),
        (json!({"channel_name": "direct"}), "for the channel", 1),
        (json!({"security_name": "app1"}), "for app1", 3),
    ] {
        let mut body = which.clone();
        body["data"] = json!({"news": news});
        let answer = post(&server, "/tell", &body).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"sent": sent})), "{which}");
    }
    // Each hears its own in order, and nothing else before the last, which is for all.
    for (client, expected) in [
        (&mut first, vec!["for CRM", "for app1"]),
        (&mut second, vec!["for crm.2", "for CRM", "for app1"]),
        (&mut other, vec!["for the channel", "for app1"]),
    ] {
        for news in expected {
            assert_eq!(client.event("request").await["data"], json!({"news": news}));
        }
    }
    assert_eq!(post(&server, "/tell", &json!({"data": "for everybody?"})).await.status, 400);
    // They answered, which nobody waits for.
    assert_pings(&mut first).await;
    assert_pings(&mut second).await;
    assert_eq!(other.invoke(&json!({"n": 1})).await["data"], json!({"n": 1}));
}

/// The client from PyPI cannot send attributes; it is beside one that does, and is not meant.
#[tokio::test]
async fn a_broadcast_by_attributes_reaches_those_that_have_all_of_them() {
    let server = start();
    let mut without = Python::log_in(&server.ws("/ws/crm"), "crm.1", "CRM").await;
    let mut with = Client::connect(&server.ws("/ws/crm")).await;
    with.send(&json!({"meta": {
        "action": "create-session", "id": "1", "timestamp": "", "client_id": "crm.2", "client_name": "CRM",
        "username": "app1", "secret": "secret1", "attrs": "region=eu;is_primary=true",
    }}))
    .await;
    assert_eq!(with.receive().await["meta"]["status"], 200);
    for (attrs, sent) in [
        (json!({"region": "eu"}), 1),
        (json!({"region": "eu", "is_primary": true}), 1),
        (json!({"region": "eu", "is_primary": false}), 0),
        (json!({"region": "us"}), 0),
    ] {
        let answer = post(&server, "/tell", &json!({"attrs": attrs, "data": attrs})).await;
        assert_eq!(answer.json(), json!({"sent": sent}), "{attrs}");
        if sent == 1 {
            assert_eq!(with.receive().await["data"], attrs);
        }
    }
    assert_eq!(
        post(&server, "/tell", &json!({"channel_name": "crm", "data": "all"})).await.json(),
        json!({"sent": 2})
    );
    assert_eq!(with.receive().await["data"], "all");
    assert_eq!(without.event("request").await["data"], "all");
}

#[tokio::test]
async fn several_are_asked_at_once() {
    let server = start();
    let _first = Python::log_in(&server.ws("/ws/crm"), "crm.1", "CRM").await;
    let _second = Python::log_in(&server.ws("/ws/crm"), "crm.2", "CRM").await;
    let answer = post(
        &server,
        "/ask",
        &json!({"ext_client_name": "CRM", "request_data": {"answer": "here"}}),
    )
    .await;
    let expected = json!({"response_data": {
        connection_id(&server, "crm.1").await: "here", connection_id(&server, "crm.2").await: "here",
    }});
    assert_eq!((answer.status, answer.json()), (200, expected));
}
