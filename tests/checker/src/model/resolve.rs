//! Which delivery is of which message.
//!
//! An acknowledged message is found by its id. A message of unknown outcome has no known id, so
//! the first delivery of an unknown id takes the oldest such message with the same content and
//! fields; when several would do, all of them count as ambiguous and nothing is demanded of them.

use std::collections::HashMap;

use super::{Model, Outcome, Published};
use crate::event::{Delivery, Message};

impl<'h> Model<'h> {
    /// Enters the acknowledged message under its id.
    pub(super) fn name(&mut self, index: usize) {
        let Some(message) = self.messages.get(index) else { return };
        let Some(id) = message.id else { return };
        let key = (message.topic, id);
        let Some(&first) = self.by_id.get(&key) else {
            self.by_id.insert(key, index);
            return;
        };
        let at = message.outcome;
        let same = self.messages.get(first).is_some_and(|one| repeated(one, message, id));
        if same {
            self.join(first, index);
        } else if let Outcome::Acknowledged(moment) = at {
            self.shared_ids.push((first, index, moment.index));
        }
    }

    /// `index` is a repeated publication of `first`.
    fn join(&mut self, first: usize, index: usize) {
        let Some(other) = self.messages.get(index).cloned() else { return };
        let Some(message) = self.messages.get_mut(first) else { return };
        message.repeated = true;
        if other.start.at < message.start.at {
            message.start = other.start;
        }
        if message.position.is_none() {
            message.position = other.position;
        }
        if let Some(other) = self.messages.get_mut(index) {
            other.twin = Some(first);
        }
    }

    pub(super) fn resolve(&mut self) {
        self.join_unknown();
        let mut waiting: HashMap<(&'h str, &'h str), Vec<usize>> = HashMap::new();
        for (index, message) in self.messages.iter().enumerate() {
            if message.outcome == Outcome::Unknown && message.id.is_none() && message.twin.is_none()
            {
                let key = (message.topic, message.given.content.as_str());
                waiting.entry(key).or_default().push(index);
            }
        }
        for same in waiting.values().filter(|same| same.len() > 1) {
            for index in same {
                if let Some(message) = self.messages.get_mut(*index) {
                    message.ambiguous = true;
                }
            }
        }
        for number in 0..self.deliveries.len() {
            let found = self.find(&mut waiting, number);
            let Some(delivery) = self.deliveries.get_mut(number) else { continue };
            delivery.message = found;
            let moment = delivery.moment;
            let position = delivery.what.position.as_ref();
            let Some(message) = found.and_then(|index| self.messages.get_mut(index)) else {
                continue;
            };
            if message.position.is_none() {
                message.position = position.map(|at| (at.epoch.as_str(), at.offset));
            }
            if let Some(call) = self.calls.get_mut(message.call) {
                call.seen.get_or_insert(moment);
            }
        }
    }

    /// An unknown outcome under the publisher's own id may be what a later call repeated.
    fn join_unknown(&mut self) {
        for index in 0..self.messages.len() {
            let Some(message) = self.messages.get(index) else { continue };
            let Some(id) = message.given.message_id.as_deref() else { continue };
            if message.outcome != Outcome::Unknown || message.id.is_some() {
                continue;
            }
            let first = self.by_id.get(&(message.topic, id)).copied();
            match first.and_then(|first| self.messages.get(first).map(|one| (first, one))) {
                Some((first, one)) if repeated(one, message, id) => self.join(first, index),
                Some(_) => {}
                None => {
                    self.by_id.insert((message.topic, id), index);
                    if let Some(message) = self.messages.get_mut(index) {
                        message.id = Some(id);
                    }
                }
            }
        }
    }

    fn find(
        &mut self,
        waiting: &mut HashMap<(&'h str, &'h str), Vec<usize>>,
        number: usize,
    ) -> Option<usize> {
        let delivery = self.deliveries.get(number)?;
        let (what, at) = (delivery.what, delivery.moment.at);
        let topic = self.subscriptions.get(delivery.subscription)?.topic;
        if let Some(index) = self.by_id.get(&(topic, what.id.as_str())) {
            return Some(*index);
        }
        let candidates = waiting.get_mut(&(topic, what.content.as_str()))?;
        let place = candidates.iter().position(|index| {
            self.messages.get(*index).is_some_and(|message| {
                message.start.at <= at && difference(message.given, what).is_none()
            })
        })?;
        let index = candidates.remove(place);
        self.by_id.insert((topic, &what.id), index);
        self.messages.get_mut(index)?.id = Some(&what.id);
        Some(index)
    }
}

/// Whether both are the publisher's own message `id`.
fn repeated(one: &Published<'_>, other: &Published<'_>, id: &str) -> bool {
    let given = |message: &Published<'_>| message.given.message_id.as_deref() == Some(id);
    given(one) && given(other) && one.given.content == other.given.content
}

/// The first field that did not arrive as it was given.
pub(crate) fn difference(given: &Message, what: &Delivery) -> Option<String> {
    if given.content != what.content {
        return Some(String::from("content"));
    }
    if given.priority.is_some() && given.priority != what.priority {
        return Some(String::from("priority"));
    }
    if given.publisher_time.is_some() && given.publisher_time != what.publisher_time {
        return Some(String::from("publisher_time"));
    }
    let wrong = given.fields.iter().find(|(name, value)| what.fields.get(*name) != Some(value));
    wrong.map(|(name, _)| name.clone())
}
