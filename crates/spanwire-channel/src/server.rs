//! Everything one port answers: health, WebSocket channels, REST channels.

mod health;
mod routes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use spanwire_protocol::{CloseFrame, ConnectionId};
use spanwire_session::Session;
use tokio_util::task::TaskTracker;

pub use routes::Routes;

use crate::backend::Backend;
use crate::transport::{Body, HttpApp, Peer, response};
use crate::websocket::{Upgrade, upgrade};
use crate::wsx::{ConnectionHandle, SystemEntropy, WsxChannel, WsxConversation};
use crate::{clock, rest, wsx};

/// The application behind a listener. Routes can be replaced at any time; open connections keep what they have.
pub struct ChannelServer {
    routes: ArcSwap<Routes>,
    backend: Arc<dyn Backend>,
    connections: TaskTracker,
    draining: AtomicBool,
}

impl ChannelServer {
    /// Serves these routes. Upgraded connections run as tasks of `connections`.
    #[must_use]
    pub fn new(routes: Routes, backend: Arc<dyn Backend>, connections: TaskTracker) -> Self {
        Self {
            routes: ArcSwap::from_pointee(routes),
            backend,
            connections,
            draining: AtomicBool::new(false),
        }
    }

    /// Replaces the routes, for requests from now on.
    pub fn set_routes(&self, routes: Routes) {
        self.routes.store(Arc::new(routes));
    }

    /// Refuses new WebSocket connections from now on, with 503.
    pub fn refuse_upgrades(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn upgrade(
        &self,
        channel: &Arc<WsxChannel>,
        mut request: Request<Incoming>,
        peer: Peer,
    ) -> Response<Body> {
        let upgrade = match Upgrade::check(&mut request, &channel.origins) {
            Ok(upgrade) => upgrade,
            Err(refusal) => {
                self.backend.refused(match refusal.status() {
                    StatusCode::UPGRADE_REQUIRED => "no-upgrade",
                    StatusCode::FORBIDDEN => "origin",
                    _ => "bad-handshake",
                });
                return *refusal;
            }
        };
        if self.draining.load(Ordering::Relaxed) {
            self.backend.refused("draining");
            let mut refusal =
                response::error(StatusCode::SERVICE_UNAVAILABLE, "Server is shutting down");
            refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            return refusal;
        }
        let id = ConnectionId::from_correlation_id(wsx::correlation_id());
        let dialect = upgrade.dialect;
        let handle =
            ConnectionHandle::new(id, Arc::clone(channel), peer, request.headers(), dialect);
        let session = Session::new(
            channel.session.clone(),
            dialect.codec,
            Box::new(SystemEntropy),
            clock::now(),
        );
        let peer = self.backend.connect(handle.clone());
        self.catch_up(&handle, channel);
        let conversation = WsxConversation::new(session, handle, peer);
        upgrade.accept(channel.socket.clone(), &self.connections, conversation)
    }
}

impl ChannelServer {
    /// A channel may change while a connection to it is being made: whoever changed it has not seen this one.
    fn catch_up(&self, handle: &ConnectionHandle, made_with: &Arc<WsxChannel>) {
        let mut known = Arc::clone(made_with);
        loop {
            let routes = self.routes.load();
            if routes.find_wsx(&known.path).is_some_and(|now| Arc::ptr_eq(now, &known)) {
                return;
            }
            match routes.wsx_with(known.id).filter(|channel| channel.is_active) {
                Some(channel) => handle.reconfigure(Arc::clone(channel)),
                None => return handle.disconnect(CloseFrame::SHUTTING_DOWN),
            }
            // It may have changed again: what the handle has last must be what the routes have.
            known = handle.channel();
        }
    }
}

impl HttpApp for ChannelServer {
    async fn handle(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        let routes = self.routes.load_full();
        if routes.has_health()
            && let Some(answer) = health::answer(&request, &*self.backend)
        {
            return answer;
        }
        if let Some(channel) = routes.find_wsx(request.uri().path()) {
            return self.upgrade(channel, request, peer);
        }
        // Whoever speaks of WebSockets reads JSON (wsx-protocol 1.2).
        if upgrade::is_requested(request.headers()) || !routes.has_rest() {
            self.backend.refused("not-found");
            return response::error(StatusCode::NOT_FOUND, "Not found");
        }
        Box::pin(rest::handle(&routes, &self.backend, request, peer)).await
    }
}

impl std::fmt::Debug for ChannelServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelServer").finish_non_exhaustive()
    }
}
