//! The suite that every [`MessageStore`] passes: each rule of the port's documentation, by name.
//!
//! Needs the feature `testing`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::cast_possible_wrap,
    reason = "a suite of tests fails by panicking, as a test does"
)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use spanwire_protocol::Timestamp;

use crate::id::{EndpointId, SubKey, SubscriptionId, TopicId};
use crate::message::{EncodedMessage, Header, Publication, StoredMessage};
use crate::settings::{EndpointKind, SubscriptionSettings};
use crate::store::{
    Change, DeadLetter, Durability, GapCause, GapRecord, MessageStore, OwnIdRecord, Record,
    SubscriptionRecord, TopicRecord,
};

mod rules;

/// Runs the whole suite. `make` gives an empty log each time. It uses threads of the store if that has any, and no
/// runtime.
///
/// # Panics
/// When a rule does not hold; the text names it.
pub fn store_contract(mut make: impl FnMut() -> Arc<dyn MessageStore>) {
    for (name, rule) in rules::ALL {
        let store = make();
        assert_eq!(all(&*store), [], "{name}: the log is not empty to begin with");
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rule(&*store)));
        if let Err(cause) = outcome {
            let text = cause.downcast_ref::<String>().cloned();
            let text = text.or_else(|| cause.downcast_ref::<&str>().map(|it| (*it).to_owned()));
            panic!("a message log breaks the rule `{name}`: {}", text.unwrap_or_default());
        }
    }
}

/// Waits for a future on this thread.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn all(store: &dyn MessageStore) -> Vec<Record> {
    let mut records = Vec::new();
    store.load(&mut |record| records.push(record)).unwrap();
    records
}

fn commit(store: &dyn MessageStore, batch: Vec<Change>, durability: Durability) {
    wait(store.commit(batch, durability)).unwrap();
}

fn force(store: &dyn MessageStore, batch: Vec<Change>) {
    commit(store, batch, Durability::Forced);
}

fn topic_record(name: &str) -> TopicRecord {
    TopicRecord { name: name.to_owned(), epoch: 3, floor: 2 }
}

fn subscription_record(topic: u64, key: &str) -> Box<SubscriptionRecord> {
    Box::new(SubscriptionRecord {
        topic: TopicId(topic),
        endpoint: EndpointId(4),
        kind: EndpointKind::Wsx,
        key: SubKey::from_text(key),
        managed: Some(5),
        client_id: "client".to_owned(),
        pattern: "sub=/t".to_owned(),
        created: -6,
        last_seen: i64::MAX,
        start: 7,
        claims: vec![(1, 2), (4, 4)],
        in_use: true,
        crashes: 8,
        crashed_below: 9,
        settings: SubscriptionSettings { positions: true, ..SubscriptionSettings::default() },
    })
}

/// A message of which header and content follow from these bytes.
fn message(content: &[u8]) -> StoredMessage {
    let header = Header {
        priority: 5,
        order: content.first().copied().map_or(0, i64::from),
        expires_at: content.len().is_multiple_of(2).then_some(content.len() as i64),
        by_retention: false,
        size: 1,
        waiting: false,
        recipients: None,
        has_own_time: false,
    };
    let text = format!("a{}", String::from_utf8_lossy(content));
    let mut publication = Publication::from_value(&text).unwrap();
    publication.msg_id = Some("an-id".to_owned());
    let at = Timestamp::from_microseconds(1);
    let message = publication.into_message(&"/t".into(), "p".into(), "pub=/t".into(), at);
    StoredMessage::new(&header, &EncodedMessage::of(&message.unwrap()))
}

fn bits(offset: usize) -> Box<[u64; 64]> {
    let mut bits = Box::new([0; 64]);
    if let Some(word) = bits.get_mut(offset / 64) {
        *word = 1 << (offset % 64);
    }
    bits
}

fn letter(reason: &str) -> DeadLetter {
    DeadLetter { reason: reason.to_owned(), attempts: 2, at: -1 }
}

fn gap(to: u64) -> GapRecord {
    GapRecord { to, count: 0, cause: GapCause::Expired }
}

fn own_id(offset: u64) -> OwnIdRecord {
    OwnIdRecord { offset, at: 11 }
}

fn fetch(store: &dyn MessageStore, topic: u64, offsets: &[u64]) -> Vec<Option<StoredMessage>> {
    wait(store.fetch(TopicId(topic), offsets.to_vec())).unwrap()
}

const TOPIC: TopicId = TopicId(1);
const SUBSCRIPTION: SubscriptionId = SubscriptionId(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryMessageStore;

    #[test]
    fn the_log_in_memory_keeps_the_contract() {
        store_contract(|| Arc::new(MemoryMessageStore::new()));
    }
}
