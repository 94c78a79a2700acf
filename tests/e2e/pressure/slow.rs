//! Thousands of sockets that are slow at each stage: all are cut at the stated limits.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spanwire_tests::http::{admin, request};
use spanwire_tests::{Server, eventually, is_long};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::{AT_MOST, raise_descriptors, work};

const HANDSHAKE: &str = "GET /ws/slow HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Where somebody stops.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Inside of the headers.
    Headers,
    /// One byte of the headers at a time.
    DripHeaders,
    /// After the upgrade.
    NoLogin,
    /// After the login, with a frame that comes byte by byte.
    DripFrame,
    /// After the login: asks for much and reads nothing.
    NeverReads,
}

/// A small frame of a client, with a mask of zeros.
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match payload.len() {
        short @ ..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
        long => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(long).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

async fn upgrade(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(HANDSHAKE.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// Logs in, and returns the token.
async fn log_in(stream: &mut TcpStream) -> std::io::Result<String> {
    let meta =
        json!({"action": "create-session", "id": "1", "username": "slow", "secret": "secret2"});
    stream.write_all(&frame(json!({"meta": meta}).to_string().as_bytes())).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    assert_eq!(head[..2], [0x81, 126], "a text message of middle length");
    let mut reply = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
    stream.read_exact(&mut reply).await?;
    let reply: Value = serde_json::from_slice(&reply).unwrap();
    assert_eq!(reply["meta"]["status"], 200, "{reply}");
    Ok(reply["data"]["token"].as_str().unwrap().to_owned())
}

/// Is slow until it is cut; tells after how long.
async fn be_slow(address: SocketAddr, stage: Stage) -> (Stage, Duration) {
    let socket = TcpSocket::new_v4().unwrap();
    if stage == Stage::NeverReads {
        socket.set_recv_buffer_size(4096).unwrap();
    }
    // Taken before the server can know of it: this task may be woken late, which must not look like an early cut.
    let begun = Instant::now();
    let mut stream = socket.connect(address).await.unwrap();
    // That it is cut is what is waited for, so errors are an end like any other.
    let _ = async {
        match stage {
            Stage::Headers => stream.write_all(&HANDSHAKE.as_bytes()[..60]).await?,
            Stage::DripHeaders => {
                for byte in HANDSHAKE.bytes() {
                    stream.write_all(&[byte]).await?;
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            }
            Stage::NoLogin => upgrade(&mut stream).await?,
            Stage::DripFrame => {
                upgrade(&mut stream).await?;
                log_in(&mut stream).await?;
                for byte in frame(&[b' '; 1000]) {
                    stream.write_all(&[byte]).await?;
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            }
            Stage::NeverReads => {
                upgrade(&mut stream).await?;
                let token = log_in(&mut stream).await?;
                let meta = json!({"action": "invoke-service", "id": "1", "token": token});
                let call = json!({"meta": meta, "data": "x".repeat(60_000)}).to_string();
                loop {
                    stream.write_all(&frame(call.as_bytes())).await?;
                }
            }
        }
        Ok::<_, std::io::Error>(())
    }
    .await;
    if stage != Stage::NeverReads {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    (stage, begun.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_cut_and_good_ones_notice_nothing() {
    let mut count = if is_long() { 9_000 } else { 5_000 };
    let allowed = raise_descriptors();
    if allowed < count + 500 {
        count = allowed - 500;
        println!("only {allowed} descriptors are allowed here: {count} slow sockets");
    }
    let server = Server::setup()
        .settings("[limits]\nheader_timeout = \"2s\"\noutgoing_queue_bytes = 262144\n")
        .objects(
            "security:\n\
             \x20 - {name: good, type: basic_auth, username: good, password: secret1}\n\
             \x20 - {name: slow, type: basic_auth, username: slow, password: secret2}\n\
             web_socket:\n\
             \x20 - {name: good, address: /ws/good, service: zato.helpers.echo, sec_def: good}\n\
             \x20 - {name: slow, address: /ws/slow, service: zato.helpers.echo, sec_def: slow, new_token_wait_time: 2,\n\
             \x20    ping_interval: 1, ping_timeout: 1, pings_missed_threshold: 2}\n",
        )
        .start();
    let (address, before) = (server.address(), server.memory());
    let mut all = JoinSet::new();
    for n in 0..count {
        let stage = match n % 8 {
            0..=2 => Stage::Headers,
            3 => Stage::DripHeaders,
            4 | 5 => Stage::NoLogin,
            // They cost the kernel much: a few are enough.
            _ if n % 160 == 7 => Stage::NeverReads,
            _ => Stage::DripFrame,
        };
        all.spawn(be_slow(address, stage));
        if n % 250 == 0 {
            // All at once would be a test of the kernel's queue; slower, and the first are cut before the last come.
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }
    let mut most = before;
    let mut ended: Vec<(Stage, Duration)> = Vec::new();
    let watch = async {
        let end = tokio::time::Instant::now() + Duration::from_secs(60);
        while let Ok(next) = tokio::time::timeout_at(end, all.join_next()).await {
            let Some(slow) = next else { return };
            ended.push(slow.unwrap());
            if ended.len().is_multiple_of(100) {
                most = most.max(server.memory());
            }
        }
    };
    let longest = work(&server, watch).await;
    assert_eq!(ended.len(), count, "some were never cut");
    for (stage, least, longest) in [
        (Stage::Headers, 1.9, 12.0),
        (Stage::DripHeaders, 1.9, 12.0),
        (Stage::NoLogin, 1.9, 12.0),
        (Stage::DripFrame, 1.9, 20.0),
        (Stage::NeverReads, 1.9, 30.0),
    ] {
        let times =
            || ended.iter().filter(|(own, _)| *own == stage).map(|(_, took)| took.as_secs_f64());
        let (min, max) = (times().fold(f64::MAX, f64::min), times().fold(0.0, f64::max));
        assert!(min >= least && max <= longest, "{stage:?} were cut after {min} to {max} s");
    }
    let grown = most.saturating_sub(before) >> 20;
    println!("{count} slow sockets: {grown} MiB more at most, good work took {longest:?} at most");
    assert!(grown < 200, "{grown} MiB more");
    assert!(longest < AT_MOST, "work of a good client took {longest:?}");

    // Nothing of them is left, and how they ended is known.
    eventually("nobody is connected", || async {
        let list = admin(&server, "GET", "/api/v1/connections", "").await.json();
        list.as_array().unwrap().is_empty()
    })
    .await;
    let metrics = request(server.admin_address(), "GET", "/metrics", &[], "").await.body;
    for part in ["reason=\"request-timeout\"", "code=\"4002\"", "code=\"1008\""] {
        assert!(metrics.contains(part), "{part} is not in:\n{metrics}");
    }
}
