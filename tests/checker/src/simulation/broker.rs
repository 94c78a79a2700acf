//! The server's side of the simulation: queues, offsets, stops.
//!
//! What is applied at level `disk` is on disk at once, so a crash takes only `memory` messages,
//! frames under way and the newest acknowledgements.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::{Pipe, World};
use crate::event::{Cause, Delivery, Event, Gap, Level, Message, Position, Published, Stop};

/// A message in the store.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) id: String,
    offset: u64,
    given: Message,
    level: Level,
    expires: Option<u64>,
}

/// A publish call under way.
#[derive(Debug, Clone)]
pub(super) struct Publication {
    pub(super) client: String,
    pub(super) call: String,
    pub(super) topic: usize,
    pub(super) level: Level,
    pub(super) start: u64,
    pub(super) messages: Vec<Message>,
    pub(super) deliver_to: Option<Vec<String>>,
    pub(super) applied: Option<Vec<Published>>,
}

/// The order of a queue: priority downwards, publisher's time, offset; and the message.
type Key = (u8, i64, u64, usize);

/// A subscription, on both sides.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) name: String,
    pub(super) client: String,
    pub(super) topic: usize,
    pub(super) positions: bool,
    pub(super) active: bool,
    pub(super) ending: bool,
    pub(super) attaching: Option<String>,
    pub(super) pipe: Option<Pipe>,
    /// Connections that lost the subscription to another one but are still being read.
    pub(super) old_pipes: Vec<Pipe>,
    pub(super) queue: BTreeSet<Key>,
    pub(super) unacked: Vec<usize>,
    /// Acknowledgements on their way to the server.
    pub(super) acks: VecDeque<usize>,
    pub(super) acked: Vec<usize>,
    pub(super) counts: HashMap<usize, u32>,
    pub(super) gaps_due: VecDeque<Event>,
}

impl Subscriber {
    pub(super) fn lives(&self) -> bool {
        self.active && !self.ending
    }

    fn send(&mut self, now: u64, event: Event) {
        match &mut self.pipe {
            Some(pipe) => pipe.frames.push_back((now, event)),
            None => self.gaps_due.push_back(event),
        }
    }

    /// The connection is gone: what was under way is lost, but receipts are owed still.
    fn lose(&mut self, pipe: Option<Pipe>) {
        let frames = pipe.into_iter().flat_map(|pipe| pipe.frames);
        self.gaps_due
            .extend(frames.map(|(_, event)| event).filter(|it| matches!(it, Event::Gap(_))));
    }
}

impl World {
    fn key(&self, index: usize) -> Option<Key> {
        let stored = self.stored.get(index)?;
        let priority = u8::MAX - stored.given.priority.unwrap_or(5);
        Some((priority, stored.given.publisher_time.unwrap_or(0), stored.offset, index))
    }

    pub(super) fn apply(&mut self, call: &Publication) -> Vec<Published> {
        let mut answers = Vec::new();
        for given in &call.messages {
            let Some(next) = self.offsets.get_mut(call.topic) else { continue };
            *next += 1;
            let offset = *next;
            let index = self.stored.len();
            let id = format!("m{index}");
            let position = Some(Position { epoch: String::from("e1"), offset });
            answers.push(Published { id: id.clone(), position });
            let lifetime = given.expires_at.map(|expiry| expiry.saturating_sub(call.start));
            self.stored.push(Stored {
                id,
                offset,
                given: given.clone(),
                level: call.level,
                expires: lifetime.map(|lifetime| self.now + lifetime),
            });
            let Some(key) = self.key(index) else { continue };
            for subscriber in self.subscribers.iter_mut().filter(|one| one.active) {
                let listed =
                    call.deliver_to.as_ref().is_none_or(|it| it.contains(&subscriber.name));
                if subscriber.topic == call.topic && listed {
                    subscriber.queue.insert(key);
                }
            }
        }
        answers
    }

