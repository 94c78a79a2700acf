//! A WebSocket connection made by hand: each frame is sent as its bytes and each frame that comes is shown.
//!
//! It answers nothing by itself, neither pings nor closes, and it can send what a WebSocket library refuses to.

use std::time::Duration;

use spanwire_tests::PATIENCE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The first byte of a text message in one frame.
pub(crate) const TEXT: u8 = 0x81;
/// The first byte of a binary message in one frame.
pub(crate) const BINARY: u8 = 0x82;
/// The first byte of a close.
pub(crate) const CLOSE: u8 = 0x88;
/// The first byte of a ping.
pub(crate) const PING: u8 = 0x89;
/// The first byte of a pong.
pub(crate) const PONG: u8 = 0x8a;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One frame of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The bit that says "final" and the opcode.
    pub(crate) first: u8,
    /// What it carries.
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The payload as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.payload.clone()).unwrap()
    }

    /// Code and reason of a close; no code when it is empty.
    pub(crate) fn close(&self) -> (Option<u16>, String) {
        match self.payload.split_first_chunk::<2>() {
            Some((code, reason)) => {
                let reason = String::from_utf8(reason.to_vec()).unwrap();
                (Some(u16::from_be_bytes(*code)), reason)
            }
            None => (None, String::new()),
        }
    }
}

/// A connection, with what was read of it but not yet looked at.
#[derive(Debug)]
pub(crate) struct Raw {
    stream: TcpStream,
    buffered: Vec<u8>,
}

impl Raw {
    /// Connects to a `ws://` URL and shakes hands.
    pub(crate) async fn open(url: &str) -> Self {
        let rest = url.strip_prefix("ws://").unwrap();
        let (host, path) = rest.split_once('/').unwrap();
        let request = format!(
            "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let (raw, head, _) = Self::request(host, request.as_bytes()).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{url}: {head}");
        raw
    }

    /// Sends an HTTP request, and returns the head and the body of the answer.
    pub(crate) async fn request(host: &str, request: &[u8]) -> (Self, String, String) {
        let stream = TcpStream::connect(host).await.unwrap();
        let mut raw = Self { stream, buffered: Vec::new() };
        raw.write(request).await;
        let end = loop {
            if let Some(at) = raw.buffered.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(raw.read_more().await, "no answer to the handshake");
        };
        let head = raw.take(end);
        let head = String::from_utf8(head).unwrap();
        let lengths = head.lines().filter_map(|line| line.split_once(": "));
        let length = lengths
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map(|(_, value)| value.parse::<usize>().unwrap())
            .sum();
        while raw.buffered.len() < length {
            assert!(raw.read_more().await, "the body ends too early");
        }
        let body = String::from_utf8(raw.take(length)).unwrap();
        (raw, head, body)
    }

    /// Sends a frame as a client does, masked.
    pub(crate) async fn send(&mut self, first: u8, payload: &[u8]) {
        let mut frame = head(first, payload.len(), 0x80);
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.write(&frame).await;
    }

    /// Sends a frame as no client may, without a mask.
    pub(crate) async fn send_unmasked(&mut self, first: u8, payload: &[u8]) {
        let mut frame = head(first, payload.len(), 0);
        frame.extend(payload);
        self.write(&frame).await;
    }

    /// The next frame; `None` when the server has closed the connection.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.parse() {
                return Some(frame);
            }
            if !self.read_more().await {
                assert!(self.buffered.is_empty(), "the connection ends within a frame");
                return None;
            }
        }
    }

    /// Everything until the server closes, as text.
    pub(crate) async fn rest(&mut self) -> String {
        while self.read_more().await {}
        String::from_utf8_lossy(&self.buffered).into_owned()
    }

    fn parse(&mut self) -> Option<Frame> {
        let &[first, second, ..] = self.buffered.as_slice() else { return None };
        assert_eq!(second & 0x80, 0, "a server masks nothing");
        let extended = match second {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let length = self.buffered.get(2..2 + extended)?;
        let length = match extended {
            0 => usize::from(second),
            _ => length.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)),
        };
        let start = 2 + extended;
        self.buffered.get(start..start + length)?;
        let payload = self.take(start + length).split_off(start);
        Some(Frame { first, payload })
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        self.buffered.drain(..length).collect()
    }

    /// Whether there was more.
    async fn read_more(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffered)).await;
        // A connection that is reset has ended, too.
        read.expect("the server sends nothing").unwrap_or(0) > 0
    }

    async fn write(&mut self, bytes: &[u8]) {
        // The server may have closed already; what it said is read afterwards.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.stream.write_all(bytes)).await;
    }
}

fn head(first: u8, length: usize, mask: u8) -> Vec<u8> {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => vec![first, mask | short],
        (_, Ok(medium)) => [&[first, mask | 126], &medium.to_be_bytes()[..]].concat(),
        _ => [&[first, mask | 127], &u64::try_from(length).unwrap().to_be_bytes()[..]].concat(),
    }
}
