//! Events become things: starts first, then what refers to them.
//!
//! Two passes, because at equal times of two clients an end may be sorted before its start.

use std::collections::{BTreeMap, HashMap};

use super::{
    Attachment, Call, Confirmed, Delivered, Model, Moment, Outcome, Problem, Published, Removal,
    Subscription,
};
use crate::event::{Event, OperatorAction, Record, Stop};
use crate::history::History;

/// Names of the history, and what they stand for.
#[derive(Default)]
struct Names<'h> {
    calls: HashMap<(&'h str, &'h str), usize>,
    removals: HashMap<(&'h str, &'h str), usize>,
    subscriptions: HashMap<&'h str, usize>,
}

impl<'h> Model<'h> {
    /// Reads the records of the history.
    pub(crate) fn build(history: &'h History) -> Self {
        let mut model = Self {
            history,
            transit: 1_000_000,
            expiry: 1_000_000,
            calls: Vec::new(),
            messages: Vec::new(),
            by_id: HashMap::new(),
            by_topic: BTreeMap::new(),
            subscriptions: Vec::new(),
            subscriptions_of: BTreeMap::new(),
            deliveries: Vec::new(),
            removals: Vec::new(),
            stops: Vec::new(),
            kills: Vec::new(),
            shared_ids: Vec::new(),
            problem: None,
        };
        let mut names = Names::default();
        for (index, entry) in history.entries().iter().enumerate() {
            let moment = Moment { at: entry.record.at, index };
            model.start(&mut names, moment, &entry.record);
        }
        for (index, entry) in history.entries().iter().enumerate() {
            let moment = Moment { at: entry.record.at, index };
            if let Err((field, reason)) = model.follow(&names, moment, &entry.record) {
                model.problem(index, field, reason);
            }
        }
        model.end_deleted();
        model.resolve();
        model
    }

    fn problem(&mut self, index: usize, field: &'static str, reason: &str) {
        self.problem.get_or_insert_with(|| Problem { index, field, reason: reason.to_owned() });
    }

    fn start(&mut self, names: &mut Names<'h>, moment: Moment, record: &'h Record) {
        let taken = match &record.event {
            Event::PublishStarted { call, topic, level, messages, deliver_to } => {
                let first = self.messages.len();
                for given in messages {
                    self.by_topic.entry(topic).or_default().push(self.messages.len());
                    self.messages.push(Published {
                        topic,
                        given,
                        level: *level,
                        call: self.calls.len(),
                        start: moment,
                        outcome: Outcome::Unknown,
                        id: None,
                        position: None,
                        deliver_to: deliver_to.as_deref(),
                        twin: None,
                        repeated: false,
                        ambiguous: false,
                    });
                }
                let range = first..self.messages.len();
                let taken = names.calls.insert((&record.client, call), self.calls.len());
                self.calls.push(Call { messages: range, seen: None, ids: None, ended: false });
                taken.map(|_| "call")
            }
            Event::SubscribeStarted {
                subscription: name,
                topic,
                connection,
                positions,
                ordered,
                replay,
            } => {
                let number = self.subscriptions.len();
                self.subscriptions_of.entry(topic).or_default().push(number);
                let attachments = connection
                    .iter()
                    .map(|connection| Attachment { connection, start: moment, confirmed: None })
                    .collect();
                self.subscriptions.push(Subscription {
                    name,
                    topic,
                    start: moment,
                    confirmed: None,
                    end_from: None,
                    ended: None,
                    positions: *positions,
                    ordered: *ordered,
                    replay: *replay,
                    attachments,
                    drained: Vec::new(),
                    deliveries: Vec::new(),
                    gaps: Vec::new(),
                    acks: HashMap::new(),
                    dead: HashMap::new(),
                });
                names.subscriptions.insert(name, number).map(|_| "subscription")
            }
            Event::OperatorStarted { call, action, topic, subscription, ids } => {
                let taken = names.removals.insert((&record.client, call), self.removals.len());
                self.removals.push(Removal {
                    action: *action,
                    topic,
                    subscription: subscription.as_deref(),
                    ids: ids.as_deref(),
                    start: moment,
                    confirmed: None,
                });
                taken.map(|_| "call")
            }
            Event::ServerStopping { how } => {
                self.stops.push((moment.at, u64::MAX));
                if *how != Stop::Stop {
                    self.kills.push((moment.at, u64::MAX));
                }
                None
            }
            Event::Settings { transit, expiry } => {
                self.transit = transit.unwrap_or(self.transit);
                self.expiry = expiry.unwrap_or(self.expiry);
                None
            }
            _ => None,
        };
        if let Some(field) = taken {
            self.problem(moment.index, field, "the name was used before");
        }
    }

