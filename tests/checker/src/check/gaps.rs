//! I4: gap receipts overlap neither each other nor deliveries, and count right.
//!
//! That nothing is missing beside them is decided in `loss`.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::event::{Cause, Gap};
use crate::model::{Confirmed, Delivered, Model, Moment, Outcome, Subscription};
use crate::report::{Invariant, Violation};

/// The messages of the topics by their places.
struct Offsets<'h> {
    /// By topic and epoch, then by offset.
    placed: HashMap<(&'h str, &'h str), BTreeMap<u64, usize>>,
    /// When those started, by topic, whose place is not known and that may have one.
    unplaced: HashMap<&'h str, Vec<u64>>,
}

pub(super) fn check(model: &Model<'_>, out: &mut Vec<Violation>) {
    let mut offsets = None;
    for subscription in &model.subscriptions {
        if subscription.positions {
            unplaced(model, subscription, out);
        }
        if subscription.gaps.is_empty() {
            continue;
        }
        let offsets = offsets.get_or_insert_with(|| by_offset(model));
        let delivered = delivered(model, subscription);
        for (moment, gap) in &subscription.gaps {
            out.extend(miscounted(model, subscription, *moment, gap, offsets, &delivered));
        }
        overlapping(model, subscription, out);
        delivered_too(model, subscription, out);
    }
}

fn by_offset<'h>(model: &Model<'h>) -> Offsets<'h> {
    let mut offsets = Offsets { placed: HashMap::new(), unplaced: HashMap::new() };
    for (number, message) in model.messages.iter().enumerate() {
        let refused = matches!(message.outcome, Outcome::Refused(_));
        match message.position {
            Some((epoch, offset)) if message.twin.is_none() => {
                let placed = offsets.placed.entry((message.topic, epoch)).or_default();
                placed.insert(offset, number);
            }
            None if !refused => {
                offsets.unplaced.entry(message.topic).or_default().push(message.start.at);
            }
            _ => {}
        }
    }
    offsets.unplaced.values_mut().for_each(|starts| starts.sort_unstable());
    offsets
}

fn delivered(model: &Model<'_>, subscription: &Subscription<'_>) -> HashSet<usize> {
    let numbers = subscription.deliveries.iter();
    numbers.filter_map(|number| model.deliveries.get(*number)?.message).collect()
}

fn unplaced(model: &Model<'_>, subscription: &Subscription<'_>, out: &mut Vec<Violation>) {
    for number in &subscription.deliveries {
        let Some(delivery) = model.deliveries.get(*number) else { continue };
        if delivery.what.position.is_none() {
            let text = format!(
                "\"{}\" came without a position, which {} asked for",
                delivery.what.id, subscription.name
            );
            out.push(model.violation(Invariant::I4, &[delivery.moment.index], text));
        }
    }
}

/// The count lies between what was certainly there and what may have been there.
fn miscounted(
    model: &Model<'_>,
    subscription: &Subscription<'_>,
    moment: Moment,
    gap: &Gap,
    offsets: &Offsets<'_>,
    delivered: &HashSet<usize>,
) -> Option<Violation> {
    let report = |text| Some(model.violation(Invariant::I4, &[moment.index], text));
    let (from, to) = (gap.from, gap.to);
    if from > to {
        return report(format!("the gap ends at {to}, before its start {from}"));
    }
    let known = offsets.placed.get(&(subscription.topic, gap.epoch.as_str()));
    let known = known.into_iter().flat_map(|known| known.range(from..=to));
    let (mut least, mut most) = (0_u64, 0_u64);
    for (_, number) in known {
        let Some(message) = model.messages.get(*number) else { continue };
        if message.start.at > moment.at {
            let text = format!(
                "the gap {from} to {to} covers \"{}\", which nobody had published yet",
                message.name()
            );
            return report(text);
        }
        if message.addressed(subscription.name) {
            most += 1;
            let owed = subscription.active(message.start.at, moment.at);
            least += u64::from(owed && !delivered.contains(number));
        }
    }
    let unplaced = offsets.unplaced.get(subscription.topic).map(Vec::as_slice).unwrap_or_default();
    let unplaced = unplaced.partition_point(|start| *start <= moment.at);
    let unplaced = u64::try_from(unplaced).unwrap_or(u64::MAX);
    let width = (to - from).saturating_add(1);
    let most = width.min(most.saturating_add(unplaced));
    if let Some(count) = gap.count
        && !(least..=most).contains(&count)
    {
        let right = if least == most { format!("{least}") } else { format!("{least} to {most}") };
        return report(format!(
            "the gap {from} to {to} counts {count} messages instead of {right}"
        ));
    }
    None
}

