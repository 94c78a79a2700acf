//! What a start reads: records become topics.

use std::collections::HashMap;
use std::sync::Arc;

use crate::id::{SubscriptionId, TopicId};
use crate::store::{Change, MessageStore, Record, StoreError};
use crate::topic::{MemoryGauge, Restored};

/// What a start reads.
pub(super) struct Reading {
    pub(super) topics: HashMap<TopicId, Restored>,
    pub(super) last_subscription: u64,
    /// What is left of topics that were removed, and is deleted now.
    pub(super) orphans: Vec<Change>,
}

impl Reading {
    pub(super) fn of(store: &dyn MessageStore, memory: &MemoryGauge) -> Result<Self, StoreError> {
        let mut topics: HashMap<TopicId, Restored> = HashMap::new();
        let mut owners: HashMap<SubscriptionId, TopicId> = HashMap::new();
        let mut last_subscription = 0;
        let mut damaged = None;
        let mut orphans = Vec::new();
        store.load(&mut |record| match record {
            Record::Topic(id, record, next) => {
                topics.insert(id, Restored::new(id, record, next, Arc::clone(memory)));
            }
            Record::Subscription(id, record, floor) => {
                last_subscription = last_subscription.max(id.0);
                owners.insert(id, record.topic);
                match topics.get_mut(&record.topic) {
                    Some(topic) => topic.subscription(id, *record, floor),
                    None => orphans.push(Change::DeleteSubscription(id)),
                }
            }
            Record::Message(id, offset, message) => match (topics.get_mut(&id), message.header()) {
                (Some(topic), Ok(header)) => topic.message(offset, &header),
                (_, Err(error)) => damaged = Some(StoreError::from(error)),
                // Its topic was removed, and the rest of that not yet.
                (None, Ok(_)) => orphans.push(Change::Delete(id, offset)),
            },
            Record::OwnId(id, hash, record) => {
                if let Some(topic) = topics.get_mut(&id) {
                    topic.own_id(hash, &record);
                }
            }
            Record::Acked(id, chunk, bits) => {
                if let Some(topic) = owners.get(&id).and_then(|id| topics.get_mut(id)) {
                    topic.acked(id, chunk, bits);
                }
            }
            Record::Attempts(id, offset, attempts) => {
                if let Some(topic) = owners.get(&id).and_then(|id| topics.get_mut(id)) {
                    topic.attempts(id, offset, attempts);
                }
            }
            Record::Dead(id, offset, letter) => {
                if let Some(topic) = owners.get(&id).and_then(|id| topics.get_mut(id)) {
                    topic.dead(id, offset, letter);
                }
            }
            Record::Gap(id, from, gap) => {
                if let Some(topic) = owners.get(&id).and_then(|id| topics.get_mut(id)) {
                    topic.gap(id, from, gap);
                }
            }
        })?;
        match damaged {
            Some(error) => Err(error),
            None => Ok(Self { topics, last_subscription, orphans }),
        }
    }
}
