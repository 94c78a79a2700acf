//! Drives a topic and its model with the same operations, as the broker would, and compares them after each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;
use spanwire_protocol::Timestamp;

use super::super::{
    Draft, Failure, HolderId, MemoryGauge, Outcome, QueueFilter, Restored, Start, Topic,
};
use super::ops::ops;
use super::{At, Came, Model, Now, SECOND, Wish, Wishes};
use crate::error::PubSubError;
use crate::id::{EndpointId, Position, SubKey, SubscriptionId, TopicId};
use crate::message::{EncodedMessage, Publication};
use crate::settings::{Delivery, EndpointKind, SubscriptionSettings, TopicSettings};
use crate::store::memory::State;
use crate::store::{Change, GapCause, Record, SubscriptionRecord, TopicRecord};

const TOPIC: TopicId = TopicId(1);

pub(super) struct World {
    pub(super) topic: Topic,
    pub(super) model: Model,
    pub(super) memory: MemoryGauge,
    pub(super) state: State,
    /// What a crash may come back to: the last forced batch, and lazy ones behind it.
    pub(super) history: Vec<(State, Model)>,
    pub(super) now: Now,
    pub(super) next_id: u64,
    pub(super) next_holder: u64,
    pub(super) held_by: BTreeMap<u64, HolderId>,
    /// The last attempt at which a message was handed over.
    pub(super) seen: BTreeMap<(u64, u64), u32>,
    /// Offsets whose loss at a restart was told.
    pub(super) told_lost: BTreeMap<u64, BTreeSet<u64>>,
}

impl World {
    pub(super) fn new() -> Self {
        let record = TopicRecord { name: "/t".to_owned(), epoch: 7, floor: 0 };
        let memory = MemoryGauge::default();
        let (settings, gauge) = (TopicSettings::default(), Arc::clone(&memory));
        let mut state = State::default();
        state.apply(Change::PutTopic(TOPIC, record.clone()));
        let mut world = Self {
            topic: Topic::new(TOPIC, record, settings, gauge),
            model: Model::new(),
            memory,
            history: vec![(state.clone(), Model::new())],
            state,
            now: Now { wall: 1_000 * SECOND, monotonic: 5 * SECOND },
            next_id: 1,
            next_holder: 1,
            held_by: BTreeMap::new(),
            seen: BTreeMap::new(),
            told_lost: BTreeMap::new(),
        };
        world.limit(usize::MAX / 2, usize::MAX / 2);
        world
    }

    pub(super) fn limit(&mut self, gd: usize, others: usize) {
        (self.model.max_gd, self.model.max_non_gd) = (gd, others);
        self.topic.settings.max_depth_gd = gd;
        self.topic.settings.max_depth_non_gd = others;
    }

    pub(super) fn who(&self, number: u8) -> Option<u64> {
        let count = self.model.queues.len();
        (count > 0).then(|| *self.model.queues.keys().nth(usize::from(number) % count).unwrap())
    }

    /// Mostly a message that is there.
    pub(super) fn which(&self, number: u64) -> u64 {
        let live: Vec<u64> = self.model.log.keys().copied().collect();
        let index = usize::try_from(number).unwrap() % (live.len() + 1);
        live.get(index).copied().unwrap_or(number)
    }

    pub(super) fn commit(&mut self, changes: Vec<Change>) {
        let lazy = self.topic.take_changes();
        lazy.into_iter().chain(changes).for_each(|change| self.state.apply(change));
    }

    pub(super) fn committed(&mut self, forced: bool) {
        if forced {
            self.history.clear();
        }
        self.history.push((self.state.clone(), self.model.clone()));
    }

    pub(super) fn publish(&mut self, wishes: &[Wish]) {
        let draft = |wish: &Wish| {
            let mut publication = Publication::from_value("x").unwrap();
            publication.priority = Some(i64::from(wish.priority));
            publication.msg_id = wish.own.map(|id| format!("own{id}"));
            let pub_time = Timestamp::from_microseconds(self.now.wall);
            let message =
                publication.into_message(&"/t".into(), "p".into(), "pub=/t".into(), pub_time);
            let mut message = message.unwrap();
            message.ext_pub_time = wish.ext.map(Timestamp::from_microseconds);
            message.expires_at = wish.expires_at.map(Timestamp::from_microseconds);
            message.expiration = wish.expires_at.map(|_| 1);
            let encoded = EncodedMessage::of(&message);
            let recipients =
                wish.to.as_ref().map(|to| to.iter().copied().map(SubscriptionId).collect());
            Draft { message, has_gd: wish.gd, recipients, encoded }
        };
        let drafts = wishes.iter().map(draft).collect();
        let expected = self.model.publish(wishes, self.now);
        let mut plan = self.topic.plan();
        match self.topic.admit(&mut plan, drafts, self.now, usize::MAX) {
            Ok((mut admitted, changes)) => {
                let forced = !changes.is_empty();
                if forced {
                    self.commit(changes);
                }
                let came = admitted.outcomes.drain(..).map(|outcome| match outcome {
                    Outcome::Published(_, position) => Came::Published(position.offset),
                    Outcome::Repeated(_, position) => Came::Repeated(position.offset),
                    Outcome::Dropped => panic!("nothing is dropped here"),
                });
                assert_eq!(Ok(came.collect()), expected);
                self.topic.apply(admitted, false);
                if forced {
                    self.committed(true);
                }
            }
            Err(PubSubError::Depth { kind, .. }) => assert_eq!(Err(kind), expected),
            Err(other) => panic!("{other}"),
        }
    }

