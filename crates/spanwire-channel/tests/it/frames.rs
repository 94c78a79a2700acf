//! Frames and messages (RFC 6455, sections 5 and 8; wsx-protocol 1.3).

use crate::client::{BINARY, CLOSE, Client, FIN, Frame, PING, PONG, TEXT, close, frame, head};
use crate::server::Server;

/// First bytes of the fragments of a message.
const TEXT_PART: u8 = 0x01;
const BINARY_PART: u8 = 0x02;
const PART: u8 = 0x00;
const LAST_PART: u8 = FIN;

/// What a server does with some bytes.
struct Case {
    name: &'static str,
    sent: Vec<u8>,
    /// Frames that have to come back, in this order.
    echoed: Vec<(u8, Vec<u8>)>,
    /// The code the server closes with, when it has to.
    closed: Option<u16>,
}

/// Bytes after which the connection goes on.
fn goes_on<const N: usize>(
    name: &'static str,
    sent: impl IntoIterator<Item = Vec<u8>>,
    echoed: [(u8, &[u8]); N],
) -> Case {
    let echoed = echoed.map(|(first, payload)| (first, payload.to_vec())).to_vec();
    Case { name, sent: sent.into_iter().flatten().collect(), echoed, closed: None }
}

/// Bytes that the server refuses.
fn refused(name: &'static str, code: u16, sent: impl IntoIterator<Item = Vec<u8>>) -> Case {
    Case { name, sent: sent.into_iter().flatten().collect(), echoed: vec![], closed: Some(code) }
}

impl Case {
    /// Sends the bytes in pieces of some length, and compares what comes back.
    async fn run(&self, server: &Server, piece: usize) {
        let name = self.name;
        let mut client = Client::open(server.address).await;
        for piece in self.sent.chunks(piece) {
            client.send(piece).await;
        }
        // The pong of a ping can come before the echo of what was sent earlier, that of a message cannot.
        if self.closed.is_none() {
            client.send(&frame(TEXT, "the last one")).await;
        }
        let mut came = Vec::new();
        while let Some(Frame { first, payload }) = client.frame().await {
            if payload == b"the last one" {
                break;
            }
            came.push((first, payload));
            if first == CLOSE {
                break;
            }
        }
        if let Some(code) = self.closed {
            let (first, payload) = came.pop().unwrap_or_else(|| panic!("{name}: no close frame"));
            let found = payload.get(..2).map(|code| u16::from_be_bytes(code.try_into().unwrap()));
            assert_eq!((first, found), (CLOSE, Some(code)), "{name}: {}", payload.escape_ascii());
            client.end().await;
        }
        assert_eq!(came, self.echoed, "{name}");
    }
}

/// Runs each case whole, and again one byte at a time.
async fn run(cases: Vec<Case>) {
    let server = Server::with_max_message(1000);
    for case in cases {
        case.run(&server, usize::MAX).await;
        if case.sent.len() < 600 {
            case.run(&server, 1).await;
        }
    }
}

#[tokio::test]
async fn messages_come_back_as_they_were() {
    let (whole, most) = ([b'x'; 125], [0xff; 1000]);
    run(vec![
        goes_on("text", vec![frame(TEXT, "Zażółć")], [(TEXT, "Zażółć".as_bytes())]),
        goes_on("empty text", vec![frame(TEXT, "")], [(TEXT, b"")]),
        goes_on("binary", vec![frame(BINARY, [0, 255, 128])], [(BINARY, &[0, 255, 128])]),
        goes_on("empty binary", vec![frame(BINARY, "")], [(BINARY, b"")]),
        goes_on("125 bytes", vec![frame(TEXT, whole)], [(TEXT, &whole)]),
        goes_on("126 bytes", vec![frame(BINARY, &most[..126])], [(BINARY, &most[..126])]),
        goes_on("the greatest message", vec![frame(BINARY, most)], [(BINARY, &most)]),
        goes_on("NUL is text", vec![frame(TEXT, "\0")], [(TEXT, b"\0")]),
        goes_on(
            "two at once",
            vec![frame(TEXT, "a"), frame(BINARY, "b")],
            [(TEXT, b"a"), (BINARY, b"b")],
        ),
        // RFC 6455 lets a sender use more length bytes than needed only against its own rules; nobody is harmed.
        goes_on("no payload, no mask key", vec![vec![TEXT, 0x80, 0, 0, 0, 0]], [(TEXT, b"")]),
    ])
    .await;
}

