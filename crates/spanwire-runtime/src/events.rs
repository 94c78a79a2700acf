//! What happens on the server, for those who watch it.

use std::sync::Arc;

use spanwire_protocol::admin::Event;
use tokio::sync::broadcast;

/// How many events wait for a slow watcher before it loses the oldest.
const CAPACITY: usize = 1024;

/// Sends events to all watchers. Without any, events are not even made.
#[derive(Clone, Debug)]
pub(crate) struct Events(broadcast::Sender<Arc<Event>>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }

    pub(crate) fn send(&self, make: impl FnOnce() -> Event) {
        if self.0.receiver_count() > 0 {
            // The last watcher may have gone just now.
            let _ = self.0.send(Arc::new(make()));
        }
    }

    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<Event>> {
        self.0.subscribe()
    }
}
