//! The `spanwire` command line against a running server.

mod changes;
mod connections;
mod objects;
pub(crate) mod passwords;
mod pubsub;
mod refusals;
mod terminal;
mod watch;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use spanwire_protocol::admin::{ConnectionInfo, ServiceInfo};
use spanwire_tests::server::{binary, command};
use spanwire_tests::{Client, Server};
use tokio::net::TcpListener;

use crate::process::{Finished, finish, spanwire};

pub(crate) const OBJECTS: &str = "\
    security: [{name: app1, type: basic_auth, username: app1, password: secret1}]\n\
    web_socket: [{name: crm, address: /ws/crm, service: helpers.web-sockets-gateway, sec_def: app1}]\n";

/// Runs the command line on the folder of a server.
pub(crate) async fn on(server: &Server, arguments: &[&str]) -> Finished {
    finish(program(&server.data(), arguments)).await
}

fn program(data: &Path, arguments: &[&str]) -> Command {
    let mut program = command(binary("spanwire"));
    program.arg("--data").arg(data).args(arguments);
    program
}

pub(crate) fn parse(ended: &Finished) -> Value {
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.is_empty(), "{ended:?}");
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// Checks that a command did nothing, and that it says why.
pub(crate) fn refused(ended: &Finished, code: i32, words: &[&str]) {
    assert_eq!((ended.code, &*ended.out), (code, ""), "{ended:?}");
    for word in words {
        assert!(ended.err.contains(word), "{word} is not in {ended:?}");
    }
}

#[tokio::test]
async fn ping_tells_who_is_there() {
    let server = Server::setup().settings("name = \"node-7\"\n").start();
    let table = on(&server, &["ping"]).await;
    assert_eq!(table.code, 0, "{table:?}");
    assert!(table.out.contains("node-7") && table.out.contains("dev"), "{table:?}");
    let object = parse(&on(&server, &["ping", "--output", "json"]).await);
    assert_eq!(object["pid"], server.pid());
    assert_eq!((&object["name"], &object["profile"]), (&json!("node-7"), &json!("dev")));
}

#[tokio::test]
async fn by_url_and_token() {
    let server = Server::setup().start();
    let (url, token) = (format!("http://{}", server.admin_address()), server.admin_token());
    let by_argument = spanwire(&["--url", &url, "--token", &token, "ping"]).await;
    assert_eq!(by_argument.code, 0, "{by_argument:?}");
    let mut by_variable = command(binary("spanwire"));
    by_variable.args(["ping", "--url", &format!("{url}/")]).env("SPANWIRE_TOKEN", &token);
    let by_variable = finish(by_variable).await;
    assert_eq!(by_variable.code, 0, "{by_variable:?}");
    let wrong = spanwire(&["--url", &url, "--token", "wrong", "ping"]).await;
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(wrong.err.contains("401") && wrong.out.is_empty(), "{wrong:?}");
    let help = spanwire(&["--help"]).await;
    assert_eq!(help.code, 0);
    assert!(!help.out.contains(&token), "{help:?}");
}

#[tokio::test]
async fn services_are_listed_and_called() {
    let server = Server::setup().start();
    let list = parse(&on(&server, &["service", "list", "--output", "json"]).await);
    let services: Vec<ServiceInfo> = serde_json::from_value(list).unwrap();
    assert!(services.iter().any(|service| service.name == "zato.ping"), "{services:?}");
    assert!(services.is_sorted_by_key(|service| service.name.clone()), "{services:?}");
    let table = on(&server, &["service", "list"]).await;
    assert!(table.out.lines().next().unwrap().contains("NAME"), "{table:?}");
    assert_eq!(table.out.lines().count(), services.len() + 1, "{table:?}");

    for output in ["table", "json"] {
        let invoke = ["service", "invoke", "zato.ping", "--output", output];
        assert_eq!(parse(&on(&server, &invoke).await), json!({"pong": "zato"}));
    }
    let input = r#"{"a": [1, 2.5, null, "ż\u0000"], "big": 123456789012345678901234567890}"#;
    let echo = ["service", "invoke", "zato.helpers.echo", "--payload"];
    let ended = on(&server, &[&echo[..], &[input]].concat()).await;
    let echoed = parse(&ended);
    assert_eq!(echoed["a"], json!([1, 2.5, null, "ż\u{0}"]));
    // By stdin, too.
    let mut piped = program(&server.data(), &[&echo[..], &["-"]].concat());
    piped.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b" [true] ").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), json!([true]));
}

