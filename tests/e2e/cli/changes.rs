//! `spanwire history`, `config`, `secret-key`, `server`; and everything by URL and token.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use spanwire_protocol::admin::{KeyRotated, Reloaded, Revision, ServerInfo, SettingInfo};
use spanwire_tests::http::admin;
use spanwire_tests::server::{binary, command};
use spanwire_tests::{Client, Server};

use super::{OBJECTS, on, parse, refused};
use crate::live::{assert_consistent, ok, show};
use crate::process::finish;

async fn json_of(server: &Server, arguments: &[&str]) -> Value {
    parse(&on(server, &[arguments, &["--output", "json"]].concat()).await)
}

async fn did(server: &Server, arguments: &[&str]) -> String {
    let ended = on(server, arguments).await;
    assert_eq!((ended.code, &*ended.err), (0, ""), "{arguments:?}: {ended:?}");
    ended.out
}

async fn edited() -> Server {
    let server = Server::setup().objects(OBJECTS).start();
    for (ttl, reason) in [("10m", "shorter sessions"), ("20m", "too short")] {
        did(&server, &["channel", "edit", "wsx", "crm", "--token-ttl", ttl, "--reason", reason])
            .await;
    }
    did(&server, &["topic", "create", "/new"]).await;
    server
}

#[tokio::test]
async fn the_history_tells_who_changed_what_when_and_why() {
    let server = edited().await;
    let list = json_of(&server, &["history", "list"]).await;
    assert_eq!(list, ok(admin(&server, "GET", "/api/v1/history", "").await));
    let list: Vec<Revision> = serde_json::from_value(list).unwrap();
    let numbers: Vec<u64> = list.iter().map(|it| it.revision).collect();
    let newest = numbers[0];
    assert!(numbers.iter().copied().eq((1..=newest).rev()), "{numbers:?}");
    assert!(list[0].from.contains("127.0.0.1") && list[0].from.contains("spanwire-cli"));
    let table = did(&server, &["history", "list"]).await;
    assert_eq!(table.lines().count(), list.len() + 1, "{table}");
    for text in ["REVISION", "WHO", "web_socket 'crm' updated", "too short"] {
        assert!(table.contains(text), "{text} is not in {table}");
    }
    let filters: &[(&[&str], &[u64])] = &[
        (&["--limit", "2"], &numbers[..2]),
        (&["--limit", "0"], &[]),
        (&["--kind", "pubsub_topic"], &numbers[..1]),
        (&["--kind", "pubsub_topic", "--name", "crm"], &[]),
        (&["--name", "/new"], &numbers[..1]),
        (&["--who", "nobody"], &[]),
    ];
    for (filter, expected) in filters {
        let some = json_of(&server, &[&["history", "list"], *filter].concat()).await;
        let some: Vec<Revision> = serde_json::from_value(some).unwrap();
        let some: Vec<u64> = some.iter().map(|it| it.revision).collect();
        assert_eq!(some, *expected, "{filter:?}");
    }
    let number = (newest - 1).to_string();
    let shown = did(&server, &["history", "show", &number]).await;
    for text in
        ["reason: too short", "web_socket 'crm' updated (version 3)", "  token_ttl: 600 -> 1200"]
    {
        assert!(shown.lines().any(|line| line == text), "{text} is not in {shown}");
    }
    let shown = json_of(&server, &["history", "show", &number]).await;
    assert_eq!(shown, ok(admin(&server, "GET", &format!("/api/v1/history/{number}"), "").await));
}

