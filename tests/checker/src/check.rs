//! The decision: one module per kind of rule, each on the same model.
//!
//! A rule reports only what no correct server could have shown to these clients. A defect is
//! reported under one invariant, the one that names it best, though a broken server often breaks
//! several at once.

mod content;
mod gaps;
mod identity;
mod inversions;
mod late;
mod loss;
mod order;
mod repeats;

use crate::history::History;
use crate::model::{Model, Outcome};
use crate::report::{Counts, Report};

/// Decides I1 to I5 for the history.
pub fn check(history: &History) -> Report {
    let model = Model::build(history);
    let mut violations = Vec::new();
    identity::check(&model, &mut violations);
    content::check(&model, &mut violations);
    late::check(&model, &mut violations);
    order::check(&model, &mut violations);
    gaps::check(&model, &mut violations);
    let repeats = repeats::check(&model, &mut violations);
    let owed = loss::check(&model, &mut violations);
    violations.sort_by(|a, b| (a.invariant, &a.events).cmp(&(b.invariant, &b.events)));
    Report { violations, counts: counts(history, &model, repeats, owed) }
}

fn counts(history: &History, model: &Model<'_>, repeats: usize, owed: usize) -> Counts {
    let mut counts = Counts {
        events: history.len() + history.notes().count(),
        subscriptions: model.subscriptions.len(),
        deliveries: model.deliveries.len(),
        gaps: model.subscriptions.iter().map(|one| one.gaps.len()).sum(),
        stops: model.stops.len(),
        repeats,
        owed,
        ..Counts::default()
    };
    for message in &model.messages {
        match message.outcome {
            Outcome::Acknowledged(_) => counts.acknowledged += 1,
            Outcome::Refused(_) => counts.refused += 1,
            Outcome::Unknown => counts.unknown += 1,
        }
    }
    counts
}
