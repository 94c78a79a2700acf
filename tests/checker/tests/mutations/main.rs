//! Right histories with one thing broken are rejected, with the invariant that it breaks.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::ptr_arg,
    reason = "a test that is wrong about its own history fails; all mutations have one type"
)]

mod facts;

use std::collections::{HashMap, HashSet};

use spanwire_checker::simulation::{self, Random};
use spanwire_checker::{Delivery, Event, History, Invariant, Record, check};

use facts::{delivery, delivery_mut, known, pick, subscriptions, two_answers};

/// Breaks the history; `None` when it holds nothing of the kind.
type Mutation = fn(&mut Vec<Record>, &mut Random) -> Option<()>;

const MUTATIONS: &[(&str, Invariant, Mutation)] = &[
    ("a delivery is lost", Invariant::I1, lose_delivery),
    ("the content changes", Invariant::I2, change_content),
    ("the priority changes", Invariant::I2, change_priority),
    ("a message is invented", Invariant::I2, invent),
    ("a refused message is delivered", Invariant::I2, refuse),
    ("it expired long ago", Invariant::I2, expire),
    ("something comes after unsubscribing", Invariant::I2, deliver_after_unsubscribe),
    ("an offset is used twice", Invariant::I3, reuse_offset),
    ("an id is given twice", Invariant::I3, reuse_id),
    ("two deliveries change places", Invariant::I3, swap),
    ("a receipt is repeated", Invariant::I4, repeat_gap),
    ("a receipt counts wrong", Invariant::I4, miscount),
    ("a receipt is lost", Invariant::I4, lose_gap),
    ("a repeat is not marked", Invariant::I5, unmark),
    ("a repeat comes after the acknowledgement", Invariant::I5, repeat_acknowledged),
];

#[test]
fn every_mutation_is_rejected_with_its_invariant() {
    let mut applied = vec![0; MUTATIONS.len()];
    for seed in 0..400 {
        let right = simulation::history(seed, 500);
        for (number, (name, invariant, mutation)) in MUTATIONS.iter().enumerate() {
            let mut records = right.clone();
            if mutation(&mut records, &mut Random::new(seed)).is_none() {
                continue;
            }
            applied[number] += 1;
            renumber(&mut records);
            let history = History::from_records("mutant", records).unwrap();
            let broken = check(&history).broken();
            assert!(broken.contains(invariant), "seed {seed}: {name}: reported {broken:?}");
        }
    }
    for ((name, ..), times) in MUTATIONS.iter().zip(applied) {
        assert!(times >= 20, "{name}: only {times} times");
    }
}

fn renumber(records: &mut [Record]) {
    let mut seqs: HashMap<String, u64> = HashMap::new();
    for record in records {
        let seq = seqs.entry(record.client.clone()).or_default();
        *seq += 1;
        record.seq = *seq;
    }
}

fn lose_delivery(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let (known, subscriptions) = (known(records), subscriptions(records));
    let cleared: HashSet<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::OperatorStarted { topic, .. } => Some(topic.clone()),
            _ => None,
        })
        .collect();
    let gaps: HashSet<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Gap(gap) => Some(gap.subscription.clone()),
            _ => None,
        })
        .collect();
    let place = pick(records, random, |_, record| {
        let Some(what) = delivery(record) else { return false };
        let (topic, confirmed, drained) = &subscriptions[&what.subscription];
        known.get(&format!("{topic} {}", what.id)).is_some_and(|message| {
            message.disk
                && !message.expires
                && *drained
                && *confirmed < message.start
                && !cleared.contains(topic)
                && !gaps.contains(&what.subscription)
        })
    })?;
    let lost = delivery(&records[place])?.clone();
    records.retain(|record| {
        delivery(record)
            .is_none_or(|it| (&it.subscription, &it.id) != (&lost.subscription, &lost.id))
    });
    Some(())
}

fn change_content(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let known = known(records);
    let subscriptions = subscriptions(records);
    let place = pick(records, random, |_, record| {
        delivery(record).is_some_and(|it| {
            known.contains_key(&format!("{} {}", subscriptions[&it.subscription].0, it.id))
        })
    })?;
    delivery_mut(&mut records[place])?.content.push('!');
    Some(())
}

