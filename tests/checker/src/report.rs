//! What the check found.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The rules that are decided here, by the numbers of the reliability programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Invariant {
    /// Nothing acknowledged is lost under the faults its level covers; what may have been
    /// published is published for all or for none.
    I1,
    /// Nothing is delivered that was not published, or not for this receiver, or not any more
    /// (expired, cleared, unsubscribed, taken over); what is delivered is what was published.
    I2,
    /// Ids and offsets name one message each, offsets increase, deliveries come in order.
    I3,
    /// Deliveries and gap receipts together are the published range, without overlap.
    I4,
    /// Repeats are marked, and end with the acknowledgement.
    I5,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A line of a history.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// One rule broken once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub invariant: Invariant,
    /// The events that contradict it or each other.
    pub events: Vec<Place>,
    /// What is wrong, as a sentence.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.message)?;
        for place in &self.events {
            write!(f, "\n    {place}")?;
        }
        Ok(())
    }
}

/// How much the history held; a clean report over nothing proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Lines, notes included.
    pub events: usize,
    /// Messages whose publishing was acknowledged.
    pub acknowledged: usize,
    /// Messages whose publishing was refused.
    pub refused: usize,
    /// Messages of unknown outcome.
    pub unknown: usize,
    /// Subscriptions asked for.
    pub subscriptions: usize,
    /// Deliveries.
    pub deliveries: usize,
    /// Deliveries of a message that the subscription had had before.
    pub repeats: usize,
    /// Gap receipts.
    pub gaps: usize,
    /// Stops of the server.
    pub stops: usize,
    /// Pairs of message and drained subscription that had to be delivered or accounted for.
    pub owed: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} events: {} messages acknowledged, {} refused, {} unknown; {} subscriptions, \
             {} deliveries ({} repeats), {} gaps, {} stops; {} deliveries were owed",
            self.events,
            self.acknowledged,
            self.refused,
            self.unknown,
            self.subscriptions,
            self.deliveries,
            self.repeats,
            self.gaps,
            self.stops,
            self.owed
        )
    }
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What was broken, by invariant and place.
    pub violations: Vec<Violation>,
    /// What was looked at.
    pub counts: Counts,
}

impl Report {
    /// Whether nothing was broken.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// The invariants that were broken, each once, in order.
    pub fn broken(&self) -> Vec<Invariant> {
        let mut broken: Vec<_> = self.violations.iter().map(|one| one.invariant).collect();
        broken.sort_unstable();
        broken.dedup();
        broken
    }
}
