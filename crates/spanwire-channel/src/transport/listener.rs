//! Accepting connections and serving HTTP/1.1 on each.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{HOST, UPGRADE};
use hyper::http::uri::Authority;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::{AddressLimits, Place};
use super::proxy_protocol::{self, Announced};
use super::response::{self, Body};
use super::stream::Tcp;
use super::tls::{RELOAD_EVERY, Tls, TlsError, TlsFiles};
use super::{AddressSource, Peer, Stream, TrustedProxies};

/// What answers requests. An upgrade is part of an answer: see [`upgrade`](crate::websocket::upgrade).
pub trait HttpApp: Send + Sync + 'static {
    /// Answers one request.
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: Peer,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// Told about connections, for metrics.
pub trait Observer: Send + Sync {
    /// A connection was refused or dropped before it became a request; `reason` is one of a few fixed words.
    fn refused(&self, reason: &'static str) {
        let _ = reason;
    }
}

/// Nobody is told.
impl Observer for () {}

/// How one listener works.
#[derive(Clone)]
pub struct ListenerSettings {
    /// Certificate files; `None` is plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Whether connections from trusted proxies start with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Whose word about clients is taken.
    pub trusted_proxies: Arc<TrustedProxies>,
    /// Limits per address, shared by all listeners of a server.
    pub limits: Arc<AddressLimits>,
    /// How long a TLS handshake, or a PROXY header, may take; 10 s.
    pub handshake_timeout: Duration,
    /// How long the headers of a request may take, and how long a connection may idle between requests; 30 s.
    pub header_timeout: Duration,
    /// How long a peer may take nothing of an answer; 30 s. Upgraded connections have deadlines of their own.
    pub write_timeout: Duration,
    /// How many headers a request may have; 100.
    pub max_headers: usize,
    /// How many bytes they may have together; 64 KiB.
    pub max_header_bytes: usize,
    /// Who is told about refusals.
    pub observer: Arc<dyn Observer>,
}

impl ListenerSettings {
    /// The defaults of DESIGN 10.
    #[must_use]
    pub fn new(limits: Arc<AddressLimits>) -> Self {
        Self {
            tls: None,
            proxy_protocol: false,
            trusted_proxies: Arc::default(),
            limits,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            max_headers: 100,
            max_header_bytes: 64 * 1024,
            observer: Arc::new(()),
        }
    }
}

/// A bound socket, not yet accepting.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    control: ListenerControl,
}

/// Changes how a listener works while it accepts. Cloning shares it.
#[derive(Clone, Debug)]
pub struct ListenerControl(Arc<Control>);

#[derive(Debug)]
struct Control {
    settings: ArcSwap<ListenerSettings>,
    tls: ArcSwapOption<Tls>,
}

impl ListenerControl {
    fn new(settings: ListenerSettings) -> Result<Self, TlsError> {
        let tls = settings.tls.clone().map(Tls::open).transpose()?.map(Arc::new);
        let settings = ArcSwap::from_pointee(settings);
        Ok(Self(Arc::new(Control { settings, tls: ArcSwapOption::new(tls) })))
    }

    /// How it works now.
    #[must_use]
    pub fn settings(&self) -> Arc<ListenerSettings> {
        self.0.settings.load_full()
    }

    /// Reads what other settings need, and changes nothing yet.
    ///
    /// # Errors
    /// When certificate files are unusable.
    pub fn prepare(&self, settings: ListenerSettings) -> Result<ListenerUpdate, TlsError> {
        let current = self.0.tls.load_full();
        let tls = match (&settings.tls, current) {
            (Some(files), Some(current)) if current.files() == files => Some(current),
            (Some(files), _) => Some(Arc::new(Tls::open(files.clone())?)),
            (None, _) => None,
        };
        Ok(ListenerUpdate { control: self.clone(), settings: Arc::new(settings), tls })
    }
}

/// Other settings of a listener, which nothing can keep from being taken.
#[derive(Debug)]
#[must_use = "nothing changes without commit"]
pub struct ListenerUpdate {
    control: ListenerControl,
    settings: Arc<ListenerSettings>,
    tls: Option<Arc<Tls>>,
}

impl ListenerUpdate {
    /// Works like this for connections from now on. Open ones keep what they started with.
    pub fn commit(self) {
        self.control.0.tls.store(self.tls);
        self.control.0.settings.store(self.settings);
    }
}