#[tokio::test]
async fn fragments_become_one_message() {
    run(vec![
        goes_on("two", vec![frame(TEXT_PART, "Hel"), frame(LAST_PART, "lo")], [(TEXT, b"Hello")]),
        goes_on(
            "empty ones",
            vec![
                frame(BINARY_PART, ""),
                frame(PART, ""),
                frame(PART, "x"),
                frame(PART, ""),
                frame(LAST_PART, ""),
            ],
            [(BINARY, b"x")],
        ),
        goes_on("only empty ones", vec![frame(TEXT_PART, ""), frame(LAST_PART, "")], [(TEXT, b"")]),
        goes_on(
            "one message after the other",
            vec![
                frame(TEXT_PART, "a"),
                frame(LAST_PART, "b"),
                frame(BINARY_PART, "c"),
                frame(LAST_PART, "d"),
            ],
            [(TEXT, b"ab"), (BINARY, b"cd")],
        ),
        goes_on(
            "a ping between",
            vec![frame(TEXT_PART, "a"), frame(PING, "p"), frame(LAST_PART, "b")],
            [(PONG, b"p"), (TEXT, b"ab")],
        ),
        goes_on(
            "a pong between",
            vec![frame(TEXT_PART, "a"), frame(PONG, "p"), frame(LAST_PART, "b")],
            [(TEXT, b"ab")],
        ),
        refused("a continuation of nothing", 1002, vec![frame(LAST_PART, "x")]),
        refused("an open continuation of nothing", 1002, vec![frame(PART, "x")]),
        refused(
            "a text inside of a text",
            1002,
            vec![frame(TEXT_PART, "a"), frame(TEXT, "b"), frame(LAST_PART, "c")],
        ),
        refused(
            "a binary start inside of a text",
            1002,
            vec![frame(TEXT_PART, "a"), frame(BINARY_PART, "b")],
        ),
        refused(
            "a continuation after the end",
            1002,
            vec![frame(TEXT_PART, "a"), frame(LAST_PART, CLOSE_MARK), frame(LAST_PART, "c")],
        )
        .after(TEXT, &["a", CLOSE_MARK].concat()),
        // A close between fragments counts at once.
        refused("a close between", 1000, vec![frame(TEXT_PART, "a"), close(1000, "")]),
    ])
    .await;
}

const CLOSE_MARK: &str = "the end of it";

impl Case {
    /// Something is echoed before the close.
    fn after(mut self, first: u8, payload: &str) -> Self {
        self.echoed.push((first, payload.into()));
        self
    }
}

#[tokio::test]
async fn pings_are_answered_in_kind() {
    let longest = [7; 125];
    run(vec![
        goes_on("empty, before any message", vec![frame(PING, "")], [(PONG, b"")]),
        goes_on("{}", vec![frame(PING, "{}")], [(PONG, b"{}")]),
        goes_on("125 bytes", vec![frame(PING, longest)], [(PONG, &longest)]),
        goes_on("not UTF-8", vec![frame(PING, [0xff, 0])], [(PONG, &[0xff, 0])]),
        goes_on(
            "ten in a row",
            (0..10).map(|n| frame(PING, [n])),
            std::array::from_fn::<(u8, &[u8]), 10, _>(|n| (PONG, &DIGITS[n..=n])),
        ),
        goes_on("a pong for nothing", vec![frame(PONG, "beep"), frame(PONG, "")], []),
        refused("a pong of 126 bytes", 1002, vec![frame(PONG, [0; 126])]),
    ])
    .await;
}

const DIGITS: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

