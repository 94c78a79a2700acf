//! A thousand objects: in at once, out again, and into another server.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use spanwire_tests::{Client, PATIENCE, Server};

use super::{Folder, state};
use crate::live::{assert_consistent, show};

/// A file with a thousand objects of every kind that refer to each other.
fn thousand() -> String {
    let mut text = String::new();
    let mut section = |key: &str, count: usize, object: &dyn Fn(usize) -> String| {
        writeln!(text, "{key}:").unwrap();
        for n in 0..count {
            writeln!(text, "- {{{}}}", object(n)).unwrap();
        }
    };
    section("pubsub_subscription", 50, &|n| format!("endpoint_name: e{n}, topic_name: /t/{n}"));
    section("pubsub_endpoint", 50, &|n| {
        format!("name: e{n}, endpoint_type: rest, security_name: s{n}, topic_patterns: 'sub=/**'")
    });
    section("pubsub_topic", 100, &|n| format!("name: /t/{n}, max_depth_gd: {}", n + 1));
    section("web_socket", 100, &|n| {
        format!("name: w{n}, address: /ws/{n}, service: g{n}, sec_def: s{n}, token_ttl: {}m", n + 1)
    });
    section("channel_rest", 200, &|n| {
        format!(
            "name: r{n}, url_path: '/api/{n}/{{id}}', service: h{n}, security_name: s{}",
            n % 100
        )
    });
    section("outgoing_wsx", 50, &|n| {
        format!("name: ow{n}, address: 'ws://127.0.0.1:9/{n}', security_name: s{n}, is_zato: true")
    });
    section("outgoing_rest", 50, &|n| {
        format!("name: or{n}, host: 'http://127.0.0.1:9', url_path: /{n}")
    });
    section("wsx_gateway", 100, &|n| format!("name: g{n}, services_allowed: [zato.ping, 'h{n}*']"));
    section("service", 200, &|n| format!("name: h{n}, url: 'http://127.0.0.1:9/{n}', timeout: 3s"));
    section("security", 100, &|n| {
        format!("name: s{n}, type: basic_auth, username: u{n}, password: 'pass: \"{n}\" # ż'")
    });
    text
}

#[tokio::test]
async fn a_thousand_objects_are_one_revision_and_survive_a_round_trip() {
    let server = Server::setup().start();
    let folder = Folder::new();
    folder.write("o.yaml", thousand());
    let (before, _) = state(&server).await;
    let started = Instant::now();
    let done = folder.did(&server, &["import", "o.yaml"]).await;
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    assert_eq!(done.lines().count(), 1_000);
    assert_eq!(state(&server).await.0, before + 1);
    assert_consistent(&server).await;
    assert_eq!(folder.did(&server, &["diff", "o.yaml"]).await, "");
    assert_eq!(folder.did(&server, &["import", "--replace", "o.yaml"]).await, "nothing changed\n");

    let reveal = ["export", "--reveal-secrets"];
    let text = folder.did(&server, &reveal).await;
    for (name, format) in [("out.yaml", "yaml"), ("out.json", "json")] {
        folder.did(&server, &["export", "--reveal-secrets", "--file", name]).await;
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name} has secrets");
        let printed =
            folder.did(&server, &["export", "--format", format, "--reveal-secrets"]).await;
        assert_eq!(folder.read(name), printed);
        assert_eq!(folder.did(&server, &["diff", name]).await, "");

        let fresh = Server::setup().start();
        // The demo objects of the fresh server are there already.
        folder.did(&fresh, &["import", "--replace", name]).await;
        assert_eq!(folder.did(&fresh, &reveal).await, text, "{name}");
        assert_eq!(folder.did(&fresh, &["diff", name]).await, "");
        let mut client = Client::log_in(&fresh.ws("/ws/42"), "u42", "pass: \"42\" # ż").await;
        let pong = client.invoke("zato.ping", &serde_json::json!({})).await;
        assert_eq!(pong["data"]["pong"], "zato", "{pong}");
        assert_eq!(show(&fresh, "web_socket", "w99").await["token_ttl"], 6_000);
        assert_consistent(&fresh).await;
    }
}

#[tokio::test]
async fn secrets_are_exported_only_when_asked_for() {
    let server = Server::setup().start();
    let folder = Folder::new();
    folder.write("o.yaml", "security: [{name: app1, type: apikey, password: MARKED}]\n");
    folder.did(&server, &["import", "o.yaml"]).await;
    for arguments in [&["export"][..], &["export", "--format", "json"]] {
        assert!(!folder.did(&server, arguments).await.contains("MARKED"));
        let reveal = [arguments, &["--reveal-secrets"]].concat();
        assert!(folder.did(&server, &reveal).await.contains("MARKED"));
    }
    // What was exported without secrets changes none.
    folder.did(&server, &["export", "--file", "out.yaml"]).await;
    assert_eq!(folder.did(&server, &["diff", "out.yaml"]).await, "");
    let nowhere = folder.enmasse(&server, &["export", "--file", "no/such/folder.yaml"]).await;
    assert!(nowhere.code == 2 && nowhere.err.contains("no/such/folder.yaml"), "{nowhere:?}");
}

#[tokio::test]
async fn a_server_started_with_an_export_has_the_same_objects() {
    let server = Server::setup().start();
    let folder = Folder::new();
    folder.write("o.yaml", thousand());
    folder.did(&server, &["import", "o.yaml"]).await;
    let text = folder.did(&server, &["export", "--reveal-secrets"]).await;
    let mut started = Server::setup().objects(&text).start();
    assert_eq!(folder.did(&started, &["export", "--reveal-secrets"]).await, text);
    let before = state(&started).await;
    assert!(started.stop().success());
    started.start_again();
    assert_eq!(state(&started).await, before, "the same file twice changes nothing");
}
