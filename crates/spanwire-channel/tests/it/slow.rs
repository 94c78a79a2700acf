//! Clients that take their time before they say anything, and many of them at once.

use std::time::{Duration, Instant};

use spanwire_channel::transport::{ListenerSettings, TlsFiles, TrustedProxies};
use tokio::task::JoinSet;

use crate::client::{Client, TEXT, frame, good_handshake, within};
use crate::server::{Options, Server};

const SHORT: Duration = Duration::from_millis(300);
/// How many clients stand in the way of the others.
const CROWD: usize = 500;

fn server(change: impl FnOnce(&mut ListenerSettings)) -> Server {
    Server::with_listener(Options::default(), |settings| {
        settings.header_timeout = SHORT;
        settings.handshake_timeout = SHORT;
        change(settings);
    })
}

/// Sends a byte of a request every now and then, until the server has enough of it; how long that took.
async fn trickle(mut client: Client, request: Vec<u8>) -> Duration {
    let started = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    for byte in request.into_iter().cycle() {
        tokio::select! {
            biased;
            rest = client.raw_end() => {
                assert!(!rest.starts_with(b"HTTP/1.1 101"), "{}", rest.escape_ascii());
                return started.elapsed();
            }
            _ = ticks.tick() => {}
        }
        client.send(&[byte]).await;
        assert!(started.elapsed() < Duration::from_secs(10), "never cut off");
    }
    unreachable!("a request has bytes")
}

/// In time, and not at once.
fn cut_in_time(took: Duration) {
    assert!(took >= SHORT, "cut off after {took:?} already");
    assert!(took < Duration::from_secs(5), "cut off after {took:?} only");
}

#[tokio::test]
async fn a_request_has_to_come_in_time() {
    let server = server(|_| {});
    let client = Client::connect(server.address).await;
    cut_in_time(trickle(client, b"GET / HTTP/1.1\r\nX-".to_vec()).await);
    // In the middle of the headers, of which there is no end; and behind a request that was whole.
    let mut client = Client::connect(server.address).await;
    client.send(b"GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 404);
    client.send(b"GET /other HTTP/1.1\r\n").await;
    cut_in_time(trickle(client, b"X: x\r\n".to_vec()).await);
    let timeouts = |seen: &crate::server::Seen| {
        seen.refused.iter().filter(|reason| **reason == "request-timeout").count() == 2
    };
    server.saw(timeouts, |_| ()).await;
}

#[tokio::test]
async fn whoever_says_nothing_is_cut_off() {
    let server = server(|_| {});
    for said in [&b""[..], b"\r\n", b"G"] {
        let mut client = Client::connect(server.address).await;
        let started = Instant::now();
        client.send(said).await;
        client.raw_end().await;
        cut_in_time(started.elapsed());
    }
}

/// The time limits end with the handshake.
#[tokio::test]
async fn an_upgraded_connection_may_be_silent() {
    let server = server(|_| {});
    let mut client = Client::open(server.address).await;
    let silence = tokio::time::timeout(SHORT * 3, client.frame()).await;
    assert!(silence.is_err(), "{silence:?}");
    client.send(&frame(TEXT, "still here")).await;
    assert_eq!(client.frame().await.unwrap().payload, b"still here");
}

/// Who asks and asks and never reads an answer is given up.
#[tokio::test]
async fn answers_have_to_be_read_in_time() {
    let server = server(|settings| {
        settings.write_timeout = SHORT;
        settings.header_timeout = Duration::from_secs(60);
    });
    let mut client = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let requests = b"GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    let ended = within("the connection to be dropped", async {
        while tokio::io::AsyncWriteExt::write_all(&mut client, &requests).await.is_ok() {}
    });
    ended.await;
}

#[tokio::test]
async fn a_tls_hello_has_to_come_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let files =
        TlsFiles { certificate: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&files.certificate, pair.cert.pem()).unwrap();
    std::fs::write(&files.key, pair.signing_key.serialize_pem()).unwrap();
    let server = server(|settings| {
        settings.tls = Some(files);
        settings.header_timeout = Duration::from_secs(60);
    });
    for said in [&b""[..], &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]] {
        let mut client = Client::connect(server.address).await;
        let started = Instant::now();
        client.send(said).await;
        client.raw_end().await;
        cut_in_time(started.elapsed());
    }
    server.saw(|seen| seen.refused == ["handshake-timeout"; 2], |_| ()).await;
}

#[tokio::test]
async fn a_proxy_header_has_to_come_in_time() {
    let server = server(|settings| {
        settings.trusted_proxies = TrustedProxies::parse(["127.0.0.1"]).unwrap().into();
        settings.proxy_protocol = true;
        settings.header_timeout = Duration::from_secs(60);
    });
    let client = Client::connect(server.address).await;
    let header = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";
    cut_in_time(trickle(client, header.to_vec()).await);
    server.saw(|seen| seen.refused == ["handshake-timeout"], |_| ()).await;
}

/// A crowd of slow clients costs the good ones nothing, and is gone in time.
#[tokio::test]
async fn a_crowd_of_slow_clients_does_not_stand_in_the_way() {
    let server = server(|settings| settings.header_timeout = Duration::from_secs(3));
    let mut crowd = JoinSet::new();
    for n in 0..CROWD {
        let mut client = Client::connect(server.address).await;
        let said = n % good_handshake().len();
        client.send(&good_handshake()[..said]).await;
        crowd.spawn(async move { client.raw_end().await });
    }
    for _ in 0..100 {
        let mut client = Client::open(server.address).await;
        client.send(&frame(TEXT, "quick")).await;
        assert_eq!(client.frame().await.unwrap().payload, b"quick");
    }
    assert_eq!(crowd.len(), CROWD);
    assert!(crowd.try_join_next().is_none(), "the crowd was gone before the others were served");
    let ends = within("the crowd to be cut off", crowd.join_all()).await;
    assert!(ends.iter().all(|end| !end.starts_with(b"HTTP/1.1 101")));
    server.tasks.close();
    within("the server to let go", server.tasks.wait()).await;
}
