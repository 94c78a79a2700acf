//! Turns accepted connections into HTTP requests, WebSocket connections and driven sessions.
//!
//! Two layers that can be used apart:
//!
//! - [`transport`] and [`websocket`]: listening, TLS, proxies, limits, the upgrade, and a connection loop that drives
//!   any [`Conversation`](websocket::Conversation). `examples/ws-echo` uses nothing else.
//! - [`wsx`] and [`rest`] (feature `session`, on by default): WSX sessions and REST channels in that loop. What they
//!   need from above they ask through the ports in [`backend`].
//!
//! What it does not do: finding services, knowing secrets, deciding permissions.

pub mod clock;
pub mod transport;
pub mod websocket;

#[cfg(feature = "session")]
pub mod backend;
#[cfg(feature = "session")]
pub mod rest;
#[cfg(feature = "session")]
pub mod server;
#[cfg(feature = "session")]
pub mod wsx;
