//! I2, first half: what is delivered was published, as it was published, for this subscription.
//!
//! Not about deliveries that come too late, which is `late`.

use std::collections::HashMap;

use crate::model::{Delivered, Model, Outcome, Published, Subscription, difference};
use crate::report::{Invariant, Violation};

pub(super) fn check(model: &Model<'_>, out: &mut Vec<Violation>) {
    let mut contents = HashMap::new();
    for (index, message) in model.messages.iter().enumerate() {
        contents.entry((message.topic, message.given.content.as_str())).or_insert(index);
    }
    for delivery in &model.deliveries {
        let Some(subscription) = model.subscriptions.get(delivery.subscription) else { continue };
        let Some(message) = delivery.message.and_then(|index| model.messages.get(index)) else {
            let like = contents.get(&(subscription.topic, delivery.what.content.as_str()));
            let like = like.and_then(|index| model.messages.get(*index));
            out.push(unpublished(model, delivery, like));
            continue;
        };
        if let Some(violation) = altered(model, delivery, message)
            .or_else(|| too_early(model, delivery, message))
            .or_else(|| not_for(model, delivery, message, subscription))
        {
            out.push(violation);
        }
    }
}

fn unpublished(
    model: &Model<'_>,
    delivery: &Delivered<'_>,
    like: Option<&Published<'_>>,
) -> Violation {
    let id = &delivery.what.id;
    let mut at = vec![delivery.moment.index];
    let text = match like.map(|one| (one, one.outcome)) {
        None => format!("\"{id}\" was delivered but never published"),
        Some((_, Outcome::Refused(moment))) => {
            at.insert(0, moment.index);
            format!("\"{id}\" was delivered though its publishing was refused")
        }
        Some((one, Outcome::Acknowledged(moment))) => {
            at.insert(0, moment.index);
            format!("the content of \"{}\" was delivered as \"{id}\"", one.name())
        }
        Some((one, Outcome::Unknown)) => {
            at.insert(0, one.start.index);
            format!(
                "\"{id}\" is not what the call of unknown outcome tried to publish, or it is \
                     there more often than it was tried"
            )
        }
    };
    model.violation(Invariant::I2, &at, text)
}

fn altered(
    model: &Model<'_>,
    delivery: &Delivered<'_>,
    message: &Published<'_>,
) -> Option<Violation> {
    let field = difference(message.given, delivery.what)?;
    let at = [message.start.index, delivery.moment.index];
    let batch = model.calls.get(message.call).map(|call| call.messages.clone());
    let siblings = batch.and_then(|range| model.messages.get(range)).unwrap_or_default();
    // An id that carries the content of another message of its batch: the ids were mixed up.
    if siblings.iter().any(|one| difference(one.given, delivery.what).is_none()) {
        let text = format!(
            "the ids of the batch are not in input order: \"{}\" is another of its messages",
            message.name()
        );
        return Some(model.violation(Invariant::I3, &at, text));
    }
    let text = format!("\"{}\" was delivered with another {field} than published", message.name());
    Some(model.violation(Invariant::I2, &at, text))
}

fn too_early(
    model: &Model<'_>,
    delivery: &Delivered<'_>,
    message: &Published<'_>,
) -> Option<Violation> {
    (delivery.moment.at < message.start.at).then(|| {
        let text = format!("\"{}\" was delivered before anybody published it", message.name());
        model.violation(Invariant::I2, &[delivery.moment.index, message.start.index], text)
    })
}

fn not_for(
    model: &Model<'_>,
    delivery: &Delivered<'_>,
    message: &Published<'_>,
    subscription: &Subscription<'_>,
) -> Option<Violation> {
    let at = [message.start.index, delivery.moment.index];
    if !message.addressed(subscription.name) {
        let text = format!(
            "\"{}\" was delivered to {}, which its publisher had not listed",
            message.name(),
            subscription.name
        );
        return Some(model.violation(Invariant::I2, &at, text));
    }
    let end = message.acknowledged()?;
    if subscription.start.at <= end.at || subscription.replay || message.repeated {
        return None;
    }
    // Without any subscription messages wait for the first one; with one, later ones get nothing.
    let others = model.subscriptions_of.get(message.topic)?;
    let owner = others
        .iter()
        .filter_map(|number| model.subscriptions.get(*number))
        .find(|one| one.active(message.start.at, end.at) && message.addressed(one.name))?;
    let text = format!(
        "\"{}\" was published before {} was subscribed and while {} was",
        message.name(),
        subscription.name,
        owner.name
    );
    let at = [end.index, subscription.start.index, delivery.moment.index];
    Some(model.violation(Invariant::I2, &at, text))
}
