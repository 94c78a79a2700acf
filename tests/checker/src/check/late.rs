//! I2, second half: nothing is delivered any more after it expired, was cleared, was unsubscribed
//! or went to another connection.
//!
//! A frame may be under way when these things happen: on the connection that read the
//! confirmation the order of frames decides, elsewhere the transit time of the settings.

use crate::model::{Attachment, Confirmed, Delivered, Model, Outcome, Published, Subscription};
use crate::report::{Invariant, Violation};

pub(super) fn check(model: &Model<'_>, out: &mut Vec<Violation>) {
    for delivery in &model.deliveries {
        let Some(subscription) = model.subscriptions.get(delivery.subscription) else { continue };
        let message = delivery.message.and_then(|index| model.messages.get(index));
        let late = unsubscribed(model, delivery, subscription)
            .or_else(|| taken_over(model, delivery, subscription))
            .or_else(|| expired(model, delivery, message?))
            .or_else(|| removed(model, delivery, message?, subscription));
        if let Some((index, text)) = late {
            out.push(model.violation(Invariant::I2, &[index, delivery.moment.index], text));
        }
    }
}

type Late = Option<(usize, String)>;

fn unsubscribed(model: &Model<'_>, delivery: &Delivered<'_>, of: &Subscription<'_>) -> Late {
    let ended = of.ended.filter(|ended| model.after(delivery, *ended))?;
    let text = format!(
        "\"{}\" was delivered to {} after that subscription had ended",
        delivery.what.id, of.name
    );
    Some((ended.moment.index, text))
}

/// Another connection attached, wholly after this one had and wholly before the delivery.
fn taken_over(model: &Model<'_>, delivery: &Delivered<'_>, of: &Subscription<'_>) -> Late {
    let connection = delivery.what.connection.as_str();
    let mine = attachment(delivery, of)?.confirmed?;
    let other = of.attachments.iter().find(|one| {
        one.connection != connection
            && one.start.at > mine.at
            && one
                .confirmed
                .is_some_and(|moment| delivery.moment.at > moment.at.saturating_add(model.transit))
    })?;
    let text = format!(
        "\"{}\" was delivered on {connection} after {} had taken {} over",
        delivery.what.id, other.connection, of.name
    );
    Some((other.confirmed?.index, text))
}

/// The attachment that the delivery belongs to.
fn attachment<'a, 'h>(
    delivery: &Delivered<'h>,
    of: &'a Subscription<'h>,
) -> Option<&'a Attachment<'h>> {
    of.attachments.iter().rev().find(|one| {
        one.connection == delivery.what.connection && one.start.at <= delivery.moment.at
    })
}

fn expired(model: &Model<'_>, delivery: &Delivered<'_>, message: &Published<'_>) -> Late {
    let expires_at = message.given.expires_at?;
    // The server counts the lifetime from the moment inside the call at which it took the message.
    let Outcome::Acknowledged(end) = message.outcome else { return None };
    let call = end.at.saturating_sub(message.start.at);
    let last = expires_at.saturating_add(call).saturating_add(model.expiry);
    (delivery.moment.at > last && !message.repeated).then(|| {
        let over = delivery.moment.at.saturating_sub(expires_at);
        let text = format!("\"{}\" was delivered {over} µs after it expired", message.name());
        (message.start.index, text)
    })
}

fn removed(
    model: &Model<'_>,
    delivery: &Delivered<'_>,
    message: &Published<'_>,
    of: &Subscription<'_>,
) -> Late {
    let end = message.acknowledged().filter(|_| !message.repeated)?;
    // They are in the order of their starts.
    let first = model.removals.partition_point(|removal| removal.start.at <= end.at);
    let last = model.removals.partition_point(|removal| removal.start.at < delivery.moment.at);
    let between = model.removals.get(first..last).unwrap_or_default();
    let removal = between.iter().find(|removal| {
        removal.covers(message, of.name)
            && removal
                .confirmed
                .is_some_and(|moment| model.after(delivery, Confirmed { moment, connection: None }))
    })?;
    let text = format!("\"{}\" was delivered to {} after it was cleared", message.name(), of.name);
    Some((removal.confirmed?.index, text))
}
