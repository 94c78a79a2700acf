//! The one task that stores: it takes what has come together, gives it to the log as one batch, and makes it visible
//! once that is on disk, in the order in which it came.
//!
//! One batch is under way at a time, and while it is the next one gathers: that is the group commit. Whoever published
//! may be gone when the answer comes; nothing depends on it.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant as Moment, sleep_until};

use super::{Handle, Shared};
use crate::error::PubSubError;
use crate::id::TopicId;
use crate::store::{Change, Durability, StoreError};
use crate::topic::{Admitted, Draft, Outcome, Plan};

/// Something to be stored before somebody is told.
pub(super) enum Op {
    Publish(PublishOp),
    Structural(StructuralOp),
    /// Everything before it, and every acknowledgement.
    Flush(oneshot::Sender<Result<(), PubSubError>>),
    /// The last one.
    Close(oneshot::Sender<Result<(), PubSubError>>),
}

pub(super) struct PublishOp {
    pub(super) handle: Arc<Handle>,
    pub(super) drafts: Vec<Draft>,
    pub(super) reply: oneshot::Sender<Result<Vec<Outcome>, PubSubError>>,
    pub(super) started: Instant,
    /// Room in the queue, for as long as the messages are in it.
    pub(super) _room: OwnedSemaphorePermit,
}

/// A change of what there is. It is decided on when its turn has come, so that it sees what was before it.
pub(super) struct StructuralOp {
    pub(super) prepare: Prepare,
    pub(super) reply: oneshot::Sender<Result<(), PubSubError>>,
}

/// Decides on a change when its turn has come: what has to be stored, and what makes it visible.
type Prepare = Box<dyn FnOnce() -> Result<(Vec<Change>, Apply), PubSubError> + Send>;

/// What makes a change visible.
pub(super) type Apply = Box<dyn FnOnce() + Send>;

impl Op {
    /// What it comes to in a batch, about.
    fn bytes(&self) -> usize {
        match self {
            Self::Publish(op) => op.drafts.iter().map(|draft| draft.message.weight()).sum(),
            _ => 0,
        }
    }
}

impl Shared {
    /// Makes a change of what there is: prepared in its turn, stored, applied.
    pub(super) async fn structural<A: FnOnce() + Send + 'static>(
        &self,
        prepare: impl FnOnce() -> Result<(Vec<Change>, A), PubSubError> + Send + 'static,
    ) -> Result<(), PubSubError> {
        let (reply, answer) = oneshot::channel();
        let prepare =
            Box::new(move || prepare().map(|(changes, apply)| (changes, Box::new(apply) as Apply)));
        self.give(Op::Structural(StructuralOp { prepare, reply })).await?;
        answer.await.unwrap_or(Err(PubSubError::Closed))
    }

    pub(super) async fn flush(&self) -> Result<(), PubSubError> {
        let (reply, answer) = oneshot::channel();
        self.give(Op::Flush(reply)).await?;
        answer.await.unwrap_or(Err(PubSubError::Closed))
    }

    pub(super) async fn give(&self, op: Op) -> Result<(), PubSubError> {
        if self.is_closing() && !matches!(op, Op::Close(_)) {
            return Err(PubSubError::Closed);
        }
        if let Some(why) = self.failed.get() {
            return Err(PubSubError::Store(why.clone()));
        }
        self.ops.send(op).await.map_err(|_| PubSubError::Closed)
    }
}

pub(super) struct Committer {
    /// It does not keep the broker: once nobody else has it, there is nothing more to store.
    shared: Weak<Shared>,
    dirty_wake: Arc<Notify>,
    ops: mpsc::Receiver<Op>,
    /// Taken from the queue, and to be done by itself.
    next: Option<Op>,
    /// Changes that the log has refused for want of room, to be tried again.
    kept: Vec<Change>,
    /// When what nobody waits for is stored, if nothing else is before.
    lazy_at: Option<Moment>,
    /// When what was stored lazily has to be forced.
    force_at: Option<Moment>,
}

