//! Listeners that channels have for themselves come and go.

use serde_json::{Value, json};
use spanwire_tests::http::admin;
use spanwire_tests::{Client, Server, eventually};
use tokio::net::{TcpListener, TcpStream};

use super::{OBJECTS, assert_consistent, create, delete, ok, patch, show};

fn listening(server: &Server) -> Value {
    let text = std::fs::read(server.data().join("listen.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn own(address: &str) -> Value {
    json!({"name": "own", "address": address, "service": "zato.helpers.echo", "sec_def": "zato-no-security"})
}

#[tokio::test]
async fn a_channel_gets_a_listener_and_gives_it_back() {
    let server = Server::setup().objects(OBJECTS).start();
    let object = create(&server, "web_socket", own("ws://127.0.0.1:0/a")).await;
    assert_eq!(object["meta"]["state"], "running", "{object}");
    let first = listening(&server)["channels"]["own"].as_str().unwrap().to_owned();
    let mut client = Client::connect(&format!("ws://{first}/a")).await;
    client.create_session("", "").await;

    // Another path on the same listener.
    patch(&server, "web_socket", "own", json!({"address": "ws://127.0.0.1:0/b"})).await;
    assert_eq!(client.call(&json!(1)).await["data"], 1);
    assert_eq!(listening(&server)["channels"]["own"], first);
    let _other = Client::connect(&format!("ws://{first}/b")).await;

    // Another listener: connections move with it by connecting again.
    patch(&server, "web_socket", "own", json!({"address": "/own"})).await;
    assert_eq!(client.receive_close().await.1.map(|frame| u16::from(frame.code)), Some(1001));
    assert_eq!(listening(&server)["channels"], json!({}));
    eventually("the port is closed", || async { TcpStream::connect(&first).await.is_err() }).await;
    let _client = Client::connect(&server.ws("/own")).await;
    delete(&server, "web_socket", "own").await;
    assert_consistent(&server).await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_shown_and_tried_again() {
    let server = Server::setup().objects(OBJECTS).start();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}/a", taken.local_addr().unwrap());
    let object = create(&server, "web_socket", own(&address)).await;
    assert_eq!(object["meta"]["state"], "failed", "{object}");
    let error = object["meta"]["error"].as_str().unwrap();
    assert!(error.contains("cannot listen on"), "{error}");
    let info = ok(admin(&server, "GET", "/api/v1/server", "").await);
    assert_eq!(info["failed_objects"], 1);
    drop(taken);
    eventually("it is tried again", || async {
        show(&server, "web_socket", "own").await["meta"]["state"] == "running"
    })
    .await;
    let _client = Client::connect(&address).await;
    eventually("listen.json knows it", || async {
        listening(&server)["channels"]["own"].as_str().is_some_and(|own| address.contains(own))
    })
    .await;
    assert_consistent(&server).await;
}

#[tokio::test]
async fn what_cannot_be_applied_leaves_what_ran_before() {
    let server = Server::setup().objects(OBJECTS).start();
    create(&server, "web_socket", own("ws://127.0.0.1:0/a")).await;
    let before = listening(&server)["channels"]["own"].as_str().unwrap().to_owned();
    let mut client = Client::connect(&format!("ws://{before}/a")).await;
    client.create_session("", "").await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}/a", taken.local_addr().unwrap());
    let object = patch(&server, "web_socket", "own", json!({"address": address})).await;
    assert_eq!(object["meta"]["state"], "failed", "{object}");
    assert_eq!(client.call(&json!(1)).await["data"], 1);
    let _other = Client::connect(&format!("ws://{before}/a")).await;
    // Going back mends it.
    let body = json!({"version": 1}).to_string();
    ok(admin(&server, "POST", &format!("{}/revert", super::path("web_socket", "own")), &body)
        .await);
    assert_eq!(show(&server, "web_socket", "own").await["meta"]["state"], "running");
    assert_eq!(client.call(&json!(2)).await["data"], 2);
}

#[tokio::test]
async fn the_same_port_on_another_host_is_taken_over() {
    let server = Server::setup().objects(OBJECTS).start();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    create(&server, "web_socket", own(&format!("ws://127.0.0.1:{free}/a"))).await;
    let object =
        patch(&server, "web_socket", "own", json!({"address": format!("ws://0.0.0.0:{free}/a")}))
            .await;
    assert_eq!(object["meta"]["state"], "running", "{object}");
    let _client = Client::connect(&format!("ws://127.0.0.1:{free}/a")).await;
}

#[tokio::test]
async fn a_stored_channel_whose_port_is_taken_does_not_keep_the_server_down() {
    let mut server = Server::setup().objects(OBJECTS).start();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    create(&server, "web_socket", own(&format!("ws://{free}/a"))).await;
    server.stop();
    let taken = TcpListener::bind(free).await.unwrap();
    server.start_again();
    assert_eq!(show(&server, "web_socket", "own").await["meta"]["state"], "failed");
    let mut client = Client::connect(&server.ws("/ws/open")).await;
    client.create_session("", "").await;
    drop(taken);
    eventually("it is tried again", || async {
        show(&server, "web_socket", "own").await["meta"]["state"] == "running"
    })
    .await;
}

#[tokio::test]
async fn a_move_to_an_address_that_is_not_ours_leaves_the_listener() {
    let server = Server::setup().objects(OBJECTS).start();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    create(&server, "web_socket", own(&format!("ws://127.0.0.1:{free}/a"))).await;
    let foreign = json!({"address": format!("ws://192.0.2.1:{free}/a")});
    let object = patch(&server, "web_socket", "own", foreign).await;
    assert_eq!(object["meta"]["state"], "failed", "{object}");
    let _client = Client::connect(&format!("ws://127.0.0.1:{free}/a")).await;
}

#[tokio::test]
async fn a_channel_that_cannot_move_is_otherwise_what_it_is_now() {
    let server = Server::setup().objects(OBJECTS).start();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}/open", taken.local_addr().unwrap());
    let mut open = Client::connect(&server.ws("/ws/open")).await;
    open.create_session("", "").await;
    // It stays where it is, and lets in whom it lets in now.
    let change = json!({"address": address, "sec_def": "app1"});
    let object = patch(&server, "web_socket", "open", change).await;
    assert_eq!(object["meta"]["state"], "failed", "{object}");
    assert_eq!(open.receive_close().await.1.map(|frame| u16::from(frame.code)), Some(1008));
    let mut client = Client::log_in(&server.ws("/ws/open"), "app1", "secret1").await;
    // What it refers to is renamed, and it follows.
    patch(&server, "security", "app1", json!({"name": "app2"})).await;
    assert_eq!(client.call(&json!(1)).await["data"], 1);
    // The path belongs to whom the configuration gives it.
    let object = json!({"name": "heir", "address": "/ws/open", "service": "zato.helpers.echo", "sec_def": "app2"});
    create(&server, "web_socket", object).await;
    assert_eq!(client.receive_close().await.1.map(|frame| u16::from(frame.code)), Some(1001));
    let _heir = Client::log_in(&server.ws("/ws/open"), "app1", "secret1").await;
    let list = spanwire_tests::http::connections(&server).await;
    assert_eq!(list[0]["channel_name"], "heir", "{list:?}");
}
