//! Passwords that come by stdin: they get where they belong, and nowhere else.

use std::io::Write;
use std::process::Stdio;

use serde_json::json;
use spanwire_tests::http::{admin, basic, request};
use spanwire_tests::secrecy::{contains, files};
use spanwire_tests::{Client, Server};

use super::{OBJECTS, on, program};
use crate::process::Finished;

const REST: &str = "channel_rest: [{name: ping, url_path: /ping, service: zato.ping, \
                    security_name: app1, data_format: json}]\n";

/// Runs a command with this on stdin, and looks at what other processes see of it meanwhile.
pub(crate) async fn with_stdin(server: &Server, arguments: &[&str], input: &str) -> Finished {
    let mut program = program(&server.data(), arguments);
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (most, last) = input.split_at(input.len() - 1);
    stdin.write_all(most.as_bytes()).unwrap();
    for file in ["cmdline", "environ"] {
        let shown = std::fs::read(format!("/proc/{}/{file}", child.id())).unwrap();
        let line = input.lines().next().unwrap();
        assert!(line.is_empty() || !contains(&shown, line), "{file} has the password");
    }
    // Nobody reads any more where the input is refused early.
    let _ = stdin.write_all(last.as_bytes());
    drop(stdin);
    let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
    Finished {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

async fn rest_status(server: &Server, password: &str) -> u16 {
    let authorization = basic("app1", password);
    let headers = [("Authorization", &*authorization)];
    request(server.address(), "POST", "/ping", &headers, "{}").await.status
}

#[tokio::test]
async fn a_changed_password_holds_at_once_and_after_a_restart() {
    let mut server = Server::setup().objects(OBJECTS).objects(REST).start();
    let mut open = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    let change = ["security", "change-password", "app1", "--password-stdin", "--reason", "weekly"];
    let done = with_stdin(&server, &change, "MARKED new\n").await;
    let said = "1 connection closed: not let in any more\n";
    assert_eq!((done.code, &*done.err), (0, said), "{done:?}");
    assert_eq!(open.receive_close().await.1.map(|frame| u16::from(frame.code)), Some(1008));
    drop(open);
    assert_eq!(rest_status(&server, "secret1").await, 401);
    assert_eq!(rest_status(&server, "MARKED new").await, 200);
    Client::log_in(&server.ws("/ws/crm"), "app1", "MARKED new").await;
    let history = on(&server, &["security", "history", "app1"]).await;
    assert!(history.out.contains("weekly") && history.out.contains("password"), "{history:?}");
    // The file that the server starts with would set it back: it starts without.
    assert!(server.stop().success());
    assert!(is_let_in_again(&server).await, "the new password is lost");
}

/// Starts a server on the same folder without files, and logs in with the new password.
async fn is_let_in_again(stopped: &Server) -> bool {
    let _running = crate::process::start_server(&stopped.data(), &[]);
    let listening = stopped.data().join("listen.json");
    spanwire_tests::eventually("it is ready", || async { listening.exists() }).await;
    let listening: serde_json::Value =
        serde_json::from_slice(&std::fs::read(listening).unwrap()).unwrap();
    let url = format!("ws://{}/ws/crm", listening["listen"].as_str().unwrap());
    let mut client = Client::log_in(&url, "app1", "MARKED new").await;
    client.invoke("zato.ping", &json!({})).await["meta"]["status"] == 200
}

#[tokio::test]
async fn what_is_read_is_the_first_line_only() {
    let server = Server::setup().objects(OBJECTS).objects(REST).start();
    let change = ["security", "change-password", "app1", "--password-stdin"];
    for (input, password) in [
        ("MARKED 1\nMARKED 2\n", "MARKED 1"),
        ("MARKED crlf\r\n", "MARKED crlf"),
        ("MARKED no end", "MARKED no end"),
        (" MARKED spaces \n", " MARKED spaces "),
        ("MARKED zażółć\n", "MARKED zażółć"),
    ] {
        let done = with_stdin(&server, &change, input).await;
        assert_eq!(done.code, 0, "{input:?}: {done:?}");
        assert_eq!(rest_status(&server, password).await, 200, "{input:?}");
    }
    let empty = with_stdin(&server, &change, "\n").await;
    assert!(empty.code == 2 && empty.err.contains("empty"), "{empty:?}");
    assert_eq!(rest_status(&server, "MARKED zażółć").await, 200);
    let nobody = ["security", "change-password", "nobody", "--password-stdin"];
    let refused = with_stdin(&server, &nobody, "MARKED\n").await;
    assert!(refused.code == 1 && refused.err.contains("nobody"), "{refused:?}");
    assert!(!refused.err.contains("MARKED"), "{refused:?}");
}

#[tokio::test]
async fn a_password_is_in_no_output_no_log_and_no_file() {
    let mut server =
        Server::setup().objects(OBJECTS).objects(REST).variable("RUST_LOG", "debug").start();
    let create = ["security", "create", "new", "--type", "basic_auth", "--username", "new"];
    let create = [&create[..], &["--password-stdin"]].concat();
    let change = ["security", "change-password", "new", "--password-stdin"];
    let mut printed = Vec::new();
    for (arguments, password) in [
        ([&create[..], &["--dry-run"]].concat(), "MARKED-0\n"),
        (create.clone(), "MARKED-1\n"),
        // Equal, and different from what there is.
        (create.clone(), "MARKED-1\n"),
        (create, "MARKED-2\n"),
        (change.to_vec(), "MARKED-3\n"),
        ([&change[..], &["--output", "json"]].concat(), "MARKED-4\n"),
    ] {
        printed.push(with_stdin(&server, &arguments, password).await);
    }
    let codes: Vec<i32> = printed.iter().map(|it| it.code).collect();
    assert_eq!(codes, [0, 0, 0, 1, 0, 0], "{printed:?}");
    let commands: [&[&str]; 10] = [
        &["security", "show", "new"],
        &["security", "show", "new", "--output", "json"],
        &["security", "list", "--output", "json"],
        &["security", "history", "new"],
        &["security", "history", "new", "--output", "json"],
        &["security", "revert", "new", "1", "--dry-run"],
        &["history", "list", "--output", "json"],
        &["history", "show", "4"],
        &["enmasse", "export"],
        &["enmasse", "export", "--format", "json"],
    ];
    for arguments in commands {
        let ended = on(&server, arguments).await;
        assert_eq!(ended.code, 0, "{arguments:?}: {ended:?}");
        printed.push(ended);
    }
    for ended in &printed {
        assert!(!ended.out.contains("MARKED") && !ended.err.contains("MARKED"), "{ended:?}");
    }
    let revealed = on(&server, &["enmasse", "export", "--reveal-secrets"]).await;
    assert!(revealed.out.contains("MARKED-4"), "{revealed:?}");
    let metrics = request(server.admin_address(), "GET", "/metrics", &[], "").await.body;
    assert!(!metrics.contains("MARKED"));
    let api = admin(&server, "GET", "/api/v1/objects/security", "").await.body;
    assert!(!api.contains("MARKED"), "{api}");
    assert!(server.stop().success());
    assert!(!server.log().contains("MARKED"), "{}", server.log());
    for file in files(&server.data()) {
        assert!(!contains(&std::fs::read(&file).unwrap(), "MARKED"), "{}", file.display());
    }
}