/// A batch of publications that are not stored yet.
#[derive(Default)]
struct Group {
    plans: HashMap<TopicId, Plan>,
    admitted: Vec<(PublishOp, Admitted)>,
    changes: Vec<Change>,
    flushes: Vec<oneshot::Sender<Result<(), PubSubError>>>,
}

impl Committer {
    /// `kept` is what has to be stored before anything else.
    pub(super) fn new(shared: &Arc<Shared>, ops: mpsc::Receiver<Op>, kept: Vec<Change>) -> Self {
        let dirty_wake = Arc::clone(&shared.dirty_wake);
        let shared = Arc::downgrade(shared);
        Self { shared, dirty_wake, ops, next: None, kept, lazy_at: None, force_at: None }
    }

    pub(super) async fn run(mut self) {
        loop {
            let wake = self.wait().await;
            let Some(shared) = self.shared.upgrade() else { return };
            match wake {
                Wake::Op(Op::Close(reply)) => {
                    let now = shared.clock.now();
                    for handle in shared.handles() {
                        shared.with(&handle, |topic| topic.stop(now));
                    }
                    let result = self.store(&shared, Vec::new(), Durability::Forced).await;
                    self.ops.close();
                    // Whoever closes may have given up.
                    drop(reply.send(result));
                    return;
                }
                Wake::Op(Op::Structural(op)) => self.restructure(&shared, op).await,
                Wake::Op(op) => self.publish(&shared, op).await,
                Wake::Dirty => {
                    let at = Moment::now() + shared.settings.lazy_pause;
                    self.lazy_at.get_or_insert(at);
                }
                // The changes are tried again with the next batch if they fail now.
                Wake::Lazy => drop(self.store(&shared, Vec::new(), Durability::Lazy).await),
                Wake::Force => drop(self.store(&shared, Vec::new(), Durability::Forced).await),
                Wake::Closed => return,
            }
        }
    }

    /// What is due goes before what has come: however much is published, acknowledgements are stored.
    async fn wait(&mut self) -> Wake {
        if let Some(op) = self.next.take() {
            return Wake::Op(op);
        }
        let until = |at: Option<Moment>| async move {
            match at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = until(self.lazy_at) => Wake::Lazy,
            () = until(self.force_at) => Wake::Force,
            () = self.dirty_wake.notified(), if self.lazy_at.is_none() => Wake::Dirty,
            op = self.ops.recv() => op.map_or(Wake::Closed, Wake::Op),
        }
    }

    async fn restructure(&mut self, shared: &Shared, op: StructuralOp) {
        let result = match (op.prepare)() {
            Ok((changes, apply)) => {
                let durability =
                    if changes.is_empty() { Durability::Lazy } else { Durability::Forced };
                let stored = self.store(shared, changes, durability).await;
                if stored.is_ok() {
                    apply();
                }
                stored
            }
            Err(error) => Err(error),
        };
        // The caller may have given up; the change holds all the same.
        drop(op.reply.send(result));
    }

    async fn publish(&mut self, shared: &Arc<Shared>, first: Op) {
        let mut group = Group::default();
        let mut bytes = admit(shared, &mut group, first);
        let mut count = 1;
        while count < GROUP && bytes < GROUP_BYTES && self.next.is_none() {
            let Ok(op) = self.ops.try_recv() else { break };
            if matches!(op, Op::Structural(_) | Op::Close(_)) {
                self.next = Some(op);
                break;
            }
            if bytes + op.bytes() > GROUP_BYTES {
                // What is large goes alone: should the log refuse it, nobody else is.
                self.next = Some(op);
                break;
            }
            bytes += admit(shared, &mut group, op);
            count += 1;
        }
        let Group { admitted, changes, flushes, .. } = group;
        let forced = !changes.is_empty() || !flushes.is_empty();
        let stored = match forced {
            true if flushes.is_empty() && !self.is_lazy_due() => {
                self.store_alone(shared, changes).await
            }
            true => self.store(shared, changes, Durability::Forced).await,
            // A message whose fate is not known may have the next offset already.
            false => shared.failed.get().map_or(Ok(()), |why| Err(PubSubError::Store(why.clone()))),
        };
        for (op, admitted) in admitted {
            let answer = match &stored {
                Ok(()) => Ok(show(shared, &op, admitted)),
                Err(error) => Err(error.clone()),
            };
            // The publisher may have given up.
            drop(op.reply.send(answer));
        }
        let flushed = match &stored {
            // What nobody publishes may get through where messages do not.
            Err(PubSubError::DiskFull | PubSubError::TooLarge { .. }) if !flushes.is_empty() => {
                self.store(shared, Vec::new(), Durability::Forced).await
            }
            _ => stored,
        };
        flushes.into_iter().for_each(|reply| drop(reply.send(flushed.clone())));
        shared.trim_cache();
    }

