//! Channels, credentials and services change under open connections.

use serde_json::json;
use spanwire_tests::http::{admin, basic, connections, history, request};
use spanwire_tests::{Client, Server};

use super::{OBJECTS, create, delete, ok, patch, show};

#[tokio::test]
async fn an_edited_channel_keeps_its_sockets_and_is_what_it_is_now() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    assert_eq!(client.invoke("zato.ping", &json!({})).await["data"], json!({"pong": "zato"}));

    // Another service, at once.
    let object = patch(&server, "web_socket", "crm", json!({"service": "zato.helpers.echo"})).await;
    assert_eq!(
        (&object["meta"]["version"], &object["meta"]["state"]),
        (&json!(2), &json!("running"))
    );
    assert_eq!(client.call(&json!({"a": 1})).await["data"], json!({"a": 1}));
    // Other times and bounds, another name, another path.
    let change =
        json!({"ping_interval": 1, "max_in_flight": 1, "name": "crm2", "address": "/ws/crm2"});
    patch(&server, "web_socket", "crm", change).await;
    assert_eq!(client.call(&json!({"a": 2})).await["data"], json!({"a": 2}));
    let list = connections(&server).await;
    assert_eq!(list[0]["channel_name"], "crm2");
    // Whoever reads answers pings.
    while !connections(&server).await[0]["ping_round_trip_ms"].is_number() {
        assert_eq!(client.call(&json!(1)).await["data"], 1);
    }
    // New clients use the new path only.
    let _other = Client::log_in(&server.ws("/ws/crm2"), "app1", "secret1").await;
    assert!(Client::try_connect(&server.ws("/ws/crm"), &[]).await.is_err());
    assert_eq!(client.call(&json!({"a": 3})).await["data"], json!({"a": 3}));
    assert!(history(&server).await.is_empty(), "no connection ended");
}

#[tokio::test]
async fn a_gateway_allows_what_it_allows_now() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    patch(&server, "wsx_gateway", "gate", json!({"services_allowed": ["zato.helpers.echo"]})).await;
    assert_eq!(client.invoke("zato.ping", &json!({})).await["meta"]["status"], 403);
    patch(
        &server,
        "wsx_gateway",
        "gate",
        json!({"name": "gate2", "services_allowed": ["zato.ping"]}),
    )
    .await;
    assert_eq!(client.invoke("zato.ping", &json!({})).await["meta"]["status"], 200);
    // The channel followed the rename.
    assert_eq!(show(&server, "web_socket", "crm").await["service"], "gate2");

    // A configured gateway stands before the one that is built in, and no longer.
    let built_in = "helpers.web-sockets-gateway";
    patch(&server, "web_socket", "crm", json!({"service": built_in})).await;
    assert_eq!(client.invoke("zato.ping", &json!({})).await["meta"]["status"], 200);
    create(&server, "wsx_gateway", json!({"name": built_in, "services_allowed": []})).await;
    assert_eq!(client.invoke("zato.ping", &json!({})).await["meta"]["status"], 403);
    delete(&server, "wsx_gateway", built_in).await;
    assert_eq!(client.invoke("zato.ping", &json!({})).await["meta"]["status"], 200);
}

