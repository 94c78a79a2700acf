//! Space that is free inside the log goes back to the disk by itself, where that takes little time and gives much.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Handle, Shared};
use crate::store::StoreError;

impl Shared {
    /// Looks for space to give back soon: the disk is full.
    pub(super) fn want_room(&self) {
        self.wants_room.store(true, Ordering::Release);
        self.timer.wake();
    }

    pub(super) fn takes_wish_for_room(&self) -> bool {
        self.wants_room.swap(false, Ordering::AcqRel)
    }

    /// As [`give_space_back`](Self::give_space_back), but for a log that is written to: what is free in it is used again
    /// soon.
    pub(super) async fn give_space_back_if_idle(self: &Arc<Self>) {
        let published = |handle: &Arc<Handle>| handle.lock().counters.published;
        let published: u64 = self.handles().iter().map(published).sum();
        if self.published_before.swap(published, Ordering::AcqRel) == published {
            self.give_space_back().await;
        }
    }

    /// Compacts the log if most of it is free. Publications wait meanwhile, so that it has to be quick: it takes about
    /// as long as writing what is left.
    pub(super) async fn give_space_back(self: &Arc<Self>) {
        let held: u64 = self.handles().iter().map(|handle| handle.lock().stored_bytes()).sum();
        let kept = self.compacted_to.load(Ordering::Acquire);
        let store = Arc::clone(&self.store);
        let work = move || {
            let before = store.disk_bytes();
            let is_worth_it = held <= MOST_HELD
                && before > held.saturating_mul(4).max(kept).saturating_add(LEAST);
            is_worth_it.then(|| (before, store.compact()))
        };
        let Ok(Some((before, compacted))) = tokio::task::spawn_blocking(work).await else { return };
        let next = match compacted {
            Ok(after) => {
                tracing::info!(before, after, "the message log gave space back to the disk");
                after
            }
            // It does so at a start.
            Err(StoreError::Unsupported(_)) => u64::MAX,
            Err(error) => {
                tracing::warn!(%error, "the message log gave no space back");
                before
            }
        };
        self.compacted_to.store(next, Ordering::Release);
    }
}

/// So many bytes have to be free at least, beside those that came since the last time.
const LEAST: u64 = 32 * 1024 * 1024;
/// With more than this in it a person decides when it is compacted.
const MOST_HELD: u64 = 256 * 1024 * 1024;
