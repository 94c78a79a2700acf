//! What WebSocket itself costs with the same library and the same runtime: an echo and nothing else.
//!
//! Reads all messages that are there, then writes all answers with one system call.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::Result;
use crate::args::BareEcho;

/// How many messages are read before the answers are written, so that one client cannot keep the others waiting.
const READS_PER_TURN: usize = 128;

/// As the server's.
const BACKLOG: u32 = 4096;

/// Serves until the stdin ends.
pub(crate) async fn serve(args: BareEcho, read_buffer: usize) -> Result<()> {
    let tls = acceptor(&args)?;
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener = socket.listen(BACKLOG)?;
    println!("{}", listener.local_addr()?);
    let config = WebSocketConfig::default().read_buffer_size(read_buffer);
    let accept = async {
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(connection(stream, tls.clone(), config));
        }
    };
    let mut stdin = tokio::io::stdin();
    let mut nothing = [0];
    tokio::select! {
        failed = accept => failed,
        _ = stdin.read(&mut nothing) => Ok(()),
    }
}

fn acceptor(args: &BareEcho) -> Result<Option<TlsAcceptor>> {
    let (Some(certificate), Some(key)) = (&args.certificate, &args.key) else { return Ok(None) };
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// How a connection ends is the client's affair: the load generator notices what goes wrong.
async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, config: WebSocketConfig) {
    let _ = stream.set_nodelay(true);
    match tls {
        None => drop(echo(stream, config).await),
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                drop(echo(stream, config).await);
            }
        }
    }
}

async fn echo(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    config: WebSocketConfig,
) -> Result<(), tungstenite::Error> {
    let mut socket = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await?;
    while let Some(first) = socket.next().await {
        let mut next = Some(first);
        let mut read = 0;
        while let Some(message) = next {
            let message = message?;
            if message.is_text() || message.is_binary() {
                socket.feed(message).await?;
            }
            read += 1;
            next =
                if read < READS_PER_TURN { socket.next().now_or_never().flatten() } else { None };
        }
        socket.flush().await?;
    }
    Ok(())
}
