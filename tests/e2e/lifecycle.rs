//! Starting, stopping, dying and starting again.

mod import;
mod secrets;
mod settings;
mod stopping;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use spanwire_tests::http::{basic, request};
use spanwire_tests::{Client, Server, eventually};
use tokio::net::TcpListener;

use crate::process::{run_server, start_server};

/// The password that a first start prints.
async fn printed_password(server: &Server) -> String {
    eventually("the welcome is printed", || async { server.log().contains("Try it:") }).await;
    let log = server.log();
    let line = log.lines().find(|line| line.trim_start().starts_with("password ")).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

async fn demo_works(server: &Server, password: &str) {
    let mut client = Client::log_in(&server.ws("/ws/demo"), "demo", password).await;
    let reply = client.invoke("zato.ping", &json!({})).await;
    assert_eq!(reply["data"], json!({"pong": "zato"}));
    let authorization = basic("demo", password);
    let headers = [("Authorization", &*authorization), ("Content-Type", "application/json")];
    let body = r#"{"hello": "world"}"#;
    let answer = request(server.address(), "POST", "/api/demo/echo", &headers, body).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"hello": "world"})));
}

#[tokio::test]
async fn credentials_are_printed_once_and_stay() {
    let mut server = Server::setup().start();
    let password = printed_password(&server).await;
    assert!(password.len() >= 16, "{password}");
    for expected in ["/ws/demo", "admin.token", "spanwire --data", "curl -u demo:"] {
        assert!(server.log().contains(expected), "{expected} is not in:\n{}", server.log());
    }
    demo_works(&server, &password).await;
    assert!(server.stop().success());
    let (first, token) = (server.log(), server.admin_token());
    server.start_again();
    demo_works(&server, &password).await;
    assert_eq!(server.admin_token(), token);
    let second = server.log();
    for once in [&*password, "Try it:", "A new environment"] {
        assert_eq!(second.matches(once).count(), first.matches(once).count(), "{second}");
    }
}

#[tokio::test]
async fn two_folders_share_no_secret() {
    let (one, two) = (Server::setup().start(), Server::setup().start());
    assert_ne!(printed_password(&one).await, printed_password(&two).await);
    assert_ne!(one.admin_token(), two.admin_token());
    let key = |server: &Server| std::fs::read(server.data().join("secret.key")).unwrap();
    assert_ne!(key(&one), key(&two));
}

#[test]
fn nobody_else_can_read_the_folder() {
    let server = Server::setup().start();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&server.data()), 0o700);
    assert_eq!(mode(&server.data().join("store")), 0o700);
    for file in ["secret.key", "admin.token", "listen.json"] {
        assert_eq!(mode(&server.data().join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_token_that_others_can_read_is_refused() {
    let mut server = Server::setup().start();
    assert!(server.stop().success());
    let file = server.data().join("admin.token");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ended = run_server(&server.data(), &[]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("admin.token") && ended.err.contains("chmod 600"), "{ended:?}");
}

#[test]
fn listen_json_says_where_everything_is() {
    let mut server = Server::setup()
        .objects(
            "security: [{name: a, type: basic_auth, username: a, password: b}]\n\
             web_socket: [{name: own, address: 'ws://127.0.0.1:0/ws/own', service: zato.ping, sec_def: a}]\n",
        )
        .start();
    let file = server.data().join("listen.json");
    let content: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let keys: Vec<_> = content.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["admin", "channels", "listen"]);
    let all = [server.address(), server.admin_address(), server.channel_address("own")];
    for (n, address) in all.iter().enumerate() {
        assert!(address.port() > 0 && !all[..n].contains(address), "{content}");
        std::net::TcpStream::connect(address).unwrap();
    }
    // The bound addresses are logged, too.
    assert!(all.iter().all(|address| server.log().contains(&address.to_string())));
    assert!(server.stop().success());
    assert!(!file.exists(), "a server that does not run listens nowhere");
}

#[tokio::test]
async fn what_was_stored_survives_kill_9() {
    let mut server = Server::setup().start();
    let password = printed_password(&server).await;
    assert!(server.stop().success());
    let file = server.data().with_file_name("objects.yaml");
    let yaml = "security: [{name: app1, type: basic_auth, username: app1, password: secret1}]\n\
                web_socket: [{name: crm, address: /ws/crm, service: zato.helpers.echo, sec_def: app1}]\n";
    std::fs::write(&file, yaml).unwrap();
    let mut importing = start_server(&server.data(), &["--import", &file.display().to_string()]);
    let listen = server.data().join("listen.json");
    eventually("it is ready", || async { listen.exists() }).await;
    importing.kill().await.unwrap();
    server.start_again();
    let mut client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    assert_eq!(client.call(&json!([1, "two"])).await["data"], json!([1, "two"]));
    demo_works(&server, &password).await;
    for _ in 0..3 {
        server.kill();
        server.start_again();
        Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    }
}

#[tokio::test]
async fn a_second_process_learns_who_holds_the_folder() {
    let server = Server::setup().start();
    let password = printed_password(&server).await;
    for arguments in [&[][..], &["check"]] {
        let ended = run_server(&server.data(), arguments).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.err.contains(&server.pid().to_string()), "{ended:?}");
    }
    assert!(server.data().join("listen.json").exists());
    demo_works(&server, &password).await;
}

#[tokio::test]
async fn a_taken_port_is_said_clearly() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for listener in ["--listen", "--admin-listen"] {
        let dir = tempfile::tempdir().unwrap();
        let ended = run_server(&dir.path().join("data"), &[listener, &address]).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.err.contains(&address), "{ended:?}");
        assert!(ended.err.contains("choose another address"), "{ended:?}");
        assert!(!dir.path().join("data/listen.json").exists());
    }
}

/// DESIGN 4: an empty folder becomes a working environment at its first start, with its credentials printed. A start
/// that failed has not printed them.
#[tokio::test]
async fn credentials_are_not_lost_with_a_failed_first_start() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.yaml");
    std::fs::write(&bad, "web_socket: [{name: x}]\n").unwrap();
    let bad = bad.display().to_string();
    for (name, failing) in [("taken", ["--listen", &*address]), ("bad", ["--import", &*bad])] {
        let data = dir.path().join(name);
        let ended = run_server(&data, &failing).await;
        assert!(matches!(ended.code, 1 | 2) && ended.out.is_empty(), "{ended:?}");
        let output = dir.path().join(format!("{name}.txt"));
        let mut second = crate::process::server(&data, &[]);
        second.stdout(std::fs::File::create(&output).unwrap());
        let _running = tokio::process::Command::from(second).kill_on_drop(true).spawn().unwrap();
        eventually("it is ready", || async { data.join("listen.json").exists() }).await;
        eventually("the credentials are printed", || async {
            std::fs::read_to_string(&output).unwrap().contains("Try it:")
        })
        .await;
    }
}
