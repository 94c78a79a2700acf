//! SIGTERM: readiness off, running calls finish, connections close, exit 0 in time.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use spanwire_tests::{Client, PATIENCE, Server, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::process::start_server;

/// An HTTP endpoint that answers its one request when it is told to.
struct Held {
    address: std::net::SocketAddr,
    arrived: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

async fn held() -> Held {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (has_arrived, arrived) = oneshot::channel();
    let (release, released) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        has_arrived.send(()).unwrap();
        if released.await.is_ok() {
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n\"done\"";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        // Otherwise nobody answers, until the other side gives up.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    Held { address, arrived, release }
}

fn objects(slow: &Held) -> String {
    format!(
        "service: [{{name: slow, url: 'http://{}/', timeout: 60}}]\n\
         web_socket: [{{name: slow, address: /ws/slow, service: slow, sec_def: zato-no-security, service_timeout: 60}}]\n",
        slow.address
    )
}

async fn is_shut(mut client: Client) {
    let (before, frame) = client.receive_close().await;
    let frame = frame.expect("a close frame");
    assert_eq!(u16::from(frame.code), 1001);
    assert_eq!(frame.reason.as_str(), "Server is shutting down");
    assert!(before.is_empty(), "{before:?}");
}

#[tokio::test]
async fn running_calls_finish_and_everybody_is_told() {
    let slow = held().await;
    let mut server = Server::setup().objects(&objects(&slow)).start();
    let idle = Client::log_in(&server.ws("/ws/slow"), "", "").await;
    let mut busy = Client::log_in(&server.ws("/ws/slow"), "", "").await;
    // Connected, and not logged in yet.
    let early = Client::connect(&server.ws("/ws/slow")).await;
    let call = busy.start_call(&json!({})).await;
    slow.arrived.await.unwrap();

    server.terminate();
    is_shut(idle).await;
    is_shut(early).await;
    let address = server.address();
    eventually("readiness is off", || async move {
        let Ok(mut probe) = TcpStream::connect(address).await else { return true };
        let request = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let mut answer = Vec::new();
        let _ = probe.write_all(request).await;
        let _ = probe.read_to_end(&mut answer).await;
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 503")
    })
    .await;
    assert!(Client::try_connect(&server.ws("/ws/slow"), &[]).await.is_err());
    assert!(busy.is_quiet().await, "a client with a running call is not closed");
    // A call that comes now is not begun.
    let late = busy.start_call(&json!({})).await;
    let refusal = busy.receive().await;
    assert_eq!(refusal["meta"]["in_reply_to"], late, "{refusal}");
    assert_eq!(refusal["meta"]["status"], 503, "{refusal}");

    slow.release.send(()).unwrap();
    let reply = busy.receive().await;
    assert_eq!(reply["meta"]["in_reply_to"], call, "{reply}");
    assert_eq!((&reply["meta"]["status"], &reply["data"]), (&json!(200), &json!("done")));
    is_shut(busy).await;
    let status = server.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{status:?}\n{}", server.log());
}

#[tokio::test]
async fn a_call_without_end_does_not_hold_the_exit_up() {
    let slow = held().await;
    let mut server =
        Server::setup().objects(&objects(&slow)).settings("drain_timeout = \"2s\"\n").start();
    let mut busy = Client::log_in(&server.ws("/ws/slow"), "", "").await;
    // And somebody who never answers a close, and somebody in the middle of a request.
    let stubborn = Client::log_in(&server.ws("/ws/slow"), "", "").await;
    let mut halfway = TcpStream::connect(server.address()).await.unwrap();
    halfway.write_all(b"POST /api/demo/echo HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    busy.start_call(&json!({})).await;
    slow.arrived.await.unwrap();
    let begun = Instant::now();
    server.terminate();
    is_shut(busy).await;
    let status = server.wait_for_exit();
    let took = begun.elapsed();
    assert_eq!(status.code(), Some(0), "{status:?}\n{}", server.log());
    assert!(took > Duration::from_millis(1500), "the call was given no time: {took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    drop((stubborn, slow.release));
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let mut server = Server::setup().start();
    let _kept_alive = TcpStream::connect(server.address()).await.unwrap();
    let begun = Instant::now();
    assert_eq!(server.stop().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// A supervisor may change its mind: whoever sees that the server is ready may stop it.
#[tokio::test]
async fn a_stop_right_after_the_start_is_a_stop() {
    for round in 0..30 {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let mut child = start_server(&data, &[]);
        let listen = data.join("listen.json");
        let ready = async {
            while !listen.exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("the server starts");
        let pid = i32::try_from(child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
        let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it stops").unwrap();
        assert_eq!(status.code(), Some(0), "round {round}: {status}");
    }
}
