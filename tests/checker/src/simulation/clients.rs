//! The clients' side of the simulation: calls, reading, acknowledging, connections.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::broker::{Publication, Subscriber};
use super::{Pipe, READ_BY, World};
use crate::event::{Event, Level, Message, OperatorAction};

fn topic(number: usize) -> String {
    format!("/t{number}")
}

impl World {
    fn message(&mut self, topic: usize) -> Message {
        let content = self.name("text ");
        let random = &mut self.random;
        let fields = if random.chance(20) {
            BTreeMap::from([(String::from("mime_type"), String::from("text/csv"))])
        } else {
            BTreeMap::new()
        };
        let number = u8::try_from(1 + random.below(9)).unwrap_or(5);
        let lifetime = random.chance(10).then(|| 100 + random.below(3000));
        Message {
            content,
            priority: random.chance(40).then_some(number),
            // One topic is ordered by the publishers' times.
            publisher_time: (topic == 1).then(|| i64::try_from(random.below(1000)).unwrap_or(0)),
            expires_at: lifetime.map(|lifetime| self.now + 1 + lifetime),
            message_id: None,
            fields,
        }
    }

    pub(super) fn start_publishing(&mut self) {
        let number = self.random.place(2);
        let size = if self.random.chance(20) { 2 + self.random.below(3) } else { 1 };
        let messages: Vec<_> = (0..size).map(|_| self.message(number)).collect();
        let level = if self.random.chance(30) { Level::Memory } else { Level::Disk };
        let client = format!("p{}", self.random.below(3));
        let call = self.name("call");
        let listed = self.someone();
        let listed = self.subscribers.get(listed).filter(|_| self.random.below(100) < 4);
        let deliver_to = listed.map(|one| vec![one.name.clone()]);
        let event = Event::PublishStarted {
            call: call.clone(),
            topic: topic(number),
            level,
            messages: messages.clone(),
            deliver_to: deliver_to.clone(),
        };
        self.record(&client, event);
        let start = self.now;
        self.calls.push(Publication {
            client,
            call,
            topic: number,
            level,
            start,
            messages,
            deliver_to,
            applied: None,
        });
    }

    pub(super) fn go_on_publishing(&mut self) {
        if self.calls.is_empty() {
            return;
        }
        let place = self.random.place(self.calls.len());
        let mut call = self.calls.swap_remove(place);
        let (name, reason) = (call.call.clone(), None);
        let dice = self.random.below(100);
        match call.applied.take() {
            Some(_) if dice < 5 => {
                self.record(&call.client, Event::PublishUnknown { call: name, reason });
            }
            Some(messages) => {
                self.record(&call.client, Event::PublishAcknowledged { call: name, messages });
            }
            None if dice < 5 => {
                self.record(&call.client, Event::PublishRefused { call: name, reason });
            }
            None if dice < 8 => {
                self.record(&call.client, Event::PublishUnknown { call: name, reason });
            }
            None => {
                call.applied = Some(self.apply(&call));
                self.calls.push(call);
            }
        }
    }

    pub(super) fn deliver(&mut self) {
        let number = self.someone();
        self.deliver_to(number);
    }

    pub(super) fn read(&mut self) {
        let number = self.someone();
        self.read_from(number);
    }

    pub(super) fn process_ack(&mut self) {
        let number = self.someone();
        self.acknowledge(number);
    }

    pub(super) fn read_old_frames(&mut self) {
        let limit = self.now.saturating_sub(READ_BY);
        for number in 0..self.subscribers.len() {
            let aged = |pipe: &Pipe| pipe.frames.front().is_some_and(|frame| frame.0 < limit);
            while self.subscribers.get(number).is_some_and(|one| {
                one.pipe.as_ref().is_some_and(aged) || one.old_pipes.iter().any(aged)
            }) {
                self.read_from(number);
            }
        }
    }

    /// Reads one frame, of an old connection first; false when there is none.
    pub(super) fn read_from(&mut self, number: usize) -> bool {
        let Some(subscriber) = self.subscribers.get_mut(number) else { return false };
        subscriber.old_pipes.retain(|pipe| !pipe.frames.is_empty());
        let old = !subscriber.old_pipes.is_empty();
        let pipe = subscriber.old_pipes.first_mut().or(subscriber.pipe.as_mut());
        let Some((_, event)) = pipe.and_then(|pipe| pipe.frames.pop_front()) else { return false };
        let client = subscriber.client.clone();
        // Ids count the messages of the store.
        let read = match &event {
            Event::Delivered(what) => what.id.get(1..).and_then(|index| index.parse().ok()),
            _ => None,
        };
        let ids = match &event {
            Event::Delivered(what) => vec![what.id.clone()],
            _ => Vec::new(),
        };
        let subscription = subscriber.name.clone();
        self.record(&client, event);
        if let (Some(index), false) = (read, old)
            && self.random.chance(80)
        {
            self.record(&client, Event::AckSent { subscription, ids });
            if let Some(subscriber) = self.subscribers.get_mut(number) {
                subscriber.acks.push_back(index);
            }
        }
        true
    }

    fn lives(&self) -> usize {
        self.subscribers.iter().filter(|one| one.lives()).count()
    }

