//! Connections to either server: TCP, perhaps TLS, the handshake, the login.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use spanwire_protocol::{ClientMessage, Codec, Payload, ServerMessage, Timestamp};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::Result;
use crate::frames::{Head, text_frame};

/// Where the channel is; the bare echo takes any path.
pub(crate) const PATH: &str = "/ws/bench";
pub(crate) const USERNAME: &str = "bench";
pub(crate) const PASSWORD: &str = "bench-of-one-run";

/// Far more than anything here takes: whoever needs longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a server is reached and what it takes as a login.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<TlsConnector>,
    /// The bare echo sends the login back; this then serves as the token, so that both get the same bytes.
    pub(crate) bare_token: Option<Arc<str>>,
}

/// A connection that is logged in.
pub(crate) struct Client {
    pub(crate) stream: Stream,
    pub(crate) token: String,
}

impl Client {
    /// Connects, upgrades and logs in.
    pub(crate) async fn open(target: &Target) -> Result<Self> {
        Self::open_as(target, None).await
    }

    /// Connects, upgrades with a subprotocol, and logs in.
    pub(crate) async fn open_as(target: &Target, subprotocol: Option<&str>) -> Result<Self> {
        let connect = async {
            let tcp = TcpStream::connect(target.address).await?;
            Self::log_in(target, tcp, subprotocol).await
        };
        match tokio::time::timeout(PATIENCE, connect).await {
            Ok(opened) => opened,
            Err(_) => Err("a handshake or a login hangs".into()),
        }
    }

    /// Upgrades and logs in on an open connection.
    pub(crate) async fn log_in(
        target: &Target,
        tcp: TcpStream,
        subprotocol: Option<&str>,
    ) -> Result<Self> {
        tcp.set_nodelay(true)?;
        let mut stream = match &target.tls {
            None => Stream::Plain(tcp),
            Some(tls) => {
                let name = ServerName::try_from(HOST)?;
                Stream::Tls(Box::new(tls.connect(name, tcp).await?))
            }
        };
        upgrade(&mut stream, subprotocol).await?;
        let login = ClientMessage::create_session(Codec::Json, "login", USERNAME, PASSWORD)
            .at(Timestamp::from_microseconds(SENT_AT))
            .with_client("bench", "bench")
            .encode(Codec::Json);
        let mut client = Self { stream, token: String::new() };
        let reply = client.exchange(&text_frame(&login)).await?;
        client.token = match &target.bare_token {
            Some(token) if reply == login => token.to_string(),
            Some(_) => return Err("the echo is not what was sent".into()),
            None => token_of(&reply)?,
        };
        Ok(client)
    }

    /// The frame of a call with this data.
    pub(crate) fn call(&self, data: &Payload) -> Vec<u8> {
        let message = ClientMessage::invoke("bench-call-1", data.clone())
            .at(Timestamp::from_microseconds(SENT_AT))
            .with_token(&*self.token);
        text_frame(&message.encode(Codec::Json))
    }

    /// Sends a frame and reads the one message that answers it.
    pub(crate) async fn exchange(&mut self, frame: &[u8]) -> Result<Bytes> {
        self.stream.write_all(frame).await?;
        self.stream.flush().await?;
        let mut buffer = BytesMut::new();
        loop {
            if let Some(head) = Head::read(&buffer)
                && buffer.len() >= head.head.saturating_add(head.payload)
            {
                buffer.advance(head.head);
                let payload = buffer.split_to(head.payload).freeze();
                if head.is_message()? {
                    return Ok(payload);
                }
            } else if self.stream.read_buf(&mut buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
    }

    /// Ends the connection without a goodbye, and without leaving a port in TIME_WAIT.
    pub(crate) fn abort(self) -> Result<()> {
        Ok(self.stream.tcp().set_zero_linger()?)
    }
}

/// The certificate is for this name.
pub(crate) const HOST: &str = "localhost";

/// Any time will do: the server reads it as text.
const SENT_AT: i64 = 1_709_547_630_125_001;

async fn upgrade(stream: &mut Stream, subprotocol: Option<&str>) -> Result<()> {
    let subprotocol = subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    let subprotocol = subprotocol.unwrap_or_default();
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{subprotocol}\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut head = BytesMut::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > 8192 {
            return Err("the handshake was not answered".into());
        }
    }
    if head.starts_with(b"HTTP/1.1 101 ") {
        Ok(())
    } else {
        Err(format!("the handshake was refused: {}", head.escape_ascii()).into())
    }
}

fn token_of(reply: &Bytes) -> Result<String> {
    let message = ServerMessage::decode(Codec::Json, reply)?;
    if !message.is_ok() {
        return Err(format!("the login was refused: {}", reply.escape_ascii()).into());
    }
    let token = message.data.entry("token").ok_or("the login was answered without a token")?;
    Ok(token.parse()?)
}

/// Looks into the first answer to a call: later ones are known by its length.
pub(crate) fn check_reply(
    reply: &Bytes,
    call: &[u8],
    target: &Target,
    data: &Payload,
) -> Result<()> {
    let right = if target.bare_token.is_some() {
        call.ends_with(reply)
    } else {
        let message = ServerMessage::decode(Codec::Json, reply)?;
        message.is_ok() && message.data.bytes() == data.bytes()
    };
    if right { Ok(()) } else { Err(format!("a wrong answer: {}", reply.escape_ascii()).into()) }
}

/// Plain or not.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
