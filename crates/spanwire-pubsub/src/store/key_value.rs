//! The message log on an embedded database of `spanwire-store`.
//!
//! | tree | key | value |
//! |---|---|---|
//! | `topic` | topic | [`TopicRecord`] |
//! | `next` | topic | the first offset that was never given |
//! | `message` | topic, offset | the message; of a long one the header alone |
//! | `body` | topic, offset | a long message |
//! | `own_id` | topic, hash | [`OwnIdRecord`](super::OwnIdRecord) |
//! | `subscription` | subscription | [`SubscriptionRecord`](super::SubscriptionRecord) |
//! | `floor` | subscription | an offset |
//! | `acked` | subscription, chunk | a bitmap |
//! | `attempts` | subscription, offset | a number |
//! | `dead` | subscription, offset | [`DeadLetter`](super::DeadLetter) |
//! | `gap` | subscription, offset | [`GapRecord`](super::GapRecord) |
//!
//! Numbers are big-endian, so that trees are in the order in which they are read. Records are MessagePack maps:
//! fields can be added. What a subscription or a topic that is gone has left behind is deleted at the next start.

use std::ops::Bound;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use spanwire_protocol::Timestamp;
use spanwire_store::{Batch, Health, KeyValue, StoreError as DatabaseError};
use tokio::sync::oneshot;

use super::{BoxFuture, Change, Durability, MessageStore, Record, StoreError, TopicRecord};
use crate::id::{SubscriptionId, TopicId};
use crate::message::StoredMessage;

/// A message log in an embedded database. Use one for messages alone.
#[derive(Clone, Debug)]
pub struct KeyValueMessageStore(Arc<dyn KeyValue>);

/// Takes a key and its value.
type Visit<'a> = dyn FnMut(&[u8], Vec<u8>) -> Result<(), StoreError> + 'a;

/// Takes what a key begins with, the rest of it, and its value.
type VisitPart<'a> = dyn FnMut(u64, &[u8], Vec<u8>) -> Result<(), StoreError> + 'a;

impl KeyValueMessageStore {
    /// A log in an open database.
    #[must_use]
    pub fn new(database: Arc<dyn KeyValue>) -> Self {
        Self(database)
    }

    /// Gives every topic another history, because the log is of another time than its subscribers may know: after it was
    /// restored from a backup.
    ///
    /// # Errors
    /// When the log cannot be read or written.
    pub fn renew_epochs(&self, now: Timestamp) -> Result<(), StoreError> {
        let epoch = u64::try_from(now.as_microseconds()).unwrap_or_default();
        let mut batch = Batch::new();
        self.read("topic", &mut |key, value| {
            let record = TopicRecord { epoch, ..decode::<TopicRecord>(&value)? };
            batch.put("topic", key, encode(&record));
            Ok(())
        })?;
        self.0.commit(batch).map_err(|error| StoreError::Failed(error.to_string()))
    }