fn overlapping(model: &Model<'_>, subscription: &Subscription<'_>, out: &mut Vec<Violation>) {
    let mut sorted: Vec<_> = subscription.gaps.iter().collect();
    sorted.sort_by_key(|(moment, gap)| (&gap.epoch, gap.from, moment.index));
    for (before, after) in sorted.iter().zip(sorted.iter().skip(1)) {
        let ((one, first), (two, second)) = (before, after);
        if first.epoch == second.epoch
            && second.from <= first.to
            && !told_again(model, (*one, first), (*two, second))
        {
            let text = format!(
                "the gap {} to {} was reported to {} by two receipts",
                second.from,
                second.to.min(first.to),
                subscription.name
            );
            out.push(model.violation(Invariant::I4, &[one.index, two.index], text));
        }
    }
}

/// Whether the server was killed after it had sent the one, and before it stored that.
fn told_again(model: &Model<'_>, one: (Moment, &Gap), two: (Moment, &Gap)) -> bool {
    let (from, to) = (one.0.at.min(two.0.at), one.0.at.max(two.0.at));
    one.1.connection != two.1.connection && model.killed(from.saturating_sub(model.transit), to)
}

fn delivered_too(model: &Model<'_>, subscription: &Subscription<'_>, out: &mut Vec<Violation>) {
    let mut gaps: BTreeMap<(&str, u64), (Moment, &Gap)> = BTreeMap::new();
    for (moment, gap) in &subscription.gaps {
        gaps.insert((&gap.epoch, gap.from), (*moment, gap));
    }
    for number in &subscription.deliveries {
        let Some(delivery) = model.deliveries.get(*number) else { continue };
        let message = delivery.message.and_then(|number| model.messages.get(number));
        let Some((epoch, offset)) = message.and_then(|message| message.position) else { continue };
        let Some((_, (moment, gap))) = gaps.range(..=(epoch, offset)).next_back() else { continue };
        if gap.epoch != epoch || gap.to < offset {
            continue;
        }
        if let Some(how) = both(model, subscription, delivery, *moment, gap) {
            let text = format!("\"{}\" at offset {offset} {how}", delivery.what.id);
            let at = [moment.index, delivery.moment.index];
            out.push(model.violation(Invariant::I4, &at, text));
        }
    }
}

/// Why a message cannot be both delivered and in a gap; `None` when it can.
///
/// A server that never heard of the delivery may have to give the message up later: it expires,
/// or is tried too often.
fn both(
    model: &Model<'_>,
    subscription: &Subscription<'_>,
    delivery: &Delivered<'_>,
    moment: Moment,
    gap: &Gap,
) -> Option<&'static str> {
    let receipt = Confirmed { moment, connection: Some(&gap.connection) };
    if model.after(delivery, receipt) {
        return Some("was delivered after it had been reported as a gap");
    }
    let acks = subscription.acks.get(delivery.what.id.as_str()).map(Vec::as_slice);
    let acked = acks.unwrap_or_default().iter().any(|ack| {
        ack.moment.at.saturating_add(model.transit) < moment.at
            && !model.stopped(ack.moment.at, moment.at)
    });
    if acked {
        return Some("was reported as a gap after its delivery was acknowledged");
    }
    let same = delivery.what.connection == gap.connection;
    let before = delivery.moment.index < moment.index;
    let given_up = matches!(gap.cause, Cause::Dropped | Cause::Lost);
    (same && before && given_up && !model.stopped(delivery.moment.at, moment.at))
        .then_some("was delivered and then reported as dropped on the same connection")
}
