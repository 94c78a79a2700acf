//! The WebSocket handshake (RFC 6455 section 4, wsx-protocol 1.2).
//!
//! [`Upgrade::check`] reads a request; [`Upgrade::accept`] answers it and runs the conversation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use spanwire_protocol::codec::Dialect;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::task::TaskTracker;

use super::run::{open, run};
use super::{Conversation, SocketLimits};
use crate::transport::listener::Places;
use crate::transport::{Body, Stream, response};

/// A request that may become a WebSocket connection.
#[derive(Debug)]
pub struct Upgrade {
    accept_key: String,
    /// The codec the client chose, and whether it knows spanwire's additions.
    pub dialect: Dialect,
    subprotocol: Option<&'static str>,
    on_upgrade: hyper::upgrade::OnUpgrade,
    places: Option<Places>,
}

/// Which browsers may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginPolicy {
    allowed: Vec<String>,
}

impl OriginPolicy {
    /// Allows these origins besides those whose host and port equal the `Host` header; `*` allows all.
    ///
    /// An entry looks like `https://app.example.com` or `https://app.example.com:8443`.
    #[must_use]
    pub fn new(allowed: impl IntoIterator<Item = String>) -> Self {
        Self { allowed: allowed.into_iter().map(|origin| origin.to_ascii_lowercase()).collect() }
    }

    /// Whether a request with these headers may be upgraded (DESIGN 5.4). Programs send no `Origin`; browsers always
    /// do, and pages cannot forge it.
    #[must_use]
    pub fn allows(&self, request: &RequestOrigin) -> bool {
        let (origin, host) = match request {
            RequestOrigin::Absent => return true,
            RequestOrigin::Unreadable => return false,
            RequestOrigin::Page { origin, host } => (origin, host),
        };
        if self.allowed.iter().any(|allowed| allowed == "*" || allowed == origin) {
            return true;
        }
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        let default_port = if matches!(scheme, "https" | "wss") { ":443" } else { ":80" };
        let strip =
            |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).to_owned();
        let host = host.as_ref();
        host.is_some_and(|host| !authority.is_empty() && strip(host) == strip(authority))
    }
}

/// Which browser page a request comes from, as far as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestOrigin {
    /// No page: a program.
    Absent,
    /// This page, asking for this host; both in lower case.
    Page {
        /// The `Origin` header.
        origin: String,
        /// The `Host` header.
        host: Option<String>,
    },
    /// Several origins, or none that is text.
    Unreadable,
}

impl RequestOrigin {
    /// Reads the headers of a request.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return Self::Absent };
        let (Ok(origin), None) = (origin.to_str(), origins.next()) else { return Self::Unreadable };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.map(str::to_ascii_lowercase);
        Self::Page { origin: origin.to_ascii_lowercase(), host }
    }
}

/// Whether a request wants to be a WebSocket connection, however badly. Other upgrades, such as `h2c`, are offers that
/// HTTP lets a server ignore (RFC 9110, 7.8).
#[must_use]
pub fn is_requested(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_WEBSOCKET_KEY) || contains(headers, &UPGRADE, "websocket")
}

/// Whether a header names a word, in any case and among others (wsx-protocol 1.2).
fn contains(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.to_ascii_lowercase().contains(word))
}

impl Upgrade {
    /// Checks a request for a WebSocket path, in the order of wsx-protocol 1.2.
    ///
    /// # Errors
    /// The response to refuse it with: 426 without `Upgrade`, 400 for a broken handshake, 403 for a foreign origin.
    /// The last two end the connection: the client may have sent frames already, which are no requests.
    pub fn check(
        request: &mut Request<Incoming>,
        origins: &OriginPolicy,
    ) -> Result<Self, Box<Response<Body>>> {
        let headers = request.headers();
        if !headers.contains_key(UPGRADE) {
            let mut refusal = response::error(StatusCode::UPGRADE_REQUIRED, "Upgrade Required");
            refusal.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            refusal.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            return Err(Box::new(refusal));
        }
        let accept_key = Self::accept_key(request)
            .ok_or_else(|| Box::new(response::last(StatusCode::BAD_REQUEST, "Bad request")))?;
        if !origins.allows(&RequestOrigin::of(headers)) {
            return Err(Box::new(response::last(StatusCode::FORBIDDEN, "Origin is not allowed")));
        }
        let offers = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let offers =
            offers.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        let (dialect, subprotocol) = Dialect::choose(offers);
        let places = request.extensions_mut().remove::<Places>();
        let on_upgrade = hyper::upgrade::on(request);
        Ok(Self { accept_key, dialect, subprotocol, on_upgrade, places })
    }

