//! The disk fails: a flush that fails, no room, a bit that turned over.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use spanwire_tests::http::get;
use spanwire_tests::messaging::Rest;
use spanwire_tests::secrecy::files;
use spanwire_tests::server::{Setup, command};
use spanwire_tests::{PATIENCE, Server, eventually, is_long};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{OBJECTS, rest, wsx};
use crate::live::Dice;

const TOPIC: &str = "/customer/gd";
const STORES: [&str; 2] = ["sled", "redb"];

fn setup(store: &str) -> Setup {
    Server::setup().settings(&format!("[pubsub]\nstore = \"{store}\"\n")).objects(OBJECTS)
}

fn fifo() -> Value {
    json!({"order": "fifo", "limit": 10_000, "lease": 0.001})
}

/// Whether a program may do here what a test needs; a container may forbid it, whatever is installed.
fn is_permitted(program: &str, arguments: &[&str]) -> bool {
    let outcome = command(program).args(arguments).output();
    let is_permitted = outcome.as_ref().is_ok_and(|output| output.status.success());
    if !is_permitted {
        eprintln!("NOT TRIED, because it is forbidden here: {program} {arguments:?}: {outcome:?}");
    }
    is_permitted
}

fn may_mount() -> bool {
    is_permitted(
        "unshare",
        &["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/tmp"],
    )
}

/// Has the n-th forced write of each thread fail from now on, once. Ends with this value.
struct Strace(tokio::process::Child);

impl Strace {
    async fn attach(server: &Server, number: usize) -> Self {
        let mut strace = command("strace");
        strace.args(["-f", "-e", "trace=fdatasync,fsync,msync,sync_file_range", "-e"]);
        strace.arg(format!("inject=fdatasync,fsync:error=EIO:when={number}"));
        strace.args(["-p", &server.pid().to_string()]).stderr(Stdio::piped());
        let mut child = tokio::process::Command::from(strace).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let attached = async {
            let line = lines.next_line().await.unwrap().expect("strace has ended");
            assert!(line.contains(" attached"), "{line}");
        };
        tokio::time::timeout(PATIENCE, attached).await.expect("strace does not attach");
        // It must not be blocked by what it prints.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self(child)
    }

    async fn detach(mut self) {
        self.0.kill().await.unwrap();
    }
}

/// after a flush that failed nothing is acknowledged any more, whatever later flushes say.
#[tokio::test]
async fn r06_after_a_failed_flush_nothing_is_acknowledged_and_a_restart_has_all_that_was() {
    if !is_permitted("strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    for store in STORES {
        for number in if is_long() { vec![1, 2, 3, 5, 8, 20, 50] } else { vec![1, 2, 6] } {
            let mut server = setup(store).start();
            let portal = rest(&server, "portal");
            portal.key(TOPIC).await;
            let mut acknowledged = Vec::new();
            for n in 0..3 {
                acknowledged.push(portal.publish(TOPIC, &json!({ "data": n })).await);
            }
            assert_eq!(get(&server, "/readyz").await.status, 200);
            let strace = Strace::attach(&server, number).await;
            let refused = loop {
                let answer = portal.post(TOPIC, &json!({"data": "x"})).await;
                if answer.status != 200 {
                    break answer;
                }
                acknowledged.push(answer.json()["msg_id"].as_str().unwrap().to_owned());
                assert!(acknowledged.len() < 200, "{store} {number}: no flush fails");
            };
            assert_eq!(refused.status, 503, "{store} {number}: {refused:?}");
            // Later ones would succeed: it must not be tried.
            for _ in 0..5 {
                let answer = portal.post(TOPIC, &json!({"data": "later"})).await;
                assert_eq!(answer.status, 503, "{store} {number}: {answer:?}");
                assert!(!answer.json()["details"].as_str().unwrap().is_empty());
            }
            let subscribing = rest(&server, "crm").subscribe(TOPIC).await;
            assert_eq!(subscribing.status, 503, "{store} {number}: {subscribing:?}");
            let ready = get(&server, "/readyz").await;
            assert_eq!(ready.status, 503, "{store} {number}: {ready:?}");
            assert!(ready.body.contains("message log"), "{store} {number}: {ready:?}");
            assert_eq!(get(&server, "/livez").await.status, 200);
            strace.detach().await;
            let answer = portal.post(TOPIC, &json!({"data": "still"})).await;
            assert_eq!(answer.status, 503, "{store} {number}: {answer:?}");
            server.kill();
            server.start_again();
            assert_eq!(get(&server, "/readyz").await.status, 200);
            let got = portal.fetch(TOPIC, &fifo()).await;
            let ids: Vec<_> = got.iter().map(|it| it["msg_id"].as_str().unwrap()).collect();
            assert!(
                ids.starts_with(&acknowledged.iter().map(String::as_str).collect::<Vec<_>>()),
                "{store} {number}: {acknowledged:?} {ids:?}"
            );
            // What was refused may be there, since nobody knows: but only that.
            let extra = &got[acknowledged.len()..];
            assert!(extra.len() <= 1 && extra.iter().all(|it| it["data"] == "x"), "{extra:?}");
            portal.publish(TOPIC, &json!({"data": "works"})).await;
        }
    }
}

