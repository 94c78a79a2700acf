//! A message comes in: admitted in one step, made visible in another once it is stored.
//!
//! Between the two only the store is asked. Whoever calls admits messages of a topic one batch at a time and applies or
//! forgets them before the next, so that nothing is undone: a refused batch leaves no trace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::log::{Content, Entry};
use super::subscription::Subscription;
use super::{LastPublication, Now, Topic};
use crate::error::PubSubError;
use crate::id::{Position, SubscriptionId};
use crate::message::{EncodedMessage, Header, Message, StoredMessage};
use crate::settings::Delivery;
use crate::store::{Change, GapCause, OwnIdRecord};

/// A message on its way in.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) message: Message,
    /// What the publisher says; the topic decides where it says nothing.
    pub(crate) has_gd: Option<bool>,
    /// The only subscriptions that are to get it.
    pub(crate) recipients: Option<Vec<SubscriptionId>>,
    pub(crate) encoded: EncodedMessage,
}

/// What admitted batches of a topic come to that are not applied yet.
#[derive(Debug)]
pub(crate) struct Plan {
    next: u64,
    stored_next: u64,
    last_order: i64,
    guaranteed: usize,
    others: usize,
    own_ids: HashMap<u128, u64>,
}

/// A batch of messages that may come in.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    messages: Vec<(u64, Header, Arc<Message>, bool)>,
    own_ids: Vec<(u128, OwnIdRecord)>,
    stored_next: Option<u64>,
    /// What becomes of each message, in the order in which they were given.
    pub(crate) outcomes: Vec<Outcome>,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It stands there.
    Published(Arc<str>, Position),
    /// It was published before, and stands or stood there.
    Repeated(Arc<str>, Position),
    /// Nobody is subscribed and the topic keeps nothing for later.
    Dropped,
}

impl Topic {
    pub(crate) fn plan(&self) -> Plan {
        Plan {
            next: self.next,
            stored_next: self.stored_next,
            last_order: self.last_order,
            guaranteed: 0,
            others: 0,
            own_ids: HashMap::new(),
        }
    }

    /// Decides on a batch, all or none. The changes have to be stored before the batch is applied.
    pub(crate) fn admit(
        &mut self,
        plan: &mut Plan,
        drafts: Vec<Draft>,
        now: Now,
        memory_limit: usize,
    ) -> Result<(Admitted, Vec<Change>), PubSubError> {
        if self.removed {
            return Err(PubSubError::NoSuchTopic(self.name().to_owned()));
        }
        if !self.settings.is_active {
            return Err(PubSubError::Inactive(self.name().to_owned()));
        }
        let mut batch = Batch { next: plan.next, last_order: plan.last_order, ..Batch::default() };
        for draft in drafts {
            self.place(plan, &mut batch, draft, now);
        }
        let memory: usize = batch.volatile().map(|message| message.weight()).sum();
        if memory > 0 && self.memory.load(Ordering::Relaxed).saturating_add(memory) > memory_limit {
            return Err(PubSubError::Memory);
        }
        let (guaranteed, others) = batch.count();
        let held = self.log.guaranteed() + plan.guaranteed;
        if guaranteed > 0 && held + guaranteed > self.settings.max_depth_gd {
            return Err(self.too_deep("GD"));
        }
        if others > 0 {
            let wanted = self.log.others() + plan.others + others;
            if !self.evict(wanted.saturating_sub(self.settings.max_depth_non_gd)) {
                return Err(self.too_deep("non-GD"));
            }
        }
        plan.next = batch.next;
        plan.last_order = batch.last_order;
        plan.guaranteed += guaranteed;
        plan.others += others;
        let stored_next = self.reserve(plan, guaranteed > 0);
        let mut changes: Vec<Change> = Vec::with_capacity(batch.admitted.len() + 1);
        changes.extend(stored_next.map(|next| Change::PutNext(self.id, next)));
        let mut admitted =
            Admitted { stored_next, outcomes: batch.outcomes, ..Admitted::default() };
        for (offset, header, message, stored) in batch.admitted {
            let guaranteed = stored.is_some();
            changes.extend(stored.map(|stored| Change::Append(self.id, offset, stored)));
            admitted.messages.push((offset, header, message, guaranteed));
        }
        for (hash, record) in batch.own_ids {
            changes.push(Change::PutOwnId(self.id, hash, Some(record.clone())));
            plan.own_ids.insert(hash, record.offset);
            admitted.own_ids.push((hash, record));
        }
        Ok((admitted, changes))
    }

