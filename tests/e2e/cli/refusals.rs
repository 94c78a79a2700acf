//! What is refused, where that is said, and what never reaches a terminal.

use serde_json::json;
use spanwire_tests::Server;
use spanwire_tests::server::{binary, command};

use super::{OBJECTS, assert_leaving_is_no_error, on, parse, refused};
use crate::live::{create, show};
use crate::process::{finish, spanwire};

#[tokio::test]
async fn wrong_usage_of_objects_exits_2_and_does_nothing() {
    let server = Server::setup().objects(OBJECTS).start();
    let info = ["server", "info", "--output", "json"];
    let before = parse(&on(&server, &info).await);
    let table: &[(&[&str], &str)] = &[
        (&["channel"], "Usage"),
        (&["channel", "create"], "Usage"),
        (&["channel", "create", "soap", "x"], "soap"),
        (&["channel", "create", "wsx", "x", "--address", "/x"], "--service <SERVICE>"),
        (
            &["channel", "create", "wsx", "--address", "/x", "--service", "y", "--sec-def", "z"],
            "<NAME>",
        ),
        (&["channel", "edit", "wsx", "crm"], "nothing is to be changed"),
        (&["channel", "edit", "wsx", "crm", "--token-tll", "5"], "--token-ttl"),
        (&["channel", "edit", "wsx", "crm", "--is-active", "perhaps"], "true, false"),
        (&["channel", "edit", "wsx", "crm", "--unset", "address"], "address"),
        (&["channel", "edit", "wsx", "crm", "--unset", "no-such"], "no-such"),
        (
            &["channel", "edit", "wsx", "crm", "--token-ttl", "5", "--unset", "token-ttl"],
            "token-ttl",
        ),
        (&["channel", "delete", "crm", "--type", "soap"], "soap"),
        (&["channel", "revert", "crm", "first"], "first"),
        (&["channel", "list", "--state", "tired"], "running, inactive, failed"),
        (&["outconn", "create", "wsx", "x"], "--address <URL>"),
        (&["security", "create", "x"], "--type <WORD>"),
        (
            &["security", "create", "x", "--type", "basic_auth", "--password", "secret"],
            "--password",
        ),
        (&["security", "change-password", "app1"], "--password-stdin"),
        (&["security", "change-password", "app1", "--password-stdin"], "the password is empty"),
        (&["security", "create", "x", "--type", "apikey", "--prompt-password"], "--password-stdin"),
        (&["service", "create", "x"], "--url <URL>"),
        (&["endpoint", "create", "x", "--endpoint-type", "amqp"], "rest, wsx, srv, internal"),
        (&["subscription", "create", "--topic-name", "/x"], "--endpoint-name"),
        (&["subscription", "rename", "a", "b"], "rename"),
        (&["history", "show", "last"], "last"),
        (&["history", "revert"], "<REVISION>"),
        (&["connection", "disconnect"], "<ID>"),
        (&["connection", "disconnect", "--all"], "--yes"),
        (&["connection", "watch", "--count", "many"], "many"),
        (&["enmasse", "import", "x.yaml", "--prune"], "--label"),
        (&["enmasse", "import", "x.yaml", "--label", "a", "--prune"], "--yes"),
        (&["enmasse", "export", "--include-type", "soap"], "unknown type 'soap'"),
        (&["enmasse", "export", "--include-name", ""], "empty"),
        (&["secret-key"], "Usage"),
        (&["config", "explain"], "<KEY>"),
    ];
    for (arguments, word) in table {
        refused(&on(&server, arguments).await, 2, &[word]);
    }
    let after = parse(&on(&server, &info).await);
    assert_eq!(
        (&after["revision"], &after["state_hash"]),
        (&before["revision"], &before["state_hash"])
    );
}