    fn is_lazy_due(&self) -> bool {
        self.lazy_at.is_some_and(|at| at <= Moment::now())
    }

    /// Refuses when the log has failed: what it has is not known, and it is not asked again.
    fn check_log(&mut self, shared: &Shared) -> Result<(), PubSubError> {
        let Some(why) = shared.failed.get() else { return Ok(()) };
        self.lazy_at = None;
        self.force_at = None;
        Err(PubSubError::Store(why.clone()))
    }

    /// Stores what somebody waits for. Everything else has its own time: how far a thousand subscriptions are need not
    /// be in each of a thousand groups a second.
    async fn store_alone(
        &mut self,
        shared: &Shared,
        changes: Vec<Change>,
    ) -> Result<(), PubSubError> {
        self.check_log(shared)?;
        self.commit(shared, Vec::new(), changes, Durability::Forced).await
    }

    /// Stores changes together with everything that nobody waits for.
    async fn store(
        &mut self,
        shared: &Shared,
        changes: Vec<Change>,
        durability: Durability,
    ) -> Result<(), PubSubError> {
        self.check_log(shared)?;
        self.lazy_at = None;
        let mut batch = std::mem::take(&mut self.kept);
        collect(shared, &mut batch);
        // A million deletes need not be one batch.
        while let Some(length) = part_of(&batch) {
            let rest = batch.split_off(length);
            let part = std::mem::replace(&mut batch, rest);
            if let Err(error) = self.commit(shared, part, Vec::new(), Durability::Lazy).await {
                // What was not even tried must not be forgotten either.
                self.kept.append(&mut batch);
                return Err(error);
            }
        }
        self.commit(shared, batch, changes, durability).await
    }

    /// Stores what nobody waits for together with what somebody does.
    async fn commit(
        &mut self,
        shared: &Shared,
        mut batch: Vec<Change>,
        changes: Vec<Change>,
        durability: Durability,
    ) -> Result<(), PubSubError> {
        let lazy = batch.len();
        batch.extend(changes);
        if batch.is_empty() && durability == Durability::Lazy {
            return Ok(());
        }
        // What was refused for want of room must not be forgotten. Only then is a copy needed, and only of that.
        let keep: Vec<Change> = batch.iter().take(lazy).cloned().collect();
        let has_more = batch.len() > lazy;
        let mut result = shared.store.commit(batch, durability).await;
        if let Err(StoreError::TooLarge { size, limit }) = result
            && has_more
        {
            // Nothing is applied, and the log is well: what goes along with it every time is not what is too large.
            if lazy > 0 {
                self.kept = keep;
                self.lazy_at = Some(Moment::now());
            }
            return Err(PubSubError::TooLarge { size, limit });
        }
        if result == Err(StoreError::Full) {
            if lazy > 0 {
                self.kept = keep;
            }
            if has_more && lazy > 0 {
                // Acknowledgements have to get through, or no room would ever be made.
                match shared.store.commit(self.kept.clone(), Durability::Lazy).await {
                    Ok(()) => {
                        self.kept.clear();
                        self.lazily_stored();
                    }
                    Err(StoreError::Full) => {}
                    Err(error) => result = Err(error),
                }
            }
        }
        match result {
            Ok(()) if durability == Durability::Forced => self.force_at = None,
            Ok(()) => self.lazily_stored(),
            Err(StoreError::Full) => {
                shared.want_room();
                // Not at once: room has to be made first.
                let again = Moment::now() + FORCE_AFTER;
                if !self.kept.is_empty() {
                    self.lazy_at = Some(again);
                }
                self.force_at = self.force_at.map(|at| at.max(again));
                return Err(PubSubError::DiskFull);
            }
            Err(error) => {
                let why = shared.failed.get_or_init(|| error.to_string());
                tracing::error!(%why, "the message log has failed; nothing is published any more");
                return Err(PubSubError::Store(why.clone()));
            }
        }
        Ok(())
    }