    /// Makes a batch visible: it is stored. Tells which contents are kept at hand, and what they take.
    pub(crate) fn apply(&mut self, admitted: Admitted, keep: bool) -> Vec<(u64, usize)> {
        self.stored_next = admitted.stored_next.unwrap_or(self.stored_next);
        for (hash, record) in admitted.own_ids {
            if let Some((_, former)) = self.own_ids.insert(hash, (record.offset, record.at)) {
                self.own_ids_by_time.remove(&(former, hash));
            }
            self.own_ids_by_time.insert((record.at, hash));
        }
        let keep = keep && self.is_awaited();
        let mut kept = Vec::new();
        for (offset, header, message, guaranteed) in admitted.messages {
            self.counters.published += 1;
            self.counters.last = Some(LastPublication {
                at: message.pub_time.as_microseconds(),
                msg_id: Arc::clone(&message.id),
                endpoint: Arc::clone(&message.publisher),
                has_gd: guaranteed,
            });
            let content = match (guaranteed, keep) {
                (false, _) => {
                    self.memory.fetch_add(message.weight(), Ordering::Relaxed);
                    Content::Memory(message)
                }
                (true, true) => {
                    kept.push((offset, message.weight()));
                    Content::Cached(message)
                }
                (true, false) => Content::Stored,
            };
            if !header.has_own_time {
                self.last_order = self.last_order.max(header.order);
            }
            self.insert(Entry::new(offset, &header, content, guaranteed));
        }
        kept
    }

    /// Whether somebody is about to take what comes.
    fn is_awaited(&self) -> bool {
        self.subscriptions.values().any(|it| it.holder.is_some() || it.has_waiters())
    }

    fn insert(&mut self, mut entry: Entry) {
        let key = entry.key;
        self.next = self.next.max(key.offset + 1);
        let mut others = Vec::new();
        for subscription in self.subscriptions.values_mut() {
            if entry.is_for(subscription.id) {
                entry.references += 1;
                subscription.depth += 1;
                if subscription.is_behind_cursor(key) {
                    subscription.put_back(key);
                }
                subscription.wake();
            } else {
                subscription.acked.insert(key.offset);
                others.push(subscription.id);
            }
        }
        self.log.insert(entry);
        for id in others {
            self.touched.insert(id);
            if let Some(subscription) = self.subscriptions.get_mut(&id) {
                subscription.raise_floor(self.next);
            }
        }
    }

    /// Gives a message its place, or none.
    fn place(&self, plan: &Plan, batch: &mut Batch, draft: Draft, now: Now) {
        let Draft { mut message, has_gd, recipients, encoded } = draft;
        let own_id = message.has_own_id.then(|| hash(&message.id));
        if let Some(offset) = own_id.and_then(|hash| self.published_before(plan, batch, hash, now))
        {
            batch.outcomes.push(Outcome::Repeated(Arc::clone(&message.id), self.position(offset)));
            return;
        }
        let recipients = recipients.map(|these| these.into_iter().collect::<BTreeSet<_>>());
        let wanted = |it: &&Subscription| {
            it.record.settings.active_status.queues()
                && recipients.as_ref().is_none_or(|these| these.contains(&it.id))
        };
        let eligible: Vec<&Subscription> = self.subscriptions.values().filter(wanted).collect();
        let waiting = eligible.is_empty();
        if waiting && !self.settings.keeps_without_subscribers {
            batch.outcomes.push(Outcome::Dropped);
            return;
        }
        // Nobody could be told of the loss of what waits for somebody who is away.
        let is_away = |it: &&Subscription| {
            it.holder.is_none() && it.record.settings.delivery == Delivery::WebSocket
        };
        let guaranteed =
            has_gd.unwrap_or(self.settings.has_gd) || waiting || eligible.iter().any(is_away);
        let all = eligible.len() == self.subscriptions.len();
        message.has_gd = guaranteed;
        let order = match message.ext_pub_time {
            Some(own) => own.as_microseconds(),
            None => {
                batch.last_order = batch.last_order.max(now.wall);
                batch.last_order
            }
        };
        let expires_at = message.expires_at.map(|at| at.as_microseconds());
        let own_expiry = message.expiration.map(|seconds| {
            let span = i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
            message.pub_time.as_microseconds().saturating_add(span)
        });
        let header = Header {
            priority: message.priority,
            order,
            expires_at,
            by_retention: expires_at.is_some()
                && own_expiry.is_none_or(|own| expires_at < Some(own)),
            size: u32::try_from(message.size).unwrap_or(u32::MAX),
            waiting,
            recipients: (!all && !waiting).then(|| eligible.iter().map(|it| it.id).collect()),
            has_own_time: message.ext_pub_time.is_some(),
        };
        let stored = guaranteed.then(|| StoredMessage::new(&header, &encoded));
        let offset = batch.next;
        batch.next += 1;
        if let Some(hash) = own_id {
            let record = OwnIdRecord { offset, at: now.wall };
            batch.own_ids.insert(hash, record);
        }
        batch.outcomes.push(Outcome::Published(Arc::clone(&message.id), self.position(offset)));
        batch.admitted.push((offset, header, Arc::new(message), stored));
    }