#[tokio::test]
async fn what_the_server_refuses_is_told_on_stderr_with_its_field() {
    let server = Server::setup().objects(OBJECTS).start();
    let channel = ["channel", "create", "wsx", "new", "--service", "zato.ping"];
    let table: &[(&[&str], &[&str])] = &[
        (
            &["--address", "new", "--sec-def", "app1"],
            &["web_socket 'new'", "field 'address'", "422"],
        ),
        (
            &["--address", "/new", "--sec-def", "nobody"],
            &["field 'sec_def'", "there is no security 'nobody'"],
        ),
        (&["--address", "/ws/crm", "--sec-def", "app1"], &["field 'address'", "web_socket 'crm'"]),
        (
            &[
                "--address",
                "/new",
                "--sec-def",
                "app1",
                "--token-ttl",
                "soon",
                "--max-in-flight",
                "0",
            ],
            &["2 mistakes (422)", "field 'token_ttl'", "'soon'", "field 'max_in_flight'", "'0'"],
        ),
    ];
    for (rest, words) in table {
        let ended = on(&server, &[&channel[..], rest].concat()).await;
        refused(&ended, 1, words);
        // Each mistake has one line, below one that sums up.
        let mut lines: Vec<&str> = ended.err.lines().collect();
        assert!(lines.len() >= 2, "{ended:?}");
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), ended.err.lines().count(), "{ended:?}");
        refused(&on(&server, &["channel", "show", "new"]).await, 1, &["404"]);
    }
    let table: &[(&[&str], &[&str])] = &[
        (&["security", "create", "app1", "--type", "apikey"], &["security 'app1'", "409"]),
        (&["security", "create", "x", "--type", "basic_auth"], &["field 'username'"]),
        (&["security", "edit", "nobody", "--realm", "x"], &["nobody", "404"]),
        (
            &["security", "delete", "app1", "--yes"],
            &["in use", "web_socket 'crm'", "field 'sec_def'"],
        ),
        (&["history", "show", "99"], &["99", "404"]),
        (&["history", "revert", "99"], &["99", "404"]),
        (&["config", "explain", "limits.header"], &["did you mean 'limits.headers'?"]),
    ];
    for (arguments, words) in table {
        refused(&on(&server, arguments).await, 1, words);
    }
}

#[tokio::test]
async fn two_objects_of_one_name_are_told_apart_by_their_type() {
    let server = Server::setup().objects(OBJECTS).start();
    let rest = ["channel", "create", "rest", "crm", "--url-path", "/crm", "--service", "zato.ping"];
    assert_eq!(on(&server, &rest).await.code, 0);
    let verbs: &[&[&str]] = &[
        &["show", "crm"],
        &["rename", "crm", "other"],
        &["delete", "crm", "--yes"],
        &["history", "crm"],
        &["revert", "crm", "1"],
    ];
    for verb in verbs {
        let ended = on(&server, &[&["channel"], *verb].concat()).await;
        refused(&ended, 2, &["several channels are named 'crm'", "--type wsx", "--type rest"]);
    }
    for (word, kind) in [("wsx", "web_socket"), ("rest", "channel_rest")] {
        let show = ["channel", "show", "crm", "--type", word, "--output", "json"];
        assert_eq!(parse(&on(&server, &show).await)["meta"]["kind"], kind);
        let history = on(&server, &["channel", "history", "crm", "--type", word]).await;
        assert_eq!(history.code, 0, "{history:?}");
    }
    let rename = on(&server, &["channel", "rename", "crm", "crm.rest", "--type", "rest"]).await;
    assert_eq!(rename.code, 0, "{rename:?}");
    assert_eq!(on(&server, &["channel", "show", "crm"]).await.code, 0);
    assert_eq!(show(&server, "web_socket", "crm").await["name"], "crm");
}

#[tokio::test]
async fn control_characters_never_reach_the_terminal() {
    const RED: &str = "\u{1b}[31mred\u{9b}\u{7f}";
    let server = Server::setup().objects(OBJECTS).start();
    let odd = json!({"name": "odd", "type": "basic_auth", "username": "odd", "realm": RED});
    let kept = create(&server, "security", odd).await;
    assert_eq!(kept["realm"], RED, "the test needs a text with control characters");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(format!("{RED}.yaml")).display().to_string();
    let table: &[(&[&str], i32)] = &[
        (&["security", "show", "odd"], 0),
        (&["security", "list"], 0),
        (&["security", "history", "odd"], 0),
        (&["security", "edit", "odd", "--realm", "plain", "--dry-run"], 0),
        (&["history", "show", "2"], 0),
        (&["security", "show", "odd", "--output", "json"], 0),
        (&["history", "show", "2", "--output", "json"], 0),
        (&["enmasse", "export"], 0),
        (&["security", "show", RED], 1),
        (&["security", "rename", "odd", RED], 1),
        (&["channel", "show", RED], 1),
        (&["channel", "edit", "wsx", "crm", "--service", RED], 1),
        (&["topic", "create", RED], 1),
        (&["service", "invoke", RED], 1),
        (&["connection", "show", RED], 1),
        (&["connection", "disconnect", "--client-id", RED, "--dry-run"], 0),
        (&["config", "explain", RED], 1),
        (&["enmasse", "import", &file], 2),
        (&[RED], 2),
        (&["channel", RED], 2),
        (&["channel", "list", "--type", RED], 2),
        (&["channel", "revert", "crm", RED], 2),
        (&["channel", "show", "--", RED, RED], 2),
    ];
    for (arguments, code) in table {
        let ended = on(&server, arguments).await;
        assert_eq!(ended.code, *code, "{arguments:?}: {ended:?}");
        let mut printed = ended.out.chars().chain(ended.err.chars());
        assert!(!printed.any(|c| c.is_control() && c != '\n'), "{arguments:?}: {ended:?}");
    }
}

