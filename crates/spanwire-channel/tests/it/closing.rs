//! The closing handshake and the ways a connection ends (RFC 6455, section 7; wsx-protocol 1.5).

use std::sync::Arc;
use std::time::{Duration, Instant};

use spanwire_channel::websocket::{Ending, Side, SocketLimits};
use spanwire_protocol::{CloseCode, CloseFrame};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

use crate::client::{BINARY, CLOSE, Client, Frame, TEXT, close, frame, within};
use crate::server::{CLOSE_COMMAND, GOODBYE, Options, Server, impatient};

/// The payload that the server answers a close frame with, after which the connection must end.
async fn answered(server: &Server, payload: &[u8]) -> Vec<u8> {
    let mut client = Client::open(server.address).await;
    client.send(&frame(CLOSE, payload)).await;
    let answer = client.frame().await.expect("an answer to the close frame");
    assert_eq!(answer.first, CLOSE);
    client.end().await;
    answer.payload
}

#[tokio::test]
async fn codes_that_may_be_sent_are_echoed_and_others_refused() {
    let server = Arc::new(Server::start(Options::default()));
    let mut running = JoinSet::new();
    for start in (0..5000_u16).step_by(125) {
        let server = Arc::clone(&server);
        running.spawn(async move {
            for code in start..start + 125 {
                let payload = [&code.to_be_bytes()[..], "zażółć".as_bytes()].concat();
                let answer = answered(&server, &payload).await;
                // 1014 is in IANA's list, but not known to tungstenite 0.30.
                if CloseCode(code).is_sendable() && code != 1014 {
                    assert_eq!(answer, payload, "{code}");
                } else {
                    assert_eq!(answer.get(..2), Some(&1002_u16.to_be_bytes()[..]), "{code}");
                }
            }
        });
    }
    assert_eq!(running.join_all().await.len(), 40);
    let by_peer = |seen: &crate::server::Seen| {
        seen.endings.iter().filter(|ending| ending.side == Side::Peer).count()
    };
    server.saw(|seen| by_peer(seen) == 5000, |_| ()).await;
}

#[tokio::test]
async fn close_payloads_of_every_length() {
    let server = Server::start(Options::default());
    let empty = answered(&server, b"").await;
    assert!(empty.is_empty() || empty == 1000_u16.to_be_bytes(), "{empty:?}");
    for length in 0..=123 {
        let payload = [&1000_u16.to_be_bytes()[..], &vec![b'r'; length]].concat();
        assert_eq!(answered(&server, &payload).await, payload);
    }
    for (name, payload, codes) in [
        ("one byte", vec![3], &[1002][..]),
        ("a reason of 124 bytes", [&[3, 232][..], &[b'r'; 124]].concat(), &[1002]),
        ("a reason that is not UTF-8", vec![3, 232, 0xc3, 0x28], &[1007, 1002]),
        ("a reason that ends inside of a character", vec![3, 232, b'a', 0xe2, 0x82], &[1007, 1002]),
    ] {
        let answer = answered(&server, &payload).await;
        let code = u16::from_be_bytes(answer[..2].try_into().unwrap());
        assert!(codes.contains(&code), "{name}: {code}");
    }
}

#[tokio::test]
async fn what_was_asked_before_a_close_is_answered_before_it() {
    let server = Server::start(Options::default());
    let mut client = Client::open(server.address).await;
    client.send(&[frame(TEXT, "one"), frame(BINARY, "two"), close(3000, "done")].concat()).await;
    let mut came = Vec::new();
    while let Some(Frame { first, payload }) = client.frame().await {
        came.push((first, payload));
    }
    let done = [&3000_u16.to_be_bytes()[..], b"done"].concat();
    assert_eq!(came, [(TEXT, b"one".to_vec()), (BINARY, b"two".to_vec()), (CLOSE, done)]);
}

#[tokio::test]
async fn nothing_after_a_close_is_heard() {
    let server = Server::start(Options::default());
    let mut client = Client::open(server.address).await;
    client.send(&[close(1000, ""), frame(TEXT, "late"), close(1001, "")].concat()).await;
    assert_eq!(client.frame().await.unwrap().payload, 1000_u16.to_be_bytes());
    client.end().await;
    let expected = Ending { side: Side::Peer, frame: CloseFrame::new(CloseCode::NORMAL, "") };
    assert_eq!(server.ending().await, expected);
    server.saw(|_| true, |seen| assert_eq!(seen.messages, 0)).await;
}

