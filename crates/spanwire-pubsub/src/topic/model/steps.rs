//! Each operation, done to a topic and to its model.

use std::sync::Arc;
use std::time::Duration;

use spanwire_protocol::Timestamp;
use tokio::sync::Notify;

use super::super::HolderId;
use super::check::World;
use super::ops::{Fields, Op, status};
use super::{At, SECOND, Wish, Wishes};
use crate::id::SubscriptionId;
use crate::message::Publication;
use crate::store::{Change, GapCause};

impl World {
    pub(super) fn run(&mut self, op: Op) {
        match op {
            Op::Publish(messages) => {
                let wish = |(priority, ext, gd, to, own, expiry): Fields| {
                    let ids = self.model.queues.keys().copied();
                    let is_meant = |(at, _): &(usize, u64), mask: u8| mask >> (at % 8) & 1 == 1;
                    let to = to.map(|mask| {
                        let chosen = ids.enumerate().filter(|it| is_meant(it, mask));
                        chosen.map(|(_, id)| id).collect()
                    });
                    let expires_at = expiry.map(|seconds| self.now.wall + seconds * SECOND);
                    Wish { priority, ext: ext.map(|it| it * SECOND), gd, to, own, expires_at }
                };
                let wishes: Vec<Wish> = messages.into_iter().map(wish).collect();
                self.publish(&wishes);
            }
            Op::Subscribe(how, at, (websocket, number, max_attempts, blocks, positions)) => {
                if self.model.queues.len() < 4 {
                    let status = status(number);
                    let wishes = Wishes { websocket, status, max_attempts, blocks, positions };
                    self.subscribe(how, at, wishes);
                }
            }
            Op::Time(monotonic, wall) => {
                self.now.monotonic += monotonic * SECOND;
                self.now.wall += wall * SECOND;
                self.topic.tick(self.now);
                self.model.expire(self.now);
                let ids: Vec<u64> = self.model.queues.keys().copied().collect();
                ids.into_iter().for_each(|id| self.model.end_waits(id, self.now));
                let wall = self.now.wall;
                self.model.own_ids.retain(|_, (_, at)| *at + 120 * SECOND > wall);
            }
            Op::Delete(None, number) => {
                let offset = self.which(number);
                let is_there = self.model.log.contains_key(&offset);
                assert_eq!(self.topic.delete(None, offset), is_there);
                self.model.drop_message(offset, GapCause::Deleted);
            }
            Op::Edit(number, priority) => self.edit(self.which(number), priority),
            Op::ClearTopic => {
                assert_eq!(self.topic.clear(), self.model.log.len());
                let all: Vec<u64> = self.model.log.keys().copied().collect();
                all.into_iter().for_each(|it| self.model.drop_message(it, GapCause::Deleted));
                for queue in self.model.queues.values_mut() {
                    (queue.paused_until, queue.isolate) = (None, 0);
                }
                self.commit(Vec::new());
                self.committed(true);
            }
            Op::Limits(gd, others) => self.limit(gd, others),
            Op::Commit => {
                self.commit(Vec::new());
                self.committed(false);
            }
            Op::Restart => {
                self.commit(Vec::new());
                self.restart(false);
            }
            Op::Stop => {
                self.topic.stop(self.now);
                assert_eq!(self.topic.take(SubscriptionId(1), 9, 9, None, self.now).len(), 0);
                self.model.expire(self.now);
                self.model.end_waits(1, self.now);
                self.commit(Vec::new());
                self.restart(true);
            }
            Op::Crash(cut) => {
                let (state, model) = self.history[cut.min(self.history.len() - 1)].clone();
                (self.state, self.model) = (state, model);
                self.told_lost.clear();
                self.restart(false);
            }
            Op::Unsubscribe(who)
            | Op::Attach(who)
            | Op::Detach(who)
            | Op::Take { who, .. }
            | Op::Acknowledge(who, _)
            | Op::AcknowledgeUpTo(who, _)
            | Op::Fail(who, ..)
            | Op::GiveBack(who, _)
            | Op::Postpone(who, _)
            | Op::Delete(Some(who), _)
            | Op::Requeue(who)
            | Op::ClearQueue(who)
            | Op::Status(who, _)
            | Op::Gaps(who, _) => {
                if let Some(id) = self.who(who) {
                    self.run_on(id, op);
                }
            }
        }
    }

    fn edit(&mut self, offset: u64, priority: u8) {
        let Some(held) = self.model.log.get_mut(&offset) else { return };
        held.key.lane = 9 - priority;
        let mut publication = Publication::from_value("y").unwrap();
        publication.priority = Some(i64::from(priority));
        let now = Timestamp::from_microseconds(self.now.wall);
        let edited = publication.into_message(&"/t".into(), "p".into(), "pub=/t".into(), now);
        let mut edited = edited.unwrap();
        edited.expires_at = held.expires_at.map(Timestamp::from_microseconds);
        if held.own_time {
            edited.ext_pub_time = Some(Timestamp::from_microseconds(held.key.order));
        }
        let (header, changes) = self.topic.replacement(offset, &edited).unwrap();
        let forced = !changes.is_empty();
        self.commit(changes);
        assert!(self.topic.replace(offset, &header, Arc::new(edited)));
        self.committed(forced);
    }