    /// A subscriber, rather one that lives or is new.
    pub(super) fn someone(&mut self) -> usize {
        let mut number = self.random.place(self.subscribers.len());
        for _ in 0..8 {
            if self
                .subscribers
                .get(number)
                .is_some_and(|one| one.lives() || one.attaching.is_some())
            {
                break;
            }
            number = self.random.place(self.subscribers.len());
        }
        number
    }

    pub(super) fn subscribe(&mut self) {
        if self.lives() > 7 {
            return;
        }
        let number = self.random.place(2);
        let (name, connection) = (self.name("s"), self.name("c"));
        let positions = self.random.chance(50);
        let client = format!("client of {name}");
        let event = Event::SubscribeStarted {
            subscription: name.clone(),
            topic: topic(number),
            connection: Some(connection.clone()),
            positions,
            ordered: true,
            replay: false,
        };
        self.record(&client, event);
        self.subscribers.push(Subscriber {
            name,
            client,
            topic: number,
            positions,
            active: false,
            ending: false,
            attaching: Some(connection),
            pipe: None,
            old_pipes: Vec::new(),
            queue: BTreeSet::new(),
            unacked: Vec::new(),
            acks: VecDeque::new(),
            acked: Vec::new(),
            counts: HashMap::new(),
            gaps_due: VecDeque::new(),
        });
    }

    pub(super) fn attach(&mut self) {
        let number = self.someone();
        self.attach_one(number);
    }

    pub(super) fn attach_one(&mut self, number: usize) {
        let connection = self.name("c");
        let Some(subscriber) = self.subscribers.get_mut(number) else { return };
        if !subscriber.lives() || subscriber.attaching.is_some() {
            return;
        }
        subscriber.attaching = Some(connection.clone());
        let (client, subscription) = (subscriber.client.clone(), subscriber.name.clone());
        self.record(&client, Event::AttachStarted { subscription, connection });
    }

    pub(super) fn go_on_attaching(&mut self) {
        let number = self.someone();
        if self.random.chance(10) {
            self.attach_now(number);
        }
    }

    /// The server attaches the connection that waits for it, and takes it from another one.
    pub(super) fn attach_now(&mut self, number: usize) {
        let now = self.now;
        let Some(subscriber) = self.subscribers.get_mut(number) else { return };
        let Some(connection) = subscriber.attaching.take() else { return };
        let subscription = subscriber.name.clone();
        let first = !subscriber.active;
        if first && subscriber.ending {
            return;
        }
        subscriber.active = true;
        subscriber.old_pipes.extend(subscriber.pipe.take());
        let confirmed = if first {
            Event::SubscribeConfirmed { subscription }
        } else {
            Event::Attached { subscription, connection: connection.clone() }
        };
        let frames = VecDeque::from([(now, confirmed)]);
        subscriber.pipe = Some(Pipe { connection, frames });
        self.give_back(number);
    }

    pub(super) fn disconnect(&mut self) {
        let number = self.someone();
        let Some(subscriber) = self.subscribers.get(number) else { return };
        let Some(pipe) = &subscriber.pipe else { return };
        let (client, connection) = (subscriber.client.clone(), pipe.connection.clone());
        let subscription = subscriber.name.clone();
        self.break_connection(number);
        self.record(&client, Event::Detached { subscription, connection });
    }

    pub(super) fn unsubscribe(&mut self) {
        // Long histories would end up with nothing but ended subscriptions.
        let rare = self.subscribers.len() < 12 || self.random.chance(2);
        let enough = rare && self.lives() > 2;
        let number = self.someone();
        let Some(subscriber) = self.subscribers.get_mut(number) else { return };
        if enough && subscriber.lives() && subscriber.attaching.is_none() {
            subscriber.ending = true;
            let (client, subscription) = (subscriber.client.clone(), subscriber.name.clone());
            self.record(&client, Event::UnsubscribeStarted { subscription });
        }
    }

    pub(super) fn go_on_unsubscribing(&mut self) {
        let now = self.now;
        let found = self.subscribers.iter_mut().find(|one| one.ending && one.active);
        let Some(subscriber) = found else { return };
        subscriber.active = false;
        subscriber.queue.clear();
        subscriber.unacked.clear();
        subscriber.gaps_due.clear();
        let subscription = subscriber.name.clone();
        if let Some(pipe) = &mut subscriber.pipe {
            let connection = Some(pipe.connection.clone());
            let event = Event::UnsubscribeConfirmed { subscription, connection };
            pipe.frames.push_back((now, event));
        } else {
            let client = subscriber.client.clone();
            self.record(&client, Event::UnsubscribeConfirmed { subscription, connection: None });
        }
    }

    pub(super) fn start_clearing(&mut self) {
        if self.clear.is_none() {
            let (call, number) = (self.name("clear"), self.random.place(2));
            let event = Event::OperatorStarted {
                call: call.clone(),
                action: OperatorAction::Clear,
                topic: topic(number),
                subscription: None,
                ids: None,
            };
            self.record("operator", event);
            self.cleared = true;
            self.clear = Some((call, number, false));
        }
    }

    pub(super) fn go_on_clearing(&mut self) {
        match self.clear.take() {
            Some((call, number, false)) => {
                self.clear_topic(number);
                self.clear = Some((call, number, true));
            }
            Some((call, _, true)) => self.record("operator", Event::OperatorConfirmed { call }),
            None => {}
        }
    }
}