#[tokio::test]
async fn a_revision_is_undone_and_that_can_be_undone() {
    let server = edited().await;
    let newest = json_of(&server, &["history", "list", "--limit", "1"]).await;
    let newest = newest[0]["revision"].as_u64().unwrap();
    let (topic, ttl) = (newest.to_string(), (newest - 1).to_string());
    let preview = did(&server, &["history", "revert", &ttl, "--dry-run"]).await;
    assert!(preview.contains("token_ttl: 1200 -> 600"), "{preview}");
    assert_eq!(show(&server, "web_socket", "crm").await["token_ttl"], 1200);
    let done = did(&server, &["history", "revert", &ttl, "--reason", "mistake"]).await;
    assert_eq!(done, "web_socket 'crm' updated (version 4)\n");
    assert_eq!(show(&server, "web_socket", "crm").await["token_ttl"], 600);
    assert_eq!(did(&server, &["history", "revert", &ttl]).await, "nothing changed\n");
    let undone = json_of(&server, &["history", "list", "--limit", "1"]).await[0].clone();
    assert_eq!((&undone["reason"], &undone["revision"]), (&json!("mistake"), &json!(newest + 1)));
    let again = undone["revision"].to_string();
    did(&server, &["history", "revert", &again]).await;
    assert_eq!(show(&server, "web_socket", "crm").await["token_ttl"], 1200);

    // What it made would be deleted, which is asked about, or said.
    let unasked = on(&server, &["history", "revert", &topic]).await;
    assert!(unasked.code == 2 && unasked.err.contains("--yes"), "{unasked:?}");
    show(&server, "pubsub_topic", "/new").await;
    let deleted = did(&server, &["history", "revert", &topic, "--yes"]).await;
    assert!(deleted.contains("'/new' deleted"), "{deleted}");
    // What was changed since is not undone with it; once it is as it was, all of it goes together.
    let since = on(&server, &["history", "revert", "1"]).await;
    assert_eq!(since.code, 1, "{since:?}");
    assert!(since.err.contains("web_socket 'crm' was changed after revision 1"), "{since:?}");
    for edit in [&ttl, &(newest - 2).to_string()] {
        did(&server, &["history", "revert", edit]).await;
    }
    let first = on(&server, &["history", "revert", "1", "--yes"]).await;
    let list = json_of(&server, &["history", "show", "1"]).await;
    assert!(list["changes"].as_array().unwrap().iter().any(|it| it["name"] == "app1"), "{list}");
    assert_eq!(first.code, 0, "all of it goes together: {first:?}");
    assert_eq!(json_of(&server, &["channel", "list", "--name", "crm"]).await, json!([]));
    assert_consistent(&server).await;
}

#[tokio::test]
async fn settings_are_listed_explained_and_read_again() {
    let server = Server::setup().settings("name = \"node-7\"\n\n[limits]\nheaders = 50\n").start();
    let list = json_of(&server, &["config", "list"]).await;
    assert_eq!(list, ok(admin(&server, "GET", "/api/v1/settings", "").await));
    let list: Vec<SettingInfo> = serde_json::from_value(list).unwrap();
    let table = did(&server, &["config", "list"]).await;
    assert_eq!(table.lines().count(), list.len() + 1, "{table}");
    for setting in &list {
        let shown = did(&server, &["config", "explain", &setting.key]).await;
        for text in [&setting.key, &setting.meaning] {
            assert!(shown.contains(text.as_str()), "{text} is not in {shown}");
        }
        let explained = json_of(&server, &["config", "explain", &setting.key]).await;
        assert_eq!(explained["key"], *setting.key);
    }
    let headers = did(&server, &["config", "explain", "limits.headers"]).await;
    let line = |key: &str| headers.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    assert!(line("value").ends_with(" 50") && line("default").ends_with(" 100"), "{headers}");
    assert!(line("origin").ends_with(" file") && line("place").ends_with("spanwire.toml:4"));

    let file = server.data().join("spanwire.toml");
    assert_eq!(did(&server, &["config", "reload"]).await, "nothing changed\n");
    std::fs::write(&file, "name = \"node-8\"\n[limits]\nheaders = 60\n").unwrap();
    let reloaded: Reloaded =
        serde_json::from_value(json_of(&server, &["config", "reload"]).await).unwrap();
    assert_eq!(
        (&*reloaded.changed, &*reloaded.needs_restart),
        (&["limits.headers".to_owned()][..], &["name".to_owned()][..])
    );
    std::fs::write(&file, "name = \"node-8\"\n[limits]\nheaders = 70\n").unwrap();
    let said = did(&server, &["config", "reload"]).await;
    assert!(said.contains("limits.headers has a new value\n"), "{said}");
    for (mistake, word) in
        [("[limits]\nheader = 1\n", "`limits.headers`"), ("name = [\n", "spanwire.toml")]
    {
        std::fs::write(&file, mistake).unwrap();
        refused(&on(&server, &["config", "reload"]).await, 1, &[word, "422"]);
        assert_eq!(json_of(&server, &["config", "explain", "limits.headers"]).await["value"], 70);
    }
}

