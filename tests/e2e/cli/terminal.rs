//! Commands on a real terminal: questions, passwords, tables that change.

use serde_json::{Value, json};
use spanwire_tests::http::connections;
use spanwire_tests::server::binary;
use spanwire_tests::tools::python;
use spanwire_tests::{Client, Server};

use super::{OBJECTS, on, parse};
use crate::live::{create, show};
use crate::process::finish;

/// What became of a command on a terminal.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) code: i64,
    /// All that the terminal showed.
    pub(super) screen: String,
    /// Whether the terminal echoed what was typed, at each step.
    pub(super) echo: Vec<bool>,
}

/// Runs a command on a terminal; each step waits for a text and types another.
pub(super) async fn on_terminal(
    server: &Server,
    arguments: &[&str],
    steps: &[(&str, &str)],
) -> Seen {
    let data = server.data().display().to_string();
    let program = binary("spanwire").display().to_string();
    let program = [&[&*program, "--data", &*data], arguments].concat();
    let asked = json!({"program": program, "steps": steps}).to_string();
    let ended = finish(python("../e2e/cli/terminal.py", &[&asked])).await;
    assert_eq!(ended.code, 0, "{arguments:?}: {ended:?}");
    let seen: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(seen["echo_after"], true, "{arguments:?} leaves the terminal without echo");
    Seen {
        code: seen["code"].as_i64().unwrap(),
        screen: seen["screen"].as_str().unwrap().to_owned(),
        echo: serde_json::from_value(seen["echo"].clone()).unwrap(),
    }
}

#[tokio::test]
async fn a_delete_asks_and_only_yes_is_yes() {
    let server = Server::setup().objects(OBJECTS).start();
    create(&server, "security", json!({"name": "old", "type": "apikey"})).await;
    let delete = ["security", "delete", "old"];
    let question = "delete security 'old'? [y/N] ";
    for answer in ["n\n", "\n", "no\n", "maybe\n", "\u{4}"] {
        let seen = on_terminal(&server, &delete, &[(question, answer)]).await;
        assert_eq!((seen.code, &*seen.echo), (2, &[true][..]), "{answer:?}: {seen:?}");
        assert!(seen.screen.contains("nothing was done"), "{answer:?}: {seen:?}");
        show(&server, "security", "old").await;
    }
    let interrupted = on_terminal(&server, &delete, &[(question, "\u{3}")]).await;
    assert_ne!(interrupted.code, 0, "{interrupted:?}");
    show(&server, "security", "old").await;
    let seen = on_terminal(&server, &delete, &[(question, "y\n")]).await;
    assert_eq!(seen.code, 0, "{seen:?}");
    assert!(seen.screen.contains("security 'old' deleted"), "{seen:?}");
    // What is not there or need not be asked is not asked.
    let gone = on_terminal(&server, &delete, &[]).await;
    assert!(gone.code == 1 && !gone.screen.contains("[y/N]"), "{gone:?}");
    let preview = on_terminal(&server, &["channel", "delete", "crm", "--dry-run"], &[]).await;
    assert!(preview.code == 0 && preview.screen.contains("would be deleted"), "{preview:?}");
    let sure = on_terminal(&server, &["channel", "delete", "crm", "--yes"], &[]).await;
    assert!(sure.code == 0 && !sure.screen.contains("[y/N]"), "{sure:?}");
}

#[tokio::test]
async fn going_back_asks_when_that_deletes() {
    let server = Server::setup().objects(OBJECTS).start();
    assert_eq!(on(&server, &["security", "create", "new", "--type", "apikey"]).await.code, 0);
    let revert = ["history", "revert", "2"];
    let question = "delete 1 object? [y/N] ";
    let seen = on_terminal(&server, &revert, &[(question, "n\n")]).await;
    assert!(seen.code == 2 && seen.screen.contains("nothing was done"), "{seen:?}");
    show(&server, "security", "new").await;
    let seen = on_terminal(&server, &revert, &[(question, "y\n")]).await;
    assert!(seen.code == 0 && seen.screen.contains("security 'new' deleted"), "{seen:?}");
    // What only comes back is not asked about.
    let seen = on_terminal(&server, &["history", "revert", "3"], &[]).await;
    assert!(seen.code == 0 && !seen.screen.contains("[y/N]"), "{seen:?}");
}

#[tokio::test]
async fn many_connections_are_closed_after_a_question() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    let id = connections(&server).await[0]["pub_client_id"].as_str().unwrap().to_owned();
    let disconnect = ["connection", "disconnect", "--channel", "crm"];
    let question = "close 1 connection? [y/N] ";
    let seen = on_terminal(&server, &disconnect, &[(question, "n\n")]).await;
    assert_eq!(seen.code, 2, "{seen:?}");
    assert!(seen.screen.contains(&id) && seen.screen.contains("nothing was done"), "{seen:?}");
    assert_eq!(client.invoke("zato.ping", &json!({})).await["meta"]["status"], 200);
    let seen = on_terminal(&server, &disconnect, &[(question, "yes\n")]).await;
    assert_eq!(seen.code, 0, "{seen:?}");
    assert_eq!(client.receive_close().await.1.map(|frame| u16::from(frame.code)), Some(4005));
    // Nobody is left to be asked about.
    let seen = on_terminal(&server, &["connection", "disconnect", "--channel", "other"], &[]).await;
    assert!(seen.code == 0 && seen.screen.contains("0 connections"), "{seen:?}");
}

