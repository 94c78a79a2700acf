//! One accepted connection, plain or TLS, as a single type.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

/// A connection, and how much its peer may still send.
#[derive(Debug)]
pub struct Stream {
    transport: Transport,
    /// How many bytes the peer may still send; none is no limit. Keeps peers that have not logged in from filling
    /// memory with one large message.
    allowance: Option<usize>,
    /// How many bytes were written, all in all.
    written: u64,
    /// How long the peer may take nothing of what is written; none is for ever.
    write_timeout: Option<Duration>,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum Transport {
    Plain(Tcp),
    Tls(Box<TlsStream<Tcp>>),
}

/// A TCP connection, from which some bytes were read ahead (behind a PROXY header).
#[derive(Debug)]
pub(crate) struct Tcp {
    pub(crate) ahead: Bytes,
    pub(crate) stream: TcpStream,
}

impl Stream {
    pub(crate) fn plain(tcp: Tcp) -> Self {
        Self::new(Transport::Plain(tcp))
    }

    pub(crate) fn tls(tls: TlsStream<Tcp>) -> Self {
        Self::new(Transport::Tls(Box::new(tls)))
    }

    fn new(transport: Transport) -> Self {
        Self { transport, allowance: None, written: 0, write_timeout: None, stalled: None }
    }

    /// Limits how long the peer may take nothing of what is written to it; then writing is an error. Time in which
    /// there is nothing to write does not count.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
        self.stalled = None;
    }

    /// Limits what the peer may send from now on, in bytes; reading more is an error.
    pub fn set_read_allowance(&mut self, allowance: Option<usize>) {
        self.allowance = allowance;
    }

    /// How many bytes the system took so far: grows while the peer reads.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    fn count(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = result {
            self.stalled = None;
            self.written += result.as_ref().map_or(0, |written| *written as u64);
            return Poll::Ready(result);
        }
        let Some(timeout) = self.write_timeout else { return Poll::Pending };
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        stalled.as_mut().poll(cx).map(|()| {
            Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read what it is sent"))
        })
    }
}

/// Forwards the writing half to whichever transport it is.
macro_rules! forward {
    ($self:expr, $stream:ident => $call:expr) => {
        match &mut $self.as_mut().get_mut().transport {
            Transport::Plain(tcp) => {
                let $stream = Pin::new(&mut tcp.stream);
                $call
            }
            Transport::Tls(tls) => {
                let $stream = Pin::new(&mut **tls);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = match &mut this.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Transport::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        };
        if let Some(allowance) = &mut this.allowance {
            let Some(left) = allowance.checked_sub(buf.filled().len() - before) else {
                let text = "the peer sent more than it may before it logs in";
                return Poll::Ready(Err(io::Error::other(text)));
            };
            *allowance = left;
        }
        result
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = forward!(self, stream => stream.poll_write(cx, buf));
        self.count(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = forward!(self, stream => stream.poll_write_vectored(cx, bufs));
        self.count(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(tcp) => tcp.stream.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_shutdown(cx))
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let taken = this.ahead.len().min(buf.remaining());
        buf.put_slice(&this.ahead.copy_to_bytes(taken));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
