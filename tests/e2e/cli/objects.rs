//! The life of an object of every kind: `create`, `list`, `show`, `edit`, `rename`, `history`, `revert`, `delete`.

mod cases;

use serde_json::{Value, json};
use spanwire_tests::Server;

use self::cases::{BASE, CASES, Case};
use super::{on, parse, refused};
use crate::live::{assert_consistent, show};

async fn run(server: &Server, arguments: &[&str]) -> Value {
    parse(&on(server, &[arguments, &["--output", "json"]].concat()).await)
}

/// Runs a command that says what it did.
async fn said(server: &Server, arguments: &[&str]) -> String {
    let ended = on(server, arguments).await;
    assert_eq!((ended.code, &*ended.err), (0, ""), "{arguments:?}: {ended:?}");
    ended.out
}

async fn versions(server: &Server, case: &Case) -> Vec<u64> {
    let list = run(server, &case.verb("history", &[case.name])).await;
    list.as_array().unwrap().iter().map(|it| it["version"].as_u64().unwrap()).collect()
}

async fn all_created() -> Server {
    let server = Server::setup().objects(BASE).start();
    for case in CASES {
        run(&server, &case.create(&[])).await;
    }
    server
}

#[tokio::test]
async fn what_is_created_is_listed_and_shown_with_the_fields_of_the_api() {
    let server = Server::setup().objects(BASE).start();
    for case in CASES {
        let line = said(&server, &case.create(&[])).await;
        let expected = format!("{} '{}' created (version 1, ", case.kind, case.name);
        assert!(line.starts_with(&expected), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        let api = show(&server, case.kind, case.name).await;

        let again = run(&server, &case.create(&[])).await;
        assert_eq!((&again["meta"]["version"], &again), (&json!(1), &api), "{case:?}");
        assert!(said(&server, &case.create(&[])).await.contains("exists as it is"));
        assert_eq!(run(&server, &case.verb("show", &[case.name])).await, api);
        let shown = said(&server, &case.verb("show", &[case.name])).await;
        for (key, value) in api.as_object().unwrap() {
            let is_there = shown.lines().any(|line| line.split(' ').next() == Some(key));
            assert!(is_there || key == "meta", "{key} is not in {shown}");
            if let Some(text) = value.as_str() {
                assert!(shown.contains(text), "{text} is not in {shown}");
            }
        }
        // All services are listed, those of the server, too.
        if case.kind != "service" {
            let list = run(&server, &[case.noun, "list"]).await;
            assert!(list.as_array().unwrap().contains(&api), "{list}");
            let none = run(&server, &[case.noun, "list", "--name", "no-such-part"]).await;
            assert_eq!(none, json!([]));
            let state = api["meta"]["state"].as_str().unwrap();
            let some = [case.noun, "list", "--state", state, "--name", case.part()];
            assert!(run(&server, &some).await.as_array().unwrap().contains(&api));
            let inactive = run(&server, &[case.noun, "list", "--state", "inactive"]).await;
            assert_eq!(inactive, json!([]));
        }
        let table = said(&server, &[case.noun, "list"]).await;
        let row = table.lines().find(|line| line.contains(case.part()));
        assert!(row.is_some() && table.lines().next().unwrap().contains("NAME"), "{table}");
    }
    assert_consistent(&server).await;
}

#[tokio::test]
async fn a_list_of_both_kinds_is_one_list_and_one_type_is_a_part() {
    let server = all_created().await;
    for (noun, kinds) in [
        ("channel", [("wsx", "web_socket"), ("rest", "channel_rest")]),
        ("outconn", [("wsx", "outgoing_wsx"), ("rest", "outgoing_rest")]),
    ] {
        let all = run(&server, &[noun, "list"]).await;
        let names: Vec<&str> =
            all.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert!(names.is_sorted(), "{names:?}");
        let mut counted = 0;
        for (word, kind) in kinds {
            let some = run(&server, &[noun, "list", "--type", word]).await;
            let some = some.as_array().unwrap();
            assert!(!some.is_empty() && some.iter().all(|it| it["meta"]["kind"] == kind));
            counted += some.len();
        }
        assert_eq!(names.len(), counted);
    }
}

#[tokio::test]
async fn an_edit_changes_what_it_names_and_unset_takes_it_back() {
    let server = all_created().await;
    for case in CASES {
        let before = show(&server, case.kind, case.name).await;
        let line = said(&server, &case.edit(&[])).await;
        assert!(line.contains("updated (version 2, "), "{line}");
        let after = show(&server, case.kind, case.name).await;
        assert_eq!(after[case.key], (case.edited)(), "{case:?}");
        let others = |object: &Value| {
            let mut object = object.as_object().unwrap().clone();
            object.retain(|key, _| key != case.key && key != "meta");
            object
        };
        assert_eq!(others(&after), others(&before), "{case:?}");

        let again = said(&server, &case.edit(&[])).await;
        assert!(again.contains("is as it was (version 2, "), "{again}");
        let option = case.key.replace('_', "-");
        for word in [case.key, &option] {
            let unset = case.typed("edit", &[case.name, "--unset", word]);
            let object = run(&server, &unset).await;
            assert_eq!(object[case.key], (case.unset)(), "{case:?}");
            assert_eq!(object["meta"]["version"], 3, "{case:?}");
        }
    }
    assert_consistent(&server).await;
}

#[tokio::test]
async fn a_rename_keeps_the_history_and_what_refers_follows() {
    let server = all_created().await;
    let renamed = CASES.iter().filter(|case| case.noun != "subscription");
    for (number, case) in (1..).zip(renamed) {
        let new = format!("{}/renamed.{number}", case.name);
        let line = said(&server, &case.verb("rename", &[case.name, &new])).await;
        assert!(line.contains(&format!("'{new}' renamed from '{}'", case.name)), "{line}");
        assert_eq!(show(&server, case.kind, &new).await["meta"]["version"], 2);
        let gone = on(&server, &case.verb("show", &[case.name])).await;
        refused(&gone, 1, &[case.name, "404"]);
        let list = run(&server, &case.verb("history", &[&new])).await;
        assert_eq!((&list[0]["name"], &list[1]["name"]), (&json!(new), &json!(case.name)));
    }
    said(&server, &["endpoint", "rename", "base.endpoint", "other"]).await;
    said(&server, &["topic", "rename", "/base", "/other"]).await;
    let subscription = show(&server, "pubsub_subscription", "other//other").await;
    assert_eq!(subscription["endpoint_name"], "other", "{subscription}");
    refused(&on(&server, &["security", "rename", "base", "app1"]).await, 1, &["app1", "409"]);
    let wrong = on(&server, &["security", "rename", "base", ""]).await;
    refused(&wrong, 1, &["field 'name'", "422"]);
    assert_consistent(&server).await;
}

#[tokio::test]
async fn a_revert_makes_an_object_what_it_was() {
    let server = all_created().await;
    for case in CASES {
        let first = show(&server, case.kind, case.name).await;
        run(&server, &case.edit(&[])).await;
        let revert = case.verb("revert", &[case.name, "1"]);
        let preview = said(&server, &[&revert[..], &["--dry-run"]].concat()).await;
        assert!(preview.contains("would be updated") && preview.contains(case.key), "{preview}");
        assert_eq!(versions(&server, case).await, [2, 1]);
        assert!(said(&server, &revert).await.contains("updated (version 3)"));
        let reverted = show(&server, case.kind, case.name).await;
        assert_eq!(reverted[case.key], first[case.key], "{case:?}");
        assert!(said(&server, &revert).await.contains("nothing changed"));
        let wrong = on(&server, &case.verb("revert", &[case.name, "99"])).await;
        refused(&wrong, 1, &["99"]);

        said(&server, &case.verb("delete", &[case.name, "--yes"])).await;
        let of_it = ["history", "list", "--kind", case.kind, "--name", case.name];
        let list = run(&server, &of_it).await;
        assert_eq!(list.as_array().unwrap().len(), 4, "{list}");
        assert_eq!(list[0]["changes"][0]["action"], "deleted", "{list}");
        let revision = list[0]["revision"].to_string();
        let undo = said(&server, &["history", "revert", &revision]).await;
        assert!(undo.contains("created (version 5)"), "{undo}");
        assert_eq!(versions(&server, case).await, [5, 4, 3, 2, 1], "{case:?}");
        let back = show(&server, case.kind, case.name).await;
        assert_eq!(back["meta"]["id"], first["meta"]["id"], "{case:?}");
    }
    assert_consistent(&server).await;
}

#[tokio::test]
async fn a_delete_needs_yes_where_no_terminal_is() {
    let server = all_created().await;
    // What refers to others is deleted before them.
    for case in CASES.iter().rev() {
        let delete = case.verb("delete", &[case.name]);
        refused(&on(&server, &delete).await, 2, &["--yes", "nothing was done"]);
        let preview = said(&server, &[&delete[..], &["--dry-run"]].concat()).await;
        assert!(preview.contains("would be deleted"), "{preview}");
        show(&server, case.kind, case.name).await;
        let line = said(&server, &[&delete[..], &["--yes"]].concat()).await;
        assert_eq!(line, format!("{} '{}' deleted\n", case.kind, case.name));
        for arguments in [case.verb("show", &[case.name]), [&delete[..], &["--yes"]].concat()] {
            refused(&on(&server, &arguments).await, 1, &[case.name, "404"]);
        }
        refused(&on(&server, &case.edit(&[])).await, 1, &[case.name, "404"]);
    }
    for (noun, name, user) in [
        ("topic", "/base", "base.endpoint//base"),
        ("endpoint", "base.endpoint", "base.endpoint//base"),
        ("security", "base", "base.endpoint"),
    ] {
        let ended = on(&server, &[noun, "delete", name, "--yes"]).await;
        refused(&ended, 1, &["in use", user, "409"]);
    }
    assert_consistent(&server).await;
}

#[tokio::test]
async fn a_dry_run_prints_what_would_change_and_changes_nothing() {
    let server = Server::setup().objects(BASE).start();
    let hash = run(&server, &["server", "info"]).await["state_hash"].clone();
    for case in CASES {
        let preview = said(&server, &case.create(&["--dry-run"])).await;
        let first = format!("{} '{}' would be created", case.kind, case.name);
        assert_eq!(preview.lines().next(), Some(&*first));
        let changed = run(&server, &case.create(&["--dry-run"])).await;
        assert_eq!((&changed["dry_run"], &changed["revision"]), (&json!(true), &Value::Null));
        assert_eq!(changed["changes"][0]["action"], "created");
    }
    assert_eq!(run(&server, &["server", "info"]).await["state_hash"], hash);

    let server = all_created().await;
    let before = run(&server, &["server", "info"]).await;
    for case in CASES {
        let preview = said(&server, &case.edit(&["--dry-run"])).await;
        let diff = format!("  {}: ", case.key);
        assert!(preview.contains("would be updated") && preview.contains(&diff), "{preview}");
        let changed = run(&server, &case.edit(&["--dry-run"])).await;
        let diff = &changed["changes"][0]["diff"];
        assert_eq!(diff.as_array().unwrap().len(), 1, "{changed}");
        assert_eq!((&diff[0]["field"], &diff[0]["to"]), (&json!(case.key), &(case.edited)()));
        if case.noun != "subscription" {
            let rename = case.verb("rename", &[case.name, "/other", "--dry-run"]);
            assert!(said(&server, &rename).await.contains(" -> /other"));
        }
    }
    let after = run(&server, &["server", "info"]).await;
    for key in ["state_hash", "running_hash", "revision"] {
        assert_eq!(after[key], before[key], "{key}");
    }
}

#[tokio::test]
async fn the_reason_of_every_change_is_in_the_history() {
    let server = Server::setup().objects(BASE).start();
    let because = ["--reason", "as agreed; 100 % & more"];
    for case in CASES {
        run(&server, &case.create(&because)).await;
        run(&server, &case.edit(&because)).await;
        run(&server, &[case.verb("revert", &[case.name, "1"]), because.to_vec()].concat()).await;
        let list = run(&server, &case.verb("history", &[case.name])).await;
        let list = list.as_array().unwrap();
        let actions: Vec<&Value> = list.iter().map(|it| &it["action"]).collect();
        assert_eq!(actions, ["updated", "updated", "created"], "{case:?}");
        assert!(list.iter().all(|it| it["reason"] == because[1]), "{list:?}");
        let table = said(&server, &case.verb("history", &[case.name])).await;
        assert_eq!(table.matches(because[1]).count(), 3, "{table}");
        let delete = [case.verb("delete", &[case.name, "--yes"]), because.to_vec()].concat();
        run(&server, &delete).await;
    }
    let all = run(&server, &["history", "list"]).await;
    let with_reason = all.as_array().unwrap().iter().filter(|it| it["reason"] == because[1]);
    assert_eq!(with_reason.count(), 4 * CASES.len());
}
