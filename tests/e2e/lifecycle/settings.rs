//! `spanwire.toml`, `SPANWIRE_*`, `check`, and how the log looks.

use serde_json::{Value, json};
use spanwire_tests::{Client, Server};

use crate::process::{finish, run_server, server};

#[tokio::test]
async fn mistakes_name_the_nearest_word() {
    let dir = tempfile::tempdir().unwrap();
    let table = [
        ("listn = \"127.0.0.1:0\"\n", "", &["spanwire.toml", "`listn`", "`listen`"][..]),
        ("[limits]\nheader_timout = \"2s\"\n", "", &["header_timout", "limits.header_timeout"]),
        ("[limit]\nheaders = 50\n", "", &["`limit`", "limits"]),
        ("", "SPANWIRE_DRAIN_TIMEOT", &["SPANWIRE_DRAIN_TIMEOT", "`SPANWIRE_DRAIN_TIMEOUT`"]),
        ("", "SPANWIRE_LOG_FROMAT", &["SPANWIRE_LOG_FROMAT", "`SPANWIRE_LOG_FORMAT`"]),
        ("drain_timeout = \"soon\"\n", "", &["drain_timeout", "15s"]),
        ("listen = 5\n", "", &["listen"]),
        ("profile = \"prod\"\n", "", &["profile", "production"]),
        ("not toml\n", "", &["spanwire.toml"]),
    ];
    for (n, (text, variable, expected)) in table.into_iter().enumerate() {
        let data = dir.path().join(n.to_string());
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("spanwire.toml"), text).unwrap();
        for arguments in [&[][..], &["check"]] {
            let mut program = server(&data, arguments);
            if !variable.is_empty() {
                program.env(variable, "value");
            }
            let ended = finish(program).await;
            assert_eq!(ended.code, 2, "{text}{variable}: {ended:?}");
            for word in expected {
                assert!(ended.err.contains(word), "{word} is not in {ended:?}");
            }
            assert!(!data.join("secret.key").exists(), "the folder was made all the same");
        }
    }
}

#[tokio::test]
async fn wrong_arguments_exit_2() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [
        &["--listen", "here"][..],
        &["--profile", "prod"],
        &["--log-format", "xml"],
        &["--imports", "x"],
        &["serve"],
    ] {
        let ended = run_server(&dir.path().join("data"), arguments).await;
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
        assert!(!ended.err.is_empty() && !dir.path().join("data").exists());
    }
}

#[test]
fn variables_are_settings() {
    let server = Server::setup()
        .settings("name = \"from the file\"\nlog_format = \"text\"\n")
        .variable("SPANWIRE_NAME", "from the variable")
        .variable("SPANWIRE_LOG_FORMAT", "json")
        .start();
    let log = server.log();
    assert!(log.contains("from the variable") && !log.contains("from the file"), "{log}");
    assert!(log.contains("\"message\":\"ready\""), "{log}");
}

#[tokio::test]
async fn check_says_ok_and_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let ended = run_server(&data, &["check"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.starts_with("ok") && ended.out.contains("dev"), "{ended:?}");
    assert!(!data.exists(), "check made the folder");
    // A folder that was used, with what is stored in it.
    let mut server = Server::setup().start();
    assert!(server.stop().success());
    let before = std::fs::read(server.data().join("secret.key")).unwrap();
    let ended = run_server(&server.data(), &["check"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains('3'), "three demo objects: {ended:?}");
    assert_eq!(std::fs::read(server.data().join("secret.key")).unwrap(), before);
    server.start_again();
}

#[tokio::test]
async fn unsafe_production_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("objects.yaml");
    std::fs::write(
        &file,
        "web_socket: [{name: open, address: 'ws://0.0.0.0:0/x', service: zato.ping, sec_def: zato-no-security, \
         allowed_origins: ['*']}]\n",
    )
    .unwrap();
    let file = file.display().to_string();
    let table = [
        (&["--listen", "0.0.0.0:0"][..], &["listen is reachable", "tls_certificate"][..]),
        (&["--admin-listen", "0.0.0.0:0"], &["admin_listen", "admin_tls_certificate"]),
        (&["--listen", "0.0.0.0:0", "--profile", "compat"], &["listen is reachable"]),
        (&["--profile", "production", "--import", &file], &["open", "anybody", "every origin"]),
    ];
    for (arguments, expected) in table {
        let mut arguments = arguments.to_vec();
        arguments.push("check");
        let ended = run_server(&dir.path().join("data"), &arguments).await;
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
        for word in expected {
            assert!(ended.err.contains(word), "{word} is not in {ended:?}");
        }
    }
    // Said outright, it may be.
    let arguments = ["--listen", "0.0.0.0:0", "--profile", "dev", "check"];
    let ended = run_server(&dir.path().join("data"), &arguments).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test]
async fn a_json_log_is_one_object_a_line() {
    let mut server = Server::setup().arguments(&["--log-format", "json"]).start();
    let mut client = Client::connect(&server.ws("/ws/demo")).await;
    // Texts from outside must not break a line up.
    client
        .send(
            &json!({"meta": {"action": "create-session", "id": "1", "client_id": "a\nb\u{1b}[31m\"",
                      "client_name": "\u{2028}\r\n{", "username": "demo\n", "secret": "wrong\n"}}),
        )
        .await;
    client.receive_close().await;
    drop(client);
    assert!(server.stop().success());
    let log = std::fs::read_to_string(server.data().with_file_name("stderr.txt")).unwrap();
    let mut messages = Vec::new();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for key in ["timestamp", "level", "message", "target"] {
            assert!(line[key].is_string(), "{key} is missing in {line}");
        }
        messages.push(line["message"].as_str().unwrap().to_owned());
    }
    for expected in ["ready", "new connection", "login refused", "stopping", "stopped"] {
        assert!(messages.iter().any(|message| message == expected), "{expected}: {messages:?}");
    }
}

#[tokio::test]
async fn a_text_log_keeps_texts_from_outside_on_their_line() {
    let mut server = Server::setup()
        .objects("web_socket: [{name: open, address: /ws/open, service: zato.ping, sec_def: zato-no-security}]\n")
        .start();
    let mut client = Client::connect(&server.ws("/ws/open")).await;
    let name = "x\nforged line\r\u{1b}[31mred";
    let meta =
        json!({"action": "create-session", "id": "1", "client_id": name, "client_name": name});
    client.send(&json!({"meta": meta})).await;
    assert_eq!(client.receive().await["meta"]["status"], 200);
    client.close(3000, name).await;
    assert!(server.stop().success());
    let log = server.log();
    assert!(log.contains("client logged in"), "{log}");
    assert!(!log.contains('\u{1b}') && !log.contains('\r'), "{log:?}");
    assert!(!log.lines().any(|line| line.starts_with("forged")), "{log}");
}