    /// Deletes what belongs to a topic or a subscription that is deleted, also what was put earlier in this batch. What
    /// was given before and is not applied yet is left for the next start.
    fn delete_parts(&self, batch: &mut Batch, change: &Change, earlier: &[Part]) {
        let (owner, trees): (u64, &[&'static str]) = match change {
            Change::DeleteTopic(id) => (id.0, &["own_id"]),
            Change::DeleteSubscription(id) => (id.0, &["acked", "attempts", "dead", "gap"]),
            _ => return,
        };
        for tree in trees {
            // What cannot be read now is found by the next start, or refused there.
            for (key, _) in self.0.scan(tree, &owner.to_be_bytes()).unwrap_or_default() {
                batch.delete(tree, &key);
            }
        }
        for (tree, key) in earlier.iter().filter(|(tree, _)| trees.contains(tree)) {
            if key.starts_with(&owner.to_be_bytes()) {
                batch.delete(tree, key);
            }
        }
    }

    /// Reads a tree in its order, a page at a time.
    fn read(&self, tree: &'static str, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let mut from: Bound<Vec<u8>> = Bound::Unbounded;
        loop {
            let bound = from.as_ref().map(Vec::as_slice);
            let page =
                self.0.scan_range(tree, bound, Bound::Unbounded, PAGE).map_err(read_error)?;
            let is_last = page.len() < PAGE;
            for (key, value) in page {
                visit(&key, value)?;
                from = Bound::Excluded(key);
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Reads a tree of what belongs to subscriptions or topics, and notes the keys of what belongs to none any more.
    fn read_parts(
        &self,
        tree: &'static str,
        owners: &[u64],
        orphans: &mut Batch,
        visit: &mut VisitPart<'_>,
    ) -> Result<(), StoreError> {
        self.read(tree, &mut |key, value| {
            let (owner, rest) = split(key)?;
            if owners.binary_search(&owner).is_err() {
                orphans.delete(tree, key);
                return Ok(());
            }
            visit(owner, rest, value)
        })
    }
}

impl MessageStore for KeyValueMessageStore {
    fn load(&self, visit: &mut dyn FnMut(Record)) -> Result<(), StoreError> {
        let mut orphans = Batch::new();
        let mut next = Vec::new();
        self.read("next", &mut |key, value| {
            next.push((number(key)?, number(&value)?));
            Ok(())
        })?;
        let mut topics = Vec::new();
        self.read("topic", &mut |key, value| {
            let id = number(key)?;
            let at = next.binary_search_by_key(&id, |(id, _)| *id).ok();
            let free = at.and_then(|at| next.get(at)).map_or(0, |(_, free)| *free);
            topics.push(id);
            visit(Record::Topic(TopicId(id), decode(&value)?, free));
            Ok(())
        })?;
        let mut floors = Vec::new();
        self.read("floor", &mut |key, value| {
            floors.push((number(key)?, number(&value)?));
            Ok(())
        })?;
        let mut all = Vec::new();
        self.read("subscription", &mut |key, value| {
            let id = number(key)?;
            let at = floors.binary_search_by_key(&id, |(id, _)| *id).ok();
            let floor = at.and_then(|at| floors.get(at)).map_or(0, |(_, floor)| *floor);
            all.push(id);
            visit(Record::Subscription(SubscriptionId(id), decode(&value)?, floor));
            Ok(())
        })?;
        self.read_parts("acked", &all, &mut orphans, &mut |id, rest, value| {
            visit(Record::Acked(SubscriptionId(id), number(rest)?, bits(&value)?));
            Ok(())
        })?;
        self.read_parts("attempts", &all, &mut orphans, &mut |id, rest, value| {
            let attempts = u32::try_from(number(&value)?).unwrap_or(u32::MAX);
            visit(Record::Attempts(SubscriptionId(id), number(rest)?, attempts));
            Ok(())
        })?;
        self.read_parts("dead", &all, &mut orphans, &mut |id, rest, value| {
            visit(Record::Dead(SubscriptionId(id), number(rest)?, decode(&value)?));
            Ok(())
        })?;
        self.read_parts("gap", &all, &mut orphans, &mut |id, rest, value| {
            visit(Record::Gap(SubscriptionId(id), number(rest)?, decode(&value)?));
            Ok(())
        })?;
        self.read_parts("own_id", &topics, &mut orphans, &mut |id, rest, value| {
            let hash = rest.try_into().map_err(|_| StoreError::Read(ODD_KEY.to_owned()))?;
            visit(Record::OwnId(TopicId(id), u128::from_be_bytes(hash), decode(&value)?));
            Ok(())
        })?;
        self.read_parts("message", &topics, &mut orphans, &mut |id, rest, value| {
            let message = StoredMessage::from_bytes(value.into());
            visit(Record::Message(TopicId(id), number(rest)?, message));
            Ok(())
        })?;
        if !orphans.is_empty() {
            self.0.submit(orphans, spanwire_store::Durability::Lazy, Box::new(|_| {}));
        }
        Ok(())
    }

    fn commit(
        &self,
        changes: Vec<Change>,
        durability: Durability,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        let mut batch = Batch::new();
        let has_messages = changes.iter().any(|it| matches!(it, Change::Append(..)));
        let mut parts = Vec::new();
        for change in changes {
            self.delete_parts(&mut batch, &change, &parts);
            parts.extend(part_of(&change));
            put(&mut batch, change);
        }
        if !has_messages {
            // Subscribing, acknowledging and giving up have to go on, or no room would ever be made.
            batch.urgent();
        }
        let durability = match durability {
            Durability::Forced => spanwire_store::Durability::Forced,
            Durability::Lazy => spanwire_store::Durability::Lazy,
        };
        let (done, answer) = oneshot::channel();
        let tell = Box::new(move |outcome| {
            // Nobody may be waiting any more.
            drop(done.send(outcome));
        });
        self.0.submit(batch, durability, tell);
        Box::pin(async move {
            let outcome = answer.await;
            outcome
                .unwrap_or_else(|_| {
                    Err(DatabaseError::Poisoned { why: "it was closed".to_owned() })
                })
                .map_err(|error| match error {
                    DatabaseError::Full { .. } => StoreError::Full,
                    error => StoreError::Failed(error.to_string()),
                })
        })
    }

    fn fetch(
        &self,
        topic: TopicId,
        offsets: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Option<StoredMessage>>, StoreError>> {
        let database = Arc::clone(&self.0);
        Box::pin(async move {
            let read =
                tokio::task::spawn_blocking(move || read_messages(&*database, topic, &offsets));
            read.await.unwrap_or_else(|error| Err(StoreError::Read(error.to_string())))
        })
    }

    fn health(&self) -> Result<(), String> {
        match self.0.health() {
            Health::Poisoned { why } => Err(why),
            _ => Ok(()),
        }
    }

    fn disk_bytes(&self) -> u64 {
        self.0.disk_bytes()
    }

    fn compact(&self) -> Result<u64, StoreError> {
        match self.0.compact() {
            Ok(compaction) => Ok(compaction.after),
            Err(DatabaseError::Unsupported { .. }) => Err(StoreError::Unsupported(
                "this engine gives space back only while no server runs: stop it and run \
                 `spanwire-server messages compact`"
                    .to_owned(),
            )),
            Err(error) => Err(StoreError::Failed(error.to_string())),
        }
    }
}

fn read_messages(
    database: &dyn KeyValue,
    topic: TopicId,
    offsets: &[u64],
) -> Result<Vec<Option<StoredMessage>>, StoreError> {
    let keys: Vec<Vec<u8>> = offsets.iter().map(|offset| key(topic.0, *offset).to_vec()).collect();
    let short = database.get_many("message", &keys).map_err(read_error)?;
    let is_long = |value: &Option<Vec<u8>>| {
        value.as_ref().is_some_and(|value| StoredMessage::is_header_alone(value))
    };
    let long: Vec<Vec<u8>> = keys
        .iter()
        .zip(&short)
        .filter(|(_, value)| is_long(value))
        .map(|(key, _)| key.clone())
        .collect();
    let mut bodies = database.get_many("body", &long).map_err(read_error)?.into_iter();
    let whole = short.into_iter().map(|value| match is_long(&value) {
        false => value,
        true => bodies.next().flatten(),
    });
    Ok(whole.map(|value| value.map(|it| StoredMessage::from_bytes(it.into()))).collect())
}

/// A tree and a key of something that belongs to a topic or a subscription.
type Part = (&'static str, Vec<u8>);

fn part_of(change: &Change) -> Option<Part> {
    let (tree, owner, at) = match change {
        Change::PutAcked(id, chunk, _) => ("acked", id.0, *chunk),
        Change::PutAttempts(id, offset, _) => ("attempts", id.0, *offset),
        Change::PutDead(id, offset, _) => ("dead", id.0, *offset),
        Change::PutGap(id, from, _) => ("gap", id.0, *from),
        Change::PutOwnId(topic, hash, _) => return Some(("own_id", own_id_key(*topic, *hash))),
        _ => return None,
    };
    Some((tree, key(owner, at).to_vec()))
}

fn own_id_key(topic: TopicId, hash: u128) -> Vec<u8> {
    let mut key = topic.0.to_be_bytes().to_vec();
    key.extend_from_slice(&hash.to_be_bytes());
    key
}

fn put(batch: &mut Batch, change: Change) {
    match change {
        Change::PutTopic(id, record) => {
            batch.put("topic", &id.0.to_be_bytes(), encode(&record));
        }
        Change::DeleteTopic(id) => {
            batch.delete("topic", &id.0.to_be_bytes()).delete("next", &id.0.to_be_bytes());
        }
        Change::PutNext(id, next) => {
            batch.put("next", &id.0.to_be_bytes(), next.to_be_bytes());
        }
        Change::Append(topic, offset, message) => {
            let key = key(topic.0, offset);
            match message.as_bytes().len() > INLINE {
                true => {
                    batch.put("message", &key, message.header_alone());
                    batch.put("body", &key, message.as_bytes().to_vec());
                }
                false => {
                    batch.put("message", &key, message.as_bytes().to_vec());
                }
            }
        }
        Change::Delete(topic, offset) => {
            let key = key(topic.0, offset);
            batch.delete("message", &key).delete("body", &key);
        }
        Change::PutSubscription(id, record) => {
            batch.put("subscription", &id.0.to_be_bytes(), encode(&*record));
        }
        Change::DeleteSubscription(id) => {
            let id = id.0.to_be_bytes();
            batch.delete("subscription", &id).delete("floor", &id);
        }
        Change::PutFloor(id, floor) => {
            batch.put("floor", &id.0.to_be_bytes(), floor.to_be_bytes());
        }
        Change::PutAcked(id, chunk, bits) => {
            let bits = bits.map(|bits| bits.iter().flat_map(|word| word.to_be_bytes()).collect());
            set(batch, "acked", &key(id.0, chunk), bits);
        }
        Change::PutAttempts(id, offset, attempts) => {
            let value = (attempts > 0).then(|| u64::from(attempts).to_be_bytes().to_vec());
            set(batch, "attempts", &key(id.0, offset), value);
        }
        Change::PutDead(id, offset, letter) => {
            set(batch, "dead", &key(id.0, offset), letter.as_ref().map(encode));
        }
        Change::PutGap(id, from, gap) => {
            set(batch, "gap", &key(id.0, from), gap.as_ref().map(encode));
        }
        Change::PutOwnId(topic, hash, record) => {
            set(batch, "own_id", &own_id_key(topic, hash), record.as_ref().map(encode));
        }
    }
}

fn set(batch: &mut Batch, tree: &'static str, key: &[u8], value: Option<Vec<u8>>) {
    match value {
        Some(value) => batch.put(tree, key, value),
        None => batch.delete(tree, key),
    };
}

fn key(first: u64, second: u64) -> [u8; 16] {
    (u128::from(first) << 64 | u128::from(second)).to_be_bytes()
}

fn split(key: &[u8]) -> Result<(u64, &[u8]), StoreError> {
    let (first, rest) =
        key.split_first_chunk().ok_or_else(|| StoreError::Read(ODD_KEY.to_owned()))?;
    Ok((u64::from_be_bytes(*first), rest))
}

fn number(bytes: &[u8]) -> Result<u64, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Read(ODD_KEY.to_owned()))?;
    Ok(u64::from_be_bytes(bytes))
}

fn bits(bytes: &[u8]) -> Result<Box<[u64; 64]>, StoreError> {
    let words = bytes.chunks_exact(8).map(number).collect::<Result<Vec<u64>, _>>()?;
    words.try_into().map_err(|_| StoreError::Read("a stored bitmap has another length".to_owned()))
}

fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    // Records are structs of texts and numbers: every one has a form.
    rmp_serde::to_vec_named(record).unwrap_or_default()
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    rmp_serde::from_slice(bytes).map_err(|error| {
        StoreError::Read(format!("a record of the message log cannot be read: {error}"))
    })
}

fn read_error(error: DatabaseError) -> StoreError {
    match error {
        error @ DatabaseError::Corrupt { .. } => StoreError::Damaged(error.to_string()),
        error => StoreError::Read(error.to_string()),
    }
}

/// Longer messages are kept apart from their headers, so that a start need not read them.
const INLINE: usize = 1024;
/// How many entries are read at once.
const PAGE: usize = 4096;
const ODD_KEY: &str =
    "a key of the message log has another form; the store is not a message log, or damaged";

#[cfg(test)]
mod tests;