impl Listener {
    /// Binds an address; port 0 lets the system choose one.
    ///
    /// # Errors
    /// When the address cannot be bound, or certificate files are unusable.
    pub fn bind(address: SocketAddr, settings: ListenerSettings) -> Result<Self, BindError> {
        let control = ListenerControl::new(settings)?;
        let bind = || {
            let socket =
                if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        let socket = bind().map_err(|source| BindError::Address { address, source })?;
        Ok(Self { socket, control })
    }

    /// What changes the listener once it accepts.
    #[must_use]
    pub fn control(&self) -> ListenerControl {
        self.control.clone()
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until `stop` fires; requests under way are answered, idle connections end, upgraded ones go on.
    ///
    /// # Cancel safety
    /// Dropping the future stops accepting and leaves requests under way to `tasks`.
    pub async fn serve(self, app: Arc<impl HttpApp>, stop: CancellationToken, tasks: TaskTracker) {
        let mut reload = tokio::time::interval(RELOAD_EVERY);
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                _ = reload.tick() => {
                    if let Some(tls) = &*self.control.0.tls.load() {
                        tls.reload_if_changed();
                    }
                    continue;
                }
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.start(stream, address, &app, &stop, &tasks),
                Err(error) => {
                    // Out of descriptors, most likely: the ones that are open keep being served.
                    self.control.0.settings.load().observer.refused("accept-failed");
                    tracing::warn!(%error, "cannot accept connections for a moment");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    fn start(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        app: &Arc<impl HttpApp>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) {
        let settings = self.control.0.settings.load_full();
        let proxied = settings.proxy_protocol && settings.trusted_proxies.contains(address.ip());
        // Behind a proxy that announces clients, the place is taken once the client is known.
        let place = if proxied {
            None
        } else {
            let entered = if settings.trusted_proxies.contains(address.ip()) {
                settings.limits.enter_proxy(address.ip())
            } else {
                settings.limits.enter(address.ip())
            };
            match entered {
                Ok(place) => Some(place),
                Err(refused) => return settings.observer.refused(refused.as_str()),
            }
        };
        let connection = Connection {
            acceptor: self.control.0.tls.load().as_ref().map(|tls| tls.acceptor()),
            settings,
            app: Arc::clone(app),
            stop: stop.clone(),
        };
        tasks.spawn(connection.run(stream, address, place));
    }
}

/// Why a listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is taken, or not ours.
    #[error(
        "cannot listen on {address}: {source}; choose another address, or stop what listens there"
    )]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Certificate files are unusable.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl BindError {
    /// Whether somebody listens there already.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Address { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }
}

struct Connection<A> {
    settings: Arc<ListenerSettings>,
    acceptor: Option<TlsAcceptor>,
    app: Arc<A>,
    stop: CancellationToken,
}

impl<A: HttpApp> Connection<A> {
    async fn run(self, stream: TcpStream, address: SocketAddr, place: Option<Place>) {
        let handshake = tokio::time::timeout(
            self.settings.handshake_timeout,
            Box::pin(self.handshake(stream, address, place)),
        );
        match handshake.await {
            Ok(Ok((stream, peer, place))) => self.serve_http(stream, peer, place).await,
            Ok(Err(Handshake::Refused(reason))) => self.settings.observer.refused(reason),
            Ok(Err(Handshake::Failed(error))) => {
                tracing::debug!(%error, %address, "handshake failed");
                self.settings.observer.refused("handshake-failed");
            }
            Err(_elapsed) => self.settings.observer.refused("handshake-timeout"),
        }
    }

    /// PROXY header, then TLS.
    async fn handshake(
        &self,
        mut stream: TcpStream,
        address: SocketAddr,
        place: Option<Place>,
    ) -> Result<(Stream, Peer, Place), Handshake> {
        stream.set_nodelay(true)?;
        let mut peer = Peer {
            address,
            local: stream.local_addr()?,
            is_tls: self.acceptor.is_some(),
            source: AddressSource::Socket,
        };
        let mut ahead = Bytes::new();
        let place = if let Some(place) = place {
            place
        } else {
            let (announced, rest) = proxy_protocol::read(&mut stream).await?;
            ahead = rest;
            if let Announced::Addresses(source, _) = announced {
                peer.address = source;
                peer.source = AddressSource::ProxyProtocol;
            }
            let place = self.settings.limits.enter(peer.address.ip());
            place.map_err(|refused| Handshake::Refused(refused.as_str()))?
        };
        let tcp = Tcp { ahead, stream };
        let mut stream = match &self.acceptor {
            None => Stream::plain(tcp),
            Some(acceptor) => Stream::tls(acceptor.accept(tcp).await?),
        };
        stream.set_write_timeout(Some(self.settings.write_timeout));
        Ok((stream, peer, place))
    }

    async fn serve_http(self, stream: Stream, peer: Peer, place: Place) {
        let app = Arc::clone(&self.app);
        let place = Arc::new(place);
        let settings = Arc::clone(&self.settings);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let mut peer = peer.clone();
            let announced = settings.trusted_proxies.client(peer.address, request.headers());
            let is_behind_proxy = announced != peer.address;
            peer.address = announced;
            if is_behind_proxy {
                peer.source = AddressSource::Header;
            }
            // An upgraded connection keeps its places for as long as it lives: behind a proxy also the client's own.
            let mut places = Places(Arc::clone(&place), None);
            let mut refused = None;
            if is_behind_proxy && request.headers().contains_key(UPGRADE) {
                match settings.limits.enter(announced.ip()) {
                    Ok(place) => places.1 = Some(Arc::new(place)),
                    Err(limit) => refused = Some(limit),
                }
            }
            request.extensions_mut().insert(places);
            let observer = Arc::clone(&settings.observer);
            let app = Arc::clone(&app);
            async move {
                if !names_one_host(&request) {
                    return Ok(response::last(StatusCode::BAD_REQUEST, "Bad request"));
                }
                if let Some(limit) = refused {
                    observer.refused(limit.as_str());
                    return Ok(response::last(
                        StatusCode::TOO_MANY_REQUESTS,
                        "Too many connections",
                    ));
                }
                let unused = request.extensions().get::<OnUpgrade>().cloned();
                let answer = app.handle(request, peer).await;
                if let Some(unused) = unused
                    && answer.status() != StatusCode::SWITCHING_PROTOCOLS
                {
                    tokio::spawn(end_properly(unused));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.header_timeout)
            .max_headers(self.settings.max_headers)
            .max_header_size(self.settings.max_header_bytes)
            .max_buf_size(self.settings.max_header_bytes)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = Box::pin(connection);
        let result = tokio::select! {
            result = &mut connection => result,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "connection ended with an error");
            if error.is_timeout() {
                self.settings.observer.refused("request-timeout");
            } else if error.is_parse() {
                self.settings.observer.refused("bad-http");
            }
        }
    }
}

/// Whether there is one `Host` that can be one, or none in HTTP/1.0 (RFC 9112, 3.2). Proxies and we could otherwise
/// take a request to be for different hosts.
fn names_one_host(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() < Version::HTTP_11,
        (Some(host), None) => host.is_empty() || is_host(host.as_bytes()),
        (Some(_), Some(_)) => false,
    }
}

/// `host` or `host:port`.
fn is_host(text: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(text) else { return false };
    let host = authority.host();
    // With a user before it, the host is no prefix.
    let Some(rest) = authority.as_str().strip_prefix(host) else { return false };
    let address = host.strip_prefix('[').map(|host| host.trim_end_matches(']'));
    !host.is_empty()
        && address.is_none_or(|address| address.parse::<Ipv6Addr>().is_ok())
        && match rest.strip_prefix(':') {
            None => rest.is_empty(),
            Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()) && port.len() <= 5,
        }
}

/// What an upgraded connection holds: its own place, and that of the client behind a proxy.
#[derive(Clone, Debug)]
pub(crate) struct Places(
    #[expect(dead_code, reason = "held until the connection is over")] Arc<Place>,
    Option<Arc<Place>>,
);

/// A refused upgrade hands the connection back instead of closing it, and dropping it would leave TLS without its end.
async fn end_properly(unused: OnUpgrade) {
    let ended = async {
        if let Ok(mut connection) = unused.await.map(TokioIo::new) {
            // The peer may be gone already.
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut connection).await;
        }
    };
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, ended).await;
}

enum Handshake {
    Refused(&'static str),
    Failed(io::Error),
}

impl From<io::Error> for Handshake {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl std::fmt::Debug for ListenerSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListenerSettings").field("tls", &self.tls).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// How many handshakes the kernel holds for us.
const BACKLOG: u32 = 4096;
/// How long the end of a connection with a refused upgrade may take.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);