#[tokio::test]
async fn withdrawn_access_ends_the_connections_that_had_it_and_no_others() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut open = Client::connect(&server.ws("/ws/open")).await;
    open.create_session("", "").await;
    let ws = server.ws("/ws/crm");

    // A new password.
    let mut client = Client::log_in(&ws, "app1", "secret1").await;
    let password = json!({"password": "secret2"}).to_string();
    let answer = admin(&server, "POST", "/api/v1/objects/security/app1/password", &password).await;
    assert_eq!(answer.header("x-closed-connections"), "1", "{answer:?}");
    ok(answer);
    let (_, frame) = client.receive_close().await;
    let frame = frame.unwrap();
    assert_eq!((u16::from(frame.code), &*frame.reason), (1008, "Access was withdrawn"));
    let rest = |password: &'static str| {
        let server = &server;
        async move {
            let authorization = basic("app1", password);
            let headers = [("Authorization", &*authorization)];
            request(server.address(), "POST", "/echo", &headers, "{}").await.status
        }
    };
    assert_eq!((rest("secret1").await, rest("secret2").await), (401, 200));

    // Another name is no other password.
    let mut client = Client::log_in(&ws, "app1", "secret2").await;
    patch(&server, "security", "app1", json!({"name": "app2", "realm": "r"})).await;
    assert_eq!(client.invoke("zato.ping", &json!({})).await["meta"]["status"], 200);
    let crm =
        connections(&server).await.into_iter().find(|it| it["channel_name"] == "crm").unwrap();
    assert_eq!((&crm["security_name"], &crm["username"]), (&json!("app2"), &json!("app1")));
    assert_eq!(rest("secret2").await, 200);

    // Other credentials on the channel, credentials switched off, the channel switched off, and gone.
    create(
        &server,
        "security",
        json!({"name": "other", "type": "basic_auth", "username": "o", "password": "p"}),
    )
    .await;
    patch(&server, "web_socket", "crm", json!({"sec_def": "other"})).await;
    assert_eq!(closed(&mut client).await, 1008);
    let mut client = Client::log_in(&ws, "o", "p").await;
    patch(&server, "security", "other", json!({"is_active": false})).await;
    assert_eq!(closed(&mut client).await, 1008);
    patch(&server, "security", "other", json!({"is_active": true})).await;
    let mut client = Client::log_in(&ws, "o", "p").await;
    patch(&server, "web_socket", "crm", json!({"is_active": false})).await;
    assert_eq!(closed(&mut client).await, 1001);
    assert!(Client::try_connect(&ws, &[]).await.is_err());
    patch(&server, "web_socket", "crm", json!({"is_active": true})).await;
    let mut client = Client::log_in(&ws, "o", "p").await;
    let changed = delete(&server, "web_socket", "crm").await;
    assert_eq!(changed["closed_connections"], 1, "{changed}");
    assert_eq!(closed(&mut client).await, 1001);

    assert_eq!(open.call(&json!([1])).await["data"], json!([1]));
}

#[tokio::test]
async fn an_origin_that_is_not_allowed_any_more_ends_the_page() {
    let server = Server::setup().objects(OBJECTS).start();
    patch(&server, "web_socket", "open", json!({"allowed_origins": ["https://a.example"]})).await;
    let ws = server.ws("/ws/open");
    let mut page = Client::try_connect(&ws, &[("Origin", "https://a.example")]).await.unwrap();
    page.create_session("", "").await;
    let mut program = Client::connect(&ws).await;
    program.create_session("", "").await;
    patch(&server, "web_socket", "open", json!({"allowed_origins": ["https://b.example"]})).await;
    assert_eq!(closed(&mut page).await, 1008);
    assert_eq!(program.call(&json!(1)).await["data"], 1);
}

#[tokio::test]
async fn a_lower_limit_holds_for_open_connections() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut client = Client::connect(&server.ws("/ws/open")).await;
    client.create_session("", "").await;
    let big = json!("x".repeat(100_000));
    assert_eq!(client.call(&big).await["data"], big);
    patch(&server, "web_socket", "open", json!({"max_message_size": 50_000})).await;
    assert_eq!(client.call(&json!(1)).await["data"], 1);
    client.start_call(&big).await;
    assert_eq!(closed(&mut client).await, 1009);
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted() {
    let server = Server::setup().objects(OBJECTS).start();
    let answer = admin(&server, "DELETE", &super::path("security", "app1"), "").await;
    assert_eq!(answer.status, 409, "{answer:?}");
    let problem = answer.json();
    let users: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(users, ["crm", "echo"], "{problem}");
}

async fn closed(client: &mut Client) -> u16 {
    client.receive_close().await.1.map_or(0, |frame| frame.code.into())
}
