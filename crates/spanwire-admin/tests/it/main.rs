//! The API from outside: requests to the router, over a real configuration and a made-up server.
//!
//! Every answer is held against the OpenAPI document: its status, its type and its schema.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly anywhere, also in its helpers"
)]

mod backend;
mod broker;
mod client;
mod conditions;
mod connections;
mod document;
mod events;
mod history;
mod lists;
mod objects;
mod odd;
mod pubsub;
mod secrets;
mod server;
mod transfer;