    /// What happened to something that was started.
    fn follow(
        &mut self,
        names: &Names<'h>,
        moment: Moment,
        record: &'h Record,
    ) -> Result<(), (&'static str, &'static str)> {
        match &record.event {
            Event::PublishAcknowledged { call, messages } => {
                let number = self.end_call(names, &record.client, call)?;
                let range = self.calls.get_mut(number).map(|call| {
                    call.ids = Some((moment.index, messages.len()));
                    call.messages.clone()
                });
                for (index, answer) in range.unwrap_or_default().zip(messages) {
                    if let Some(message) = self.messages.get_mut(index) {
                        message.outcome = Outcome::Acknowledged(moment);
                        message.id = Some(&answer.id);
                        message.position =
                            answer.position.as_ref().map(|at| (at.epoch.as_str(), at.offset));
                    }
                    self.name(index);
                }
            }
            Event::PublishRefused { call, .. } => {
                let number = self.end_call(names, &record.client, call)?;
                let range = self.calls.get(number).map(|call| call.messages.clone());
                for message in self.messages.get_mut(range.unwrap_or_default()).unwrap_or_default()
                {
                    message.outcome = Outcome::Refused(moment);
                }
            }
            Event::PublishUnknown { call, .. } => {
                self.end_call(names, &record.client, call)?;
            }
            Event::OperatorConfirmed { call } => {
                let number = names.removals.get(&(record.client.as_str(), call.as_str()));
                let number = number.ok_or(("call", "was not started by this client"))?;
                if let Some(removal) = self.removals.get_mut(*number) {
                    removal.confirmed = Some(moment);
                }
            }
            Event::ServerRunning {} => {
                for stop in self.stops.iter_mut().chain(&mut self.kills) {
                    if stop.1 == u64::MAX && stop.0 <= moment.at {
                        stop.1 = moment.at;
                    }
                }
            }
            Event::Delivered(what) => {
                let number = number(names, &what.subscription)?;
                let delivery = self.deliveries.len();
                if let Some(subscription) = self.subscriptions.get_mut(number) {
                    subscription.attached(&what.connection)?;
                    subscription.deliveries.push(delivery);
                }
                self.deliveries.push(Delivered {
                    moment,
                    client: &record.client,
                    subscription: number,
                    what,
                    message: None,
                });
            }
            event => return self.follow_subscription(names, moment, event),
        }
        Ok(())
    }