    pub(super) fn record(&self, wishes: Wishes) -> SubscriptionRecord {
        let delivery = if wishes.websocket { Delivery::WebSocket } else { Delivery::Pull };
        SubscriptionRecord {
            topic: TOPIC,
            endpoint: EndpointId(1),
            kind: EndpointKind::Wsx,
            key: SubKey::from_text(&format!("zpsk.{}", self.next_id)),
            managed: None,
            client_id: String::new(),
            pattern: String::new(),
            created: self.now.wall,
            last_seen: self.now.wall,
            start: 0,
            claims: Vec::new(),
            in_use: false,
            crashes: 0,
            crashed_below: 0,
            settings: SubscriptionSettings {
                delivery,
                active_status: wishes.status,
                max_attempts: wishes.max_attempts,
                blocks_on_error: wishes.blocks,
                positions: wishes.positions,
                acknowledges: true,
                ..SubscriptionSettings::default()
            },
        }
    }

    pub(super) fn subscribe(&mut self, how: u8, at: u64, wishes: Wishes) {
        let next = self.model.next;
        let (start, from) = match how {
            0 | 1 => (Start::New, next),
            2 => (Start::First, 0),
            _ => {
                let offset = at.min(next - 1);
                (Start::After(Position { epoch: 7, offset }), offset + 1)
            }
        };
        let id = self.next_id;
        let record = self.record(wishes);
        let (subscription, changes) = self.topic.draft(SubscriptionId(id), record, start);
        self.commit(changes);
        self.topic.add(subscription);
        self.model.subscribe(id, from, wishes, how > 2);
        self.committed(true);
        self.next_id += 1;
    }

    pub(super) fn mark_in_use(&mut self, id: u64) {
        if std::mem::replace(&mut self.model.queues.get_mut(&id).unwrap().in_use, true) {
            return;
        }
        let id = SubscriptionId(id);
        let mut record = self.topic.subscription(id).unwrap().record.clone();
        record.in_use = true;
        self.commit(vec![Change::PutSubscription(id, Box::new(record))]);
        self.topic.touch(id).unwrap().record.in_use = true;
        self.committed(true);
    }

    pub(super) fn take(&mut self, id: u64, limit: usize, lease: Option<i64>, hands_over: bool) {
        self.mark_in_use(id);
        let lease = lease.map(|seconds| seconds * SECOND);
        let span = lease.map(|it| Duration::from_micros(it.unsigned_abs()));
        let taken = self.topic.take(SubscriptionId(id), limit, usize::MAX, span, self.now);
        let taken: Vec<_> = taken.into_iter().map(|it| (it.offset, it.attempt)).collect();
        assert_eq!(taken, self.model.take(id, limit, lease, self.now), "of {id}");
        if !hands_over {
            return;
        }
        if taken.iter().any(|(_, attempt)| *attempt > 1) {
            self.commit(Vec::new());
            self.committed(true);
        }
        let handed = self.topic.hand_over(SubscriptionId(id), &taken, self.now);
        let expected = self.model.hand_over(id, &taken, self.now);
        assert_eq!(handed.into_iter().collect::<BTreeSet<_>>(), expected);
        for (offset, attempt) in taken {
            let before = self.seen.insert((id, offset), attempt).unwrap_or(0);
            assert!(attempt > before, "{offset} of {id}: {attempt} after {before}");
        }
    }

