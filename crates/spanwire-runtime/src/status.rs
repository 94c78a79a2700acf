//! How the running server stands to each object, for whoever asks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use spanwire_admin::ObjectStatus;
use spanwire_channel::clock;
use spanwire_config::{Object, Snapshot};
use spanwire_protocol::admin::{Event, ObjectState, StateEvent};

use crate::events::Events;

/// The status of every object that is not simply running since it was changed.
#[derive(Debug)]
pub(crate) struct Statuses {
    known: RwLock<HashMap<u64, ObjectStatus>>,
    events: Events,
}

impl Statuses {
    pub(crate) fn new(events: Events) -> Self {
        Self { known: RwLock::default(), events }
    }

    /// The status of an object; one that was never put to work is not in force.
    pub(crate) fn of(&self, id: u64) -> ObjectStatus {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&id).cloned().unwrap_or_else(|| ObjectStatus {
            state: ObjectState::Inactive,
            error: None,
            since: clock::timestamp(),
        })
    }

    pub(crate) fn failed(&self) -> usize {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().filter(|status| status.state == ObjectState::Failed).count()
    }

    /// Notes what came of putting objects to work.
    pub(crate) fn record(
        &self,
        ids: &BTreeSet<u64>,
        target: &Arc<Snapshot>,
        failed: &BTreeMap<u64, String>,
    ) {
        let now = clock::timestamp();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            let Some((object, _)) = target.by_id(*id) else {
                known.remove(id);
                continue;
            };
            let error = failed.get(id);
            let state = if error.is_some() { ObjectState::Failed } else { working(object) };
            let before = known.get(id);
            if before.is_some_and(|before| before.state == state && before.error.as_ref() == error)
            {
                continue;
            }
            if let Some(error) = error {
                let (kind, name) = (object.kind().as_str(), object.name());
                tracing::error!(
                    kind,
                    name,
                    error,
                    "object cannot be put to work, it is tried again"
                );
            }
            if before.is_some() || error.is_some() {
                self.events.send(|| {
                    Event::State(StateEvent {
                        kind: object.kind().as_str().to_owned(),
                        id: *id,
                        name: object.name(),
                        state,
                        error: error.cloned(),
                        since: now,
                    })
                });
            }
            known.insert(*id, ObjectStatus { state, error: error.cloned(), since: now });
        }
    }
}

/// The state of an object that did not fail.
fn working(object: &Object) -> ObjectState {
    if object.is_active() { ObjectState::Running } else { ObjectState::Inactive }
}
