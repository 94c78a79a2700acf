//! `spanwire connection watch`, and `disconnect` of many at once.

use std::process::Stdio;

use serde_json::{Value, json};
use spanwire_protocol::admin::{ConnectionEvent, Disconnected};
use spanwire_tests::http::connections;
use spanwire_tests::{Client, PATIENCE, Server, eventually};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::{OBJECTS, on, parse, program, refused};

async fn log_in(server: &Server, id: &str) -> Client {
    let mut client = Client::connect(&server.ws("/ws/crm")).await;
    let meta = json!({"action": "create-session", "id": "1", "client_id": id, "client_name": id,
                      "username": "app1", "secret": "secret1"});
    client.send(&json!({"meta": meta})).await;
    client.token = client.receive().await["data"]["token"].as_str().unwrap().to_owned();
    client
}

/// A watch that is known to watch.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(server: &Server, arguments: &[&str]) -> Self {
        let mut program = program(&server.data(), &[&["connection", "watch"], arguments].concat());
        program.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tokio::process::Command::from(program).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line; `None` at the end.
    async fn line(&mut self) -> Option<String> {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        line.expect("the watch prints nothing").unwrap()
    }

    /// Connects clients until one of them is seen.
    async fn wait(&mut self, server: &Server) {
        let moment = std::time::Duration::from_millis(100);
        for _ in 0..100 {
            log_in(server, "early").await.close(1000, "").await;
            if tokio::time::timeout(moment, self.lines.next_line()).await.is_ok() {
                return;
            }
        }
        panic!("the watch sees nobody");
    }

    /// The next line about another client.
    async fn of(&mut self, id: &str) -> String {
        loop {
            let line = self.line().await.expect("the watch ended");
            if line.contains(id) {
                return line;
            }
        }
    }

    async fn end(mut self) -> (Option<i32>, String) {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let code = ended.expect("the watch does not end").unwrap().code();
        let mut err = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut err).await.unwrap();
        (code, err)
    }
}

/// Connects clients until a watch has seen enough of them.
async fn clients_until_the_end(server: &Server, watch: &mut Child) {
    let ends = async {
        while watch.try_wait().unwrap().is_none() {
            log_in(server, "x").await.close(1000, "").await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, ends).await.is_ok(), "the watch does not end");
}

#[tokio::test]
async fn a_watch_prints_a_line_of_json_an_event() {
    let mut server = Server::setup().objects(OBJECTS).start();
    let mut watch = Watch::start(&server, &["--output", "json"]);
    watch.wait(&server).await;
    let client = log_in(&server, "crm.1").await;
    let opened: Value = serde_json::from_str(&watch.of("crm.1").await).unwrap();
    let live = connections(&server).await;
    assert_eq!(opened["event"], "opened");
    assert_eq!(opened["connection"]["pub_client_id"], live[0]["pub_client_id"]);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&opened["connection"]), keys(&live[0]));
    client.close(3001, "za dużo").await;
    let closed: Value = serde_json::from_str(&watch.of("crm.1").await).unwrap();
    assert_eq!((&closed["event"], &closed["connection"]["code"]), (&json!("closed"), &json!(3001)));
    for event in [opened, closed] {
        serde_json::from_value::<ConnectionEvent>(event).unwrap();
    }
    // A server that ends is no end as wished.
    assert!(server.stop().success());
    while watch.line().await.is_some() {}
    let (code, err) = watch.end().await;
    assert_eq!(code, Some(3), "{err}");
    assert!(!err.is_empty());
}

#[tokio::test]
async fn a_watch_without_a_terminal_prints_lines_for_people() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut watch = Watch::start(&server, &[]);
    watch.wait(&server).await;
    let client = log_in(&server, "odd\u{1b}.1").await;
    let opened = watch.of("odd").await;
    for text in [" opened ws.", " client_id=odd\u{fffd}.1 ", " channel=crm ", " peer=127.0.0.1:"] {
        assert!(opened.contains(text), "{text} is not in {opened}");
    }
    client.close(1000, "bye").await;
    let closed = watch.of("odd").await;
    assert!(
        closed.contains(" closed ") && closed.ends_with("closed_by=client code=1000 reason=bye")
    );
    let pid = watch.child.id().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(watch.end().await, (Some(0), String::new()));
}

#[tokio::test]
async fn a_watch_ends_after_so_many_events_or_when_nobody_reads() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut watch = Watch::start(&server, &["--count", "3", "--output", "json"]);
    clients_until_the_end(&server, &mut watch.child).await;
    let mut events = Vec::new();
    while let Some(line) = watch.line().await {
        events.push(serde_json::from_str::<ConnectionEvent>(&line).unwrap());
    }
    assert_eq!(events.len(), 3);
    assert_eq!(watch.end().await, (Some(0), String::new()));
    let none = on(&server, &["connection", "watch", "--count", "0"]).await;
    assert_eq!((none.code, &*none.out), (0, ""), "{none:?}");

    let Watch { mut child, lines } = Watch::start(&server, &[]);
    drop(lines);
    clients_until_the_end(&server, &mut child).await;
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn those_that_match_are_closed_and_others_stay() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut meant = Vec::new();
    for _ in 0..3 {
        meant.push(log_in(&server, "meant").await);
    }
    let mut other = log_in(&server, "other").await;
    let filter = ["connection", "disconnect", "--client-id", "meant"];
    refused(&on(&server, &filter).await, 2, &["--yes", "nothing was done"]);

    let preview = on(&server, &[&filter[..], &["--dry-run"]].concat()).await;
    assert_eq!(preview.code, 0, "{preview:?}");
    assert!(preview.out.ends_with("3 connections would be closed with 4005\n"), "{preview:?}");
    let live = connections(&server).await;
    let ids: Vec<&str> = live
        .iter()
        .filter(|it| it["ext_client_id"] == "meant")
        .map(|it| it["pub_client_id"].as_str().unwrap())
        .collect();
    assert_eq!(preview.out.lines().filter(|line| ids.contains(line)).count(), 3, "{preview:?}");
    let preview = [&filter[..], &["--dry-run", "--output", "json"]].concat();
    let preview: Disconnected =
        serde_json::from_value(parse(&on(&server, &preview).await)).unwrap();
    assert_eq!((preview.dry_run, preview.count), (true, 3));
    assert_eq!(connections(&server).await.len(), 4);

    let close = [&filter[..], &["--yes", "--code", "3999", "--reason", "moved"]].concat();
    let done = on(&server, &close).await;
    assert_eq!(
        (done.code, &*done.out),
        (0, "3 connections are being closed with 3999\n"),
        "{done:?}"
    );
    for client in &mut meant {
        let frame = client.receive_close().await.1.unwrap();
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (3999, "moved"));
    }
    assert_eq!(other.invoke("zato.ping", &json!({})).await["meta"]["status"], 200);
    drop(meant);
    eventually("they are gone", || async { connections(&server).await.len() == 1 }).await;
    let more = ["--client-name", "other", "--username", "app1", "--security", "no-such", "--yes"];
    let none = on(&server, &[&["connection", "disconnect"], &more[..]].concat()).await;
    assert!(none.code == 0 && none.out.contains("0 connections"), "{none:?}");
    let all =
        on(&server, &["connection", "disconnect", "--all", "--yes", "--output", "json"]).await;
    assert_eq!(parse(&all)["count"], 1);
    assert_eq!(other.receive_close().await.1.map(|frame| u16::from(frame.code)), Some(4005));
    let unsendable = ["connection", "disconnect", "--all", "--yes", "--code", "1005"];
    refused(&on(&server, &unsendable).await, 1, &["code"]);
}
