//! A thousand wrong logins a second: each is answered rightly, memory is bounded, the owner still gets in.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use spanwire_tests::http::{basic, raw, request};
use spanwire_tests::{Client, Server, eventually, is_long};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use super::{AT_MOST, raise_descriptors, work};

/// What a wrong login was told, in a word.
async fn wrong_login(server_ws: String, address: SocketAddr, n: usize) -> &'static str {
    // Half of them are for a user that exists, the others for as many that do not.
    let username = if n % 4 < 2 { "victim".to_owned() } else { format!("nobody.{n}") };
    if n.is_multiple_of(2) {
        let authorization = basic(&username, "wrong");
        let headers = [("Authorization", &*authorization)];
        let answer = request(address, "POST", "/victim", &headers, "{}").await;
        let error = answer.json();
        assert_eq!(error["result"], "Error", "{answer:?}");
        return match answer.status {
            401 => {
                assert!(
                    answer.header("www-authenticate").starts_with("Basic realm="),
                    "{answer:?}"
                );
                "rest 401"
            }
            429 => {
                assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
                "rest 429"
            }
            other => panic!("unexpected status {other}: {answer:?}"),
        };
    }
    let mut client = Client::connect(&server_ws).await;
    let meta =
        json!({"action": "create-session", "id": "1", "username": username, "secret": "wrong"});
    client.send(&json!({"meta": meta})).await;
    let (messages, frame) = client.receive_close().await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(messages[0]["meta"]["msg_type"], "zwsx.merr", "{messages:?}");
    assert_eq!(messages[0]["meta"]["status"], 403, "{messages:?}");
    assert_eq!(u16::from(frame.unwrap().code), 1008);
    "wsx 403"
}

/// The owner of the attacked account calls from another address.
async fn owner_calls(address: SocketAddr) -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!(
        "POST /victim HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\nAuthorization: {}\r\n\r\n{{}}",
        basic("victim", "secret1")
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_wrong_logins() {
    let count: usize = if is_long() { 60_000 } else { 3000 };
    raise_descriptors();
    let server = Server::setup()
        .objects(
            "security:\n\
             \x20 - {name: good, type: basic_auth, username: good, password: secret1}\n\
             \x20 - {name: victim, type: basic_auth, username: victim, password: secret1}\n\
             web_socket:\n\
             \x20 - {name: good, address: /ws/good, service: zato.helpers.echo, sec_def: good}\n\
             \x20 - {name: victim, address: /ws/victim, service: zato.helpers.echo, sec_def: victim}\n\
             channel_rest:\n\
             \x20 - {name: victim, url_path: /victim, service: zato.helpers.echo, security_name: victim, data_format: json}\n",
        )
        .start();
    let (address, before) = (server.address(), server.memory());
    let victim = server.ws("/ws/victim");
    let mut established = Client::log_in(&victim, "victim", "secret1").await;

    let mut answers: Vec<&'static str> = Vec::new();
    let mut most = before;
    let mut owner = Duration::ZERO;
    let attack = async {
        let mut all = JoinSet::new();
        let mut clock = tokio::time::interval(Duration::from_millis(20));
        for n in 0..count {
            if n.is_multiple_of(20) {
                clock.tick().await;
            }
            all.spawn(wrong_login(victim.clone(), address, n));
            if n % 500 == 250 {
                // In the middle of it all.
                most = most.max(server.memory());
                assert_eq!(established.call(&json!(n)).await["data"], n);
                let begun = Instant::now();
                assert_eq!(owner_calls(address).await, 200, "the owner is locked out");
                owner = owner.max(begun.elapsed());
            }
        }
        while let Some(answer) = all.join_next().await {
            answers.push(answer.unwrap());
        }
    };
    let begun = Instant::now();
    let longest = work(&server, attack).await;
    let told = |what: &str| answers.iter().filter(|answer| **answer == what).count();
    let grown = most.max(server.memory()).saturating_sub(before) >> 20;
    println!(
        "{count} wrong logins in {:?}: {} × 401, {} × 429, {} × 403; {grown} MiB more, good work took {longest:?}, \
         the owner {owner:?} at most",
        begun.elapsed(),
        told("rest 401"),
        told("rest 429"),
        told("wsx 403"),
    );
    assert_eq!(answers.len(), count);
    assert_eq!(told("wsx 403"), count / 2);
    assert!(told("rest 429") > 0, "nobody was slowed down");
    // A quarter of all is for users that nobody tried before.
    assert!(told("rest 401") >= count / 4, "strangers were taken for each other");
    assert!(grown < 100, "{grown} MiB more");
    assert!(longest < AT_MOST, "work of a good client took {longest:?}");
    assert!(owner < AT_MOST, "the owner waited {owner:?}");

    // Where the attack came from the owner has to wait, and not for ever.
    let authorization = basic("victim", "secret1");
    let headers = [("Authorization", &*authorization)];
    eventually("the owner gets in from there, too", || async {
        request(address, "POST", "/victim", &headers, "{}").await.status == 200
    })
    .await;
    Client::log_in(&victim, "victim", "secret1").await;
    assert_eq!(established.call(&json!("still here")).await["data"], "still here");
    let probe = raw(address, b"GET /livez HTTP/1.0\r\n\r\n").await;
    assert!(probe.starts_with(b"HTTP/1.0 200"), "{}", String::from_utf8_lossy(&probe));
}
