//! What end-to-end tests work with: the real server as a child process, scripted clients, foreign programs.
//!
//! Everything is on loopback and in temporary folders; children end with the values that hold them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a test harness fails loudly"
)]

pub mod client;
pub mod endpoint;
pub mod http;
pub mod messaging;
pub mod proxy;
pub mod secrecy;
pub mod server;
pub mod tls;
pub mod tools;
pub mod vectors;

use std::future::Future;
use std::time::Duration;

pub use client::Client;
pub use server::Server;

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Waits until a condition holds.
pub async fn eventually<F, Fut>(what: &str, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, holds).await.is_ok(), "still not: {what}");
}

/// Asks until there is an answer, and returns it.
pub async fn until<T, F, Fut>(what: &str, mut ask: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let answer = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    answer.unwrap_or_else(|_| panic!("still not: {what}"))
}

/// Whether the long counts are wanted (`cargo xtask long`).
#[must_use]
pub fn is_long() -> bool {
    std::env::var_os("SPANWIRE_LONG").is_some()
}
