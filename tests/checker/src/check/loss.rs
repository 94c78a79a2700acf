//! I1, and the completeness of I4: what was owed to a drained subscription arrived, or it is
//! known why not.
//!
//! Owed is a message whose publishing is certain to a subscription that certainly existed all the
//! time, when the harness saw the subscription empty afterwards.

use crate::event::{Cause, Gap, Level};
use crate::model::{Model, Moment, Published, Subscription};
use crate::report::{Invariant, Violation};

/// Reports, and returns how many deliveries were owed.
pub(super) fn check(model: &Model<'_>, out: &mut Vec<Violation>) -> usize {
    let mut delivered = vec![false; model.messages.len()];
    let mut owed = 0;
    for subscription in &model.subscriptions {
        let Some(drained) = drained(subscription) else { continue };
        let numbers = || {
            let deliveries = subscription.deliveries.iter();
            deliveries.filter_map(|number| model.deliveries.get(*number)?.message)
        };
        numbers()
            .for_each(|message| delivered.get_mut(message).into_iter().for_each(|it| *it = true));
        let topic = model.by_topic.get(subscription.topic).map(Vec::as_slice).unwrap_or_default();
        let mut gaps = subscription.gaps.clone();
        gaps.sort_by_key(|(_, gap)| (&gap.epoch, gap.from));
        for number in topic {
            let Some(message) = model.messages.get(*number) else { continue };
            if !is_owed(model, message, subscription, drained) {
                continue;
            }
            owed += 1;
            if delivered.get(*number) == Some(&false) {
                out.extend(missing(model, message, subscription, drained, &gaps));
            }
        }
        numbers()
            .for_each(|message| delivered.get_mut(message).into_iter().for_each(|it| *it = false));
    }
    owed
}

/// The last time that the subscription was seen empty while it certainly existed.
fn drained(subscription: &Subscription<'_>) -> Option<Moment> {
    let existed = |moment: &&Moment| subscription.end_from.is_none_or(|end| moment.at < end);
    subscription.drained.iter().rev().find(existed).copied()
}

fn is_owed(
    model: &Model<'_>,
    message: &Published<'_>,
    subscription: &Subscription<'_>,
    drained: Moment,
) -> bool {
    message.twin.is_none()
        && !message.ambiguous
        && message.addressed(subscription.name)
        && model.published_by(message).is_some_and(|moment| moment.at < drained.at)
        && subscription.active(message.start.at, drained.at)
}

fn missing(
    model: &Model<'_>,
    message: &Published<'_>,
    subscription: &Subscription<'_>,
    drained: Moment,
    gaps: &[(Moment, &Gap)],
) -> Option<Violation> {
    let published = model.published_by(message)?;
    let mut at = vec![published.index, drained.index];
    let name = message.name();
    let covering = covering(gaps, message);
    if let Some((moment, gap)) = covering {
        at.insert(1, moment.index);
        let reason = unlawful(model, message, subscription, *moment, gap)?;
        let text = format!("\"{name}\" was reported to {} as {reason}", subscription.name);
        return Some(model.violation(Invariant::I1, &at, text));
    }
    // A receipt may be about a message whose position nobody knows.
    if message.position.is_none() && !subscription.gaps.is_empty() {
        return None;
    }
    let lost_in_stop =
        message.level == Level::Memory && model.stopped(message.start.at, drained.at);
    if lost_in_stop {
        return None;
    }
    let expired = may_have_expired(model, message, drained.at);
    let removed = model.removed(message, subscription.name, message.start.at, drained.at);
    if expired || removed || message.id.is_some_and(|id| subscription.dead.contains_key(id)) {
        return subscription.positions.then(|| {
            let text = format!(
                "\"{name}\" was neither delivered to {} nor reported as a gap",
                subscription.name
            );
            model.violation(Invariant::I4, &at, text)
        });
    }
    let level = match message.level {
        Level::Disk => "disk",
        Level::Memory => "memory",
    };
    let text = if message.acknowledged().is_some() {
        format!("\"{name}\", acknowledged at level {level}, never reached {}", subscription.name)
    } else {
        format!(
            "\"{name}\" of a call that was delivered in part never reached {}",
            subscription.name
        )
    };
    Some(model.violation(Invariant::I1, &at, text))
}

/// The receipt about the message, of receipts sorted by epoch and offset.
fn covering<'a, 'h>(
    gaps: &'a [(Moment, &'h Gap)],
    message: &Published<'_>,
) -> Option<&'a (Moment, &'h Gap)> {
    let (epoch, offset) = message.position?;
    let after = gaps.partition_point(|(_, gap)| (gap.epoch.as_str(), gap.from) <= (epoch, offset));
    let last = gaps.get(after.checked_sub(1)?)?;
    (last.1.epoch == epoch && offset <= last.1.to).then_some(last)
}

fn may_have_expired(model: &Model<'_>, message: &Published<'_>, at: u64) -> bool {
    message.given.expires_at.is_some_and(|expiry| expiry <= at.saturating_add(model.expiry))
}

/// Why the cause of the receipt cannot be true or is not allowed; `None` when it is fine.
fn unlawful(
    model: &Model<'_>,
    message: &Published<'_>,
    subscription: &Subscription<'_>,
    moment: Moment,
    gap: &Gap,
) -> Option<&'static str> {
    let disk = message.level == Level::Disk;
    match gap.cause {
        Cause::Expired => {
            (!may_have_expired(model, message, moment.at)).then_some("expired, which it had not")
        }
        Cause::Cleared | Cause::Deleted => {
            let start = message.start.at;
            (!model.removed(message, subscription.name, start, moment.at))
                .then_some("removed by an operator, which nobody did")
        }
        Cause::Dead => None,
        Cause::Dropped => disk.then_some("dropped, though it was acknowledged at level disk"),
        Cause::Lost if disk => Some("lost, though it was acknowledged at level disk"),
        Cause::Lost => (!model.stopped(message.start.at, moment.at))
            .then_some("lost in a stop, which there was not"),
    }
}
