//! Clients that write any bytes and read what comes, with a bound on every wait.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::PATH;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// A handshake that every server accepts, and the key that it has to be answered with.
pub(crate) fn good_handshake() -> Vec<u8> {
    format!(
        "GET {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// Whatever can carry a connection.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A connection, and what was read from it but not yet looked at.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    buffer: BytesMut,
}

/// The head and the body of an HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The only value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().skip(1).filter_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        let value = values.next();
        assert_eq!(values.next(), None, "{name} twice in {}", self.head);
        value
    }
}

/// A frame from the server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, RSV and opcode.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// A WebSocket connection, past its handshake.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let mut client = Self::connect(address).await;
        client.send(&good_handshake()).await;
        assert_eq!(client.answer().await.map(|answer| answer.status), Some(101));
        client
    }
}

impl<S: Wire> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Writes, as far as the server lets it: a server that has closed is seen in what is read.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        drop(within("writing", self.stream.write_all(bytes)).await);
        drop(within("flushing", self.stream.flush()).await);
    }

    /// Reads more; `false` at the end of the connection, clean or not.
    async fn fill(&mut self) -> bool {
        let read = within("bytes from the server", self.stream.read_buf(&mut self.buffer)).await;
        matches!(read, Ok(1..))
    }

    /// The next HTTP answer; `None` if the connection ends without one.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if !self.fill().await {
                return None;
            }
        };
        let head = String::from_utf8(self.buffer.split_to(end + 4).to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: String::new() };
        let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        while self.buffer.len() < length {
            assert!(self.fill().await, "the body ended early");
        }
        answer.body = String::from_utf8(self.buffer.split_to(length).to_vec()).unwrap();
        Some(answer)
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = parse(&mut self.buffer) {
                return Some(frame);
            }
            if !self.fill().await {
                assert!(self.buffer.is_empty(), "the connection ended inside of a frame");
                return None;
            }
        }
    }

    /// Everything up to the end of the connection, whatever it is.
    pub(crate) async fn raw_end(&mut self) -> Vec<u8> {
        while self.fill().await {}
        self.buffer.split().to_vec()
    }

    /// Waits for the end of the connection, which must be next.
    pub(crate) async fn end(&mut self) {
        assert!(self.buffer.is_empty(), "unread: {:?}", self.buffer);
        assert!(!self.fill().await, "not the end: {:?}", self.buffer);
    }
}

fn parse(buffer: &mut BytesMut) -> Option<Frame> {
    let &[first, second] = buffer.get(..2)? else { return None };
    assert!(second < 128, "a masked frame from the server");
    let (head, length) = match second {
        126 => (4, usize::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().unwrap()))),
        127 => (10, u64::from_be_bytes(buffer.get(2..10)?.try_into().unwrap()).try_into().unwrap()),
        short => (2, usize::from(short)),
    };
    if buffer.len() < head + length {
        return None;
    }
    buffer.advance(head);
    Some(Frame { first, payload: buffer.split_to(length).to_vec() })
}

/// The head of a masked frame that announces a length.
pub(crate) fn head(first: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => head.push(0x80 | short),
        (_, Ok(length)) => {
            head.push(0x80 | 126);
            head.extend(length.to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend(length.to_be_bytes());
        }
    }
    head.extend(MASK);
    head
}

/// A masked frame.
pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = head(first, payload.len() as u64);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A masked close frame.
pub(crate) fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    frame(CLOSE, [&code.to_be_bytes()[..], reason.as_ref()].concat())
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = &self.payload[..self.payload.len().min(40)];
        write!(f, "{:#04x}({} bytes: {})", self.first, self.payload.len(), start.escape_ascii())
    }
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// First bytes of whole messages and of control frames.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;
/// The bit of a frame that ends its message.
pub(crate) const FIN: u8 = 0x80;