#[tokio::test]
async fn text_is_utf8() {
    // κόσμε, U+10FFFF and a character of each length.
    let valid = "κόσμε \u{10ffff} a\u{80}\u{800}\u{10000}\u{d7ff}\u{e000}\u{fffd}";
    let mut cases = vec![goes_on("valid", vec![frame(TEXT, valid)], [(TEXT, valid.as_bytes())])];
    for at in 0..=valid.len() {
        let (start, rest) = valid.as_bytes().split_at(at);
        cases.push(goes_on(
            "valid, split anywhere",
            vec![frame(TEXT_PART, start), frame(PING, "p"), frame(LAST_PART, rest)],
            [(PONG, b"p"), (TEXT, valid.as_bytes())],
        ));
    }
    let bytes: Vec<Vec<u8>> = valid.bytes().map(|byte| frame(PART, [byte])).collect();
    let parts = [vec![frame(TEXT_PART, "")], bytes, vec![frame(LAST_PART, "")]].concat();
    cases.push(goes_on("valid, one byte a fragment", parts, [(TEXT, valid.as_bytes())]));
    for (name, bad) in BAD_UTF8 {
        let around = [b"ok ", *bad, b" ok"].concat();
        let at_end = [b"ok ", *bad].concat();
        cases.push(refused(name, 1007, vec![frame(TEXT, around)]));
        cases.push(refused(name, 1007, vec![frame(TEXT, &at_end)]));
        let (start, rest) = at_end.split_at(4);
        cases.push(refused(name, 1007, vec![frame(TEXT_PART, start), frame(LAST_PART, rest)]));
        cases.push(refused(name, 1007, vec![frame(TEXT_PART, &at_end), frame(LAST_PART, "")]));
        cases.push(goes_on(name, vec![frame(BINARY, &at_end)], [(BINARY, &at_end)]));
    }
    run(cases).await;
}

/// A text that cannot become valid is refused before its last fragment.
#[tokio::test]
async fn bad_text_is_refused_before_it_ends() {
    run(vec![
        refused("a byte that is never valid", 1007, vec![frame(TEXT_PART, [b'a', 0xff])]),
        refused(
            "a broken sequence over two fragments",
            1007,
            vec![frame(TEXT_PART, [0xf4]), frame(PART, [0x90])],
        ),
    ])
    .await;
}

const BAD_UTF8: &[(&str, &[u8])] = &[
    ("a lone continuation byte", &[0x80]),
    ("a cut sequence of two", &[0xc3]),
    ("a cut sequence of three", &[0xe2, 0x82]),
    ("a cut sequence of four", &[0xf0, 0x9f, 0x98]),
    ("an overlong slash", &[0xc0, 0xaf]),
    ("an overlong NUL", &[0xe0, 0x80, 0x80]),
    ("a surrogate", &[0xed, 0xa0, 0x80]),
    ("a pair of surrogates", &[0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]),
    ("above U+10FFFF", &[0xf4, 0x90, 0x80, 0x80]),
    ("a sequence of five", &[0xf8, 0x88, 0x80, 0x80, 0x80]),
    ("a byte-order mark of UTF-16", &[0xff, 0xfe]),
];

#[tokio::test]
async fn messages_above_the_limit_are_refused() {
    let (half, over) = ([0; 500], [0; 1001]);
    run(vec![
        refused("in one frame", 1009, vec![frame(BINARY, over)]),
        refused("in one text frame", 1009, vec![frame(TEXT, over)]),
        refused("announced only", 1009, vec![head(BINARY, 1001)]),
        refused("announced in a continuation", 1009, vec![frame(TEXT_PART, ""), head(PART, 1001)]),
        refused(
            "in fragments",
            1009,
            vec![frame(BINARY_PART, half), frame(PART, half), frame(LAST_PART, "x")],
        ),
        refused(
            "in a thousand fragments",
            1009,
            [vec![frame(TEXT_PART, "x")], vec![frame(PART, "x"); 1000]].concat(),
        ),
        refused("4 GiB", 1009, vec![head(TEXT, 1 << 32)]),
        refused("2^63 - 1 bytes", 1009, vec![head(BINARY, (1 << 63) - 1)]),
        refused("2^63 bytes, which no length may be", 1009, vec![head(BINARY, 1 << 63)]),
        refused("the greatest number", 1009, vec![head(TEXT, u64::MAX)]),
    ])
    .await;
}

#[tokio::test]
async fn empty_continuations_cost_nothing() {
    let server = Server::with_max_message(1000);
    let mut client = Client::open(server.address).await;
    client.send(&frame(TEXT_PART, "start")).await;
    let thousand = frame(PART, "").repeat(1000);
    for _ in 0..100 {
        client.send(&thousand).await;
    }
    client.send(&frame(LAST_PART, " end")).await;
    let echo = client.frame().await.unwrap();
    assert_eq!(echo, Frame { first: TEXT, payload: b"start end".to_vec() });
}
