//! A first conversation.

use serde_json::json;
use spanwire_tests::{Client, Server};

#[tokio::test]
async fn a_client_logs_in_and_calls() {
    let server = Server::setup()
        .objects(
            "security: [{name: app1, type: basic_auth, username: app1, password: secret1}]\n\
             web_socket: [{name: crm, address: /ws/crm, service: helpers.web-sockets-gateway, sec_def: app1}]\n",
        )
        .start();
    let mut client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    assert_eq!(client.invoke("zato.ping", &json!({})).await["data"], json!({"pong": "zato"}));
}