    fn run_on(&mut self, id: u64, op: Op) {
        let key = SubscriptionId(id);
        match op {
            Op::Unsubscribe(_) => {
                let changes = self.topic.removal(key);
                self.commit(changes);
                self.topic.remove(key);
                self.model.queues.remove(&id);
                self.model.sweep();
                self.committed(true);
            }
            Op::Attach(_) => {
                self.mark_in_use(id);
                let holder = HolderId(self.next_holder);
                self.next_holder += 1;
                self.topic.attach(key, holder, Arc::new(Notify::new()));
                self.held_by.insert(id, holder);
                self.release(id);
                self.model.queues.get_mut(&id).unwrap().is_held = true;
            }
            Op::Detach(_) => {
                let holder = self.held_by.remove(&id);
                let is_held = self.model.queues[&id].is_held;
                let detached = holder.is_some_and(|it| self.topic.detach(key, it, self.now.wall));
                assert_eq!(detached, is_held);
                if is_held {
                    self.release(id);
                    self.model.queues.get_mut(&id).unwrap().is_held = false;
                }
            }
            Op::Take { limit, lease, hands_over, .. } => self.take(id, limit, lease, hands_over),
            Op::Acknowledge(_, which) => {
                let taken: Vec<u64> =
                    self.some_taken(id, which).into_iter().map(|it| it.0).collect();
                let done = self.topic.acknowledge(key, &taken);
                assert_eq!(done, self.model.acknowledge(id, &taken));
                assert_eq!(self.topic.acknowledge(key, &taken), 0, "once is enough");
            }
            Op::AcknowledgeUpTo(_, offset) => {
                let done = self.topic.acknowledge_up_to(key, offset);
                assert_eq!(done, self.model.acknowledge_up_to(id, offset));
            }
            Op::Fail(_, which, how) => self.fail(id, which, how),
            Op::GiveBack(_, which) => {
                let taken = self.some_taken(id, which);
                self.topic.give_back(key, &taken);
                // Nobody saw them: the attempt does not count.
                for (offset, attempt) in taken {
                    let queue = self.model.queues.get_mut(&id).unwrap();
                    queue.lose(|at, since, _| (at, since) == (offset, attempt));
                    let item = queue.items.iter_mut().find(|it| it.offset == offset);
                    let Some(item) = item else { continue };
                    item.at = At::Ready;
                    self.seen.insert((id, offset), attempt - 1);
                }
            }
            Op::Postpone(_, which) => {
                for (offset, attempt) in self.some_taken(id, which) {
                    let wait = Duration::from_secs(1);
                    self.topic.postpone(key, (offset, attempt), wait, self.now);
                    let queue = self.model.queues.get_mut(&id).unwrap();
                    let item = queue.items.iter_mut().find(|it| it.offset == offset);
                    let Some(item) = item else { continue };
                    item.at = At::Delayed(self.now.monotonic + SECOND);
                    self.seen.insert((id, offset), attempt - 1);
                }
            }
            Op::Delete(_, number) => {
                let offset = self.which(number);
                let queue = self.model.queues.get_mut(&id).unwrap();
                let is_there = queue.items.iter().any(|it| it.offset == offset);
                assert_eq!(self.topic.delete(Some(key), offset), is_there);
                queue.drop_item(offset, GapCause::Deleted);
                self.model.sweep();
            }
            Op::Requeue(_) => {
                let dead = self.model.queues[&id].in_state(|at| *at == At::Dead);
                for offset in dead {
                    assert!(self.topic.requeue(key, offset));
                    let queue = self.model.queues.get_mut(&id).unwrap();
                    let item = queue.items.iter_mut().find(|it| it.offset == offset).unwrap();
                    (item.pardoned, item.at) = (item.failed, At::Ready);
                    queue.gaps.retain(|at, cause| *at != offset || *cause != GapCause::Dead);
                }
            }
            Op::ClearQueue(_) => {
                let queue = self.model.queues.get_mut(&id).unwrap();
                let all = queue.in_state(|_| true);
                assert_eq!(self.topic.clear_queue(key), all.len());
                all.into_iter().for_each(|it| queue.drop_item(it, GapCause::Deleted));
                self.model.sweep();
            }
            Op::Status(_, number) => {
                let mut record = self.topic.subscription(key).unwrap().record.clone();
                record.settings.active_status = status(number);
                let settings = record.settings.clone();
                self.commit(vec![Change::PutSubscription(key, Box::new(record))]);
                self.topic.touch(key).unwrap().record.settings = settings;
                self.model.queues.get_mut(&id).unwrap().wishes.status = status(number);
                self.committed(true);
            }
            Op::Gaps(_, told) => self.tell_gaps(id, told),
            other => panic!("{other:?} is not about one subscription"),
        }
    }
}
