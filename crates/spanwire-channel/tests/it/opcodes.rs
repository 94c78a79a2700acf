//! Every first byte of a frame, masked and not, with payloads of several lengths, against a model of RFC 6455.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::client::{CLOSE, Client, FIN, Frame, PONG, TEXT, frame};
use crate::server::Server;

/// Lengths around every boundary of the length field and of control frames.
const LENGTHS: [usize; 6] = [0, 1, 2, 125, 126, 1001];
const MAX_MESSAGE: usize = 1000;

#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// The frame is a message, or the start of one.
    Echo,
    Pong,
    Nothing,
    CloseEcho,
    Refused(u16),
}

fn expected(first: u8, length: usize, masked: bool) -> Expected {
    let (fin, reserved, opcode) = (first & FIN != 0, first & 0x70, first & 0x0f);
    if !matches!(opcode, 0..=2 | 8..=10) {
        return Expected::Refused(1002);
    }
    // The length is looked at before the rest: it decides how much would have to be read.
    if length > MAX_MESSAGE {
        return Expected::Refused(1009);
    }
    if !masked || reserved != 0 {
        return Expected::Refused(1002);
    }
    match opcode {
        1 | 2 => Expected::Echo,
        8..=10 if !fin || length > 125 => Expected::Refused(1002),
        8 if length == 1 => Expected::Refused(1002),
        8 => Expected::CloseEcho,
        9 => Expected::Pong,
        10 => Expected::Nothing,
        _ => Expected::Refused(1002),
    }
}

async fn check(server: &Server, first: u8, length: usize, masked: bool) {
    let what = format!("{first:#010b}, {length} bytes, masked: {masked}");
    // As a close frame: code 3003, reason of the same letters.
    let payload = [&[0x0b, 0xbb][..], &[b'v'; 1001]].concat()[..length].to_vec();
    let payload = if first & 0x0f == 1 { vec![b'v'; length] } else { payload };
    let mut sent = frame(first, &payload);
    if !masked {
        let head = sent.len() - length - 4;
        sent.truncate(head);
        sent[1] &= 0x7f;
        sent.extend(&payload);
    }
    let expected = expected(first, length, masked);
    if expected == Expected::Echo && first & FIN == 0 {
        sent.extend(frame(FIN, ""));
    }
    if matches!(expected, Expected::Nothing) {
        sent.extend(frame(TEXT, "still here"));
    }
    let mut client = Client::open(server.address).await;
    client.send(&sent).await;
    let came = client.frame().await.unwrap_or_else(|| panic!("{what}: no answer"));
    let wanted = match expected {
        Expected::Echo => Frame { first: first | FIN, payload },
        Expected::Pong => Frame { first: PONG, payload },
        Expected::CloseEcho => Frame { first: CLOSE, payload },
        Expected::Nothing => Frame { first: TEXT, payload: b"still here".to_vec() },
        Expected::Refused(code) => {
            assert_eq!(came.first, CLOSE, "{what}: {came:?}");
            assert_eq!(came.payload.get(..2), Some(&code.to_be_bytes()[..]), "{what}: {came:?}");
            return client.end().await;
        }
    };
    assert_eq!(came, wanted, "{what}");
    if expected == Expected::CloseEcho {
        client.end().await;
    }
}

#[tokio::test]
async fn every_first_byte_is_understood_or_refused() {
    let server = Arc::new(Server::with_max_message(MAX_MESSAGE));
    let mut running = JoinSet::new();
    for first in 0..=255 {
        let server = Arc::clone(&server);
        running.spawn(async move {
            for length in LENGTHS {
                for masked in [true, false] {
                    check(&server, first, length, masked).await;
                }
            }
        });
    }
    let checked = running.join_all().await.len();
    assert_eq!(checked, 256);
}
