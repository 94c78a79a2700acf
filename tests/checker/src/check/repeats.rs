//! I5: repeats are marked, and none comes after its acknowledgement was confirmed.

use std::collections::HashMap;

use crate::model::{Confirmed, Delivered, Model, Subscription};
use crate::report::{Invariant, Violation};

/// Reports, and returns how many repeats there were.
pub(super) fn check(model: &Model<'_>, out: &mut Vec<Violation>) -> usize {
    let mut repeats = 0;
    for subscription in &model.subscriptions {
        let mut before: HashMap<&str, Vec<&Delivered<'_>>> = HashMap::new();
        for number in &subscription.deliveries {
            let Some(delivery) = model.deliveries.get(*number) else { continue };
            let earlier = before.entry(&delivery.what.id).or_default();
            repeats += usize::from(!earlier.is_empty());
            let wrong = unmarked(model, delivery, earlier)
                .or_else(|| after_ack(model, delivery, subscription));
            out.extend(wrong);
            earlier.push(delivery);
        }
    }
    repeats
}

fn unmarked(
    model: &Model<'_>,
    delivery: &Delivered<'_>,
    earlier: &[&Delivered<'_>],
) -> Option<Violation> {
    let count = delivery.what.delivery_count;
    let like = earlier.iter().find(|one| {
        let sent = Confirmed { moment: one.moment, connection: Some(one.what.connection.as_str()) };
        // Frames of two connections may be read in the other order, but never count the same.
        one.what.delivery_count == count
            || one.what.delivery_count > count && model.after(delivery, sent)
    })?;
    let text = format!(
        "\"{}\" was delivered again with delivery_count {count}, after {}",
        delivery.what.id, like.what.delivery_count
    );
    let at = [like.moment.index, delivery.moment.index];
    Some(model.violation(Invariant::I5, &at, text))
}

fn after_ack(
    model: &Model<'_>,
    delivery: &Delivered<'_>,
    subscription: &Subscription<'_>,
) -> Option<Violation> {
    let acks = subscription.acks.get(delivery.what.id.as_str())?;
    let ack = acks.iter().find(|ack| {
        model.after(delivery, **ack) && !model.stopped(ack.moment.at, delivery.moment.at)
    })?;
    let text = format!(
        "\"{}\" was delivered to {} again after its acknowledgement was confirmed",
        delivery.what.id, subscription.name
    );
    let at = [ack.moment.index, delivery.moment.index];
    Some(model.violation(Invariant::I5, &at, text))
}