/// A server whose message log is on a disk of 96 MiB, which only the server sees.
fn start_on_small_disk(store: &str) -> Server {
    let mount =
        "mkdir -p \"$0\" && mount -t tmpfs -o size=96m,mode=0700 none \"$0\" && exec \"$@\"";
    let wrapper =
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "{data}/messages"];
    setup(store).wrapper(&wrapper).start()
}

/// A file on that disk.
fn on_disk(server: &Server, name: &str) -> PathBuf {
    let path = server.data().join("messages").join(name);
    Path::new(&format!("/proc/{}/root", server.pid())).join(path.strip_prefix("/").unwrap())
}

/// a full disk refuses what is to be guaranteed, with its reason, and everything else works.
#[tokio::test]
async fn r08_a_full_disk_refuses_publications_until_there_is_room() {
    if !may_mount() {
        return;
    }
    for store in STORES {
        let server = start_on_small_disk(store);
        let portal = rest(&server, "portal");
        portal.key(TOPIC).await;
        let mut client = wsx(&server, "full.1").await;
        client.subscribe(&json!({"topic_name": "/customer/new"})).await;
        // It has never asked for anything: that it does is taken down while the disk is full.
        let mut ids = Vec::new();
        for _ in 0..2 {
            ids.push(portal.publish(TOPIC, &json!({"data": "before"})).await);
        }
        for (round, id) in ids.iter().enumerate() {
            // Not all of it: somebody else fills the disk, up to what the store keeps free for itself.
            let filler = on_disk(&server, "../messages/filler");
            std::fs::write(&filler, vec![7; 70 * 1024 * 1024]).unwrap();
            for _ in 0..3 {
                let refused = portal.post(TOPIC, &json!({"data": "refused"})).await;
                let details = "Publication rejected - the disk is full";
                super::assert_error(&refused, 503, details);
            }
            // What needs no room goes on.
            assert_eq!(client.invoke("zato.ping", &json!({})).await["pong"], "zato");
            let body = json!({"data": round, "has_gd": false});
            portal.publish("/customer/new", &body).await;
            assert_eq!(client.message().await["data"], round);
            let first = json!({"order": "fifo", "limit": 1});
            assert_eq!(portal.fetch(TOPIC, &first).await[0]["msg_id"], *id);
            assert_eq!(get(&server, "/livez").await.status, 200);
            std::fs::remove_file(&filler).unwrap();
            eventually("it takes messages again", async || {
                portal.post(TOPIC, &json!({ "data": round })).await.status == 200
            })
            .await;
        }
        let got = portal.fetch(TOPIC, &fifo()).await;
        let got: Vec<_> = got.iter().map(|it| it["data"].clone()).collect();
        assert_eq!(got, [0, 1].map(Value::from), "{store}");
        assert_eq!(get(&server, "/readyz").await.status, 200);
    }
}

/// A disk that its own messages fill: there is room when they were delivered. sled gives none back while it is open.
#[tokio::test]
async fn r08_messages_that_are_delivered_make_room() {
    if !may_mount() {
        return;
    }
    let server = start_on_small_disk("redb");
    let portal = rest(&server, "portal");
    portal.key(TOPIC).await;
    portal.fetch(TOPIC, &Value::Null).await;
    let body = json!({"data": "d".repeat(1024 * 1024)});
    let mut taken = 0;
    loop {
        let answer = portal.post(TOPIC, &body).await;
        if answer.status == 503 {
            break;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        taken += 1;
        assert!(taken < 96, "the disk has no end");
    }
    assert!(taken > 5, "only {taken} were taken");
    assert_eq!(get(&server, "/readyz").await.status, 200, "it is full, not broken");
    let mut got = 0;
    while got < taken {
        got += portal.fetch(TOPIC, &json!({"limit": 5})).await.len();
    }
    // The log gives it back by itself, because it is asked for.
    eventually("there is room again", async || portal.post(TOPIC, &body).await.status == 200).await;
    assert_eq!(portal.fetch(TOPIC, &Value::Null).await.len(), 1);
}

/// What came of a start on a folder with a bit that turned over.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// It does not start, and says why in a sentence.
    Refused,
    /// It starts, and says that something cannot be read.
    Detected,
    /// Nothing that is used was hit.
    Unharmed,
    /// It starts, and messages are missing without a word.
    Forgotten,
}