    /// Some of what somebody has taken, also of what is gone since.
    pub(super) fn some_taken(&self, id: u64, which: u16) -> Vec<(u64, u32)> {
        let items = self.model.queues[&id].items.iter();
        let taken = items.filter_map(|item| match item.at {
            At::Taken { attempt, .. } => Some((item.offset, attempt)),
            _ => None,
        });
        let doubts = self.model.queues[&id].doubts.iter().map(|(at, it)| (*at, it.1));
        let taken = taken.chain(doubts);
        let is_meant = |(index, _): &(usize, (u64, u32))| which >> (index % 16) & 1 == 1;
        taken.enumerate().filter(is_meant).map(|(_, it)| it).collect()
    }

    pub(super) fn fail(&mut self, id: u64, which: u16, how: u8) {
        let taken = self.some_taken(id, which);
        let (failure, least) = match how {
            0 => (Failure::Network, 10),
            1 => (Failure::Refused, 3),
            _ => (Failure::Rejected, 3),
        };
        self.topic.fail(SubscriptionId(id), &taken, failure, "no", self.now);
        let queue = self.model.queues.get_mut(&id).unwrap();
        let mut tried = 0;
        let mut dead = Vec::new();
        for (offset, attempt) in &taken {
            queue.lose(|at, since, _| (at, since) == (*offset, *attempt));
            let index = queue.items.iter().position(|item| item.offset == *offset);
            let Some(index) = index else { continue };
            queue.items[index].failed += 1;
            if how == 2 || queue.items[index].counted() >= queue.wishes.max_attempts {
                dead.push(index);
                continue;
            }
            tried += 1;
            let wait = (least * 2_i64.pow(attempt - 1)).min(300) * SECOND;
            let at = self.now.monotonic + wait;
            match queue.wishes.blocks {
                true => {
                    queue.items[index].at = At::Ready;
                    queue.paused_until = Some(queue.paused_until.map_or(at, |it| it.max(at)));
                }
                false => queue.items[index].at = At::Delayed(at),
            }
        }
        if tried > 1 && how == 1 {
            queue.isolate = tried;
        }
        dead.into_iter().for_each(|index| queue.put_aside(index));
    }

    pub(super) fn release(&mut self, id: u64) {
        let queue = self.model.queues.get_mut(&id).unwrap();
        queue.lose(|_, _, until| until.is_none());
        for item in &mut queue.items {
            if matches!(item.at, At::Taken { until: None, .. }) {
                item.failed += 1;
                item.at = At::Ready;
            }
        }
    }

    pub(super) fn tell_gaps(&mut self, id: u64, told: bool) {
        let gaps = self.topic.show_gaps(SubscriptionId(id));
        assert_eq!(self.topic.show_gaps(SubscriptionId(id)), [], "they are shown once");
        let starts: Vec<u64> = gaps.iter().map(|(from, _)| *from).collect();
        if !told {
            self.topic.gaps_not_told(SubscriptionId(id), &starts);
            return;
        }
        for (from, gap) in gaps.iter().filter(|(_, gap)| gap.cause == GapCause::Restart) {
            let known = self.told_lost.entry(id).or_default();
            assert!((*from..=gap.to).all(|offset| known.insert(offset)), "told twice: {from}");
        }
        self.topic.gaps_told(SubscriptionId(id), &starts);
        self.model.queues.get_mut(&id).unwrap().gaps.clear();
    }

    pub(super) fn restart(&mut self, is_clean: bool) {
        let mut restored: Option<Restored> = None;
        let mut next = 1;
        let gauge = MemoryGauge::default();
        self.state.visit(&mut |record| match record {
            Record::Topic(id, record, at) => {
                next = next.max(at);
                restored = Some(Restored::new(id, record, at, Arc::clone(&gauge)));
            }
            other => {
                let topic = restored.as_mut().unwrap();
                match other {
                    Record::Subscription(id, record, floor) => {
                        topic.subscription(id, *record, floor);
                    }
                    Record::Acked(id, chunk, bits) => topic.acked(id, chunk, bits),
                    Record::Attempts(id, offset, attempts) => topic.attempts(id, offset, attempts),
                    Record::Dead(id, offset, letter) => topic.dead(id, offset, letter),
                    Record::Gap(id, from, gap) => topic.gap(id, from, gap),
                    Record::OwnId(_, hash, record) => topic.own_id(hash, &record),
                    Record::Message(_, offset, message) => {
                        next = next.max(offset + 1);
                        topic.message(offset, &message.header().unwrap());
                    }
                    Record::Topic(..) => panic!("there is one topic"),
                }
            }
        });
        assert!(next >= self.model.next, "an offset would be given twice");
        let lost: Vec<(u64, Vec<u64>)> = {
            let is_lost = |it: &u64| self.model.log.get(it).is_none_or(|held| !held.guaranteed);
            let of = |(id, queue): (&u64, &super::Queue)| {
                let live = queue.in_state(|at| *at != At::Dead);
                (*id, live.into_iter().filter(is_lost).collect())
            };
            self.model.queues.iter().map(of).collect()
        };
        self.memory = gauge;
        self.topic = restored.unwrap().finish(self.now.wall);
        self.model.restart(is_clean, next);
        self.held_by.clear();
        let (gd, others) = (self.model.max_gd, self.model.max_non_gd);
        self.limit(gd, others);
        for (id, lost) in lost {
            let subscription = self.topic.subscription(SubscriptionId(id)).unwrap();
            let covering = |offset: u64| {
                let gaps = subscription.gaps.iter();
                gaps.filter(|(from, gap)| (**from..=gap.to).contains(&offset)).count()
            };
            if subscription.record.settings.positions {
                lost.iter().for_each(|offset| assert_eq!(covering(*offset), 1, "{offset}"));
            }
        }
        // What a start finds out is stored with the next batch; the history begins with the state that it read.
        self.history = vec![(self.state.clone(), self.model.clone())];
        self.history.clear();
        self.commit(Vec::new());
        self.committed(true);
    }

