//! Calls that nobody waits for any more. Saying so never waits: it is done while a future is dropped.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(super) struct Cancelled {
    calls: Mutex<Vec<u64>>,
    wake: Notify,
}

impl Cancelled {
    pub(super) fn push(&self, call: u64) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        self.wake.notify_one();
    }

    /// Waits until there are some. Cancel safe.
    pub(super) async fn wait(&self) {
        self.wake.notified().await;
    }

    pub(super) fn take(&self) -> Vec<u64> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
