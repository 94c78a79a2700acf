//! The WebSocket client from PyPI against the real server: logging in, calling.

#![cfg(test)]

mod asked;
pub(crate) mod driver;
mod records;

use serde_json::{Value, json};
use spanwire_tests::http::{connections, history};
use spanwire_tests::{Server, eventually};

use self::driver::{Python, settings};

/// Channels with and without credentials, with and without a gateway, on the main listener and on one of their own; and
/// REST channels by which an application elsewhere reaches the clients.
const OBJECTS: &str = r#"
security:
  - {name: app1, type: basic_auth, username: app1, password: secret1}
  - {name: partner, type: apikey, password: secret3}
wsx_gateway: [{name: crm.gateway, services_allowed: [zato.ping, zato.helpers.echo]}]
web_socket:
  - {name: crm, address: /ws/crm, service: crm.gateway, sec_def: app1}
  - {name: open, address: /ws/open, service: crm.gateway, sec_def: zato-no-security}
  - {name: direct, address: /ws/direct, service: zato.helpers.echo, sec_def: app1}
  - {name: own, address: "ws://127.0.0.1:0/own/path", service: crm.gateway, sec_def: app1}
channel_rest:
  - {name: ask, url_path: /ask, method: POST, service: zato.channel.web-socket.invoke-wsx, security_name: partner}
  - {name: tell, url_path: /tell, method: POST, service: zato.channel.web-socket.broadcast, security_name: partner}
"#;

fn start() -> Server {
    Server::setup().objects(OBJECTS).start()
}

async fn assert_pings(client: &mut Python) {
    let response = client.invoke(&json!({"service": "zato.ping"})).await;
    assert_eq!(response["data"], json!({"pong": "zato"}), "{response}");
    assert_eq!((&response["is_ok"], &response["status"]), (&json!(true), &json!(200)));
}

#[tokio::test]
async fn it_logs_in_and_pings() {
    let server = start();
    let mut client = Python::log_in(&server.ws("/ws/crm"), "crm.1", "CRM").await;
    assert_pings(&mut client).await;
    let response = client.invoke_service("zato.ping", &json!({})).await;
    assert_eq!(response["id"].as_str().unwrap().len(), 24, "{response}");
    assert!(response["in_reply_to"].as_str().unwrap().starts_with("zato.ws.client.invs."));
    client.stop().await;
}

#[tokio::test]
async fn it_gets_back_what_it_sends() {
    let server = start();
    let mut client = Python::log_in(&server.ws("/ws/crm"), "crm.1", "CRM").await;
    let nested = json!({
        "Zażółć gęślą jaźń": {"emoji": "👩‍👩‍👧 😀", "nothing": null, "deeper": [[[], [{}]], [null, [1, [2.5, [-3]]]]]},
        "list": [null, true, false, "", 0, "\"\\/\u{0}\n", 9_007_199_254_740_991_i64],
    });
    let long: String = "Zażółć gęślą jaźń 😀 ".chars().cycle().take(100_000).collect();
    for sent in [nested, json!({"text": long}), json!([]), json!("text"), json!([null])] {
        let response = client.invoke_service("zato.helpers.echo", &sent).await;
        assert_eq!((&response["status"], &response["data"]), (&json!(200), &sent));
    }
    client.stop().await;
}

#[tokio::test]
async fn a_service_that_is_not_allowed_is_403_and_the_connection_stays() {
    let server = start();
    let mut client = Python::log_in(&server.ws("/ws/crm"), "crm.1", "CRM").await;
    let before = connections(&server).await;
    for service in ["zato.channel.web-socket.get-connection-list", "no.such.service"] {
        let response = client.invoke_service(service, &json!({})).await;
        assert_eq!((&response["is_ok"], &response["status"]), (&json!(false), &json!(403)));
        assert_eq!(response["data"], json!({"cid": response["id"]}));
    }
    assert_pings(&mut client).await;
    let after = connections(&server).await;
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_eq!(before[0]["pub_client_id"], after[0]["pub_client_id"]);
    client.stop().await;
}

#[tokio::test]
async fn a_wrong_password_does_not_get_in() {
    let server = start();
    let mut client = Python::start(&settings(&server.ws("/ws/crm"), "crm.1", "CRM", "wrong"));
    client.event("refused").await;
    // A refusal answers nothing, so this client takes it for a request.
    let refusal = client.event("request").await;
    assert_eq!(refusal["data"], "You are not authorized to access this resource");
    client.command(&json!({"do": "invoke", "data": {"service": "zato.ping"}})).await;
    assert_eq!(client.event("failed").await["error"], "Client is not authenticated");
    let is_recorded = async || history(&server).await.len() == 1;
    eventually("the refusal is in the history", is_recorded).await;
    let closed = history(&server).await.remove(0);
    let expected =
        json!({"code": 1008, "reason": "", "closed_by": "server", "was_logged_in": false});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(closed[key], *value, "{key} in {closed}");
    }
    assert_eq!((&closed["channel_name"], connections(&server).await.len()), (&json!("crm"), 0));
}

#[tokio::test]
async fn a_channel_without_credentials_lets_everybody_in() {
    let server = start();
    let anonymous = json!({"address": server.ws("/ws/open"), "client_id": "a", "client_name": "A"});
    let wrong = settings(&server.ws("/ws/open"), "b", "B", "whatever");
    for settings in [anonymous, wrong] {
        let mut client = Python::start(&settings);
        client.event("connected").await;
        assert_pings(&mut client).await;
        let found = connections(&server).await;
        assert_eq!(found[0]["ext_client_id"], settings["client_id"]);
        assert_eq!(found[0]["security_name"], "");
    }
}

#[tokio::test]
async fn a_service_mounted_without_a_gateway_gets_the_data_as_it_is() {
    let server = start();
    let mut client = Python::log_in(&server.ws("/ws/direct"), "crm.1", "CRM").await;
    for sent in [
        json!({"customer_id": "123", "tags": [null, "ż"]}),
        json!({"service": "zato.ping", "request": 1}),
        json!({}),
    ] {
        let response = client.invoke(&sent).await;
        assert_eq!((&response["status"], &response["data"]), (&json!(200), &sent));
    }
    client.stop().await;
}

#[tokio::test]
async fn a_channel_may_have_an_address_of_its_own() {
    let server = start();
    let address = server.channel_address("own");
    assert_ne!(address, server.address());
    let mut client = Python::log_in(&format!("ws://{address}/own/path"), "crm.1", "CRM").await;
    assert_pings(&mut client).await;
    let found = connections(&server).await;
    assert_eq!((&found[0]["channel_name"], found.len()), (&Value::from("own"), 1));
    assert_eq!(found[0]["local_address"], address.to_string());
    client.stop().await;
    // Neither listener has the other's channels.
    for elsewhere in [server.ws("/own/path"), format!("ws://{address}/ws/crm")] {
        let refused = spanwire_tests::Client::try_connect(&elsewhere, &[]).await.unwrap_err();
        assert!(refused.to_string().contains("404"), "{elsewhere}: {refused}");
    }
}
