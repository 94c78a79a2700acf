//! What a topic has to do, written down as simply as possible: every subscription has a list of its messages, and
//! everything is searched and sorted. The property test at the end drives both with the same random operations and
//! compares whatever can be seen, also after restarts and crashes.

use std::collections::{BTreeMap, BTreeSet};

use super::Now;
use crate::settings::ActiveStatus;
use crate::store::GapCause;

mod check;
mod ops;
mod order;
mod steps;

/// A second, in the unit of the clocks.
const SECOND: i64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// The highest first.
    lane: u8,
    order: i64,
    offset: u64,
}

#[derive(Clone, Debug)]
struct Held {
    key: Key,
    expires_at: Option<i64>,
    guaranteed: bool,
    waiting: bool,
    /// Whether all subscriptions of then are to get it.
    to_all: bool,
    own_time: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum At {
    Ready,
    Taken { attempt: u32, until: Option<i64>, handed: bool },
    Delayed(i64),
    Dead,
}

#[derive(Clone, Debug)]
struct Item {
    offset: u64,
    failed: u32,
    /// Of these, how many do not count any more, because somebody put it back.
    pardoned: u32,
    at: At,
}

#[derive(Clone, Copy, Debug)]
struct Wishes {
    websocket: bool,
    status: ActiveStatus,
    max_attempts: u32,
    blocks: bool,
    positions: bool,
}

#[derive(Clone, Debug)]
struct Queue {
    wishes: Wishes,
    items: Vec<Item>,
    is_held: bool,
    in_use: bool,
    crashes: u32,
    crashed_below: u64,
    paused_until: Option<i64>,
    isolate: usize,
    /// What is gone and may have arrived: the cause, the attempt, until when that may be said.
    doubts: BTreeMap<u64, (GapCause, u32, Option<i64>)>,
    /// What it has to be told, and was not.
    gaps: BTreeMap<u64, GapCause>,
}

/// What was acknowledged as stored and what has to follow from it.
#[derive(Clone, Debug)]
struct Model {
    next: u64,
    last_order: i64,
    log: BTreeMap<u64, Held>,
    queues: BTreeMap<u64, Queue>,
    own_ids: BTreeMap<u8, (u64, i64)>,
    max_gd: usize,
    max_non_gd: usize,
}

/// A message on its way in.
#[derive(Clone, Debug)]
struct Wish {
    priority: u8,
    ext: Option<i64>,
    gd: Option<bool>,
    /// Subscriptions by their numbers.
    to: Option<Vec<u64>>,
    own: Option<u8>,
    expires_at: Option<i64>,
}

#[derive(Clone, Debug, PartialEq)]
enum Came {
    Published(u64),
    Repeated(u64),
}

impl Model {
    fn new() -> Self {
        Self {
            next: 1,
            last_order: i64::MIN,
            log: BTreeMap::new(),
            queues: BTreeMap::new(),
            own_ids: BTreeMap::new(),
            max_gd: usize::MAX,
            max_non_gd: usize::MAX,
        }
    }

    fn count(&self, guaranteed: bool) -> usize {
        self.log.values().filter(|held| held.guaranteed == guaranteed).count()
    }

    /// Admits a batch as a whole and shows it, or says which depth is in the way.
    fn publish(&mut self, batch: &[Wish], now: Now) -> Result<Vec<Came>, &'static str> {
        let mut after = self.clone();
        let (mut came, mut new) = (Vec::new(), Vec::new());
        for wish in batch {
            let known = wish.own.and_then(|id| after.own_ids.get(&id).copied());
            if let Some((offset, at)) = known
                && (at + 120 * SECOND > now.wall || new.contains(&offset))
            {
                came.push(Came::Repeated(offset));
                continue;
            }
            let recipients: Vec<u64> = after
                .queues
                .iter()
                .filter(|(id, queue)| {
                    matches!(queue.wishes.status, ActiveStatus::PubSub | ActiveStatus::PubOnly)
                        && wish.to.as_ref().is_none_or(|to| to.contains(id))
                })
                .map(|(id, _)| *id)
                .collect();
            let is_away = |id: &u64| {
                let queue = &after.queues[id];
                queue.wishes.websocket && !queue.is_held
            };
            let guaranteed =
                wish.gd.unwrap_or(false) || recipients.is_empty() || recipients.iter().any(is_away);
            let order = wish.ext.unwrap_or_else(|| {
                after.last_order = after.last_order.max(now.wall);
                after.last_order
            });
            let offset = after.next;
            after.next += 1;
            let key = Key { lane: 9 - wish.priority, order, offset };
            let (waiting, expires_at) = (recipients.is_empty(), wish.expires_at);
            let to_all = !waiting && recipients.len() == after.queues.len();
            let own_time = wish.ext.is_some();
            let held = Held { key, expires_at, guaranteed, waiting, to_all, own_time };
            after.log.insert(offset, held);
            for id in recipients {
                let queue = after.queues.get_mut(&id).unwrap();
                queue.items.push(Item { offset, failed: 0, pardoned: 0, at: At::Ready });
            }
            if let Some(id) = wish.own {
                after.own_ids.insert(id, (offset, now.wall));
            }
            new.push(offset);
            came.push(Came::Published(offset));
        }
        let others = new.iter().filter(|offset| !after.log[offset].guaranteed).count();
        if new.len() > others && after.count(true) > self.max_gd {
            return Err("GD");
        }
        let excess = after.count(false).saturating_sub(self.max_non_gd);
        if others > 0 && excess > 0 {
            let slow = |offset: &u64| {
                self.queues.values().all(|queue| {
                    let item = queue.items.iter().find(|item| item.offset == *offset);
                    item.is_none_or(|item| {
                        queue.is_held
                            && queue.wishes.websocket
                            && !matches!(item.at, At::Taken { .. })
                    })
                })
            };
            let volatile = self.log.iter().filter(|(_, held)| !held.guaranteed);
            let gone: Vec<u64> =
                volatile.map(|(offset, _)| *offset).filter(slow).take(excess).collect();
            if gone.len() < excess {
                return Err("non-GD");
            }
            for offset in gone {
                after.drop_message(offset, GapCause::Overflow);
            }
        }
        *self = after;
        Ok(came)
    }