#[tokio::test]
async fn refusals_exit_1() {
    let server = Server::setup().objects(OBJECTS).start();
    let table: [(&[&str], &[&str]); 6] = [
        (&["service", "invoke", "no.such"], &["no.such", "404"]),
        (&["service", "invoke", "helpers.web-sockets-gateway"], &["400", "correlation id"]),
        (&["service", "invoke", "zato.ping/../x"], &["404"]),
        (&["connection", "show", "ws.000000000000000000000000"], &["404"]),
        (&["connection", "disconnect", "ws.nobody"], &["ws.nobody", "404"]),
        (&["connection", "invoke", "ws.nobody", "--request", "1"], &["ws.nobody", "404"]),
    ];
    for (arguments, expected) in table {
        let ended = on(&server, arguments).await;
        assert_eq!(ended.code, 1, "{arguments:?}: {ended:?}");
        assert!(ended.out.is_empty(), "{ended:?}");
        for word in expected {
            assert!(ended.err.contains(word), "{word} is not in {ended:?}");
        }
    }
}

#[tokio::test]
async fn wrong_usage_exits_2() {
    let server = Server::setup().start();
    let table: [&[&str]; 14] = [
        &[],
        &["pong"],
        &["service"],
        &["service", "list", "--output", "yaml"],
        &["service", "invoke"],
        &["service", "invoke", "zato.ping", "--payload", "{not json"],
        &["service", "invoke", "zato.ping", "--payload", ""],
        &["service", "invoke", "zato.ping", "--timeout", "0"],
        &["service", "invoke", "zato.ping", "--timeout", "NaN"],
        &["service", "invoke", "zato.ping", "--timeout", "-1"],
        &["connection", "invoke", "ws.x", "--request", "text"],
        &["connection", "disconnect", "ws.x", "--code", "70000"],
        &["connection", "list", "--colour", "red"],
        &["completions", "cobol"],
    ];
    for arguments in table {
        let ended = on(&server, arguments).await;
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
        assert!(!ended.err.is_empty() && ended.out.is_empty(), "{arguments:?}: {ended:?}");
    }
    // No folder of a server, both ways to name one, half of one.
    let dir = tempfile::tempdir().unwrap();
    let empty = finish(program(dir.path(), &["ping"])).await;
    assert_eq!(empty.code, 2, "{empty:?}");
    assert!(empty.err.contains("--data"), "{empty:?}");
    let both = on(&server, &["--url", "http://127.0.0.1:1", "--token", "x", "ping"]).await;
    assert_eq!(both.code, 2, "{both:?}");
    let half = spanwire(&["--url", "http://127.0.0.1:1", "ping"]).await;
    assert_eq!(half.code, 2, "{half:?}");
    let odd = spanwire(&["--url", "no url", "--token", "x", "ping"]).await;
    assert_eq!(odd.code, 2, "{odd:?}");
}

#[tokio::test]
async fn nobody_there_exits_3() {
    let mut server = Server::setup().start();
    assert!(server.stop().success());
    let stopped = on(&server, &["ping"]).await;
    assert_eq!(stopped.code, 3, "{stopped:?}");
    assert!(stopped.err.contains("no server runs"), "{stopped:?}");
    server.start_again();
    server.kill();
    let killed = on(&server, &["ping"]).await;
    assert_eq!(killed.code, 3, "{killed:?}");
    // Something that listens there and is not a server of ours.
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", other.local_addr().unwrap());
    let talk = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = other.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let odd = spanwire(&["--url", &url, "--token", "x", "ping"]).await;
    assert_eq!(odd.code, 3, "{odd:?}");
    talk.await.unwrap();
}

/// Runs a command whose output nobody reads.
async fn assert_leaving_is_no_error(server: &Server, arguments: &[&str]) {
    let mut program = program(&server.data(), arguments);
    program.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    drop(child.stdout.take());
    let ended = tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
    let err = String::from_utf8_lossy(&ended.stderr);
    assert_eq!((ended.status.code(), &*err), (Some(0), ""), "{arguments:?}");
}

#[tokio::test]
async fn a_reader_that_leaves_is_no_error() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await);
    }
    for arguments in [&["connection", "list", "--output", "json"][..], &["completions", "bash"]] {
        assert_leaving_is_no_error(&server, arguments).await;
    }
    let list = parse(&on(&server, &["connection", "list", "--output", "json"]).await);
    let list: Vec<ConnectionInfo> = serde_json::from_value(list).unwrap();
    assert_eq!(list.len(), 200);
}

#[tokio::test]
async fn completions_are_a_script() {
    for (shell, word) in [("bash", "complete -F"), ("zsh", "#compdef"), ("fish", "complete -c")] {
        let ended = spanwire(&["completions", shell]).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        for expected in [word, "disconnect", "invoke"] {
            assert!(ended.out.contains(expected), "{shell}: {expected} is missing");
        }
    }
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), spanwire(&["completions", "bash"]).await.out).unwrap();
    let mut bash = command("bash");
    bash.arg("-n").arg(script.path());
    assert_eq!(finish(bash).await.code, 0);
}
