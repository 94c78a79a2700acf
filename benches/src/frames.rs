//! WebSocket frames as a client that costs next to nothing writes and counts them.
//!
//! Frames are masked, as clients must, with the key zero, which leaves the payload as it is. Replies are counted by
//! their headers; whether they are the right ones is told by their length, which the caller learnt from one reply that
//! it read in full. Not for servers that fragment messages.

use std::fmt;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

const MASKED: u8 = 0x80;
const ZERO_KEY: [u8; 4] = [0; 4];
/// Of a frame from a server.
const MAX_HEAD: usize = 10;

/// A text frame from a client.
pub(crate) fn text_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + MAX_HEAD + ZERO_KEY.len());
    frame.push(TEXT);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ 0..=125), _) => frame.push(MASKED | short),
        (_, Ok(length)) => {
            frame.push(MASKED | 126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(MASKED | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(ZERO_KEY);
    frame.extend_from_slice(payload);
    frame
}

/// What the header of a frame from a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    first: u8,
    /// Bytes of the header.
    pub(crate) head: usize,
    /// Bytes of the payload.
    pub(crate) payload: usize,
}

impl Head {
    /// Reads a header; `None` while it is incomplete.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (head, payload) = match second {
            126 => (4, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
            127 => (10, u64::from_be_bytes(*rest.first_chunk()?)),
            // A masked frame from a server is nonsense and is found out by its length.
            short => (2, u64::from(short)),
        };
        Some(Self { first, head, payload: usize::try_from(payload).unwrap_or(usize::MAX) })
    }

    /// Whether it is a whole message; pings and pongs are not.
    pub(crate) fn is_message(&self) -> Result<bool, Unexpected> {
        match self.first {
            TEXT | BINARY => Ok(true),
            PING | PONG => Ok(false),
            CLOSE => Err(Unexpected::Close),
            first => Err(Unexpected::Frame(first)),
        }
    }
}

/// Why what a server sent is not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unexpected {
    Close,
    Frame(u8),
    Length { expected: usize, found: usize },
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close => f.write_str("the server closed the connection"),
            Self::Frame(first) => write!(f, "a frame that starts with {first:#04x}"),
            Self::Length { expected, found } => {
                write!(f, "a reply of {found} bytes instead of {expected}: an error, most likely")
            }
        }
    }
}

impl std::error::Error for Unexpected {}

/// Counts replies in a stream of bytes that comes in pieces.
#[derive(Debug)]
pub(crate) struct ReplyCounter {
    /// What every reply measures.
    expected: usize,
    /// The header being read.
    head: [u8; MAX_HEAD],
    have: usize,
    /// Bytes left of the payload being skipped, and whether it is a reply's.
    left: usize,
    is_reply: bool,
}

impl ReplyCounter {
    /// Counts replies whose payload has this length; any other is an error.
    pub(crate) fn new(expected: usize) -> Self {
        Self { expected, head: [0; MAX_HEAD], have: 0, left: 0, is_reply: false }
    }

    /// Takes the next bytes; tells how many replies ended in them.
    pub(crate) fn count(&mut self, mut bytes: &[u8]) -> Result<u32, Unexpected> {
        let mut replies = 0;
        loop {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                bytes = bytes.get(skipped..).unwrap_or_default();
                self.left -= skipped;
                if self.left > 0 {
                    return Ok(replies);
                }
                replies += u32::from(self.is_reply);
            }
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(replies) };
            bytes = rest;
            if let Some(place) = self.head.get_mut(self.have) {
                *place = byte;
            }
            self.have += 1;
            let Some(head) = Head::read(self.head.get(..self.have).unwrap_or_default()) else {
                continue;
            };
            self.have = 0;
            self.is_reply = head.is_message()?;
            if self.is_reply && head.payload != self.expected {
                return Err(Unexpected::Length { expected: self.expected, found: head.payload });
            }
            self.left = head.payload;
            if self.left == 0 {
                replies += u32::from(self.is_reply);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as a server sends it: without a mask.
    fn from_server(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = text_frame(payload);
        let head = frame.len() - payload.len();
        frame.drain(head - ZERO_KEY.len()..head);
        frame[0] = first;
        frame[1] &= !MASKED;
        frame
    }

    #[test]
    fn frames_are_masked_with_zero_and_have_the_shortest_length() {
        for (length, head) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let payload = vec![b'x'; length];
            let frame = text_frame(&payload);
            assert_eq!(frame.len(), head + 4 + length);
            assert_eq!((frame[0], frame[1] & MASKED), (TEXT, MASKED));
            assert_eq!(frame[head..head + 4], ZERO_KEY);
            assert_eq!(frame[head + 4..], payload);
            let read = Head::read(&from_server(TEXT, &payload)).unwrap();
            assert_eq!((read.head, read.payload), (head, length));
        }
    }

    #[test]
    fn replies_are_counted_however_the_bytes_are_cut() {
        for length in [0, 5, 125, 126, 300, 70_000] {
            let reply = from_server(TEXT, &vec![b'r'; length]);
            let ping = from_server(PING, b"are you there");
            let stream = [&*reply, &*ping, &*reply, &*ping, &*reply].concat();
            for cut in [1, 2, 3, 7, 126, 4096, stream.len()] {
                let mut counter = ReplyCounter::new(length);
                let counted: u32 = stream.chunks(cut).map(|c| counter.count(c).unwrap()).sum();
                assert_eq!(counted, 3, "{length} bytes in pieces of {cut}");
            }
        }
    }

    #[test]
    fn what_is_not_the_reply_is_an_error() {
        let mut counter = ReplyCounter::new(4);
        assert_eq!(
            counter.count(&from_server(TEXT, b"error")),
            Err(Unexpected::Length { expected: 4, found: 5 })
        );
        let mut counter = ReplyCounter::new(4);
        assert_eq!(counter.count(&from_server(CLOSE, b"\x03\xe8")), Err(Unexpected::Close));
        let mut counter = ReplyCounter::new(4);
        assert_eq!(counter.count(&from_server(0x01, b"part")), Err(Unexpected::Frame(0x01)));
    }
}