    /// `Sec-WebSocket-Accept`, when the handshake is right.
    fn accept_key(request: &Request<Incoming>) -> Option<String> {
        let headers = request.headers();
        let single = |name| {
            let mut values = headers.get_all(name).iter();
            let value = values.next()?.to_str().ok()?;
            values.next().is_none().then_some(value.trim())
        };
        let key = single(SEC_WEBSOCKET_KEY)?;
        let right = request.method() == Method::GET
            && request.version() == Version::HTTP_11
            // What a proxy takes for a body must not be frames here.
            && request.body().is_end_stream()
            && contains(headers, &UPGRADE, "websocket")
            && contains(headers, &CONNECTION, "upgrade")
            && STANDARD.decode(key).is_ok_and(|key| key.len() == 16)
            && matches!(single(SEC_WEBSOCKET_VERSION)?, "8" | "13");
        right.then(|| derive_accept_key(key.as_bytes()))
    }

    /// Answers 101 and runs a conversation on the connection, as a task of `tasks`.
    ///
    /// The response carries a subprotocol only if the client offered one of spanwire's, and never an extension:
    /// existing clients refuse both headers (wsx-protocol 1.2).
    #[must_use]
    pub fn accept(
        self,
        limits: SocketLimits,
        tasks: &TaskTracker,
        conversation: impl Conversation + 'static,
    ) -> Response<Body> {
        let mut answer = response::empty(StatusCode::SWITCHING_PROTOCOLS);
        let headers = answer.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        match HeaderValue::from_str(&self.accept_key) {
            Ok(key) => drop(headers.insert(SEC_WEBSOCKET_ACCEPT, key)),
            Err(_) => return response::error(StatusCode::BAD_REQUEST, "Bad request"),
        }
        if let Some(subprotocol) = self.subprotocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
        }
        let (on_upgrade, places) = (self.on_upgrade, self.places);
        tasks.spawn(async move {
            let _places = places;
            // The peer may go away before it sees the answer.
            let Ok(upgraded) = on_upgrade.await else { return };
            let Ok(parts) = upgraded.downcast::<TokioIo<Stream>>() else {
                tracing::error!("a connection was upgraded that this crate did not accept");
                return;
            };
            let socket = open(parts.io.into_inner(), parts.read_buf, &limits).await;
            run(socket, conversation, limits).await;
        });
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_follow_design_5_4() {
        let policy = OriginPolicy::new([
            "https://app.example.com".to_owned(),
            "http://other:8080".to_owned(),
        ]);
        for (origin, host, allowed) in [
            (None, "a", true),
            (Some("ws://127.0.0.1:47043"), "127.0.0.1:47043", true),
            (Some("http://a"), "a:80", true),
            (Some("https://a:443"), "a", true),
            (Some("https://a"), "a:80", false),
            (Some("https://app.example.com"), "a", true),
            (Some("HTTPS://APP.example.com"), "a", true),
            (Some("http://app.example.com"), "a", false),
            (Some("https://app.example.com.evil.test"), "a", false),
            (Some("https://evil-app.example.com"), "a", false),
            (Some("https://app.example.com:8443"), "a", false),
            (Some("http://other:8080"), "a", true),
            (Some("null"), "a", false),
            (Some(""), "", false),
            (Some("http://"), "", false),
            (Some("file://"), "", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(
                policy.allows(&RequestOrigin::of(&headers)),
                allowed,
                "{origin:?} at {host}"
            );
        }
        let mut twice = HeaderMap::new();
        twice.append(ORIGIN, "https://app.example.com".parse().unwrap());
        twice.append(ORIGIN, "https://evil.test".parse().unwrap());
        assert!(!policy.allows(&RequestOrigin::of(&twice)));
        let mut null = HeaderMap::new();
        null.insert(ORIGIN, "null".parse().unwrap());
        assert!(OriginPolicy::new(["*".to_owned()]).allows(&RequestOrigin::of(&null)));
    }
}