    /// Nobody gets a message any more.
    fn drop_message(&mut self, offset: u64, cause: GapCause) {
        self.log.remove(&offset);
        for queue in self.queues.values_mut() {
            queue.drop_item(offset, cause);
        }
    }

    /// What nobody has to get is not kept.
    fn sweep(&mut self) {
        let queues = &self.queues;
        self.log.retain(|offset, held| {
            held.waiting
                || queues.values().any(|queue| queue.items.iter().any(|it| it.offset == *offset))
        });
    }

    fn expire(&mut self, now: Now) {
        let is_over = |held: &Held| held.expires_at.is_some_and(|at| at <= now.wall);
        let over: Vec<u64> =
            self.log.iter().filter(|(_, held)| is_over(held)).map(|(offset, _)| *offset).collect();
        over.into_iter().for_each(|offset| self.drop_message(offset, GapCause::Expired));
    }

    fn end_waits(&mut self, id: u64, now: Now) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        queue.paused_until.take_if(|at| *at <= now.monotonic);
        queue.lose(|_, _, until| until.is_some_and(|until| until <= now.monotonic));
        for index in 0..queue.items.len() {
            match queue.items[index].at {
                At::Delayed(at) if at <= now.monotonic => queue.items[index].at = At::Ready,
                At::Taken { until: Some(until), .. } if until <= now.monotonic => {
                    queue.items[index].failed += 1;
                    let is_last = queue.items[index].counted() >= queue.wishes.max_attempts;
                    queue.items[index].at = At::Ready;
                    if is_last {
                        queue.put_aside(index);
                    }
                }
                _ => {}
            }
        }
    }

    fn take(&mut self, id: u64, limit: usize, lease: Option<i64>, now: Now) -> Vec<(u64, u32)> {
        self.expire(now);
        self.end_waits(id, now);
        let log = &self.log;
        let Some(queue) = self.queues.get_mut(&id) else { return Vec::new() };
        let delivers = matches!(queue.wishes.status, ActiveStatus::PubSub | ActiveStatus::SubOnly);
        if !delivers || queue.paused_until.is_some() {
            return Vec::new();
        }
        let limit = if queue.isolate > 0 { limit.min(1) } else { limit };
        let mut taken = Vec::new();
        while taken.len() < limit {
            let ready = queue.items.iter().enumerate().filter(|(_, item)| item.at == At::Ready);
            let first = ready.min_by_key(|(_, item)| log[&item.offset].key).map(|(index, _)| index);
            let Some(index) = first else { break };
            if queue.items[index].counted() >= queue.wishes.max_attempts {
                queue.put_aside(index);
                continue;
            }
            let attempt = queue.attempts(&queue.items[index]) + 1;
            let until = lease.map(|lease| now.monotonic + lease);
            queue.items[index].at = At::Taken { attempt, until, handed: false };
            taken.push((queue.items[index].offset, attempt));
        }
        taken
    }

    fn hand_over(&mut self, id: u64, taken: &[(u64, u32)], now: Now) -> BTreeSet<u64> {
        self.expire(now);
        let Some(queue) = self.queues.get_mut(&id) else { return BTreeSet::new() };
        let mut all = BTreeSet::new();
        for item in &mut queue.items {
            if let At::Taken { attempt, handed, .. } = &mut item.at
                && taken.contains(&(item.offset, *attempt))
            {
                *handed = true;
                all.insert(item.offset);
            }
        }
        all
    }

    fn acknowledge(&mut self, id: u64, offsets: &[u64]) -> usize {
        let Some(queue) = self.queues.get_mut(&id) else { return 0 };
        let before = queue.items.len();
        queue.doubts.retain(|offset, _| !offsets.contains(offset));
        queue.items.retain(|item| !offsets.contains(&item.offset));
        let done = before - queue.items.len();
        queue.isolate = queue.isolate.saturating_sub(done);
        self.sweep();
        done
    }

    fn acknowledge_up_to(&mut self, id: u64, offset: u64) -> usize {
        let Some(queue) = self.queues.get(&id) else { return 0 };
        let below = queue.items.iter().filter(|it| it.offset <= offset && it.at != At::Dead);
        let doubts = queue.doubts.range(..=offset).map(|(offset, _)| *offset);
        let below: Vec<u64> = below.map(|it| it.offset).chain(doubts).collect();
        self.acknowledge(id, &below)
    }

    fn subscribe(&mut self, id: u64, from: u64, wishes: Wishes, is_after: bool) {
        let mut gaps = BTreeMap::new();
        if is_after && wishes.positions {
            let gone = (from.max(1)..self.next).filter(|offset| !self.log.contains_key(offset));
            gaps.extend(gone.map(|offset| (offset, GapCause::Gone)));
        }
        let mut items = Vec::new();
        for (offset, held) in &mut self.log {
            if held.waiting || (held.to_all && *offset >= from) {
                items.push(Item { offset: *offset, failed: 0, pardoned: 0, at: At::Ready });
            }
            held.to_all &= !std::mem::take(&mut held.waiting);
        }
        let queue = Queue {
            wishes,
            items,
            is_held: false,
            in_use: false,
            crashes: 0,
            crashed_below: 0,
            paused_until: None,
            isolate: 0,
            doubts: BTreeMap::new(),
            gaps,
        };
        self.queues.insert(id, queue);
    }

    /// The process ends; `is_clean` if it had time to say so. What is in memory only is gone.
    fn restart(&mut self, is_clean: bool, stored_next: u64) {
        let volatile: Vec<u64> =
            self.log.iter().filter(|(_, held)| !held.guaranteed).map(|(at, _)| *at).collect();
        for queue in self.queues.values_mut() {
            queue.lose(|_, _, _| true);
            for item in &mut queue.items {
                if let At::Taken { .. } = item.at
                    && is_clean
                {
                    item.failed += 1;
                }
                if item.at != At::Dead {
                    item.at = At::Ready;
                }
            }
            for offset in &volatile {
                queue.drop_lost(*offset);
            }
            if queue.in_use && !is_clean {
                queue.crashes += 1;
                queue.crashed_below = stored_next;
            }
            queue.in_use = false;
            queue.is_held = false;
            queue.paused_until = None;
            queue.isolate = 0;
        }
        self.log.retain(|_, held| held.guaranteed);
        self.next = stored_next;
        // Only what is still held says how late it was.
        let own = self.log.values().filter(|held| !held.own_time);
        self.last_order = own.map(|held| held.key.order).max().unwrap_or(i64::MIN);
    }
}

