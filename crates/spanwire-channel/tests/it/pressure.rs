//! What a peer can make the server hold: bytes before trust, answers that nobody reads, pings without end.

use std::time::Duration;

use spanwire_channel::websocket::{Side, SocketLimits};
use spanwire_protocol::{CloseCode, CloseFrame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{BINARY, Client, Frame, PING, PONG, TEXT, frame, within};
use crate::server::{Options, Server, impatient};

const QUEUE: usize = 64 * 1024;
const MESSAGE: usize = 16 * 1024;
/// What a frame is counted with besides its payload.
const OVERHEAD: usize = 16;
/// More than the kernel holds for a connection on loopback, in both directions together.
const TOO_MUCH: usize = 64 << 20;

fn small_queue() -> SocketLimits {
    SocketLimits {
        max_message_size: MESSAGE,
        outgoing_queue_size: QUEUE,
        write_timeout: Duration::from_secs(60),
        ..SocketLimits::default()
    }
}

/// Writes the same bytes until the server takes no more for a while; how many times they were written, which may
/// have left the last ones incomplete.
async fn write_until_blocked(stream: &mut TcpStream, bytes: &[u8]) -> (usize, usize) {
    let (mut times, mut written) = (0, 0);
    while times * bytes.len() < TOO_MUCH {
        let write = stream.write(&bytes[written..]);
        match tokio::time::timeout(Duration::from_secs(1), write).await {
            Err(_) => return (times, written),
            Ok(result) => written += result.unwrap(),
        }
        if written == bytes.len() {
            (times, written) = (times + 1, 0);
        }
    }
    panic!("the server reads all that a peer sends that does not read");
}

#[tokio::test]
async fn a_peer_that_is_not_trusted_may_send_so_much_and_no_more() {
    let options = Options { trust: false, ..Options::default() };
    let server = Server::start(options);
    // 8 bytes of head.
    let most = frame(BINARY, vec![0; 64 * 1024 - 8]);
    assert_eq!(most.len(), 64 * 1024);
    let mut client = Client::open(server.address).await;
    client.send(&most).await;
    assert_eq!(client.frame().await.unwrap().payload.len(), 64 * 1024 - 8);
    client.send(&frame(PING, "")).await;
    client.end().await;
    let ending = server.ending().await;
    assert_eq!((ending.side, ending.frame.code), (Side::Network, CloseCode::ABNORMAL));
    let mut client = Client::open(server.address).await;
    client.send(&frame(BINARY, vec![0; 64 * 1024 - 7])).await;
    client.end().await;
    server.saw(|seen| seen.endings.len() == 2, |seen| assert_eq!(seen.messages, 1)).await;
}

#[tokio::test]
async fn bytes_sent_with_the_handshake_are_no_way_around_the_allowance() {
    let options = Options { trust: false, ..Options::default() };
    let server = Server::start(options);
    let mut client = Client::connect(server.address).await;
    let mut bytes = crate::client::good_handshake();
    bytes.extend(frame(BINARY, vec![0; 256 * 1024]));
    client.send(&bytes).await;
    assert_eq!(client.answer().await.unwrap().status, 101);
    client.end().await;
    server.ending().await;
    server.saw(|_| true, |seen| assert_eq!(seen.messages, 0)).await;
}

#[tokio::test]
async fn trust_lifts_the_allowance() {
    let server = Server::start(Options::default());
    let mut client = Client::open(server.address).await;
    client.send(&frame(TEXT, "trust me")).await;
    client.frame().await.unwrap();
    client.send(&frame(BINARY, vec![1; 1 << 20])).await;
    assert_eq!(client.frame().await.unwrap().payload, vec![1; 1 << 20]);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_not_read_and_goes_on_when_it_does() {
    let server = Server::start(Options { socket: small_queue(), ..Options::default() });
    let mut client = Client::open(server.address).await;
    let payload: Vec<u8> = (0..MESSAGE).map(|n| n.to_le_bytes()[0]).collect();
    let message = frame(BINARY, &payload);
    let (times, written) = write_until_blocked(&mut client.stream, &message).await;
    server.saw(|seen| seen.queue >= QUEUE, |_| ()).await;
    // The rest of the last one, while the answers are read.
    let (mut reading, mut writing) = client.stream.into_split();
    let rest = message[written..].to_vec();
    let writer = tokio::spawn(async move {
        writing.write_all(&rest).await.unwrap();
        writing.write_all(&frame(TEXT, "the last one")).await.unwrap();
        writing
    });
    let echo = [&[BINARY, 126, 0x40, 0x00][..], &payload].concat();
    let mut came = vec![0; echo.len()];
    for n in 0..=times {
        within("an echo", reading.read_exact(&mut came)).await.unwrap();
        assert!(came == echo, "echo {n} of {times} is not what was sent");
    }
    let mut last = vec![0; 14];
    within("the last echo", reading.read_exact(&mut last)).await.unwrap();
    assert_eq!(&last[2..], b"the last one");
    drop(within("the writer", writer).await.unwrap());
    let most = server.saw(|seen| seen.queue < QUEUE, |seen| seen.queue_max).await;
    assert!((QUEUE..=QUEUE + MESSAGE + OVERHEAD).contains(&most), "the queue held {most} bytes");
}

#[tokio::test]
async fn pings_without_end_do_not_fill_memory() {
    let server = Server::start(Options { socket: small_queue(), ..Options::default() });
    let mut client = Client::open(server.address).await;
    let pings = frame(PING, [b'p'; 125]).repeat(500);
    let (times, written) = write_until_blocked(&mut client.stream, &pings).await;
    let (mut reading, mut writing) = client.stream.into_split();
    let rest = pings[written..].to_vec();
    let writer = tokio::spawn(async move {
        writing.write_all(&rest).await.unwrap();
        writing.write_all(&frame(TEXT, "the last one")).await.unwrap();
        writing
    });
    // Each ping has its pong: none was lost while nobody read.
    let mut pong = [0; 127];
    for n in 0..(times + 1) * 500 {
        within("a pong", reading.read_exact(&mut pong)).await.unwrap();
        assert!(pong[..2] == [PONG, 125] && pong[2..] == [b'p'; 125], "pong {n}: {pong:?}");
    }
    let mut last = vec![0; 14];
    within("the last echo", reading.read_exact(&mut last)).await.unwrap();
    assert_eq!(&last[2..], b"the last one");
    drop(within("the writer", writer).await.unwrap());
}

#[tokio::test]
async fn writing_that_stands_still_ends_the_connection() {
    let socket = SocketLimits { outgoing_queue_size: QUEUE, ..impatient() };
    let server = Server::start(Options { socket, ..Options::default() });
    let mut client = Client::open(server.address).await;
    let message = frame(BINARY, vec![0; 1 << 20]);
    let writer = tokio::spawn(async move {
        // Until the server gives up.
        while client.stream.write_all(&message).await.is_ok() {}
    });
    let ending = server.ending().await;
    assert_eq!((ending.side, ending.frame), (Side::Server, CloseFrame::TOO_SLOW));
    within("the client to notice", writer).await.unwrap();
    server.tasks.close();
    within("the server to let go", server.tasks.wait()).await;
}

/// Only standing still counts: whoever reads slowly, but reads, gets it all.
#[tokio::test]
async fn a_slow_reader_of_a_great_message_is_waited_for() {
    let socket = SocketLimits { max_message_size: 24 << 20, ..impatient() };
    let server = Server::start(Options { socket, ..Options::default() });
    let mut client = Client::open(server.address).await;
    client.send(&frame(TEXT, "trust me")).await;
    client.frame().await.unwrap();
    client.send(&frame(BINARY, vec![0; 24 << 20])).await;
    let mut left = (24 << 20) + 10;
    let mut piece = vec![0; 1 << 20];
    // In a bit more than twice the time that writing may stand still.
    let mut ticks = tokio::time::interval(Duration::from_millis(40));
    while left > 0 {
        ticks.tick().await;
        let most = piece.len().min(left);
        let read = within("more of it", client.stream.read_exact(&mut piece[..most])).await;
        left -= read.unwrap_or_else(|error| panic!("given up {left} bytes early: {error}"));
    }
}

/// One busy connection does not keep another from being served.
#[tokio::test]
async fn a_flood_on_one_connection_leaves_others_alone() {
    let server = Server::start(Options::default());
    let mut busy = Client::open(server.address).await;
    let flood = frame(TEXT, "x").repeat(1000);
    let flooding = tokio::spawn(async move {
        let (mut reading, mut writing) = busy.stream.split();
        let mut sink = vec![0; 64 * 1024];
        let write = async { while writing.write_all(&flood).await.is_ok() {} };
        let read = async { while reading.read(&mut sink).await.is_ok_and(|read| read > 0) {} };
        tokio::join!(write, read);
    });
    server.saw(|seen| seen.messages > 10_000, |_| ()).await;
    for _ in 0..50 {
        let mut client = Client::open(server.address).await;
        client.send(&frame(TEXT, "quiet")).await;
        let echo = Frame { first: TEXT, payload: b"quiet".to_vec() };
        assert_eq!(client.frame().await, Some(echo));
    }
    assert!(!flooding.is_finished());
    flooding.abort();
}