    /// Sends the first of the queue; false when there is nothing to send.
    pub(super) fn deliver_to(&mut self, number: usize) -> bool {
        let now = self.now;
        let Some(subscriber) = self.subscribers.get_mut(number) else { return false };
        let Some(pipe) = subscriber.pipe.as_mut() else { return false };
        if let Some(gap) = subscriber.gaps_due.pop_front() {
            let connection = pipe.connection.clone();
            let gap = match gap {
                Event::Gap(gap) => Event::Gap(Gap { connection, ..gap }),
                other => other,
            };
            pipe.frames.push_back((now, gap));
            return true;
        }
        if pipe.frames.len() >= 4 || subscriber.unacked.len() >= 8 {
            return false;
        }
        let Some((.., index)) = subscriber.queue.pop_first() else { return false };
        let Some(stored) = self.stored.get(index) else { return false };
        if stored.expires.is_some_and(|expiry| expiry <= now) {
            if subscriber.positions {
                let gap = gap(subscriber, stored.offset, stored.offset, Cause::Expired);
                subscriber.send(now, gap);
            }
            return true;
        }
        let count = subscriber.counts.entry(index).or_default();
        *count += 1;
        let delivery = Delivery {
            subscription: subscriber.name.clone(),
            connection: pipe.connection.clone(),
            id: stored.id.clone(),
            content: stored.given.content.clone(),
            delivery_count: *count,
            priority: Some(stored.given.priority.unwrap_or(5)),
            publisher_time: stored.given.publisher_time,
            position: subscriber
                .positions
                .then(|| Position { epoch: String::from("e1"), offset: stored.offset }),
            fields: stored.given.fields.clone(),
        };
        pipe.frames.push_back((now, Event::Delivered(delivery)));
        subscriber.unacked.push(index);
        true
    }

    /// Takes an acknowledgement that is under way; false when there is none.
    pub(super) fn acknowledge(&mut self, number: usize) -> bool {
        let now = self.now;
        let Some(index) = self.subscribers.get_mut(number).and_then(|one| one.acks.pop_front())
        else {
            return false;
        };
        let (key, id) = (self.key(index), self.stored.get(index).map(|one| one.id.clone()));
        let (Some(key), Some(id)) = (key, id) else { return false };
        let Some(subscriber) = self.subscribers.get_mut(number) else { return false };
        subscriber.queue.remove(&key);
        subscriber.unacked.retain(|one| *one != index);
        subscriber.acked.push(index);
        if let Some(pipe) = &mut subscriber.pipe {
            let event = Event::AckConfirmed {
                subscription: subscriber.name.clone(),
                ids: vec![id],
                connection: Some(pipe.connection.clone()),
            };
            pipe.frames.push_back((now, event));
        }
        true
    }

    /// Puts what was sent and not acknowledged back into the queue.
    pub(super) fn give_back(&mut self, number: usize) {
        let Some(subscriber) = self.subscribers.get_mut(number) else { return };
        subscriber.acks.clear();
        let back = std::mem::take(&mut subscriber.unacked);
        let keys: Vec<_> = back.into_iter().filter_map(|index| self.key(index)).collect();
        if let Some(subscriber) = self.subscribers.get_mut(number) {
            subscriber.queue.extend(keys);
        }
    }

    pub(super) fn time_out(&mut self) {
        let number = self.someone();
        let Some(subscriber) = self.subscribers.get_mut(number) else { return };
        let place = self.random.place(subscriber.unacked.len());
        if place < subscriber.unacked.len() {
            let index = subscriber.unacked.remove(place);
            let key = self.key(index);
            if let Some(subscriber) = self.subscribers.get_mut(number) {
                subscriber.queue.extend(key);
            }
        }
    }

