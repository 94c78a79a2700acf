//! End-to-end tests: the real binaries, real sockets, real TLS, real foreign clients.

mod examples;
mod sessions;