    /// Whatever can be seen is what the model says.
    fn compare(&self) {
        let (topic, model) = (&self.topic, &self.model);
        assert_eq!(topic.depth_gd(), model.count(true), "guaranteed messages");
        assert_eq!(topic.depth_non_gd(), model.count(false), "other messages");
        let held: Vec<(u64, bool)> =
            topic.browse(0, 1_000).iter().map(|it| (it.offset, it.has_gd)).collect();
        let expected = model.log.iter().map(|(offset, held)| (*offset, held.guaranteed));
        assert_eq!(held, expected.collect::<Vec<_>>(), "messages");
        let volatile = topic.log.volatile().filter_map(|it| topic.log.get(it)?.message());
        let weight: usize = volatile.map(|message| message.weight()).sum();
        assert_eq!(self.memory.load(Ordering::Relaxed), weight, "memory");
        let ids: Vec<u64> = topic.subscriptions().map(|it| it.id.0).collect();
        assert_eq!(ids, model.queues.keys().copied().collect::<Vec<_>>());
        for (id, queue) in &model.queues {
            let key = SubscriptionId(*id);
            let subscription = topic.subscription(key).unwrap();
            let all = queue.in_state(|_| true);
            let dead = queue.in_state(|at| *at == At::Dead);
            let browse = |filter| -> BTreeSet<u64> {
                topic.browse_queue(key, filter, 0, 1_000).iter().map(|it| it.offset).collect()
            };
            let pending: BTreeSet<u64> = subscription.pending(topic.next).collect();
            assert_eq!(pending, all, "pending of {id}");
            assert_eq!(browse(QueueFilter::Dead), dead, "dead letters of {id}");
            assert_eq!(browse(QueueFilter::Current), &all - &dead, "queue of {id}");
            assert_eq!(subscription.depth(), all.len() - dead.len(), "depth of {id}");
            let taken = queue.in_state(|at| matches!(at, At::Taken { .. }));
            assert_eq!(subscription.in_flight.keys().copied().collect::<BTreeSet<_>>(), taken);
            let doubts: Vec<u64> = subscription.doubts.keys().copied().collect();
            assert_eq!(doubts, queue.doubts.keys().copied().collect::<Vec<_>>(), "doubts of {id}");
            assert_eq!(subscription.paused_until, queue.paused_until, "pause of {id}");
            assert_eq!(subscription.isolate, queue.isolate, "isolation of {id}");
            let mut gaps = BTreeMap::new();
            let mut end = 0;
            for (from, gap) in &subscription.gaps {
                assert!(*from >= end, "gaps of {id} overlap at {from}");
                end = gap.to + 1;
                if gap.cause != GapCause::Restart {
                    assert_eq!(gap.count, end - from, "count of the gap at {from}");
                    gaps.extend((*from..end).map(|offset| (offset, gap.cause)));
                }
            }
            assert_eq!(gaps, queue.gaps, "gaps of {id}");
        }
        for (offset, entry) in topic.log.from(0) {
            let having = |queue: &&super::Queue| queue.items.iter().any(|it| it.offset == offset);
            let count = model.queues.values().filter(having).count();
            assert_eq!(entry.references as usize, count, "references of {offset}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn invariants_01_02_03_06_07_09_14_17_19_26_39_40_44_against_the_model(
        ops in prop::collection::vec(ops(), 1..70),
    ) {
        let mut world = World::new();
        for op in ops {
            world.run(op);
            world.compare();
        }
    }
}
