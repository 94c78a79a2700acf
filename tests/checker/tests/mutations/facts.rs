//! What a history says, for those who want to break it.

use std::collections::{BTreeMap, HashMap};

use spanwire_checker::simulation::Random;
use spanwire_checker::{Delivery, Event, Level, Record};

pub(crate) fn delivery(record: &Record) -> Option<&Delivery> {
    match &record.event {
        Event::Delivered(delivery) => Some(delivery),
        _ => None,
    }
}

pub(crate) fn delivery_mut(record: &mut Record) -> Option<&mut Delivery> {
    match &mut record.event {
        Event::Delivered(delivery) => Some(delivery),
        _ => None,
    }
}

/// One of the places at which the condition holds.
pub(crate) fn pick(
    records: &[Record],
    random: &mut Random,
    mut holds: impl FnMut(usize, &Record) -> bool,
) -> Option<usize> {
    let found: Vec<_> =
        records.iter().enumerate().filter(|(place, it)| holds(*place, it)).map(|it| it.0).collect();
    found.get(random.place(found.len())).copied()
}

/// What the history says of each acknowledged message.
pub(crate) struct Known {
    pub(crate) topic: String,
    pub(crate) disk: bool,
    pub(crate) expires: bool,
    pub(crate) priority: Option<u8>,
    pub(crate) time: Option<i64>,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

pub(crate) fn known(records: &[Record]) -> HashMap<String, Known> {
    let mut calls = HashMap::new();
    let mut known = HashMap::new();
    for record in records {
        match &record.event {
            Event::PublishStarted { call, topic, level, messages, .. } => {
                calls.insert(call.clone(), (topic, *level, messages, record.at));
            }
            Event::PublishAcknowledged { call, messages: answers } => {
                let (topic, level, messages, start) = calls[call];
                for (answer, message) in answers.iter().zip(messages) {
                    let value = Known {
                        topic: topic.clone(),
                        disk: level == Level::Disk,
                        expires: message.expires_at.is_some(),
                        priority: message.priority,
                        time: message.publisher_time,
                        start,
                        end: record.at,
                    };
                    known.insert(format!("{topic} {}", answer.id), value);
                }
            }
            _ => {}
        }
    }
    known
}

/// Subscriptions: topic, when they were confirmed, and whether they were drained at the end.
pub(crate) fn subscriptions(records: &[Record]) -> HashMap<String, (String, u64, bool)> {
    let mut found: HashMap<String, (String, u64, bool)> = HashMap::new();
    for record in records {
        match &record.event {
            Event::SubscribeStarted { subscription, topic, .. } => {
                found.insert(subscription.clone(), (topic.clone(), u64::MAX, false));
            }
            Event::SubscribeConfirmed { subscription } => {
                found.get_mut(subscription).unwrap().1 = record.at;
            }
            Event::Drained { subscription } => found.get_mut(subscription).unwrap().2 = true,
            _ => {}
        }
    }
    found
}

pub(crate) fn answered(record: &Record) -> bool {
    matches!(&record.event, Event::PublishAcknowledged { .. })
}

/// Two acknowledgements of calls to one topic.
pub(crate) fn two_answers(records: &[Record], random: &mut Random) -> Option<(usize, usize)> {
    let mut topics = BTreeMap::new();
    for record in records {
        if let Event::PublishStarted { call, topic, .. } = &record.event {
            topics.insert(call.clone(), topic.clone());
        }
    }
    let topic_of = |record: &Record| match &record.event {
        Event::PublishAcknowledged { call, .. } => topics.get(call).cloned(),
        _ => None,
    };
    let first = pick(records, random, |_, record| answered(record))?;
    let topic = topic_of(&records[first]);
    let second =
        pick(records, random, |place, record| place != first && topic_of(record) == topic)?;
    Some((first, second))
}
