//! What is due by itself: expiry, leases, pauses, subscribers who stay away. Sleeps until the next moment; an idle broker
//! wakes nobody.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::Shared;
use crate::id::TopicId;

#[derive(Default)]
pub(super) struct Timer {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    by_time: BTreeSet<(i64, TopicId)>,
    by_topic: HashMap<TopicId, i64>,
}

impl Timer {
    /// Looks at a topic at this moment, or earlier if that was asked for before.
    pub(super) fn set(&self, topic: TopicId, at: i64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.by_topic.get(&topic).is_some_and(|known| *known <= at) {
            return;
        }
        let is_first = state.by_time.first().is_none_or(|(first, _)| at < *first);
        if let Some(former) = state.by_topic.insert(topic, at) {
            state.by_time.remove(&(former, topic));
        }
        state.by_time.insert((at, topic));
        drop(state);
        if is_first {
            self.wake.notify_one();
        }
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) fn next(&self) -> Option<i64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.by_time.first().map(|(at, _)| *at)
    }

    fn take_due(&self, now: i64) -> Option<TopicId> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, topic) = state.by_time.first().copied().filter(|(at, _)| *at <= now)?;
        state.by_time.remove(&(at, topic));
        state.by_topic.remove(&topic);
        Some(topic)
    }
}

/// Runs as long as the broker does.
pub(super) async fn run(broker: Weak<Shared>, timer: Arc<Timer>) {
    let mut away = tokio::time::interval(AWAY_EVERY);
    away.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    away.tick().await;
    // Beside the timer: it calls hooks, which take their time.
    let mut chores: Option<tokio::task::JoinHandle<()>> = None;
    loop {
        let Some(shared) = broker.upgrade().filter(|it| !it.is_closing()) else { return };
        let clock = Arc::clone(&shared.clock);
        while let Some(topic) = timer.take_due(clock.now().monotonic) {
            if let Some(handle) = shared.handle(topic) {
                shared.with(&handle, |topic| topic.tick(clock.now()));
            }
        }
        let is_at_leisure = chores.as_ref().is_none_or(tokio::task::JoinHandle::is_finished);
        if is_at_leisure && shared.takes_wish_for_room() {
            let shared = Arc::clone(&shared);
            chores = Some(tokio::spawn(async move { shared.give_space_back().await }));
        }
        // A broker that nobody has any more is not kept by its timer.
        drop(shared);
        let next = timer.next();
        let due = async {
            match next {
                // Not more often than that, whatever is asked for.
                Some(at) => {
                    let at = clock.instant(at).max(tokio::time::Instant::now() + LEAST);
                    tokio::time::sleep_until(at).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = timer.wake.notified() => {}
            _ = away.tick() => {
                if let Some(shared) = broker.upgrade()
                    && is_at_leisure
                {
                    chores = Some(tokio::spawn(async move {
                        shared.end_inactive().await;
                        shared.give_space_back_if_idle().await;
                    }));
                }
            }
        }
    }
}

/// How often it is looked for subscribers who stay away.
const AWAY_EVERY: Duration = Duration::from_secs(30);
const LEAST: Duration = Duration::from_millis(1);
