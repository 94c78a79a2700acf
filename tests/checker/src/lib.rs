//! The offline history checker: decides from what clients saw whether publish/subscribe kept its
//! promise (invariants I1 to I5 of the reliability programme).
//!
//! A harness records with a [`Recorder`], [`History::open`] reads the files, [`check()`] decides.
//! The checker knows nothing of the server: it sees calls as intervals in which something may
//! have happened, and reports only what no correct server could have shown.
//!
//! Invariant: a right history is never reported. Where the clients cannot know, for instance
//! between the start and the end of a call, both outcomes are right.

mod check;
mod error;
mod event;
mod history;
mod model;
mod recorder;
mod report;
pub mod simulation;

pub use check::check;
pub use error::HistoryError;
pub use event::{
    Cause, Delivery, Event, Gap, Level, Message, OperatorAction, Position, Published, Record, Stop,
};
pub use history::History;
pub use recorder::{Recorder, RecordingClient};
pub use report::{Counts, Invariant, Place, Report, Violation};