#[tokio::test]
async fn a_reader_of_objects_that_leaves_is_no_error() {
    let services: String =
        (0..400).map(|n| format!("- {{name: s{n}, url: 'http://127.0.0.1:9/{n}'}}\n")).collect();
    let server = Server::setup().objects(&format!("service:\n{services}")).start();
    let table: [&[&str]; 5] = [
        &["service", "list"],
        &["history", "show", "1"],
        &["history", "list", "--output", "json"],
        &["enmasse", "export"],
        &["config", "list"],
    ];
    for arguments in table {
        assert_leaving_is_no_error(&server, arguments).await;
    }
}

#[tokio::test]
async fn completions_of_bash_complete_nouns_verbs_and_keys() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("spanwire.bash");
    std::fs::write(&file, spanwire(&["completions", "bash"]).await.out).unwrap();
    let table: &[(&str, &[&str])] = &[
        (
            "spanwire ",
            &[
                "channel",
                "outconn",
                "security",
                "gateway",
                "topic",
                "endpoint",
                "subscription",
                "history",
                "enmasse",
                "config",
                "secret-key",
                "server",
                "connection",
                "service",
            ],
        ),
        (
            "spanwire channel ",
            &["list", "show", "create", "edit", "rename", "delete", "history", "revert"],
        ),
        ("spanwire channel create ", &["wsx", "rest"]),
        ("spanwire channel create wsx --tok", &["--token-ttl"]),
        ("spanwire channel create wsx x --data-format ", &["json"]),
        ("spanwire outconn edit rest --po", &["--pool-size"]),
        ("spanwire security ", &["change-password"]),
        ("spanwire security create --type ", &["basic_auth", "apikey"]),
        ("spanwire enmasse import --rep", &["--replace"]),
        ("spanwire secret-key ", &["rotate"]),
    ];
    for (line, expected) in table {
        let words: Vec<&str> = line.split(' ').collect();
        let last = words.len() - 1;
        let script = r#"source "$1"; shift; COMP_CWORD=$1; shift; COMP_WORDS=("$@")
            _spanwire spanwire "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            printf '%s\n' "${COMPREPLY[@]}""#;
        let mut bash = command("bash");
        bash.args(["--norc", "-c", script, "bash"]).arg(&file).arg(last.to_string());
        bash.args(&words);
        let ended = finish(bash).await;
        let offered: Vec<&str> = ended.out.split_whitespace().collect();
        for word in *expected {
            assert!(offered.contains(word), "{line}: {word} is not in {offered:?}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn exit_codes_tell_who_refused() {
    let mut server = Server::setup().start();
    let list = ["channel", "list"];
    assert_eq!(on(&server, &list).await.code, 0);
    let url = format!("http://{}", server.admin_address());
    let token_for = |token: &str| {
        let mut program = command(binary("spanwire"));
        program.args(["--url", &url, "channel", "list"]).env("SPANWIRE_TOKEN", token);
        finish(program)
    };
    assert_eq!(token_for(&server.admin_token()).await.code, 0);
    refused(&token_for("wrong").await, 1, &["401"]);
    refused(&spanwire(&["--url", &url, "channel", "list"]).await, 2, &["--token"]);
    assert!(server.stop().success());
    refused(&token_for("any").await, 3, &["cannot be reached"]);
    refused(&on(&server, &list).await, 3, &["no server runs"]);
    let import = ["enmasse", "import", "missing.yaml"];
    refused(&on(&server, &import).await, 3, &["no server runs"]);
}
