//! The transport from outside: bytes on loopback sockets against an echo application.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly anywhere, also in its helpers"
)]

mod client;
mod closing;
mod frames;
mod handshake;
mod hostile;
mod malformed;
mod opcodes;
mod pressure;
mod proxies;
mod server;
mod slow;
