//! Messages of subscriptions on their way to one client.
//!
//! A connection asks for the next ones when it has room, and says when they were written: what a slow client does not
//! take stays where it is, and holds nobody up.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::SelectAll;
use spanwire_session::Delivery;

/// What one subscription has for a client, as fast as the client takes it. Its end is the end of the subscription as far
/// as this client goes; dropping it gives back what was not written.
pub type DeliveryStream = Pin<Box<dyn Stream<Item = Push> + Send>>;

/// Something to be pushed.
pub struct Push {
    /// What the client gets.
    pub delivery: Delivery,
    /// What it comes to, in bytes, about.
    pub bytes: usize,
    /// Called when it was written to the socket; dropped when it never will be.
    pub written: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Push {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Push").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// All subscriptions of one client.
#[derive(Default)]
pub(super) struct Deliveries {
    streams: SelectAll<DeliveryStream>,
    unwritten: Vec<Box<dyn FnOnce() + Send>>,
    unwritten_bytes: usize,
}

impl Deliveries {
    pub(super) fn add(&mut self, stream: DeliveryStream) {
        self.streams.push(stream);
    }

    /// The next delivery, as long as the client has not too much to take already.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Option<Delivery> {
        if self.unwritten_bytes >= WINDOW || self.streams.is_empty() {
            return None;
        }
        let Poll::Ready(Some(push)) = Pin::new(&mut self.streams).poll_next(cx) else {
            return None;
        };
        self.unwritten_bytes += push.bytes.max(1);
        self.unwritten.push(push.written);
        Some(push.delivery)
    }

    /// Everything that was handed out was written; tells whether more was waiting for that.
    pub(super) fn written(&mut self) -> bool {
        let was_full = self.unwritten_bytes >= WINDOW;
        self.unwritten_bytes = 0;
        for written in self.unwritten.drain(..) {
            written();
        }
        was_full
    }

    /// Nothing will be written any more.
    pub(super) fn clear(&mut self) {
        self.unwritten = Vec::new();
        self.streams = SelectAll::new();
    }
}

/// How many bytes may be under way to a client before the next are asked for.
const WINDOW: usize = 256 * 1024;