/// Starts on the folder, and looks whether every message is there and right.
async fn look(data: &Path, what: &str, published: &[(String, Value)]) -> Outcome {
    let server = match Server::setup().data(data).try_start() {
        Ok(server) => server,
        Err(ended) => {
            assert!(!ended.log.contains("panicked"), "{what}: {}", ended.log);
            assert!(ended.status.code().is_some_and(|code| code > 0), "{what}: {ended:?}");
            let last = ended.log.trim().lines().last().unwrap_or_default();
            assert!(last.split_whitespace().count() > 3, "{what}: it does not say why: {ended:?}");
            return Outcome::Refused;
        }
    };
    let portal = rest(&server, "portal");
    let mut got = Vec::new();
    let answer = portal.patch(TOPIC, &fifo()).await;
    if answer.status == 200 {
        got = answer.json().as_array().unwrap().clone();
    }
    for message in &got {
        let known = published.iter().find(|(id, _)| message["msg_id"] == **id);
        let (id, data) = known.unwrap_or_else(|| panic!("{what}: never published: {message}"));
        assert!(message["data"] == *data, "{what}: {id} is delivered wrong");
        assert_eq!(message["priority"], 5, "{what}: {id} is delivered wrong");
        assert_eq!(message["topic_name"], TOPIC, "{what}: {id} is delivered wrong");
    }
    let log = server.log();
    assert!(!log.contains("panicked"), "{what}: {log}");
    if got.len() == published.len() {
        return Outcome::Unharmed;
    }
    let is_told = answer.status >= 500 || log.contains("ERROR") || log.contains("WARN");
    if is_told { Outcome::Detected } else { Outcome::Forgotten }
}

/// Turns bits over, one at a time, and looks what comes of each: in a log that was closed, or that a crash left.
async fn flip_bits(store: &str, crashes: bool) {
    let mut server = setup(store).start();
    let portal: Rest = rest(&server, "portal");
    portal.key(TOPIC).await;
    let mut published = Vec::new();
    for number in 0..40 {
        // Some are kept apart from what is told of them.
        let size = if number % 4 == 0 { 20_000 } else { 100 };
        let data = json!({"n": number, "text": "0123456789abcdef".repeat(size / 16)});
        published.push((portal.publish(TOPIC, &json!({ "data": data })).await, data));
    }
    if crashes {
        server.kill();
    } else {
        assert!(server.stop().success());
    }
    let data = server.data();
    assert_eq!(look(&data, "untouched", &published).await, Outcome::Unharmed);
    let mut dice = Dice(0x0b17_f11b_5eed_0001);
    let messages = data.join("messages");
    let mut outcomes = Vec::new();
    for file in files(&messages) {
        let bytes = std::fs::read(&file).unwrap();
        if bytes.is_empty() {
            continue;
        }
        let count = if is_long() { 200 } else { 12 };
        for _ in 0..count.min(bytes.len() * 8) {
            // What is not zero is more likely to be in use.
            let mut at = dice.roll(bytes.len());
            for _ in 0..20 {
                if bytes[at] != 0 {
                    break;
                }
                at = dice.roll(bytes.len());
            }
            let bit = dice.roll(8);
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            std::fs::write(&file, flipped).unwrap();
            let what = format!("{store}, {}, byte {at}, bit {bit}", file.display());
            let outcome = look(&data, &what, &published).await;
            outcomes.push((what, outcome));
        }
        std::fs::write(&file, bytes).unwrap();
    }
    let count = |outcome| outcomes.iter().filter(|it| it.1 == outcome).count();
    let counts = (count(Outcome::Refused), count(Outcome::Detected), count(Outcome::Unharmed));
    println!("{store}: refused, detected, unharmed: {counts:?} of {}", outcomes.len());
    assert!(counts.0 + counts.1 > 0, "{store}: no bit mattered: {counts:?}");
    // Behind a crash an engine takes what it cannot read for a write that was never finished, and forgets it and what came
    // after it. The witness knows better.
    let forgotten = outcomes.iter().find(|it| it.1 == Outcome::Forgotten);
    assert!(forgotten.is_none(), "nobody is told: {forgotten:?}");
}

/// a bit that turned over in a file of the message log is never delivered as if it were right, and nothing is missing
/// without a word, whether the log was closed or a crash left it.
#[tokio::test]
async fn r09_a_flipped_bit_is_told_of_on_sled() {
    flip_bits("sled", false).await;
}

#[tokio::test]
async fn r09_a_flipped_bit_is_told_of_on_redb() {
    flip_bits("redb", false).await;
}

#[tokio::test]
async fn r09_a_flipped_bit_in_what_a_crash_left_is_told_of_on_redb() {
    flip_bits("redb", true).await;
}

#[tokio::test]
async fn r09_a_flipped_bit_in_what_a_crash_left_is_told_of_on_sled() {
    flip_bits("sled", true).await;
}
