//! I3, first half: ids and offsets name one message each, and offsets follow publication.
//!
//! Not about the order of deliveries, which is `order`.

use std::collections::HashMap;

use crate::model::{Model, Published};
use crate::report::{Invariant, Violation};

pub(super) fn check(model: &Model<'_>, out: &mut Vec<Violation>) {
    answers(model, out);
    ids(model, out);
    positions(model, out);
    growth(model, out);
}

/// An acknowledgement has one id per message, and the offsets of a batch are in input order.
fn answers(model: &Model<'_>, out: &mut Vec<Violation>) {
    for call in &model.calls {
        let Some((index, ids)) = call.ids else { continue };
        if ids != call.messages.len() {
            let text = format!("{} messages were answered with {ids} ids", call.messages.len());
            out.push(model.violation(Invariant::I3, &[index], text));
        }
        let messages = model.messages.get(call.messages.clone()).unwrap_or_default();
        for (before, after) in messages.iter().zip(messages.iter().skip(1)) {
            let (Some(one), Some(two)) = (before.position, after.position) else { continue };
            if one.0 == two.0 && one.1 >= two.1 && before.twin.or(after.twin).is_none() {
                let text = format!(
                    "the batch is not in input order: offset {} of \"{}\" is followed by {} of \"{}\"",
                    one.1,
                    before.name(),
                    two.1,
                    after.name()
                );
                out.push(model.violation(Invariant::I3, &[index], text));
            }
        }
    }
}

fn ids(model: &Model<'_>, out: &mut Vec<Violation>) {
    for (first, second, index) in &model.shared_ids {
        let (Some(first), Some(second)) = (model.messages.get(*first), model.messages.get(*second))
        else {
            continue;
        };
        let before = first.acknowledged().map_or(first.start.index, |moment| moment.index);
        let text = format!(
            "id \"{}\" on {} was given to \"{}\" and to \"{}\"",
            second.name(),
            second.topic,
            first.given.content,
            second.given.content
        );
        out.push(model.violation(Invariant::I3, &[before, *index], text));
    }
}

/// Every mention of a position, by acknowledgements and by deliveries.
fn positions<'h>(model: &Model<'h>, out: &mut Vec<Violation>) {
    let mut named: HashMap<(&'h str, &'h str, u64), (usize, usize)> = HashMap::new();
    let mut mention = |(epoch, offset): (&'h str, u64), message: usize, index: usize| {
        let Some(what) = model.messages.get(message) else { return };
        let first = *named.entry((what.topic, epoch, offset)).or_insert((message, index));
        let other = if first.0 == message { None } else { model.messages.get(first.0) };
        if let Some(other) = other {
            let text = format!(
                "offset {offset} of {} names \"{}\" and \"{}\"",
                what.topic,
                other.name(),
                what.name()
            );
            out.push(model.violation(Invariant::I3, &[first.1, index], text));
        } else if what.position.is_some_and(|known| known != (epoch, offset)) {
            let text = format!(
                "\"{}\" is at offset {offset} here and was at {} before",
                what.name(),
                what.position.map_or(0, |known| known.1)
            );
            let before = what.acknowledged().unwrap_or(what.start).index;
            out.push(model.violation(Invariant::I3, &[before, index], text));
        }
    };
    for (number, message) in model.messages.iter().enumerate() {
        let Some(moment) = message.acknowledged() else { continue };
        if let Some(position) = message.position {
            mention(position, message.twin.unwrap_or(number), moment.index);
        }
    }
    for delivery in &model.deliveries {
        let (Some(message), Some(at)) = (delivery.message, &delivery.what.position) else {
            continue;
        };
        mention((&at.epoch, at.offset), message, delivery.moment.index);
    }
}

/// What was acknowledged before another call started has the smaller offset.
fn growth(model: &Model<'_>, out: &mut Vec<Violation>) {
    for of_topic in model.by_topic.values() {
        let mut starting: Vec<&Published<'_>> = of_topic
            .iter()
            .filter_map(|index| model.messages.get(*index))
            .filter(|one| one.position.is_some() && one.twin.is_none() && !one.repeated)
            .collect();
        let mut ending: Vec<_> =
            starting.iter().filter_map(|one| Some((one.acknowledged()?, *one))).collect();
        starting.sort_by_key(|one| one.start.at);
        ending.sort_by_key(|(end, _)| end.at);
        let mut ending = ending.into_iter().peekable();
        let mut highest: HashMap<&str, (u64, &Published<'_>)> = HashMap::new();
        for message in starting {
            while let Some((_, ended)) = ending.next_if(|(end, _)| end.at < message.start.at) {
                if let Some((epoch, offset)) = ended.position {
                    let high = highest.entry(epoch).or_insert((offset, ended));
                    if offset > high.0 {
                        *high = (offset, ended);
                    }
                }
            }
            let Some((epoch, offset)) = message.position else { continue };
            let Some((high, before)) = highest.get(epoch) else { continue };
            if *high > offset {
                let text = format!(
                    "offset {offset} was given to \"{}\" after {high} had been acknowledged for \"{}\"",
                    message.name(),
                    before.name()
                );
                let first = before.acknowledged().unwrap_or(before.start).index;
                let second = message.acknowledged().unwrap_or(message.start).index;
                out.push(model.violation(Invariant::I3, &[first, second], text));
            }
        }
    }
}