#[tokio::test]
async fn a_close_without_a_code_is_told_apart() {
    let server = Server::start(Options::default());
    answered(&server, b"").await;
    assert_eq!(server.ending().await.frame.code, CloseCode::NONE);
}

/// The server's close ends the connection as soon as the client answers, long before the timeout.
#[tokio::test]
async fn a_close_by_the_server_waits_for_the_answer() {
    let socket = SocketLimits { close_timeout: Duration::from_secs(60), ..SocketLimits::default() };
    let server = Server::start(Options { socket, ..Options::default() });
    let mut client = Client::open(server.address).await;
    client.send(&frame(TEXT, CLOSE_COMMAND)).await;
    let goodbye = [&4005_u16.to_be_bytes()[..], b"Good-bye"].concat();
    assert_eq!(client.frame().await, Some(Frame { first: CLOSE, payload: goodbye }));
    // What was under way is not answered any more, and does not end the waiting.
    client.send(&frame(TEXT, "late")).await;
    let waiting = tokio::time::timeout(Duration::from_millis(100), client.frame()).await;
    assert!(waiting.is_err(), "ended without the client's answer: {waiting:?}");
    client.send(&close(4005, "Good-bye")).await;
    client.end().await;
    assert_eq!(server.ending().await, Ending { side: Side::Server, frame: GOODBYE });
}

#[tokio::test]
async fn a_close_that_is_never_answered_ends_in_time() {
    let server = Server::start(Options { socket: impatient(), ..Options::default() });
    let mut client = Client::open(server.address).await;
    let started = Instant::now();
    client.send(&frame(TEXT, CLOSE_COMMAND)).await;
    assert_eq!(client.frame().await.unwrap().first, CLOSE);
    client.end().await;
    assert_eq!(server.ending().await, Ending { side: Side::Server, frame: GOODBYE });
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(200), "did not wait for the answer: {took:?}");
    // The client keeps its half open: the server lets go of it all the same.
    server.tasks.close();
    within("the server to let go", server.tasks.wait()).await;
}

#[tokio::test]
async fn a_violation_is_told_to_whoever_ended_it() {
    let server = Server::start(Options::default());
    let mut client = Client::open(server.address).await;
    client.send(&frame(0x83, "")).await;
    assert_eq!(client.frame().await.unwrap().first, CLOSE);
    let ending = server.ending().await;
    assert_eq!((ending.side, ending.frame.code), (Side::Server, CloseCode::PROTOCOL));
}

/// A reset, which unread bytes cause when a socket is simply closed, could overtake the close frame on its way.
#[tokio::test]
async fn a_close_frame_is_not_lost_when_the_peer_sends_on() {
    let server = Server::start(Options::default());
    for last in [frame(0x83, ""), close(1000, "")] {
        let mut client = Client::open(server.address).await;
        client.send(&[last, vec![0; 256 * 1024]].concat()).await;
        assert_eq!(client.frame().await.unwrap().first, CLOSE);
        let end = within("the end", client.stream.read(&mut [0])).await;
        assert_eq!(end.expect("an end without a reset"), 0);
    }
}

#[tokio::test]
async fn a_peer_that_vanishes_is_the_networks_doing() {
    for reset in [false, true] {
        let server = Server::start(Options::default());
        let mut client = Client::open(server.address).await;
        client.send(&frame(TEXT, "here")).await;
        client.frame().await.unwrap();
        if reset {
            client.stream.set_zero_linger().unwrap();
        }
        drop(client);
        let ending = server.ending().await;
        assert_eq!((ending.side, ending.frame.code), (Side::Network, CloseCode::ABNORMAL));
    }
}

/// A connection that ends inside of a frame, of a message or of its handshake leaves nothing behind.
#[tokio::test]
async fn a_connection_may_end_anywhere() {
    let server = Server::start(Options::default());
    let whole = [frame(0x01, "fragment"), frame(0x80, "end")].concat();
    for length in 0..whole.len() {
        let mut client = Client::open(server.address).await;
        client.send(&whole[..length]).await;
    }
    let ended = whole.len();
    server.saw(|seen| seen.endings.len() == ended, |seen| assert_eq!(seen.messages, 0)).await;
    server.tasks.close();
    within("all connections to be gone", server.tasks.wait()).await;
}
