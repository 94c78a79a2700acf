//! A router behind a listener of ours.

use std::net::SocketAddr;

use axum::Router;
use hyper::body::Incoming;
use spanwire_channel::transport::{Body, HttpApp, Peer};
use tower::ServiceExt;

/// The application behind the admin listener.
pub(crate) struct AdminApp(Router);

impl AdminApp {
    pub(super) fn new(router: Router) -> Self {
        Self(router)
    }
}

impl HttpApp for AdminApp {
    async fn handle(
        &self,
        request: axum::http::Request<Incoming>,
        peer: Peer,
    ) -> axum::http::Response<Body> {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert::<SocketAddr>(peer.address);
        // The router cannot fail: every error of it is a response.
        let Ok(answer) = self.0.clone().oneshot(request).await;
        answer.map(Body::stream)
    }
}
