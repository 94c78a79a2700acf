//! A small HTTP endpoint, for HTTP-backed services and hooks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request that came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// Method, path and headers, as sent.
    pub head: String,
    /// The body as JSON; null when it is none.
    pub body: Value,
    /// When it was read.
    pub at: Instant,
}

/// What an endpoint answers.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Further lines of the head, each with its end.
    pub headers: String,
    /// How long it takes.
    pub after: Duration,
}

impl From<(u16, String)> for Reply {
    fn from((status, body): (u16, String)) -> Self {
        Self { status, body, headers: String::new(), after: Duration::ZERO }
    }
}

impl Received {
    /// A header; an empty text when it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines
            .filter(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .next();
        found.unwrap_or_default()
    }
}

/// An endpoint that answers by a function, and remembers what it was asked.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Endpoint {
    /// Starts an endpoint. The function returns a status and a body, or a whole [`Reply`].
    pub async fn start<F, R>(answer: F) -> Self
    where
        F: Fn(&Received) -> R + Send + Sync + 'static,
        R: Into<Reply> + Send,
    {
        Self::start_at("127.0.0.1:0".parse().unwrap(), answer).await
    }

    /// Starts an endpoint at an address that is known already.
    pub async fn start_at<F, R>(address: SocketAddr, answer: F) -> Self
    where
        F: Fn(&Received) -> R + Send + Sync + 'static,
        R: Into<Reply> + Send,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let endpoint = Self { address: listener.local_addr().unwrap(), received: Arc::default() };
        let (received, answer) = (Arc::clone(&endpoint.received), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (received, answer) = (Arc::clone(&received), Arc::clone(&answer));
                tokio::spawn(async move {
                    let mut stream = stream;
                    while let Some(request) = read(&mut stream).await {
                        let Reply { status, body, headers, after } = answer(&request).into();
                        received.lock().unwrap().push(request);
                        tokio::time::sleep(after).await;
                        let head = format!(
                            "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n",
                            body.len()
                        );
                        if stream.write_all((head + &body).as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        endpoint
    }

    /// A URL of this endpoint.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything it was asked so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().filter_map(|line| line.split_once(": "));
            let length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length: usize = length.map(|(_, value)| value.parse().unwrap()).next().unwrap_or(0);
            if body.len() >= length {
                let body = serde_json::from_str(body).unwrap_or(Value::Null);
                return Some(Received { head: head.to_owned(), body, at: Instant::now() });
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
