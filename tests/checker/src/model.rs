//! The history as things instead of events: messages, subscriptions, deliveries, stops.
//!
//! Everything is kept as an interval: what is known of a call is that it had its effect, if at
//! all, between its start and its end. A message published twice under one id of the publisher's
//! own is one message. This module judges nothing; it only reports references that lead nowhere.
//!
//! Invariant: indices into `messages`, `subscriptions` and `deliveries` stay valid for ever.

mod build;
mod resolve;

pub(crate) use resolve::difference;

use std::collections::{BTreeMap, HashMap};

use crate::event::{Delivery, Gap, Level, Message, OperatorAction};
use crate::history::History;
use crate::report::{Invariant, Violation};

/// A moment: the time, and the record that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) at: u64,
    pub(crate) index: usize,
}

/// How a publish call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Acknowledged(Moment),
    Refused(Moment),
    Unknown,
}

/// A message of a publish call.
#[derive(Debug, Clone)]
pub(crate) struct Published<'h> {
    pub(crate) topic: &'h str,
    pub(crate) given: &'h Message,
    pub(crate) level: Level,
    pub(crate) call: usize,
    pub(crate) start: Moment,
    pub(crate) outcome: Outcome,
    pub(crate) id: Option<&'h str>,
    pub(crate) position: Option<(&'h str, u64)>,
    pub(crate) deliver_to: Option<&'h [String]>,
    /// The message that this one is a repeated publication of.
    pub(crate) twin: Option<usize>,
    /// Others are repeated publications of it.
    pub(crate) repeated: bool,
    /// Which of several equal messages this is cannot be told.
    pub(crate) ambiguous: bool,
}

impl<'h> Published<'h> {
    pub(crate) fn addressed(&self, subscription: &str) -> bool {
        self.deliver_to.is_none_or(|only| only.iter().any(|one| one == subscription))
    }

    pub(crate) fn priority(&self) -> u8 {
        self.given.priority.unwrap_or(5)
    }

    /// The time by which it was certainly published.
    pub(crate) fn acknowledged(&self) -> Option<Moment> {
        match self.outcome {
            Outcome::Acknowledged(moment) => Some(moment),
            Outcome::Refused(_) | Outcome::Unknown => None,
        }
    }

    pub(crate) fn name(&self) -> &'h str {
        self.id.unwrap_or(&self.given.content)
    }
}

/// A publish call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) messages: std::ops::Range<usize>,
    /// When the first of its messages was delivered anywhere.
    pub(crate) seen: Option<Moment>,
    /// The acknowledgement, and how many ids it held.
    pub(crate) ids: Option<(usize, usize)>,
    ended: bool,
}

/// A connection that holds a subscription.
#[derive(Debug, Clone)]
pub(crate) struct Attachment<'h> {
    pub(crate) connection: &'h str,
    pub(crate) start: Moment,
    pub(crate) confirmed: Option<Moment>,
}

/// The confirmed acknowledgement of a message, and the connection it was read from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Confirmed<'h> {
    pub(crate) moment: Moment,
    pub(crate) connection: Option<&'h str>,
}

/// A subscription.
#[derive(Debug, Clone)]
pub(crate) struct Subscription<'h> {
    pub(crate) name: &'h str,
    pub(crate) topic: &'h str,
    pub(crate) start: Moment,
    pub(crate) confirmed: Option<Moment>,
    /// From when on it may have been gone.
    pub(crate) end_from: Option<u64>,
    /// When it was certainly gone.
    pub(crate) ended: Option<Confirmed<'h>>,
    pub(crate) positions: bool,
    pub(crate) ordered: bool,
    pub(crate) replay: bool,
    pub(crate) attachments: Vec<Attachment<'h>>,
    pub(crate) drained: Vec<Moment>,
    /// In time order.
    pub(crate) deliveries: Vec<usize>,
    /// In time order.
    pub(crate) gaps: Vec<(Moment, &'h Gap)>,
    pub(crate) acks: HashMap<&'h str, Vec<Confirmed<'h>>>,
    pub(crate) dead: HashMap<&'h str, Moment>,
}

impl Subscription<'_> {
    /// Whether it certainly existed all the time between the two.
    pub(crate) fn active(&self, from: u64, to: u64) -> bool {
        self.confirmed.is_some_and(|moment| moment.at < from)
            && self.end_from.is_none_or(|end| end > to)
    }
}