#[tokio::test]
async fn a_prune_shows_what_it_would_do_and_asks() {
    let server = Server::setup().objects(OBJECTS).start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("o.yaml");
    let path = file.display().to_string();
    std::fs::write(&file, "security: [{name: a, type: apikey}, {name: b, type: apikey}]\n")
        .unwrap();
    let import = ["enmasse", "import", &*path, "--label", "team"];
    assert_eq!(on(&server, &import).await.code, 0);
    std::fs::write(&file, "security: [{name: a, type: apikey}, {name: c, type: apikey}]\n")
        .unwrap();
    let prune = [&import[..], &["--prune"]].concat();
    let question = "import, and delete 1 object? [y/N] ";
    let seen = on_terminal(&server, &prune, &[(question, "n\n")]).await;
    assert_eq!(seen.code, 2, "{seen:?}");
    for text in ["security 'b' would be deleted", "security 'c' would be created"] {
        assert!(seen.screen.contains(text), "{text} is not in {seen:?}");
    }
    show(&server, "security", "b").await;
    let seen = on_terminal(&server, &prune, &[(question, "y\n")]).await;
    assert_eq!(seen.code, 0, "{seen:?}");
    let list = parse(&on(&server, &["security", "list", "--output", "json"]).await);
    let names: Vec<&Value> = list.as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["a", "app1", "c", "demo"]);
}

#[tokio::test]
async fn a_password_is_asked_twice_without_echo() {
    let server = Server::setup().objects(OBJECTS).start();
    let change = ["security", "change-password", "app1"];
    let asked = |first: &'static str, second: &'static str| {
        [("New password: ", first), ("Again: ", second)]
    };
    let differ = on_terminal(&server, &change, &asked("MARKED-one\n", "MARKED-two\n")).await;
    assert_eq!(differ.code, 2, "{differ:?}");
    assert!(differ.screen.contains("differ"), "{differ:?}");
    let empty = on_terminal(&server, &change, &asked("\n", "\n")).await;
    assert!(empty.code == 2 && empty.screen.contains("empty"), "{empty:?}");
    let interrupted = on_terminal(&server, &change, &[("New password: ", "MARKED-one\u{3}")]).await;
    assert_eq!(interrupted.code, 2, "{interrupted:?}");
    Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;

    let done = on_terminal(&server, &change, &asked("MARKED-three\n", "MARKED-three\n")).await;
    assert_eq!(done.code, 0, "{done:?}");
    for seen in [&differ, &empty, &interrupted, &done] {
        assert!(seen.echo.iter().all(|echo| !echo), "{seen:?}");
        assert!(!seen.screen.contains("MARKED"), "{seen:?}");
    }
    Client::log_in(&server.ws("/ws/crm"), "app1", "MARKED-three").await;

    let create = ["security", "create", "new", "--type", "basic_auth", "--username", "new"];
    let create = [&create[..], &["--prompt-password"]].concat();
    let done = on_terminal(&server, &create, &asked("MARKED-four\n", "MARKED-four\n")).await;
    assert_eq!((done.code, &*done.echo), (0, &[false, false][..]), "{done:?}");
    assert!(!done.screen.contains("MARKED"), "{done:?}");
    let edit = ["channel", "edit", "wsx", "crm", "--sec-def", "new"];
    assert_eq!(on(&server, &edit).await.code, 0);
    Client::log_in(&server.ws("/ws/crm"), "new", "MARKED-four").await;
}

#[tokio::test]
async fn a_watch_on_a_terminal_is_a_table_that_ctrl_c_ends() {
    let server = Server::setup().objects(OBJECTS).start();
    let _client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    let id = connections(&server).await[0]["pub_client_id"].as_str().unwrap().to_owned();
    let steps = [("1 connection, newest first", ""), (&*id, "\u{3}")];
    let seen = on_terminal(&server, &["connection", "watch"], &steps).await;
    assert_eq!(seen.code, 0, "{seen:?}");
    assert!(seen.screen.contains("PUB_CLIENT_ID"), "{seen:?}");
}

#[tokio::test]
async fn an_export_on_a_terminal_holds_no_control_characters() {
    let server = Server::setup().objects(OBJECTS).start();
    let odd = "a\u{1b}[31mred\u{9b}b";
    create(&server, "security", json!({"name": "odd", "type": "apikey", "realm": odd})).await;
    for arguments in [
        &["enmasse", "export"][..],
        &["enmasse", "export", "--format", "json"],
        &["security", "show", "odd"],
        &["security", "show", "odd", "--output", "json"],
        &["security", "show", odd],
    ] {
        let seen = on_terminal(&server, arguments, &[]).await;
        assert!(!seen.screen.contains(['\u{1b}', '\u{9b}']), "{arguments:?}: {seen:?}");
    }
}
