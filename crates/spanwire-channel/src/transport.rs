//! From a listening socket to HTTP requests: accepting, PROXY protocol, TLS, limits, HTTP/1.1.

pub mod forwarded;
pub mod limits;
pub mod listener;
pub mod peer;
pub mod proxy_protocol;
pub mod response;
pub mod stream;
pub mod tls;

pub use limits::{AddressLimits, LimitSettings};
pub use listener::{
    HttpApp, Listener, ListenerControl, ListenerSettings, ListenerUpdate, Observer,
};
pub use peer::{AddressSource, Peer, TrustedProxies};
pub use response::Body;
pub use stream::Stream;
pub use tls::{TlsError, TlsFiles};