impl Item {
    fn counted(&self) -> u32 {
        self.failed - self.pardoned
    }
}

impl Queue {
    fn attempts(&self, item: &Item) -> u32 {
        item.failed + if item.offset < self.crashed_below { self.crashes } else { 0 }
    }

    fn note(&mut self, offset: u64, cause: GapCause) {
        if self.wishes.positions {
            self.gaps.insert(offset, cause);
        }
    }

    fn put_aside(&mut self, index: usize) {
        self.items[index].at = At::Dead;
        self.isolate = self.isolate.saturating_sub(1);
        self.note(self.items[index].offset, GapCause::Dead);
    }

    fn drop_item(&mut self, offset: u64, cause: GapCause) {
        let Some(index) = self.items.iter().position(|item| item.offset == offset) else { return };
        let item = self.items.remove(index);
        match item.at {
            At::Dead => {}
            At::Taken { handed: true, attempt, until } if self.wishes.positions => {
                self.doubts.insert(offset, (cause, attempt, until));
            }
            At::Taken { handed: true, .. } => {}
            _ => self.note(offset, cause),
        }
    }

    /// What is in doubt did not arrive.
    fn lose(&mut self, is_meant: impl Fn(u64, u32, Option<i64>) -> bool) {
        let lost = |(offset, it): (&u64, &(GapCause, u32, Option<i64>))| {
            is_meant(*offset, it.1, it.2).then_some((*offset, it.0))
        };
        let lost: Vec<_> = self.doubts.iter().filter_map(lost).collect();
        for (offset, cause) in lost {
            self.doubts.remove(&offset);
            self.note(offset, cause);
        }
    }

    /// As above, where the cause is told as a range.
    fn drop_lost(&mut self, offset: u64) {
        self.items.retain(|item| item.offset != offset);
    }

    fn in_state(&self, is_it: impl Fn(&At) -> bool) -> BTreeSet<u64> {
        self.items.iter().filter(|item| is_it(&item.at)).map(|item| item.offset).collect()
    }
}