fn change_priority(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let (known, subscriptions) = (known(records), subscriptions(records));
    let place = pick(records, random, |_, record| {
        delivery(record).is_some_and(|it| {
            let topic = &subscriptions[&it.subscription].0;
            known.get(&format!("{topic} {}", it.id)).is_some_and(|one| one.priority.is_some())
        })
    })?;
    let what = delivery_mut(&mut records[place])?;
    what.priority = what.priority.map(|priority| priority + 1);
    Some(())
}

fn invent(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let place = pick(records, random, |_, record| delivery(record).is_some())?;
    let mut copy = records[place].clone();
    let what = delivery_mut(&mut copy)?;
    (what.id, what.content) = (String::from("m-invented"), String::from("invented"));
    (what.position, what.delivery_count) = (None, 1);
    records.insert(place + 1, copy);
    Some(())
}

fn refuse(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let delivered: HashSet<_> =
        records.iter().filter_map(delivery).map(|it| it.id.clone()).collect();
    let place = pick(records, random, |_, record| match &record.event {
        Event::PublishAcknowledged { messages, .. } => {
            messages.iter().any(|it| delivered.contains(&it.id))
        }
        _ => false,
    })?;
    let Event::PublishAcknowledged { call, .. } = &records[place].event else { return None };
    records[place].event = Event::PublishRefused { call: call.clone(), reason: None };
    Some(())
}

fn expire(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let (known, subscriptions) = (known(records), subscriptions(records));
    // Delivered after its publishing by more than the call took.
    let place = pick(records, random, |_, record| {
        delivery(record).is_some_and(|it| {
            let topic = &subscriptions[&it.subscription].0;
            known
                .get(&format!("{topic} {}", it.id))
                .is_some_and(|one| record.at > one.end + one.end - one.start)
        })
    })?;
    let content = delivery(&records[place])?.content.clone();
    for record in records {
        if let Event::PublishStarted { messages, .. } = &mut record.event {
            for message in messages.iter_mut().filter(|one| one.content == content) {
                message.expires_at = Some(record.at);
            }
        }
        if let Event::Settings { expiry, .. } = &mut record.event {
            *expiry = Some(0);
        }
    }
    Some(())
}

fn deliver_after_unsubscribe(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let place = pick(records, random, |_, record| {
        matches!(&record.event, Event::UnsubscribeConfirmed { connection: Some(_), .. })
    })?;
    let Event::UnsubscribeConfirmed { subscription, connection } = &records[place].event else {
        return None;
    };
    let mut copy = records[..place]
        .iter()
        .rev()
        .find(|it| delivery(it).is_some_and(|it| it.subscription == *subscription))?
        .clone();
    let what = delivery_mut(&mut copy)?;
    what.connection = connection.clone()?;
    what.delivery_count = 1000;
    copy.at = records[place].at;
    records.insert(place + 1, copy);
    Some(())
}

fn reuse_offset(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let (first, second) = two_answers(records, random)?;
    let Event::PublishAcknowledged { messages, .. } = &records[first].event else { return None };
    let position = messages.first()?.position.clone();
    let Event::PublishAcknowledged { messages, .. } = &mut records[second].event else {
        return None;
    };
    messages.first_mut()?.position = position;
    Some(())
}

fn reuse_id(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let (first, second) = two_answers(records, random)?;
    let Event::PublishAcknowledged { messages, .. } = &records[first].event else { return None };
    let id = messages.first()?.id.clone();
    let Event::PublishAcknowledged { messages, .. } = &mut records[second].event else {
        return None;
    };
    messages.first_mut()?.id = id;
    Some(())
}

