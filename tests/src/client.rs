//! A scripted WSX client: says exactly what a test wants said.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use spanwire_protocol::{Codec, Payload};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::PATIENCE;

/// A connection.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A client on one connection.
pub struct Client {
    socket: WebSocketStream<Box<dyn Io>>,
    codec: Codec,
    /// The session's token, once there is one.
    pub token: String,
    sent: u32,
}

impl Client {
    /// Connects to a `ws://` URL.
    pub async fn connect(url: &str) -> Self {
        Self::try_connect(url, &[]).await.unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// Connects with further headers; the error of a refusal has the response.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn try_connect(
        url: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, tungstenite::Error> {
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let address: SocketAddr = request.uri().authority().unwrap().as_str().parse().unwrap();
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Self::upgrade(request, stream).await
    }

    /// Connects through a socket that takes a few KiB before somebody reads.
    pub async fn connect_narrow(url: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let address: SocketAddr = request.uri().authority().unwrap().as_str().parse().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(address).await.unwrap();
        Self::upgrade(request, stream).await.unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    async fn upgrade(
        request: tungstenite::handshake::client::Request,
        stream: TcpStream,
    ) -> Result<Self, tungstenite::Error> {
        let stream: Box<dyn Io> = Box::new(stream);
        let (socket, _) = client_async(request, stream).await?;
        Ok(Self { socket, codec: Codec::Json, token: String::new(), sent: 0 })
    }

    /// Connects by TLS, trusting one certificate.
    pub async fn connect_tls(
        address: SocketAddr,
        path: &str,
        config: Arc<rustls::ClientConfig>,
    ) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await.unwrap();
        let stream: Box<dyn Io> = Box::new(stream);
        let (socket, _) = client_async(format!("wss://localhost{path}"), stream).await.unwrap();
        Self { socket, codec: Codec::Json, token: String::new(), sent: 0 }
    }

    /// Connects and logs in.
    pub async fn log_in(url: &str, username: &str, secret: &str) -> Self {
        let mut client = Self::connect(url).await;
        client.create_session(username, secret).await;
        client
    }

    /// Logs in and remembers the token.
    pub async fn create_session(&mut self, username: &str, secret: &str) -> Value {
        self.create_session_as("test.1", username, secret).await
    }

    /// Logs in under a client id, and remembers the token.
    pub async fn create_session_as(
        &mut self,
        client_id: &str,
        username: &str,
        secret: &str,
    ) -> Value {
        let meta = json!({
            "action": "create-session", "id": "login", "timestamp": "2024-03-04T10:20:30.123456",
            "client_id": client_id, "client_name": "Test", "username": username, "secret": secret,
        });
        self.send(&json!({"meta": meta, "data": {}})).await;
        let reply = self.receive().await;
        assert_eq!(reply["meta"]["msg_type"], "zwsx.rspa", "{reply}");
        reply["data"]["token"].as_str().unwrap().clone_into(&mut self.token);
        reply
    }

    /// Sends a call and returns its id.
    pub async fn start_call(&mut self, data: &Value) -> String {
        self.sent += 1;
        let id = format!("call.{}", self.sent);
        let meta = json!({"action": "invoke-service", "id": id, "timestamp": "2024-03-04T10:20:30", "token": self.token});
        self.send(&json!({"meta": meta, "data": data})).await;
        id
    }

    /// Calls the mounted service and returns the whole reply.
    pub async fn call(&mut self, data: &Value) -> Value {
        let id = self.start_call(data).await;
        let reply = self.receive().await;
        assert_eq!(reply["meta"]["in_reply_to"], id, "{reply}");
        reply
    }

    /// Calls a service through a gateway and returns the whole reply.
    pub async fn invoke(&mut self, service: &str, request: &Value) -> Value {
        self.call(&json!({"service": service, "request": request})).await
    }

    /// Answers a request of the server.
    pub async fn answer(&mut self, request: &Value, response: &Value) {
        let meta = json!({
            "action": "client-response", "id": "answer", "timestamp": "2024-03-04T10:20:30",
            "token": self.token, "in_reply_to": request["meta"]["id"],
        });
        self.send(&json!({"meta": meta, "data": {"response": response}})).await;
    }

    /// Speaks MessagePack in binary messages from now on.
    pub fn speak_messagepack(&mut self) {
        self.codec = Codec::MsgPack;
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &Value) {
        let frame = match self.codec {
            Codec::Json => Message::text(message.to_string()),
            Codec::MsgPack => {
                let encoded = Payload::from_serialize(Codec::MsgPack, message).unwrap();
                Message::binary(encoded.bytes().clone())
            }
        };
        self.send_frame(frame).await;
    }

    /// Sends any WebSocket message.
    pub async fn send_frame(&mut self, message: Message) {
        // The server may have closed already; what it said is read afterwards.
        let _ = self.socket.send(message).await;
    }

    /// The next message; pings and pongs are skipped.
    pub async fn receive(&mut self) -> Value {
        match (self.receive_frame().await, self.codec) {
            (Some(Message::Text(text)), Codec::Json) => serde_json::from_str(&text).unwrap(),
            (Some(Message::Binary(bytes)), Codec::MsgPack) => {
                Payload::from_encoded(Codec::MsgPack, bytes).parse().unwrap()
            }
            (other, _) => panic!("expected a message, got {other:?}"),
        }
    }

    /// The next message or close frame; `None` at the end of the connection.
    pub async fn receive_frame(&mut self) -> Option<Message> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match next.expect("the server sends nothing") {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next message of any kind, pings and pongs too.
    pub async fn receive_any(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
        next.expect("the server sends nothing").and_then(Result::ok)
    }

    /// Waits for the close frame, and returns the messages before it.
    pub async fn receive_close(&mut self) -> (Vec<Value>, Option<CloseFrame>) {
        let mut before = Vec::new();
        loop {
            match self.receive_frame().await {
                Some(Message::Text(text)) => before.push(serde_json::from_str(&text).unwrap()),
                Some(Message::Close(frame)) => return (before, frame),
                Some(other) => panic!("expected a close, got {other:?}"),
                None => return (before, None),
            }
        }
    }

    /// Closes, and returns what the server answered.
    pub async fn close(mut self, code: u16, reason: &str) -> Option<CloseFrame> {
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        let _ = self.socket.close(Some(frame)).await;
        self.receive_close().await.1
    }

    /// Whether nothing is waiting to be read for a moment.
    pub async fn is_quiet(&mut self) -> bool {
        let moment = std::time::Duration::from_millis(150);
        tokio::time::timeout(moment, self.socket.next()).await.is_err()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