    fn lazily_stored(&mut self) {
        let at = Moment::now() + FORCE_AFTER;
        self.force_at = Some(self.force_at.map_or(at, |before| before.min(at)));
    }
}

/// Decides on a publication; tells how much it comes to.
fn admit(shared: &Arc<Shared>, group: &mut Group, op: Op) -> usize {
    let mut op = match op {
        Op::Publish(op) => op,
        Op::Flush(reply) => {
            group.flushes.push(reply);
            return 0;
        }
        Op::Structural(_) | Op::Close(_) => return 0,
    };
    let drafts = std::mem::take(&mut op.drafts);
    let (now, limit) = (shared.clock.now(), shared.settings.memory_bytes);
    let admitted = shared.with(&op.handle, |topic| {
        let plan = group.plans.entry(topic.id).or_insert_with(|| topic.plan());
        topic.admit(plan, drafts, now, limit)
    });
    match admitted {
        Ok((admitted, changes)) => {
            let bytes = admitted.bytes();
            group.changes.extend(changes);
            group.admitted.push((op, admitted));
            bytes
        }
        Err(error) => {
            drop(op.reply.send(Err(error)));
            0
        }
    }
}

fn show(shared: &Arc<Shared>, op: &PublishOp, mut admitted: Admitted) -> Vec<Outcome> {
    let outcomes = std::mem::take(&mut admitted.outcomes);
    let took = op.started.elapsed();
    admitted.messages().for_each(|message| shared.observer.published(message, took));
    let keep = shared.cached.load(Ordering::Relaxed) < shared.settings.cache_bytes;
    let kept = shared.with(&op.handle, |topic| topic.apply(admitted, keep));
    shared.note_cached(&op.handle, kept);
    outcomes
}

/// Takes from all topics what has to be stored.
fn collect(shared: &Shared, batch: &mut Vec<Change>) {
    let dirty = std::mem::take(&mut *shared.dirty.lock().unwrap_or_else(PoisonError::into_inner));
    for handle in dirty {
        handle.is_dirty.store(false, Ordering::Release);
        batch.append(&mut handle.lock().take_changes());
    }
}

/// How many of these changes are stored at once, where that is not all of them.
fn part_of(batch: &[Change]) -> Option<usize> {
    let mut bytes = 0;
    let fits = |change: &&Change| {
        bytes += change.bytes();
        bytes <= LAZY_BYTES
    };
    let length = batch.iter().take(LAZY_BATCH).take_while(fits).count().max(1);
    (length < batch.len()).then_some(length)
}

enum Wake {
    Op(Op),
    Dirty,
    Lazy,
    Force,
    Closed,
}

/// A group is closed once it has this many publications …
const GROUP: usize = 4096;
/// … or this many bytes.
const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// How many changes that nobody waits for are stored at once.
const LAZY_BATCH: usize = 20_000;
/// … and how many bytes of them: with the largest publication it is less than a log takes.
const LAZY_BYTES: usize = 4 * 1024 * 1024;
/// What was stored lazily is forced after this time at the latest: with the pause before, within a second.
const FORCE_AFTER: std::time::Duration = std::time::Duration::from_millis(750);
