//! A message log in memory: for tests, and for brokers whose messages need not survive the process.
//!
//! It is also the model of what a log holds: what is kept of the changes is a [`State`], whose records a start reads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{
    BoxFuture, Change, DeadLetter, Durability, GapRecord, MessageStore, OwnIdRecord, Record,
    StoreError, SubscriptionRecord, TopicRecord,
};
use crate::id::{SubscriptionId, TopicId};
use crate::message::StoredMessage;

/// A log that is gone with the process.
#[derive(Clone, Debug, Default)]
pub struct MemoryMessageStore(Arc<Mutex<State>>);

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    topics: BTreeMap<TopicId, TopicRecord>,
    next: BTreeMap<TopicId, u64>,
    messages: BTreeMap<(TopicId, u64), StoredMessage>,
    own_ids: BTreeMap<(TopicId, u128), OwnIdRecord>,
    subscriptions: BTreeMap<SubscriptionId, Box<SubscriptionRecord>>,
    floors: BTreeMap<SubscriptionId, u64>,
    acked: BTreeMap<(SubscriptionId, u64), Box<[u64; 64]>>,
    attempts: BTreeMap<(SubscriptionId, u64), u32>,
    dead: BTreeMap<(SubscriptionId, u64), DeadLetter>,
    gaps: BTreeMap<(SubscriptionId, u64), GapRecord>,
}

impl State {
    /// Applies a change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::PutTopic(id, record) => drop(self.topics.insert(id, record)),
            Change::DeleteTopic(id) => {
                self.topics.remove(&id);
                self.next.remove(&id);
                self.own_ids.retain(|(topic, _), _| *topic != id);
            }
            Change::PutNext(id, next) => drop(self.next.insert(id, next)),
            Change::Append(topic, offset, message) => {
                self.messages.insert((topic, offset), message);
            }
            Change::Delete(topic, offset) => drop(self.messages.remove(&(topic, offset))),
            Change::PutSubscription(id, record) => drop(self.subscriptions.insert(id, record)),
            Change::DeleteSubscription(id) => {
                self.subscriptions.remove(&id);
                self.floors.remove(&id);
                self.acked.retain(|(of, _), _| *of != id);
                self.attempts.retain(|(of, _), _| *of != id);
                self.dead.retain(|(of, _), _| *of != id);
                self.gaps.retain(|(of, _), _| *of != id);
            }
            Change::PutFloor(id, floor) => drop(self.floors.insert(id, floor)),
            Change::PutAcked(id, chunk, bits) => set(&mut self.acked, (id, chunk), bits),
            Change::PutAttempts(id, offset, attempts) => {
                set(&mut self.attempts, (id, offset), (attempts > 0).then_some(attempts));
            }
            Change::PutDead(id, offset, letter) => set(&mut self.dead, (id, offset), letter),
            Change::PutGap(id, from, gap) => set(&mut self.gaps, (id, from), gap),
            Change::PutOwnId(topic, hash, record) => set(&mut self.own_ids, (topic, hash), record),
        }
    }

    /// Hands over what a start reads.
    pub fn visit(&self, visit: &mut dyn FnMut(Record)) {
        for (id, record) in &self.topics {
            let next = self.next.get(id).copied().unwrap_or(0);
            visit(Record::Topic(*id, record.clone(), next));
        }
        for (id, record) in &self.subscriptions {
            let floor = self.floors.get(id).copied().unwrap_or(0);
            visit(Record::Subscription(*id, record.clone(), floor));
        }
        self.acked.iter().for_each(|((id, at), bits)| visit(Record::Acked(*id, *at, bits.clone())));
        self.attempts.iter().for_each(|((id, at), it)| visit(Record::Attempts(*id, *at, *it)));
        self.dead.iter().for_each(|((id, at), it)| visit(Record::Dead(*id, *at, it.clone())));
        self.gaps.iter().for_each(|((id, at), it)| visit(Record::Gap(*id, *at, it.clone())));
        self.own_ids.iter().for_each(|((id, at), it)| visit(Record::OwnId(*id, *at, it.clone())));
        for ((topic, offset), message) in &self.messages {
            visit(Record::Message(*topic, *offset, message.clone()));
        }
    }

    /// Reads a message.
    #[must_use]
    pub fn message(&self, topic: TopicId, offset: u64) -> Option<StoredMessage> {
        self.messages.get(&(topic, offset)).cloned()
    }
}

fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

impl MemoryMessageStore {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MessageStore for MemoryMessageStore {
    fn load(&self, visit: &mut dyn FnMut(Record)) -> Result<(), StoreError> {
        let state = self.state().clone();
        state.visit(visit);
        Ok(())
    }

    fn commit(
        &self,
        batch: Vec<Change>,
        _: Durability,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        let mut state = self.state();
        batch.into_iter().for_each(|change| state.apply(change));
        Box::pin(std::future::ready(Ok(())))
    }

    fn fetch(
        &self,
        topic: TopicId,
        offsets: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Option<StoredMessage>>, StoreError>> {
        let state = self.state();
        let found = offsets.into_iter().map(|offset| state.message(topic, offset)).collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn health(&self) -> Result<(), String> {
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        0
    }

    fn compact(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}