    fn follow_subscription(
        &mut self,
        names: &Names<'h>,
        moment: Moment,
        event: &'h Event,
    ) -> Result<(), (&'static str, &'static str)> {
        let Some(name) = subscription_of(event) else { return Ok(()) };
        let number = number(names, name)?;
        let Some(subscription) = self.subscriptions.get_mut(number) else { return Ok(()) };
        let confirmed = |connection: &'h Option<String>| Confirmed {
            moment,
            connection: connection.as_deref(),
        };
        match event {
            Event::SubscribeConfirmed { .. } => {
                subscription.confirmed.get_or_insert(moment);
                let start = subscription.start;
                for one in subscription.attachments.iter_mut().filter(|one| one.start == start) {
                    one.confirmed.get_or_insert(moment);
                }
            }
            Event::SubscribeRefused { .. } => {
                subscription.ended.get_or_insert(confirmed(&None));
                subscription.end_within(subscription.start.at);
            }
            Event::AttachStarted { connection, .. } => subscription.attachments.push(Attachment {
                connection,
                start: moment,
                confirmed: None,
            }),
            Event::Attached { connection, .. } => {
                let mut open = subscription.attachments.iter_mut().rev();
                let open = open.find(|one| one.connection == connection);
                open.ok_or(NEVER_ATTACHED)?.confirmed.get_or_insert(moment);
            }
            Event::AckConfirmed { ids, connection, .. } => {
                for id in ids {
                    subscription.acks.entry(id).or_default().push(confirmed(connection));
                }
            }
            Event::Gap(gap) => {
                subscription.attached(&gap.connection)?;
                subscription.gaps.push((moment, gap));
            }
            Event::DeadLettered { ids, .. } => {
                subscription.dead.extend(ids.iter().map(|id| (id.as_str(), moment)));
            }
            Event::UnsubscribeStarted { .. } => subscription.end_within(moment.at),
            Event::UnsubscribeConfirmed { connection, .. } => {
                if subscription.end_from.is_none() {
                    return Err(("subscription", "nobody started to unsubscribe it"));
                }
                subscription.ended.get_or_insert(confirmed(connection));
            }
            Event::SubscriptionEnded { since, .. } => {
                subscription.end_within(*since);
                subscription.ended.get_or_insert(confirmed(&None));
            }
            Event::Drained { .. } => subscription.drained.push(moment),
            _ => {}
        }
        Ok(())
    }

    /// A deleted topic or subscription takes the subscriptions with it.
    fn end_deleted(&mut self) {
        for removal in &self.removals {
            if removal.action == OperatorAction::Delete && removal.ids.is_none() {
                for subscription in &mut self.subscriptions {
                    let meant = subscription.topic == removal.topic
                        && removal.subscription.is_none_or(|only| only == subscription.name);
                    // One that was asked for afterwards is another one.
                    let before =
                        removal.confirmed.is_none_or(|end| subscription.start.at <= end.at);
                    if meant && before {
                        subscription.end_within(removal.start.at);
                    }
                }
            }
        }
    }

    fn end_call(
        &mut self,
        names: &Names<'h>,
        client: &'h str,
        call: &'h str,
    ) -> Result<usize, (&'static str, &'static str)> {
        let number = names.calls.get(&(client, call)).copied();
        let number = number.ok_or(("call", "was not started by this client"))?;
        match self.calls.get_mut(number) {
            Some(call) if call.ended => Err(("call", "ended before")),
            Some(call) => {
                call.ended = true;
                Ok(number)
            }
            None => Ok(number),
        }
    }
}

const NEVER_ATTACHED: (&str, &str) = ("connection", "was never attached to the subscription");

impl Subscription<'_> {
    fn end_within(&mut self, from: u64) {
        self.end_from = Some(self.end_from.map_or(from, |end| end.min(from)));
    }

    fn attached(&self, connection: &str) -> Result<(), (&'static str, &'static str)> {
        // The last one is the likely one.
        let mut known = self.attachments.iter().rev();
        known.any(|one| one.connection == connection).then_some(()).ok_or(NEVER_ATTACHED)
    }
}

fn number(names: &Names<'_>, name: &str) -> Result<usize, (&'static str, &'static str)> {
    names.subscriptions.get(name).copied().ok_or(("subscription", "nobody started to subscribe it"))
}

fn subscription_of(event: &Event) -> Option<&str> {
    match event {
        Event::SubscribeConfirmed { subscription }
        | Event::SubscribeRefused { subscription }
        | Event::AttachStarted { subscription, .. }
        | Event::Attached { subscription, .. }
        | Event::Detached { subscription, .. }
        | Event::AckSent { subscription, .. }
        | Event::AckConfirmed { subscription, .. }
        | Event::DeadLettered { subscription, .. }
        | Event::UnsubscribeStarted { subscription }
        | Event::UnsubscribeConfirmed { subscription, .. }
        | Event::SubscriptionEnded { subscription, .. }
        | Event::Drained { subscription } => Some(subscription),
        Event::Gap(gap) => Some(&gap.subscription),
        _ => None,
    }
}
