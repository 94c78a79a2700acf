//! Handshakes with bytes where none belong, cut short, or cut differently by others: never 101.

use tokio::io::AsyncWriteExt;

use crate::client::{Client, TEXT, frame, good_handshake};
use crate::malformed::{Cases, HEADERS, and, request, with};
use crate::server::{Options, PATH, Server};

/// A byte that belongs nowhere, anywhere.
#[tokio::test]
async fn bytes_that_belong_nowhere() {
    let good = good_handshake();
    let mut cases = Cases::default();
    for (name, byte) in [("NUL", 0), ("SOH", 1), ("DEL", 0x7f), ("CR", b'\r')] {
        for at in 0..good.len() {
            let request = [&good[..at], &[byte], &good[at..]].concat();
            cases.add(400, format!("{name} at {at}"), request);
        }
    }
    cases.run().await;
}

/// RFC 9112 (2.2) allows a bare LF as the end of a line, and empty lines before a request.
#[tokio::test]
async fn line_ends() {
    let good = String::from_utf8(good_handshake()).unwrap();
    let mut cases = Cases::default();
    cases.add(101, "LF everywhere", good.replace("\r\n", "\n"));
    cases.add(101, "LF after the request line", good.replacen("\r\n", "\n", 1));
    cases.add(101, "empty lines before", format!("\r\n\r\n{good}"));
    cases.add(400, "CR everywhere", good.replace("\r\n", "\r") + "\r\n\r\n");
    cases.add(400, "LF CR", good.replace("\r\n", "\n\r"));
    cases.add(400, "a blank before", format!(" {good}"));
    cases.add(
        400,
        "TLS to a plain port",
        [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[7; 32]].concat(),
    );
    cases.add(
        400,
        "h2c",
        with("Upgrade", "h2c").replace("Upgrade\r\n", "Upgrade, HTTP2-Settings\r\n"),
    );
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    cases.add(0, "HTTP/2", preface);
    cases.add(400, "a WebSocket frame", frame(TEXT, "hello"));
    cases.add(400, "a mail", "EHLO localhost\r\n");
    cases.run().await;
}

/// Requests that two servers in a row could cut differently. No handshake has a body, so none of them is one; and
/// what they carry is never taken for a request.
#[tokio::test]
async fn smuggling() {
    let smuggled = "GET /whoami HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let chunked = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    let length = smuggled.len().to_string();
    let mut cases = Cases::default();
    let te = "Transfer-Encoding";
    let cl = "Content-Length";
    for headers in [
        vec![(cl, &length[..])],
        vec![(cl, &length[..]), (cl, &length)],
        vec![(cl, "0"), (cl, &length)],
        vec![(cl, &length), (cl, "0")],
        vec![(cl, "+5")],
        vec![(cl, "-5")],
        vec![(cl, "5 5")],
        vec![(cl, "0x5")],
        vec![(cl, "5, 5")],
        vec![(cl, "5;")],
        vec![(cl, "")],
        vec![(cl, "99999999999999999999999999")],
        vec![(te, "chunked")],
        vec![(te, "chunked"), (cl, &length)],
        vec![(cl, &length), (te, "chunked")],
        vec![(cl, "0"), (te, "chunked")],
        vec![(te, "Chunked")],
        vec![(te, "chunked"), (te, "identity")],
        vec![(te, "identity"), (te, "chunked")],
        vec![(te, "chunked, identity")],
        vec![(te, "xchunked")],
        vec![(te, "x")],
        vec![(te, "")],
        vec![(te, "identity")],
        vec![(te, "\u{b}chunked")],
        vec![(te, "chunked\0")],
        vec![("Transfer-Encoding ", "chunked")],
        vec![(" Transfer-Encoding", "chunked")],
        vec![("Transfer\u{a0}Encoding", "chunked")],
        vec![("X", "x\rTransfer-Encoding: chunked")],
        vec![("X", "x\r\n\rTransfer-Encoding: chunked")],
    ] {
        for body in [smuggled, &chunked] {
            let name = format!("{headers:?}");
            cases.add(400, name, and(headers.iter().copied()) + body);
            let old = request(
                &format!("GET {PATH} HTTP/1.0"),
                HEADERS.into_iter().chain(headers.iter().copied()),
            );
            cases.add(400, format!("HTTP/1.0 {headers:?}"), old + body);
        }
    }
    // Too large for hyper, which is no worse than malformed.
    cases.add(431, "2^64 - 1 bytes", and([(cl, "18446744073709551615")]) + smuggled);
    cases.add(101, "an empty body", and([(cl, "0")]));
    cases.run().await;
}

/// A handshake that stops anywhere, and a client that says no more: nothing is upgraded, and the connection ends.
#[tokio::test]
async fn handshakes_that_end_early() {
    let server = Server::start(Options::default());
    let good = good_handshake();
    for length in 0..good.len() {
        let mut client = Client::connect(server.address).await;
        client.send(&good[..length]).await;
        client.stream.shutdown().await.unwrap();
        if let Some(answer) = client.answer().await {
            assert_eq!(answer.status, 400, "after {length} bytes");
        }
        client.end().await;
    }
    drop(Client::open(server.address).await);
}