    fn published_before(&self, plan: &Plan, batch: &Batch, hash: u128, now: Now) -> Option<u64> {
        let stored = self
            .own_ids
            .get(&hash)
            .filter(|(_, at)| at.saturating_add(super::OWN_ID_WINDOW) > now.wall);
        stored
            .map(|(offset, _)| *offset)
            .or_else(|| plan.own_ids.get(&hash).copied())
            .or_else(|| batch.own_ids.get(&hash).map(|record| record.offset))
    }

    /// Offsets are never given twice, also those of messages that are not stored: a reserve of them is. Returns what has
    /// to be stored of that.
    fn reserve(&self, plan: &mut Plan, stores: bool) -> Option<u64> {
        if plan.next <= plan.stored_next {
            return None;
        }
        // One that is stored anyway needs no reserve.
        plan.stored_next = if stores { plan.next } else { plan.next + RESERVE };
        Some(plan.stored_next)
    }

    fn position(&self, offset: u64) -> Position {
        Position { epoch: self.record.epoch, offset }
    }

    fn too_deep(&self, kind: &'static str) -> PubSubError {
        PubSubError::Depth { kind, topic: self.name().to_owned() }
    }

    /// Drops the oldest messages that are not guaranteed and that only subscribers wait for who are there and too slow:
    /// so many, or none.
    fn evict(&mut self, count: usize) -> bool {
        let slow = |it: &Subscription, offset: u64| {
            it.acked.contains(offset)
                || (it.holder.is_some()
                    && it.record.settings.delivery == Delivery::WebSocket
                    && !it.in_flight.contains_key(&offset))
        };
        let evictable = |offset: &u64| self.subscriptions.values().all(|it| slow(it, *offset));
        let gone: Vec<u64> = self.log.volatile().filter(evictable).take(count).collect();
        let suffices = gone.len() == count;
        if suffices {
            gone.into_iter().for_each(|offset| self.drop_message(offset, GapCause::Overflow));
        }
        suffices
    }
}

/// A batch while it is decided on.
#[derive(Default)]
struct Batch {
    next: u64,
    last_order: i64,
    admitted: Vec<(u64, Header, Arc<Message>, Option<StoredMessage>)>,
    own_ids: BTreeMap<u128, OwnIdRecord>,
    outcomes: Vec<Outcome>,
}

impl Batch {
    fn volatile(&self) -> impl Iterator<Item = &Message> {
        self.admitted.iter().filter(|(.., stored)| stored.is_none()).map(|(_, _, it, _)| &**it)
    }

    /// Guaranteed messages, and others.
    fn count(&self) -> (usize, usize) {
        let others = self.volatile().count();
        (self.admitted.len() - others, others)
    }
}

impl Admitted {
    /// The messages, for whoever keeps an account.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.messages.iter().map(|(_, _, message, _)| message)
    }

    /// Bytes of what will be delivered.
    pub(crate) fn bytes(&self) -> usize {
        self.messages().map(|message| message.size).sum()
    }
}

/// Where a publisher's id is kept under: two ids are the same if 128 bits of a hash are.
fn hash(id: &str) -> u128 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, id).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

/// How many offsets are reserved at once for messages that are not stored.
const RESERVE: u64 = 65_536;
