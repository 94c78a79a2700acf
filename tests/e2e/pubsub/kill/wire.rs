//! Connections that may end at any moment: what cannot be done any more is an error, not a panic.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use spanwire_tests::http::basic;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, client_async};

/// The connection has ended, or the server is not there.
#[derive(Debug)]
pub(super) struct Gone;

/// How long a server that is there may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One JSON text, told apart by its hash.
pub(super) fn content(data: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    data.to_string().hash(&mut hasher);
    format!("{} {:x}", data["id"].as_str().unwrap_or("?"), hasher.finish())
}

/// A WebSocket connection that is logged in.
pub(super) struct Socket {
    stream: WebSocketStream<TcpStream>,
    token: String,
    calls: u64,
}

impl Socket {
    pub(super) async fn open(
        address: SocketAddr,
        additions: bool,
        client_id: &str,
    ) -> Result<Self, Gone> {
        let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
        if additions {
            let subprotocol = "spanwire.v1.json".parse().unwrap();
            request.headers_mut().append("sec-websocket-protocol", subprotocol);
        }
        let stream = TcpStream::connect(address).await.map_err(|_| Gone)?;
        stream.set_nodelay(true).map_err(|_| Gone)?;
        let (stream, _) = client_async(request, stream).await.map_err(|_| Gone)?;
        let mut socket = Self { stream, token: String::new(), calls: 0 };
        let meta = json!({
            "action": "create-session", "id": "login", "client_id": client_id, "client_name": "Kill", "username": "ws",
            "secret": "secret1",
        });
        socket.send(&json!({ "meta": meta })).await?;
        let reply = socket.receive().await?;
        reply["data"]["token"]
            .as_str()
            .unwrap_or_else(|| panic!("{reply}"))
            .clone_into(&mut socket.token);
        Ok(socket)
    }

    async fn send(&mut self, message: &Value) -> Result<(), Gone> {
        self.stream.send(Message::text(message.to_string())).await.map_err(|_| Gone)
    }

    /// Starts a call and returns its id.
    pub(super) async fn start(&mut self, service: &str, request: &Value) -> Result<String, Gone> {
        self.calls += 1;
        let id = format!("call.{}", self.calls);
        let meta = json!({"action": "invoke-service", "id": id, "token": self.token});
        self.send(&json!({"meta": meta, "data": {"service": service, "request": request}})).await?;
        Ok(id)
    }

    /// The next message. Nothing is lost when the future is dropped.
    pub(super) async fn receive(&mut self) -> Result<Value, Gone> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("an unexpected message: {other:?}"),
                Some(Err(_)) | None => return Err(Gone),
            }
        }
    }

    /// Calls on a connection that is sent nothing else.
    pub(super) async fn call(&mut self, service: &str, request: &Value) -> Result<Value, Gone> {
        let id = self.start(service, request).await?;
        let reply = tokio::time::timeout(PATIENCE, self.receive()).await;
        let reply = reply.unwrap_or_else(|_| panic!("no answer to {service}"))?;
        assert_eq!(reply["meta"]["in_reply_to"], id, "{reply}");
        Ok(reply)
    }

    /// Says goodbye; what the server had written before it heard of that is still to be read.
    pub(super) async fn say_goodbye(&mut self) {
        let frame = CloseFrame { code: 1000.into(), reason: "".into() };
        let _ = self.stream.send(Message::Close(Some(frame))).await;
    }

    /// The next message of a connection that is closing.
    pub(super) async fn receive_last(&mut self) -> Option<Value> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
            match next.expect("the server does not close") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

/// Why there is no answer to a request.
#[derive(Debug)]
pub(super) enum Failed {
    /// It was never sent.
    NotSent,
    /// The server may have read it.
    Unknown,
}

/// A REST caller with one connection at a time.
pub(super) struct Http {
    address: SocketAddr,
    authorization: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Http {
    pub(super) fn new(address: SocketAddr, username: &str) -> Self {
        Self { address, authorization: basic(username, "secret1"), stream: None }
    }

    pub(super) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<(u16, Value), Failed> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address).await.map_err(|_| Failed::NotSent)?;
            stream.set_nodelay(true).map_err(|_| Failed::NotSent)?;
            self.stream = Some(BufReader::new(stream));
        }
        let Some(stream) = &mut self.stream else { return Err(Failed::NotSent) };
        let body = body.to_string();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.authorization,
            body.len()
        );
        let answer = tokio::time::timeout(PATIENCE, exchange(stream, &request)).await;
        let answer = answer.unwrap_or_else(|_| panic!("no answer to {method} {path}"));
        if answer.is_err() {
            self.stream = None;
        }
        answer.map_err(|_| Failed::Unknown)
    }
}

async fn exchange(
    stream: &mut BufReader<TcpStream>,
    request: &str,
) -> std::io::Result<(u16, Value)> {
    stream.write_all(request.as_bytes()).await?;
    let (mut status, mut length, mut line) = (0, 0, String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let trimmed = line.trim_end();
        if trimmed.is_empty() {
            break;
        }
        if status == 0 {
            status = trimmed.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
        } else if let Some((name, value)) = trimmed.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}
