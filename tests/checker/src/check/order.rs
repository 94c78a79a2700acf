//! I3, second half: first deliveries of a stream come by priority, publisher's time and offset.
//!
//! A stream is what one connection gets. A message can only be expected before another
//! one if it was there when the other was sent. When that was is not known exactly; but it was
//! not before the other's publishing started, not before the stream began, and not earlier than
//! the transit time before it was recorded. The publisher's time orders only messages that both
//! have one.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::inversions::{Item, inversions};
use crate::model::{Delivered, Model, Published, Subscription};
use crate::report::{Invariant, Violation};

/// A first delivery within a stream.
#[derive(Clone, Copy)]
struct First<'m, 'h> {
    delivery: &'m Delivered<'h>,
    message: &'m Published<'h>,
    number: usize,
    /// It was sent then or later.
    sent: u64,
    /// It was in the queue from then on.
    known: Option<u64>,
}

pub(super) fn check(model: &Model<'_>, out: &mut Vec<Violation>) {
    for subscription in model.subscriptions.iter().filter(|one| one.ordered) {
        for stream in streams(model, subscription).values() {
            let mut reported = HashSet::new();
            for (before, after) in wrong_pairs(stream) {
                if let (Some(before), Some(after)) = (stream.get(before), stream.get(after))
                    && reported.insert(after.number)
                {
                    out.push(violation(model, subscription, before, after));
                }
            }
        }
    }
}

fn streams<'m, 'h>(
    model: &'m Model<'h>,
    subscription: &'m Subscription<'h>,
) -> BTreeMap<usize, Vec<First<'m, 'h>>> {
    let mut streams: BTreeMap<usize, Vec<First<'_, '_>>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for number in &subscription.deliveries {
        let Some(delivery) = model.deliveries.get(*number) else { continue };
        let Some(number) = delivery.message else { continue };
        let Some(message) = model.messages.get(number) else { continue };
        // What was sent before, perhaps on a connection that lost it, has lost its place too.
        if !seen.insert(number) || delivery.what.delivery_count > 1 {
            continue;
        }
        // Of a connection that attached again, the first time: frames of it may still come.
        let mut attachments = subscription.attachments.iter();
        let same = attachments.find(|one| one.connection == delivery.what.connection);
        let Some(began) = same.map(|one| one.start) else { continue };
        let sent = message.start.at.max(began.at);
        let sent = sent.max(delivery.moment.at.saturating_sub(model.transit));
        let owed = subscription.confirmed.is_some_and(|moment| moment.at < message.start.at);
        let known = message.acknowledged().filter(|_| owed && !message.repeated);
        let known = known.map(|moment| moment.at);
        let first = First { delivery, message, number, sent, known };
        streams.entry(began.index).or_default().push(first);
    }
    streams
}

/// Places in the stream: the first should have waited for the second.
fn wrong_pairs(stream: &[First<'_, '_>]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let all: Vec<_> = (0..stream.len()).collect();
    let low = |first: &First<'_, '_>| u8::MAX - first.message.priority();
    pairs.extend(by_key(stream, &all, |first| Some(low(first))));

    let mut timed: HashMap<u8, Vec<usize>> = HashMap::new();
    let mut equal: HashMap<(u8, Option<i64>), Vec<usize>> = HashMap::new();
    let mut placed: HashMap<(u8, Option<i64>, &str), Vec<usize>> = HashMap::new();
    for (place, first) in stream.iter().enumerate() {
        let (priority, time) = (first.message.priority(), first.message.given.publisher_time);
        if time.is_some() {
            timed.entry(priority).or_default().push(place);
        }
        equal.entry((priority, time)).or_default().push(place);
        if let Some((epoch, _)) = first.message.position {
            placed.entry((priority, time, epoch)).or_default().push(place);
        }
    }
    for places in timed.values() {
        pairs.extend(by_key(stream, places, |first| first.message.given.publisher_time));
    }
    for places in placed.values() {
        pairs.extend(by_key(stream, places, |first| first.message.position.map(|at| at.1)));
    }
    for places in equal.values() {
        pairs.extend(not_first_in_first_out(stream, places));
    }
    pairs.extend(within_calls(stream));
    pairs.sort_unstable_by_key(|(before, after)| (*after, *before));
    pairs
}

fn by_key<'m, 'h, K: Ord + Copy>(
    stream: &[First<'m, 'h>],
    places: &[usize],
    key: impl Fn(&First<'m, 'h>) -> Option<K>,
) -> Vec<(usize, usize)> {
    let items: Vec<_> = places
        .iter()
        .filter_map(|place| {
            let first = stream.get(*place)?;
            Some(Item { key: key(first)?, sent: first.sent, known: first.known })
        })
        .collect();
    let found = inversions(&items).into_iter();
    found.filter_map(|(i, j)| Some((*places.get(i)?, *places.get(j)?))).collect()
}

/// Equal keys whose offsets are not known: who was acknowledged before the other started is first.
fn not_first_in_first_out(stream: &[First<'_, '_>], places: &[usize]) -> Vec<(usize, usize)> {
    let mut latest: Option<(u64, usize)> = None;
    let mut pairs = Vec::new();
    for place in places {
        let Some(first) = stream.get(*place) else { continue };
        if let (Some((start, before)), Some(known)) = (latest, first.known)
            && known < start
        {
            pairs.push((before, *place));
        }
        latest = latest.max(Some((first.message.start.at, *place)));
    }
    pairs
}

/// A batch is there at once, so its order needs no times.
fn within_calls(stream: &[First<'_, '_>]) -> Vec<(usize, usize)> {
    type Key = (u8, Option<i64>, usize);
    let mut highest: HashMap<(usize, bool), (Key, usize)> = HashMap::new();
    let mut pairs = Vec::new();
    for (place, first) in stream.iter().enumerate() {
        let message = first.message;
        let time = message.given.publisher_time;
        let key = (u8::MAX - message.priority(), time, first.number);
        for timed in [false, true] {
            let Some((before, at)) = highest.get(&(message.call, timed)) else { continue };
            let wrong = if timed == time.is_some() { *before > key } else { before.0 > key.0 };
            if wrong {
                pairs.push((*at, place));
            }
        }
        let high = highest.entry((message.call, time.is_some())).or_insert((key, place));
        if key > high.0 {
            *high = (key, place);
        }
    }
    pairs
}

fn violation(
    model: &Model<'_>,
    subscription: &Subscription<'_>,
    before: &First<'_, '_>,
    after: &First<'_, '_>,
) -> Violation {
    let describe = |first: &First<'_, '_>| {
        let mut text =
            format!("\"{}\" (priority {}", first.delivery.what.id, first.message.priority());
        if let Some(time) = first.message.given.publisher_time {
            text.push_str(&format!(", time {time}"));
        }
        if let Some((_, offset)) = first.message.position {
            text.push_str(&format!(", offset {offset}"));
        }
        text + ")"
    };
    let text = format!(
        "{} received {} before {}, which was there and comes first",
        subscription.name,
        describe(before),
        describe(after)
    );
    let at = [before.delivery.moment.index, after.delivery.moment.index];
    model.violation(Invariant::I3, &at, text)
}
