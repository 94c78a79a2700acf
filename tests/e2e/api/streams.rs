//! Server-sent events over real sockets.

mod resuming;
mod slow;
mod stopping;
mod telling;

use std::time::Duration;

use serde_json::Value;
use spanwire_tests::{PATIENCE, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A reader of events.
struct Reader {
    stream: TcpStream,
    /// Status and headers, in lower case.
    head: String,
    /// What came and was not taken apart yet.
    raw: Vec<u8>,
    text: Vec<u8>,
    /// Whether the body ended as HTTP ends it.
    is_whole: bool,
}

/// One event.
#[derive(Debug)]
struct Event {
    name: String,
    id: Option<u64>,
    data: Value,
}

impl Reader {
    /// Opens a stream; `query` begins with `?` if there is one.
    async fn open(server: &Server, query: &str, last: Option<u64>) -> Self {
        let reader = Self::try_open(server, query, last).await;
        assert!(reader.head.starts_with("http/1.1 200 "), "{}", reader.head);
        assert!(reader.head.contains("content-type: text/event-stream\r\n"), "{}", reader.head);
        assert!(reader.head.contains("cache-control: no-store\r\n"), "{}", reader.head);
        reader
    }

    /// The same, whatever the server says.
    async fn try_open(server: &Server, query: &str, last: Option<u64>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(server.admin_address()).await.unwrap();
        let last = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        let request = format!(
            "GET /api/v1/events{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n{last}\r\n",
            server.admin_token()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
            head.push(byte.expect("the server answers").unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        Self { stream, head, raw: Vec::new(), text: Vec::new(), is_whole: false }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        let next = tokio::time::timeout(PATIENCE, self.read()).await;
        next.expect("no event comes")
    }

    /// The next event of a name.
    async fn next_named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.name == name {
                return event;
            }
        }
    }

    /// The next event, which must be a change, and its revision.
    async fn change(&mut self) -> u64 {
        let event = self.next().await.expect("the stream goes on");
        assert_eq!(event.name, "change", "{event:?}");
        assert_eq!(event.data["revision"], event.id.unwrap(), "{event:?}");
        event.id.unwrap()
    }

    /// Nothing comes for a moment.
    async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(150), self.read()).await.is_err()
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.take_event() {
                return Some(event);
            }
            if self.is_whole
                || (!self.take_chunk()
                    && self.stream.read_buf(&mut self.raw).await.unwrap_or(0) == 0)
            {
                return None;
            }
        }
    }

    /// Takes one chunk of the body out of what came.
    fn take_chunk(&mut self) -> bool {
        let Some(line) = self.raw.windows(2).position(|two| two == b"\r\n") else { return false };
        let size = std::str::from_utf8(&self.raw[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("no size: {size}"));
        let (begin, end) = (line + 2, line + 2 + size);
        if self.raw.len() < end + 2 {
            return false;
        }
        self.text.extend_from_slice(&self.raw[begin..end]);
        self.raw.drain(..end + 2);
        self.is_whole = size == 0;
        true
    }

    fn take_event(&mut self) -> Option<Event> {
        loop {
            let end = self.text.windows(2).position(|two| two == b"\n\n")?;
            let block: Vec<u8> = self.text.drain(..end + 2).collect();
            let block = String::from_utf8(block).unwrap();
            let field = |name: &str| {
                let line =
                    block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                line.map(str::to_owned)
            };
            // What has no data is a comment, by which the server shows that it is there.
            let Some(data) = field("data") else { continue };
            let data = serde_json::from_str(&data).unwrap();
            let id = field("id").map(|id| id.parse().unwrap());
            return Some(Event { name: field("event").unwrap(), id, data });
        }
    }
}
