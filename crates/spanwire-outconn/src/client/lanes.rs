//! What the server asks and delivers, on its way to the handler: requests side by side, deliveries one after the other.
//!
//! Neither holds up the connection. What waits is bounded: beyond that the server is not read, which is how it learns
//! to wait. Dropping the lanes ends what runs.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use spanwire_protocol::Payload;
use tokio::task::{JoinError, JoinSet};

use super::pubsub::Delivery;
use super::{Handler, Request, Shared};

/// An answer to the server: the id of its message, and what is answered.
type Answer = Option<(String, Payload)>;

pub(super) struct Lanes {
    handler: Arc<dyn Handler>,
    client: Weak<Shared>,
    asked: JoinSet<Answer>,
    requests: VecDeque<Request>,
    /// One at most.
    delivered: JoinSet<Answer>,
    deliveries: VecDeque<Delivery>,
    /// What waits in both.
    bytes: usize,
}

impl Lanes {
    pub(super) fn new(handler: Arc<dyn Handler>, client: Weak<Shared>) -> Self {
        Self {
            handler,
            client,
            asked: JoinSet::new(),
            requests: VecDeque::new(),
            delivered: JoinSet::new(),
            deliveries: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Whether more may be read. While replies are waited for it is four times as much, so that they are reached.
    pub(super) fn have_room(&self, replies_wait: bool) -> bool {
        let times = if replies_wait { 4 } else { 1 };
        let waiting = self.requests.len() + self.deliveries.len();
        self.bytes < times * WAITING_BYTES && waiting < times * WAITING
    }

    pub(super) fn ask(&mut self, request: Request) {
        self.bytes += request.data.len();
        self.requests.push_back(request);
        self.start();
    }

    pub(super) fn deliver(&mut self, delivery: Delivery) {
        self.bytes += delivery.data.len();
        self.deliveries.push_back(delivery);
        self.start();
    }

    pub(super) fn missed(&self, receipt: Payload) {
        self.handler.missed(receipt);
    }

    /// Waits until something is answered. Cancel safe.
    pub(super) async fn next(&mut self) -> Answer {
        let answer = tokio::select! {
            Some(answer) = self.asked.join_next() => finished(answer),
            Some(answer) = self.delivered.join_next() => finished(answer),
            else => std::future::pending().await,
        };
        self.start();
        answer
    }

    fn start(&mut self) {
        while self.asked.len() < AT_ONCE
            && let Some(request) = self.requests.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(request.data.len());
            let Some(client) = Shared::upgrade(&self.client) else { return };
            let handler = Arc::clone(&self.handler);
            self.asked.spawn(async move {
                let (id, codec) = (request.id.clone(), request.data.codec());
                let answer = handler.asked(client, request).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, request = id, "a request of the peer was not handled");
                    Payload::null(codec)
                });
                Some((id, answer))
            });
        }
        if self.delivered.is_empty()
            && let Some(delivery) = self.deliveries.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(delivery.data.len());
            let Some(client) = Shared::upgrade(&self.client) else { return };
            let handler = Arc::clone(&self.handler);
            self.delivered.spawn(async move {
                let result = handler.delivered(client.clone(), delivery.clone()).await;
                client.settle(&delivery, result).await
            });
        }
    }
}

fn finished(answer: Result<Answer, JoinError>) -> Answer {
    answer.unwrap_or_else(|error| {
        tracing::error!(%error, "the handler of a peer's messages has panicked");
        None
    })
}

/// How many requests run at once.
const AT_ONCE: usize = 64;
/// How many messages may wait …
const WAITING: usize = 10_000;
/// … and how many bytes of them.
const WAITING_BYTES: usize = 16 * 1024 * 1024;
