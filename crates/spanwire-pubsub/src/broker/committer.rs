//! The one task that stores: it takes what has come together, gives it to the log as one batch, and makes it visible
//! once that is on disk, in the order in which it came.
//!
//! One batch is under way at a time, and while it is the next one gathers: that is the group commit. Whoever published
//! may be gone when the answer comes; nothing depends on it.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

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
        if let Some(why) = self.failed.get() {
            return Err(PubSubError::Store(why.clone()));
        }
        self.ops.send(op).await.map_err(|_| PubSubError::Closed)
    }
}

pub(super) struct Committer {
    shared: Arc<Shared>,
    ops: mpsc::Receiver<Op>,
    /// Taken from the queue, and to be done by itself.
    next: Option<Op>,
    /// Changes that the log has refused for want of room, to be tried again.
    kept: Vec<Change>,
    /// When what nobody waits for is stored, if nothing else is before.
    lazy_at: Option<tokio::time::Instant>,
    /// When what was stored lazily has to be forced.
    force_at: Option<tokio::time::Instant>,
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
    pub(super) fn new(shared: Arc<Shared>, ops: mpsc::Receiver<Op>) -> Self {
        Self { shared, ops, next: None, kept: Vec::new(), lazy_at: None, force_at: None }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.wait().await {
                Wake::Op(Op::Close(reply)) => {
                    let result = self.store(Vec::new(), Durability::Forced).await;
                    self.ops.close();
                    // Whoever closes may have given up.
                    drop(reply.send(result));
                    return;
                }
                Wake::Op(Op::Structural(op)) => self.restructure(op).await,
                Wake::Op(op) => self.publish(op).await,
                // A publication that comes meanwhile takes it along.
                Wake::Dirty => {
                    let at = tokio::time::Instant::now() + self.shared.settings.lazy_pause;
                    self.lazy_at.get_or_insert(at);
                }
                Wake::Lazy => self.store_lazily().await,
                Wake::Force => drop(self.store(Vec::new(), Durability::Forced).await),
                Wake::Closed => return,
            }
        }
    }

    async fn wait(&mut self) -> Wake {
        if let Some(op) = self.next.take() {
            return Wake::Op(op);
        }
        let until = |at: Option<tokio::time::Instant>| async move {
            match at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            op = self.ops.recv() => op.map_or(Wake::Closed, Wake::Op),
            () = self.shared.dirty_wake.notified(), if self.lazy_at.is_none() => Wake::Dirty,
            () = until(self.lazy_at) => Wake::Lazy,
            () = until(self.force_at) => Wake::Force,
        }
    }

    async fn restructure(&mut self, op: StructuralOp) {
        let result = match (op.prepare)() {
            Ok((changes, apply)) => {
                let durability =
                    if changes.is_empty() { Durability::Lazy } else { Durability::Forced };
                let stored = self.store(changes, durability).await;
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

    async fn publish(&mut self, first: Op) {
        let mut group = Group::default();
        let mut bytes = self.admit(&mut group, first);
        let mut count = 1;
        while count < GROUP && bytes < GROUP_BYTES && self.next.is_none() {
            let Ok(op) = self.ops.try_recv() else { break };
            if matches!(op, Op::Structural(_) | Op::Close(_)) {
                self.next = Some(op);
                break;
            }
            bytes += self.admit(&mut group, op);
            count += 1;
        }
        let Group { admitted, changes, flushes, .. } = group;
        let forced = !changes.is_empty() || !flushes.is_empty();
        let stored = match forced {
            true => self.store(changes, Durability::Forced).await,
            false => Ok(()),
        };
        for (op, admitted) in admitted {
            let answer = match &stored {
                Ok(()) => Ok(self.show(&op, admitted)),
                Err(error) => Err(error.clone()),
            };
            // The publisher may have given up.
            drop(op.reply.send(answer));
        }
        flushes.into_iter().for_each(|reply| drop(reply.send(stored.clone())));
        self.shared.trim_cache();
    }

    /// Decides on a publication; tells how much it comes to.
    fn admit(&self, group: &mut Group, op: Op) -> usize {
        let mut op = match op {
            Op::Publish(op) => op,
            Op::Flush(reply) => {
                group.flushes.push(reply);
                return 0;
            }
            Op::Structural(_) | Op::Close(_) => return 0,
        };
        let drafts = std::mem::take(&mut op.drafts);
        let (now, limit) = (self.shared.clock.now(), self.shared.settings.memory_bytes);
        let admitted = self.shared.with(&op.handle, |topic| {
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

    fn show(&self, op: &PublishOp, mut admitted: Admitted) -> Vec<Outcome> {
        let shared = &self.shared;
        let outcomes = std::mem::take(&mut admitted.outcomes);
        let took = op.started.elapsed();
        admitted.messages().for_each(|message| shared.observer.published(message, took));
        let keep = shared.cached.load(Ordering::Relaxed) < shared.settings.cache_bytes;
        let offsets: Vec<u64> = admitted.offsets().collect();
        let kept = shared.with(&op.handle, |topic| topic.apply(admitted, keep));
        if kept > 0 {
            shared.note_cached(&op.handle, &offsets, kept);
        }
        outcomes
    }

    async fn store_lazily(&mut self) {
        // The changes are tried again with the next batch if they fail now.
        drop(self.store(Vec::new(), Durability::Lazy).await);
    }

    /// Stores changes together with everything that nobody waits for.
    async fn store(
        &mut self,
        changes: Vec<Change>,
        durability: Durability,
    ) -> Result<(), PubSubError> {
        self.lazy_at = None;
        let mut batch = std::mem::take(&mut self.kept);
        self.collect(&mut batch);
        // A million deletes need not be one batch.
        while batch.len() > LAZY_BATCH {
            let rest = batch.split_off(LAZY_BATCH);
            let part = std::mem::replace(&mut batch, rest);
            self.commit(part, Vec::new(), Durability::Lazy).await?;
        }
        self.commit(batch, changes, durability).await
    }

    /// Stores what nobody waits for together with what somebody does.
    async fn commit(
        &mut self,
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
        match self.shared.store.commit(batch, durability).await {
            Ok(()) => {
                self.force_at = match durability {
                    Durability::Forced => None,
                    Durability::Lazy => {
                        let at = tokio::time::Instant::now() + FORCE_AFTER;
                        Some(self.force_at.map_or(at, |before| before.min(at)))
                    }
                };
                Ok(())
            }
            Err(StoreError::Full) => {
                self.kept = keep;
                if lazy > 0 {
                    // Acknowledgements have to get through, or no room would ever be made.
                    self.store_kept().await;
                }
                Err(PubSubError::DiskFull)
            }
            Err(error) => {
                let why = self.shared.failed.get_or_init(|| error.to_string());
                tracing::error!(%why, "the message log has failed; nothing is published any more");
                Err(PubSubError::Store(why.clone()))
            }
        }
    }

    async fn store_kept(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        if let Err(StoreError::Full) =
            self.shared.store.commit(kept.clone(), Durability::Lazy).await
        {
            self.kept = kept;
        }
    }

    /// Takes from all topics what has to be stored.
    fn collect(&self, batch: &mut Vec<Change>) {
        let dirty =
            std::mem::take(&mut *self.shared.dirty.lock().unwrap_or_else(PoisonError::into_inner));
        for handle in dirty {
            handle.is_dirty.store(false, Ordering::Release);
            batch.append(&mut handle.lock().take_changes());
        }
    }
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
/// What nobody waits for is on disk after this time at the latest.
const FORCE_AFTER: std::time::Duration = std::time::Duration::from_secs(1);