    pub(super) fn clear_topic(&mut self, topic: usize) {
        let now = self.now;
        for subscriber in self.subscribers.iter_mut().filter(|one| one.topic == topic) {
            // Nobody knows yet whether what is not acknowledged arrived.
            let sent = std::mem::take(&mut subscriber.unacked);
            let sent = sent.into_iter().filter_map(|index| self.stored.get(index));
            let queue = std::mem::take(&mut subscriber.queue);
            let mut offsets: Vec<_> = queue.into_iter().map(|key| key.2).collect();
            offsets.extend(sent.map(|one| one.offset));
            offsets.sort_unstable();
            if !subscriber.positions || !subscriber.active {
                continue;
            }
            for run in offsets.chunk_by(|a, b| a + 1 == *b) {
                if let (Some(from), Some(to)) = (run.first(), run.last()) {
                    let gap = gap(subscriber, *from, *to, Cause::Cleared);
                    subscriber.send(now, gap);
                }
            }
        }
    }

    pub(super) fn crash(&mut self) {
        let how = if self.random.chance(50) { Stop::Kill } else { Stop::Power };
        self.record("harness", Event::ServerStopping { how });
        for number in 0..self.subscribers.len() {
            self.give_back(number);
            self.forget(number);
        }
        for call in std::mem::take(&mut self.calls) {
            if self.random.chance(50) {
                let event = Event::PublishUnknown { call: call.call, reason: None };
                self.record(&call.client, event);
            }
        }
        if let Some((_, _, done)) = self.clear.take() {
            // An operator whose call broke off does not know; nothing more to record.
            self.now += u64::from(done);
        }
        self.now += self.random.below(500);
        self.record("harness", Event::ServerRunning {});
    }

    /// What a stop takes: connections, `memory` messages, perhaps the newest acknowledgements.
    fn forget(&mut self, number: usize) {
        let Some(subscriber) = self.subscribers.get_mut(number) else { return };
        let mut pipes = std::mem::take(&mut subscriber.old_pipes);
        pipes.extend(subscriber.pipe.take());
        let (name, client) = (subscriber.name.clone(), subscriber.client.clone());
        subscriber.attaching = None;
        let acked = std::mem::take(&mut subscriber.acked);
        let stored = &self.stored;
        let durable =
            |index: &usize| stored.get(*index).is_some_and(|one| one.level == Level::Disk);
        subscriber.queue.retain(|key| durable(&key.3));
        let back: Vec<_> = acked.into_iter().rev().take(2).filter(durable).collect();
        for pipe in pipes {
            let connection = pipe.connection.clone();
            if let Some(subscriber) = self.subscribers.get_mut(number) {
                subscriber.lose(Some(pipe));
            }
            self.record(&client, Event::Detached { subscription: name.clone(), connection });
        }
        let forgotten = self.random.chance(30);
        if forgotten && !self.cleared {
            let keys: Vec<_> = back.into_iter().filter_map(|index| self.key(index)).collect();
            if let Some(subscriber) = self.subscribers.get_mut(number).filter(|one| one.active) {
                subscriber.queue.extend(keys);
            }
        }
    }

    pub(super) fn break_connection(&mut self, number: usize) {
        self.give_back(number);
        if let Some(subscriber) = self.subscribers.get_mut(number) {
            let pipe = subscriber.pipe.take();
            subscriber.lose(pipe);
        }
    }

    /// Stops waiting for acknowledgements that never come; false when nothing waits for that.
    pub(super) fn let_go(&mut self, number: usize) -> bool {
        let Some(subscriber) = self.subscribers.get_mut(number) else { return false };
        if subscriber.pipe.is_none() || subscriber.queue.is_empty() {
            return false;
        }
        !std::mem::take(&mut subscriber.unacked).is_empty()
    }
}

fn gap(subscriber: &Subscriber, from: u64, to: u64, cause: Cause) -> Event {
    let connection = subscriber.pipe.as_ref().map(|pipe| pipe.connection.clone());
    Event::Gap(Gap {
        subscription: subscriber.name.clone(),
        connection: connection.unwrap_or_default(),
        epoch: String::from("e1"),
        from,
        to,
        count: Some(to - from + 1),
        cause,
    })
}