fn swap(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let (known, subscriptions) = (known(records), subscriptions(records));
    let seen: Vec<_> = records.iter().map(|it| delivery(it).cloned()).collect();
    let message =
        |it: &Delivery| known.get(&format!("{} {}", subscriptions[&it.subscription].0, it.id));
    let times = |it: &Delivery| {
        seen.iter()
            .flatten()
            .filter(|one| (&one.subscription, &one.id) == (&it.subscription, &it.id))
            .count()
    };
    let mut partner = HashMap::new();
    let place = pick(records, random, |place, record| {
        let Some(one) = delivery(record) else { return false };
        let later =
            seen.iter().enumerate().skip(place + 1).find(|(_, other)| {
                other.as_ref().is_some_and(|it| it.connection == one.connection)
            });
        let Some((other_place, Some(other))) = later else { return false };
        partner.insert(place, other_place);
        let (Some(a), Some(b)) = (message(one), message(other)) else { return false };
        let owed = subscriptions[&one.subscription].1 < a.start;
        let single = one.delivery_count == 1 && other.delivery_count == 1;
        owed && single
            && times(one) == 1
            && times(other) == 1
            && (a.priority, a.time, &a.topic) == (b.priority, b.time, &b.topic)
            && a.end < b.start
    })?;
    let other = *partner.get(&place)?;
    let (at, later) = (records[place].at, records[other].at);
    records.swap(place, other);
    (records[place].at, records[other].at) = (at, later);
    Some(())
}

fn gap(record: &Record) -> bool {
    matches!(record.event, Event::Gap(_))
}

fn repeat_gap(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let place = pick(records, random, |_, record| gap(record))?;
    let copy = records[place].clone();
    records.insert(place + 1, copy);
    Some(())
}

fn miscount(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let place = pick(records, random, |_, record| gap(record))?;
    if let Event::Gap(gap) = &mut records[place].event {
        gap.count = gap.count.map(|count| count + 1);
    }
    Some(())
}

fn lose_gap(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let (known, subscriptions) = (known(records), subscriptions(records));
    let started = |seen: &Record| match &seen.event {
        Event::Delivered(it) => Some((it.subscription.clone(), it.position.clone()?.offset)),
        _ => None,
    };
    let delivered: HashSet<_> = records.iter().filter_map(started).collect();
    let mut offsets = HashMap::new();
    for record in records.iter() {
        if let Event::PublishAcknowledged { messages, .. } = &record.event {
            for it in messages {
                for topic in ["/t0", "/t1"] {
                    let key = format!("{topic} {}", it.id);
                    if let (Some(message), Some(position)) = (known.get(&key), &it.position) {
                        offsets.insert((message.topic.clone(), position.offset), key);
                    }
                }
            }
        }
    }
    let place = pick(records, random, |_, record| match &record.event {
        Event::Gap(gap) => {
            let (topic, confirmed, drained) = &subscriptions[&gap.subscription];
            let message = offsets.get(&(topic.clone(), gap.from)).and_then(|key| known.get(key));
            let fresh = !delivered.contains(&(gap.subscription.clone(), gap.from));
            *drained && fresh && message.is_some_and(|it| it.disk && *confirmed < it.start)
        }
        _ => false,
    })?;
    records.remove(place);
    Some(())
}

fn unmark(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let mut first = HashMap::new();
    let mut counts = vec![0; records.len()];
    for (place, record) in records.iter().enumerate() {
        if let Some(it) = delivery(record) {
            let key = (it.subscription.clone(), it.id.clone());
            counts[place] = *first.entry(key).or_insert(it.delivery_count);
        }
    }
    let place = pick(records, random, |place, record| {
        delivery(record).is_some_and(|it| it.delivery_count > counts[place])
    })?;
    delivery_mut(&mut records[place])?.delivery_count = counts[place];
    Some(())
}

fn repeat_acknowledged(records: &mut Vec<Record>, random: &mut Random) -> Option<()> {
    let place = pick(records, random, |_, record| {
        matches!(&record.event, Event::AckConfirmed { connection: Some(_), .. })
    })?;
    let Event::AckConfirmed { subscription, ids, connection } = &records[place].event else {
        return None;
    };
    let mut copy = records[..place]
        .iter()
        .rev()
        .find(|record| {
            delivery(record)
                .is_some_and(|it| it.subscription == *subscription && ids.contains(&it.id))
        })?
        .clone();
    let what = delivery_mut(&mut copy)?;
    what.connection = connection.clone()?;
    what.delivery_count += 500;
    copy.at = records[place].at;
    records.insert(place + 1, copy);
    Some(())
}
