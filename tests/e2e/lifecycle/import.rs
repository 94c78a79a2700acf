//! `--import`: all or nothing, every mistake named, the same file twice changes nothing.

use std::path::Path;

use serde_json::{Value, json};
use spanwire_tests::http::get;
use spanwire_tests::server::workspace;
use spanwire_tests::{Client, Server};
use tokio::net::TcpListener;

use crate::process::{Finished, finish, run_server, server};

const GOOD: &str = "security: [{name: app1, type: basic_auth, username: app1, password: secret1}]\n\
                    web_socket: [{name: crm, address: /ws/crm, service: zato.ping, sec_def: app1}]\n";

fn write(dir: &Path, name: &str, text: &str) -> String {
    let file = dir.join(name);
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

async fn has_crm(server: &Server) -> bool {
    // An existing channel asks for an upgrade, a missing one is not found.
    match get(server, "/ws/crm").await.status {
        426 => true,
        404 => false,
        other => panic!("unexpected status {other}"),
    }
}

async fn import(data: &Path, files: &[&str]) -> Finished {
    let arguments: Vec<&str> = files.iter().flat_map(|file| ["--import", *file]).collect();
    run_server(data, &arguments).await
}

#[tokio::test]
async fn a_bad_file_names_every_mistake_and_applies_nothing() {
    let mut server = Server::setup().start();
    assert!(server.stop().success());
    let dir = tempfile::tempdir().unwrap();
    let good = write(dir.path(), "good.yaml", GOOD);
    let bad = write(
        dir.path(),
        "bad.yaml",
        "web_socket:\n\
         \x20 - name: one\n\
         \x20   address: /ws/one\n\
         \x20   service: zato.ping\n\
         \x20   sec_def: app1\n\
         \x20   token_tll: 5\n\
         \x20   max_in_flight: none\n\
         \x20 - name: two\n\
         \x20   address: no-path\n\
         \x20   service: zato.ping\n\
         \x20   sec_def: app1\n\
         \x20 - name: three\n\
         \x20   address: /ws/crm\n\
         \x20   service: zato.ping\n\
         \x20   sec_def: nobody\n",
    );
    let ended = import(&server.data(), &[&good, &bad]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    let expected = [
        (6, "one", "token_tll", "token_ttl"),
        (7, "one", "max_in_flight", ""),
        (9, "two", "address", ""),
        (13, "three", "address", "crm"),
        (15, "three", "sec_def", "nobody"),
    ];
    for (line, name, field, word) in expected {
        let place = format!("bad.yaml:{line}: ");
        let found = ended.err.lines().find(|text| text.contains(&place));
        let found = found.unwrap_or_else(|| panic!("{place} is not in:\n{}", ended.err));
        for part in [name, field, word] {
            assert!(found.contains(part), "{part} is not in: {found}");
        }
    }
    server.start_again();
    assert!(!has_crm(&server).await, "the good file was applied with the bad one");
}

/// DESIGN 4: *every* error, so that one correction is enough.
#[tokio::test]
async fn a_wrong_reference_is_named_beside_another_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let bad = write(
        dir.path(),
        "bad.yaml",
        "web_socket:\n\
         \x20 - name: one\n\
         \x20   address: /ws/one\n\
         \x20   service: zato.ping\n\
         \x20   sec_def: nobody\n\
         \x20   token_tll: 5\n",
    );
    let ended = import(&dir.path().join("data"), &[&bad]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    for place in ["bad.yaml:5: ", "bad.yaml:6: "] {
        assert!(ended.err.contains(place), "{place} is not in:\n{}", ended.err);
    }
}

#[tokio::test]
async fn files_that_cannot_be_read_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let table = [
        ("broken.yaml", "web_socket: [{name: \n"),
        ("tabs.yaml", "web_socket:\n\t- name: x\n"),
        ("list.yaml", "- 1\n- 2\n"),
        ("kind.yaml", "web_sockets: []\n"),
        ("broken.json", "{\"web_socket\": [}"),
        ("twice.yaml", "security: [{name: a, type: apikey}, {name: a, type: apikey}]\n"),
    ];
    for (name, text) in table {
        let file = write(dir.path(), name, text);
        let ended = import(&dir.path().join("data"), &[&file]).await;
        assert_eq!(ended.code, 2, "{name}: {ended:?}");
        assert!(ended.err.contains(name), "{name}: {ended:?}");
    }
    let ended = import(&dir.path().join("data"), &["missing.yaml"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("missing.yaml"), "{ended:?}");
}

/// Valid by itself, and impossible to put to work on this machine.
#[tokio::test]
async fn what_cannot_be_used_is_not_kept() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let table = [
        ("service: [{name: s, url: 'https://127.0.0.1:1/', ca_file: /nonexistent/ca.pem}]\n".to_owned(), "ca.pem"),
        (
            format!("web_socket: [{{name: own, address: 'ws://{taken}/x', service: zato.ping, sec_def: app1}}]\n"),
            "cannot listen",
        ),
        (
            "web_socket: [{name: own, address: 'wss://127.0.0.1:0/x', service: zato.ping, sec_def: app1, \
             tls_cert_file: /nonexistent/c.pem, tls_key_file: /nonexistent/k.pem}]\n"
                .to_owned(),
            "c.pem",
        ),
        (
            "web_socket: [{name: own, address: 'ws://no-such-host.invalid:1/x', service: zato.ping, sec_def: app1}]\n"
                .to_owned(),
            "no-such-host.invalid",
        ),
    ];
    for (unusable, expected) in table {
        let mut server = Server::setup().start();
        assert!(server.stop().success());
        let good = write(dir.path(), "good.yaml", GOOD);
        let file = write(dir.path(), "unusable.yaml", &unusable);
        let ended = import(&server.data(), &[&good, &file]).await;
        assert!(matches!(ended.code, 1 | 2), "{ended:?}");
        assert!(ended.err.contains(expected), "{expected} is not in {ended:?}");
        // Otherwise no later start would succeed either.
        server.start_again();
        assert!(!has_crm(&server).await, "{unusable}");
    }
}

#[tokio::test]
async fn the_example_imports_and_twice_changes_nothing() {
    let example = workspace().join("crates/spanwire-config/examples/objects-example.yaml");
    let example = std::fs::read_to_string(example).unwrap();
    let mut server = Server::setup()
        .objects(&example)
        .variable("PUBLISHER_PASSWORD", "from the environment")
        .arguments(&["--log-format", "json"])
        .start();
    let applied = |server: &Server| -> Vec<Value> {
        let log = server.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == "managed objects applied").collect()
    };
    let first = applied(&server);
    assert_eq!(first.len(), 1, "{}", server.log());
    let changed = first[0]["changed"].as_u64().unwrap();
    assert!(changed >= 14, "{first:?}");
    let mut client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    assert_eq!(client.invoke("zato.ping", &json!({})).await["data"], json!({"pong": "zato"}));
    drop(client);
    assert!(server.stop().success());
    server.start_again();
    let second = &applied(&server)[1];
    assert_eq!((&second["changed"], &second["revision"]), (&json!(0), &json!(1)), "{second}");
    assert!(second["all"].as_u64().unwrap() >= changed, "{second}");
}

#[tokio::test]
async fn the_example_fails_without_its_variable() {
    let example = workspace().join("crates/spanwire-config/examples/objects-example.yaml");
    let dir = tempfile::tempdir().unwrap();
    let file = example.display().to_string();
    for arguments in [&["--import", &*file][..], &["check", "--import", &*file]] {
        let mut program = server(&dir.path().join("data"), arguments);
        program.env_remove("PUBLISHER_PASSWORD");
        let ended = finish(program).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("PUBLISHER_PASSWORD"), "{ended:?}");
        assert!(ended.err.contains("objects-example.yaml:6"), "{ended:?}");
    }
}
