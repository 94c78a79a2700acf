//! Which subscriptions have changed: since they were last stored, and since it was last asked what is due.

use std::collections::BTreeSet;

use crate::id::SubscriptionId;

/// Subscriptions that were touched.
#[derive(Debug, Default)]
pub(super) struct Touched {
    unstored: BTreeSet<SubscriptionId>,
    /// With a thousand subscribers nobody looks at all of them each time one has acknowledged.
    unscheduled: BTreeSet<SubscriptionId>,
}

impl Touched {
    pub(super) fn insert(&mut self, id: SubscriptionId) {
        self.unstored.insert(id);
        self.unscheduled.insert(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unstored.is_empty()
    }

    pub(super) fn take_unstored(&mut self) -> BTreeSet<SubscriptionId> {
        std::mem::take(&mut self.unstored)
    }

    pub(super) fn take_unscheduled(&mut self) -> BTreeSet<SubscriptionId> {
        std::mem::take(&mut self.unscheduled)
    }
}