#[tokio::test]
async fn a_rotated_key_opens_every_secret_after_a_restart() {
    let mut server = Server::setup().objects(OBJECTS).start();
    let change = ["security", "edit", "app1", "--realm", "other"];
    did(&server, &change).await;
    did(&server, &["security", "revert", "app1", "1"]).await;
    let export = ["enmasse", "export", "--reveal-secrets"];
    let before = did(&server, &export).await;
    assert!(before.contains("secret1"), "{before}");
    let ring = server.data().join("secret.key");
    let old = std::fs::read_to_string(&ring).unwrap();
    let rotated: KeyRotated =
        serde_json::from_value(json_of(&server, &["secret-key", "rotate"]).await).unwrap();
    assert_eq!(rotated.keys, 2);
    assert!(rotated.encrypted_again >= 3, "the history has secrets, too: {rotated:?}");
    let new = std::fs::read_to_string(&ring).unwrap();
    assert_eq!(new.lines().count(), old.lines().count() + 1);
    assert!(old.lines().all(|line| new.lines().any(|other| other == line)), "a key is lost");
    assert_eq!(std::fs::metadata(&ring).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(did(&server, &export).await, before);
    Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    let said = did(&server, &["secret-key", "rotate"]).await;
    assert!(said.contains("the ring has 3 keys"), "{said}");

    assert!(server.stop().success());
    server.start_again();
    assert_eq!(did(&server, &export).await, before);
    Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    // Every version can be read, and gone back to.
    did(&server, &["security", "revert", "app1", "2"]).await;
    Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    assert_consistent(&server).await;
}

#[tokio::test]
async fn server_info_has_the_fields_of_the_api() {
    let server = Server::setup().objects(OBJECTS).start();
    let _client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    let info: ServerInfo =
        serde_json::from_value(json_of(&server, &["server", "info"]).await).unwrap();
    assert_eq!((info.pid, info.connections, info.failed_objects), (server.pid(), 1, 0));
    assert_eq!(
        (&*info.listen, &info.state_hash),
        (&*server.address().to_string(), &info.running_hash)
    );
    let api = ok(admin(&server, "GET", "/api/v1/server", "").await);
    let shown = did(&server, &["server", "info"]).await;
    for key in api.as_object().unwrap().keys() {
        assert!(shown.lines().any(|line| line.starts_with(key.as_str())), "{key}: {shown}");
    }
}

#[tokio::test]
async fn everything_goes_by_url_and_token() {
    let server = edited().await;
    let (url, token) = (format!("http://{}", server.admin_address()), server.admin_token());
    let elsewhere = tempfile::tempdir().unwrap();
    let by_url = |arguments: &[&str]| {
        let mut program = command(binary("spanwire"));
        program.args(["--url", &url]).args(arguments).env("SPANWIRE_TOKEN", &token);
        program.current_dir(elsewhere.path());
        finish(program)
    };
    std::fs::write(elsewhere.path().join("o.yaml"), "pubsub_topic: [{name: /by.file}]\n").unwrap();
    let reads: &[&[&str]] = &[
        &["channel", "list"],
        &["channel", "show", "crm", "--output", "json"],
        &["channel", "history", "crm"],
        &["security", "list", "--output", "json"],
        &["service", "list"],
        &["connection", "list"],
        &["connection", "history"],
        &["history", "list"],
        &["history", "show", "1"],
        &["config", "list"],
        &["config", "explain", "listen"],
        &["enmasse", "export"],
        &["service", "invoke", "zato.ping"],
        &["channel", "delete", "crm", "--dry-run"],
    ];
    for arguments in reads {
        let (far, near) = (by_url(arguments).await, on(&server, arguments).await);
        assert_eq!((far.code, &far.out, &far.err), (0, &near.out, &near.err), "{arguments:?}");
    }
    let writes: &[&[&str]] = &[
        &["security", "create", "far", "--type", "apikey"],
        &["service", "create", "far", "--url", "http://127.0.0.1:9/x"],
        &["service", "edit", "far", "--method", "GET"],
        &["security", "rename", "far", "farther"],
        &["security", "delete", "farther", "--yes"],
        &["enmasse", "diff", "o.yaml"],
        &["enmasse", "import", "o.yaml"],
        &["enmasse", "export", "--file", "out.yaml"],
        &["config", "reload"],
        &["secret-key", "rotate"],
        &["connection", "disconnect", "--all", "--yes"],
        &["history", "revert", "3"],
    ];
    for arguments in writes {
        let ended = by_url(arguments).await;
        assert_eq!((ended.code, &*ended.err), (0, ""), "{arguments:?}: {ended:?}");
    }
    assert_eq!(show(&server, "service", "far").await["method"], "GET");
    assert!(elsewhere.path().join("out.yaml").exists());
    assert_consistent(&server).await;
}
