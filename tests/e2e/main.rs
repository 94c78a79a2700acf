//! End-to-end tests: the real binaries, real sockets, real TLS, real foreign clients.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail loudly"
)]

mod admin;
mod api;
mod bad_messages;
mod cli;
mod context;
mod dns;
mod examples;
mod files;
mod lifecycle;
mod live;
mod one_port;
mod one_service;
mod outconn;
mod pressure;
mod process;
mod pubsub;
mod python;
mod rest;
mod sessions;
mod sso;
mod vectors;
mod ws_vectors;
