//! From an address to an open WebSocket, within a time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::{ProtocolError, SubProtocolError};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Error as WsError};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::address::Address;

/// Why there is no connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host could not be found, or did not let us in.
    #[error("no connection to {host}:{port}: {source}")]
    Network {
        /// As in the address.
        host: String,
        /// As in the address.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// The peer's certificate, or ours, was not accepted.
    #[error("no TLS with {host}: {problem}")]
    Tls {
        /// As in the address.
        host: String,
        /// What went wrong.
        problem: String,
    },
    /// The peer answered, but not with an upgrade.
    #[error("the peer answered {status} instead of 101")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// When the peer wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// What answered does not speak the WebSocket protocol.
    #[error("the peer does not speak the WebSocket protocol: {0}")]
    Protocol(String),
    /// The login was refused, or not answered.
    #[error("the peer refused the login")]
    Login,
    /// Not all of it was done in time.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
}

impl ConnectError {
    /// When the peer wants to be asked again, if it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A TCP stream, with TLS or without.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

pub(crate) type Socket = WebSocketStream<Stream>;

/// Opens a WebSocket. Tells the subprotocol that the peer chose among those that were offered.
pub(crate) async fn open(
    address: &Address,
    tls: Option<&Arc<ClientConfig>>,
    offers: &'static str,
    max_message_bytes: usize,
) -> Result<(Socket, Option<String>), ConnectError> {
    let (host, port) = (address.host(), address.port());
    let network = |source| ConnectError::Network { host: host.to_owned(), port, source };
    let stream = TcpStream::connect((host, port)).await.map_err(network)?;
    // Small messages must not wait for company.
    stream.set_nodelay(true).map_err(network)?;
    let stream = match tls {
        Some(config) => {
            let refused = |problem: String| ConnectError::Tls { host: host.to_owned(), problem };
            let name = ServerName::try_from(host.to_owned())
                .map_err(|error| refused(error.to_string()))?;
            let connector = TlsConnector::from(Arc::clone(config));
            let stream = connector
                .connect(name, stream)
                .await
                .map_err(|error| refused(error.to_string()))?;
            Stream::Tls(Box::new(stream))
        }
        None => Stream::Plain(stream),
    };
    let mut request = address.uri().clone().into_client_request().map_err(refusal)?;
    if !offers.is_empty() {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(offers));
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes));
    let (socket, answer) =
        client_async_with_config(request, stream, Some(config)).await.map_err(refusal)?;
    let chosen = answer.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|it| it.to_str().ok());
    Ok((socket, chosen.map(str::to_owned)))
}

/// Whether the peer let us in, but chose none of what was offered: the library takes that for an error.
pub(crate) fn chose_nothing(error: &ConnectError) -> bool {
    matches!(error, ConnectError::Protocol(text) if *text == nothing_chosen())
}

fn nothing_chosen() -> String {
    ProtocolError::SecWebSocketSubProtocolError(SubProtocolError::NoSubProtocol).to_string()
}

fn refusal(error: WsError) -> ConnectError {
    match error {
        WsError::Http(answer) => {
            let seconds = answer.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok());
            let seconds = seconds.and_then(|it| it.trim().parse().ok());
            ConnectError::Refused {
                status: answer.status().as_u16(),
                retry_after: seconds.map(|it: u64| Duration::from_secs(it.min(MAX_RETRY_AFTER))),
            }
        }
        tungstenite::Error::Protocol(error) => ConnectError::Protocol(error.to_string()),
        other => ConnectError::Protocol(other.to_string()),
    }
}

/// No peer can keep us away for longer, in seconds.
const MAX_RETRY_AFTER: u64 = 300;

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