/// A delivery.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivered<'h> {
    pub(crate) moment: Moment,
    pub(crate) client: &'h str,
    pub(crate) subscription: usize,
    pub(crate) what: &'h Delivery,
    /// What was delivered, when the history knows it.
    pub(crate) message: Option<usize>,
}

/// Something an operator removed, or tried to.
#[derive(Debug, Clone)]
pub(crate) struct Removal<'h> {
    pub(crate) action: OperatorAction,
    pub(crate) topic: &'h str,
    pub(crate) subscription: Option<&'h str>,
    pub(crate) ids: Option<&'h [String]>,
    pub(crate) start: Moment,
    pub(crate) confirmed: Option<Moment>,
}

impl Removal<'_> {
    /// Whether it is about this message in the queue of this subscription.
    pub(crate) fn covers(&self, message: &Published<'_>, subscription: &str) -> bool {
        self.topic == message.topic
            && self.subscription.is_none_or(|only| only == subscription)
            && self.ids.is_none_or(|only| only.iter().any(|id| Some(id.as_str()) == message.id))
    }
}

/// A reference that leads nowhere.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) index: usize,
    pub(crate) field: &'static str,
    pub(crate) reason: String,
}

/// The whole history.
#[derive(Debug)]
pub(crate) struct Model<'h> {
    pub(crate) history: &'h History,
    pub(crate) transit: u64,
    pub(crate) expiry: u64,
    pub(crate) calls: Vec<Call>,
    pub(crate) messages: Vec<Published<'h>>,
    pub(crate) by_id: HashMap<(&'h str, &'h str), usize>,
    pub(crate) by_topic: BTreeMap<&'h str, Vec<usize>>,
    pub(crate) subscriptions: Vec<Subscription<'h>>,
    pub(crate) subscriptions_of: BTreeMap<&'h str, Vec<usize>>,
    pub(crate) deliveries: Vec<Delivered<'h>>,
    pub(crate) removals: Vec<Removal<'h>>,
    /// From the last moment before each stop to the first moment after it.
    pub(crate) stops: Vec<(u64, u64)>,
    /// Those among them that left no time to store anything.
    pub(crate) kills: Vec<(u64, u64)>,
    /// Ids that the server gave to two different messages.
    pub(crate) shared_ids: Vec<(usize, usize, usize)>,
    pub(crate) problem: Option<Problem>,
}

impl<'h> Model<'h> {
    /// A violation at these records.
    pub(crate) fn violation(
        &self,
        invariant: Invariant,
        indices: &[usize],
        message: String,
    ) -> Violation {
        let events = indices.iter().map(|index| self.history.place(*index)).collect();
        Violation { invariant, events, message }
    }

    /// Whether the server may have stopped between the two.
    pub(crate) fn stopped(&self, from: u64, to: u64) -> bool {
        self.stops.iter().any(|(start, end)| *end >= from && *start <= to)
    }

    /// Whether the server may have been killed between the two.
    pub(crate) fn killed(&self, from: u64, to: u64) -> bool {
        self.kills.iter().any(|(start, end)| *end >= from && *start <= to)
    }

    /// When the message may have been published at the latest, if it certainly was.
    ///
    /// A message of unknown outcome was published when any of its call was seen.
    pub(crate) fn published_by(&self, message: &Published<'_>) -> Option<Moment> {
        match message.outcome {
            Outcome::Acknowledged(moment) => Some(moment),
            Outcome::Refused(_) => None,
            Outcome::Unknown => self.calls.get(message.call).and_then(|call| call.seen),
        }
    }

    /// Whether an operator may have removed the message there between the two moments.
    pub(crate) fn removed(
        &self,
        message: &Published<'_>,
        subscription: &str,
        from: u64,
        to: u64,
    ) -> bool {
        self.removals.iter().any(|removal| {
            removal.start.at <= to
                && removal.confirmed.is_none_or(|end| end.at >= from)
                && removal.covers(message, subscription)
        })
    }

    /// Whether `later` was certainly sent after `earlier` was: on one connection by the order of
    /// frames, elsewhere by the time that frames need at most.
    pub(crate) fn after(&self, later: &Delivered<'_>, earlier: Confirmed<'_>) -> bool {
        let client = self.history.entries().get(earlier.moment.index);
        let same = client.is_some_and(|entry| entry.record.client == later.client)
            && earlier.connection == Some(later.what.connection.as_str());
        if same {
            later.moment.index > earlier.moment.index
        } else {
            later.moment.at > earlier.moment.at.saturating_add(self.transit)
        }
    }
}
