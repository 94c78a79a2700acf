//! Settings are read again while the server runs.

use serde_json::{Value, json};
use spanwire_tests::http::{Answer, admin, get, request};
use spanwire_tests::tls::Certificate;
use spanwire_tests::{Client, Server, eventually};

use super::{OBJECTS, ok};

fn write(server: &Server, toml: &str) {
    std::fs::write(server.data().join("spanwire.toml"), toml).unwrap();
}

async fn reload(server: &Server) -> Answer {
    admin(server, "POST", "/api/v1/settings/reload", "").await
}

async fn setting(server: &Server, key: &str) -> Value {
    ok(admin(server, "GET", &format!("/api/v1/settings/{key}"), "").await)
}

#[tokio::test]
async fn limits_change_and_sockets_stay() {
    let server =
        Server::setup().objects(OBJECTS).settings("[limits]\nmessage_bytes = 2000000\n").start();
    let mut client = Client::connect(&server.ws("/ws/open")).await;
    client.create_session("", "").await;
    let before = setting(&server, "limits.message_bytes").await;
    assert_eq!((&before["value"], &before["origin"]), (&json!(2_000_000), &json!("file")));
    assert!(before["place"].as_str().unwrap().ends_with("spanwire.toml:2"), "{before}");
    assert_eq!(before["reloadable"], true);

    write(&server, "name = \"other\"\n\n[limits]\nmessage_bytes = 50000\nheaders = 20\n");
    let reloaded = ok(reload(&server).await);
    assert_eq!(
        reloaded["changed"],
        json!(["limits.headers", "limits.message_bytes"]),
        "{reloaded}"
    );
    assert_eq!(reloaded["needs_restart"], json!(["name"]));
    let name = setting(&server, "name").await;
    assert_eq!((&name["value"], &name["after_restart"]), (&json!("server1"), &json!("other")));

    assert_eq!(client.call(&json!(1)).await["data"], 1);
    let headers: Vec<(String, String)> =
        (0..30).map(|n| (format!("X-{n}"), "1".to_owned())).collect();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (&**k, &**v)).collect();
    let many = request(server.address(), "GET", "/zato/ping", &headers, "").await;
    assert_eq!(many.status, 431);
    client.start_call(&json!("x".repeat(60_000))).await;
    assert_eq!(client.receive_close().await.1.map(|frame| u16::from(frame.code)), Some(1009));
}

#[tokio::test]
async fn mistakes_are_told_and_nothing_changes() {
    let server = Server::setup().objects(OBJECTS).start();
    write(&server, "[limits]\nheader = 1\nmessage_bytes = 100\n");
    let answer = reload(&server).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.body.contains("did you mean `limits.headers`?"), "{answer:?}");
    write(&server, "tls_certificate = \"/no/such/cert.pem\"\ntls_key = \"/no/such/key.pem\"\n");
    let answer = reload(&server).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.body.contains("/no/such/cert.pem"), "{answer:?}");
    assert_eq!(get(&server, "/zato/ping").await.status, 200);
    assert_eq!(setting(&server, "limits.message_bytes").await["origin"], "default");
    let unknown = admin(&server, "GET", "/api/v1/settings/limits.header", "").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.contains("limits.headers"), "{unknown:?}");
}

#[tokio::test]
async fn sighup_reads_them_too() {
    let server = Server::setup().objects(OBJECTS).start();
    write(&server, "drain_timeout = \"3s\"\n");
    server.hang_up();
    eventually("the new value is in force", || async {
        setting(&server, "drain_timeout").await["value"] == "3s"
    })
    .await;
    write(&server, "nonsense = 1\n");
    server.hang_up();
    eventually("the mistake is in the log", || async {
        server.log().contains("unknown key `nonsense`")
    })
    .await;
    assert_eq!(setting(&server, "drain_timeout").await["value"], "3s");
}

#[tokio::test]
async fn tls_comes_by_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::setup().objects(OBJECTS).start();
    let mut plain = Client::connect(&server.ws("/ws/open")).await;
    plain.create_session("", "").await;
    let files = Certificate::create(folder.path());
    let (certificate, key) = (&files.certificate, &files.key);
    write(&server, &format!("tls_certificate = {certificate:?}\ntls_key = {key:?}\n"));
    ok(reload(&server).await);
    let mut client = Client::connect_tls(server.address(), "/ws/open", files.client).await;
    client.create_session("", "").await;
    assert_eq!(client.call(&json!(1)).await["data"], 1);
    assert_eq!(plain.call(&json!(2)).await["data"], 2, "what is open stays what it is");
}

#[tokio::test]
async fn the_main_listener_moves_and_sockets_stay() {
    let settings = "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n";
    let server = Server::setup().objects(OBJECTS).settings(settings).start();
    let mut client = Client::connect(&server.ws("/ws/open")).await;
    client.create_session("", "").await;
    let port = server.address().port();
    // The same port on every address; the first one is in the way.
    write(&server, &format!("listen = \"0.0.0.0:{port}\"\nadmin_listen = \"127.0.0.1:0\"\n"));
    let reloaded = ok(reload(&server).await);
    assert_eq!(reloaded["changed"], json!(["listen"]), "{reloaded}");
    assert_eq!(client.call(&json!(1)).await["data"], 1);
    let mut other = Client::connect(&server.ws("/ws/open")).await;
    other.create_session("", "").await;
    // An address that is not ours: nothing changes.
    write(
        &server,
        &format!(
            "listen = \"192.0.2.1:{port}\"\nadmin_listen = \"127.0.0.1:0\"\n[limits]\nheaders = 20\n"
        ),
    );
    assert_eq!(reload(&server).await.status, 422);
    assert_eq!(setting(&server, "limits.headers").await["value"], 100);
    let _third = Client::connect(&server.ws("/ws/open")).await;
}
