//! Plain HTTP requests, byte by byte, and what came back.

use std::net::SocketAddr;

use base64::Engine as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{PATIENCE, Server};

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// A header; an empty text when it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) =
            text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP response: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
    }
}

/// Sends these bytes and reads until the server closes.
pub async fn raw(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    let exchange = async {
        // A server may close before it has read everything: what it said still counts.
        let _ = stream.write_all(request).await;
        let _ = stream.read_to_end(&mut answer).await;
    };
    assert!(tokio::time::timeout(PATIENCE, exchange).await.is_ok(), "the server does not answer");
    answer
}

/// One request on a connection of its own.
pub async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    Answer::parse(&raw(address, text.as_bytes()).await)
}

/// GET on the main listener.
pub async fn get(server: &Server, path: &str) -> Answer {
    request(server.address(), "GET", path, &[], "").await
}

/// A request to the admin API, with the token.
pub async fn admin(server: &Server, method: &str, path: &str, body: &str) -> Answer {
    let token = format!("Bearer {}", server.admin_token());
    let headers = [("Authorization", &*token), ("Content-Type", "application/json")];
    request(server.admin_address(), method, path, &headers, body).await
}

/// The live connections, as the admin API lists them.
pub async fn connections(server: &Server) -> Vec<Value> {
    let list = admin(server, "GET", "/api/v1/connections", "").await.json();
    list.as_array().unwrap().clone()
}

/// Connections that ended, newest first.
pub async fn history(server: &Server) -> Vec<Value> {
    let list = admin(server, "GET", "/api/v1/connection-history", "").await.json();
    list.as_array().unwrap().clone()
}

/// An `Authorization` header of Basic Auth.
#[must_use]
pub fn basic(username: &str, password: &str) -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    format!("Basic {pair}")
}
