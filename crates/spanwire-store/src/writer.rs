//! The one thread that writes to an engine: group commit, and the memory of a failure.
//!
//! Batches wait in a bounded queue. The thread takes what is there, up to about [`GROUP_OPERATIONS`] or
//! [`GROUP_BYTES`], applies it as one transaction and answers everybody in the group. A group with a
//! forced batch in it is forced to disk, once; one of lazy batches only is not, until [`UNFORCED_BYTES`]
//! have gathered. There is no artificial delay: while one group is being forced the next one gathers.
//!
//! Groups are numbered, and the number of the last forced one is noted outside of the engine
//! (`folder::witness`), so that the next open knows whether the engine lost any.
//!
//! Batches for which the disk has no room (`space`) are taken out of the group and refused one by one.
//!
//! It checks no other limits and never reads. A group that fails poisons the writer for good: whether the data
//! reached the disk cannot be known, and the operating system may have forgotten it.
//!
//! **Invariant:** every batch is answered exactly once, whatever panics.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use crate::engine::{CompactError, Engine, guarded};
use crate::folder::Witness;
use crate::space::Gate;
use crate::{Batch, Done, Durability, Health, StoreError};

/// The handle to the writer thread. Dropping it writes what is queued, forces it, then ends the thread.
pub(crate) struct Writer {
    /// `None` only while dropping.
    queue: Option<SyncSender<Work>>,
    thread: Option<JoinHandle<()>>,
    poison: Poison,
}

impl Writer {
    /// Starts the thread. At most `queue` batches wait; further ones block before they are queued.
    pub(crate) fn start(
        engine: Arc<dyn Engine>,
        queue: usize,
        gate: Gate,
        groups: Groups,
    ) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(queue);
        let poison = Poison::default();
        let of_thread = Arc::clone(&poison);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(engine.as_ref(), &receiver, &gate, groups, &of_thread))?;
        Ok(Self { queue: Some(sender), thread: Some(thread), poison })
    }

    /// Queues the batch; `done` gets the outcome, at once when the writer is poisoned.
    pub(crate) fn submit(&self, batch: Batch, durability: Durability, done: Done) {
        let answer = Answer { done: Some(done), poison: Arc::clone(&self.poison) };
        if let Err(error) = refuse_poisoned(&self.poison) {
            return answer.give(Err(error));
        }
        if let Some(queue) = &self.queue {
            // A commit that cannot be queued comes back and answers as it is dropped.
            let _ = queue.send(Work::Commit(Commit { batch, durability, answer }));
        }
    }

    /// Compacts the engine when its turn comes; `done` gets the outcome.
    pub(crate) fn compact(&self, done: Done) {
        let answer = Answer { done: Some(done), poison: Arc::clone(&self.poison) };
        if let Some(queue) = &self.queue {
            let _ = queue.send(Work::Compact(answer));
        }
    }

    /// Waits until all that was handed in before is written, and keeps everything else waiting until the
    /// pause is dropped.
    pub(crate) fn pause(&self) -> Pause {
        let (reached, wait) = sync_channel(0);
        let (resume, resumed) = sync_channel(0);
        if let Some(queue) = &self.queue {
            let _ = queue.send(Work::Pause { reached, resumed });
        }
        // An error says that the thread is gone and writes nothing any more.
        let _ = wait.recv();
        Pause { _resume: resume }
    }

    pub(crate) fn health(&self) -> Health {
        match self.poison.get() {
            Some(why) => Health::Poisoned { why: why.clone() },
            None => Health::Healthy,
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Writer {
    /// Writes what is queued, forces it and ends the thread.
    pub(crate) fn stop(&mut self) {
        // Without a sender the thread ends once the queue is empty.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported to the commits already.
            let _ = thread.join();
        }
    }
}

/// Nothing is written while this is there.
pub(crate) struct Pause {
    /// Dropped to resume.
    _resume: SyncSender<()>,
}

enum Work {
    Commit(Commit),
    Compact(Answer),
    Pause { reached: SyncSender<()>, resumed: Receiver<()> },
}

struct Commit {
    batch: Batch,
    durability: Durability,
    answer: Answer,
}

/// Whom to tell. Dropped without a word it says that the writer has stopped, which poisons it.
struct Answer {
    done: Option<Done>,
    poison: Poison,
}

impl Answer {
    fn give(mut self, outcome: Result<(), StoreError>) {
        if let Some(done) = self.done.take() {
            // A caller's panic is not the writer's: the others want their answers.
            let _ = catch_unwind(AssertUnwindSafe(|| done(outcome)));
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            let why =
                self.poison.get_or_init(|| "the writer thread has stopped".to_owned()).clone();
            let _ = catch_unwind(AssertUnwindSafe(|| done(Err(StoreError::Poisoned { why }))));
        }
    }
}

/// What failed first, for as long as the process lives.
type Poison = Arc<OnceLock<String>>;

/// What was written so far.
pub(crate) struct Groups {
    /// Of the last group that was applied.
    number: u64,
    /// The bytes that wait for the next force.
    unforced: usize,
    witness: Witness,
}

impl Groups {
    /// `number` is that of the last group the engine has.
    pub(crate) fn new(number: u64, witness: Witness) -> Self {
        Self { number, unforced: 0, witness }
    }

    /// Applies a group.
    fn write(
        &mut self,
        engine: &dyn Engine,
        group: &[Commit],
        poison: &Poison,
    ) -> Result<(), StoreError> {
        let batches: Vec<&Batch> = group.iter().map(|commit| &commit.batch).collect();
        self.unforced += batches.iter().map(|batch| batch.bytes()).sum::<usize>();
        let is_forced = self.unforced >= UNFORCED_BYTES
            || group.iter().any(|commit| commit.durability == Durability::Forced);
        if batches.iter().any(|batch| !batch.is_empty()) {
            let durability = if is_forced { Durability::Forced } else { Durability::Lazy };
            step(poison, || engine.apply(&batches, self.number + 1, durability))?;
            self.number += 1;
        } else if is_forced {
            step(poison, || engine.force())?;
        }
        if is_forced {
            self.unforced = 0;
            // Where it cannot be noted the witness is behind, which takes nothing from what is on the device.
            let _ = self.witness.note(self.number);
        }
        Ok(())
    }

    /// Forces what is left. Nobody is there to be told of a failure; the next open finds a prefix then, as after a crash.
    fn close(mut self, engine: &dyn Engine, poison: &Poison) {
        if poison.get().is_none() && (self.unforced == 0 || step(poison, || engine.force()).is_ok())
        {
            let _ = self.witness.close(self.number);
        }
    }
}

fn run(
    engine: &dyn Engine,
    queue: &Receiver<Work>,
    gate: &Gate,
    mut groups: Groups,
    poison: &Poison,
) {
    let mut next = queue.recv().ok();
    while let Some(work) = next.take() {
        match work {
            Work::Commit(first) => {
                let group;
                (group, next) = gather(first, queue);
                commit(engine, group, gate, &mut groups, poison);
            }
            Work::Compact(answer) => answer.give(compact(engine, poison)),
            Work::Pause { reached, resumed } => {
                // Both fail only when the one who asked is gone, which ends the pause too.
                if reached.send(()).is_ok() {
                    let _ = resumed.recv();
                }
            }
        }
        next = next.or_else(|| queue.recv().ok());
    }
    groups.close(engine, poison);
}

/// Writes a group and answers everybody in it.
fn commit(
    engine: &dyn Engine,
    group: Vec<Commit>,
    gate: &Gate,
    groups: &mut Groups,
    poison: &Poison,
) {
    let (group, refused) = admit(group, gate, poison);
    for (commit, error) in refused {
        commit.answer.give(Err(error));
    }
    if group.is_empty() {
        return;
    }
    let outcome = groups.write(engine, &group, poison);
    for commit in group {
        commit.answer.give(outcome.clone());
    }
}

fn compact(engine: &dyn Engine, poison: &Poison) -> Result<(), StoreError> {
    refuse_poisoned(poison)?;
    match guarded(|| engine.compact()).unwrap_or_else(|why| Err(CompactError::Failed(why))) {
        Ok(()) => Ok(()),
        Err(CompactError::Unsupported(what)) => Err(StoreError::Unsupported { what }),
        Err(CompactError::Busy) => Err(StoreError::Busy { why: "an export is running" }),
        // It writes too, so this is a write that failed.
        Err(CompactError::Failed(why)) => step(poison, || Err(why)),
    }
}

/// Takes those out of a group for which the disk has no room, or all of it from a poisoned writer.
fn admit(
    group: Vec<Commit>,
    gate: &Gate,
    poison: &Poison,
) -> (Vec<Commit>, Vec<(Commit, StoreError)>) {
    let mut refused = Vec::new();
    let mut admitted = Vec::with_capacity(group.len());
    let mut look = gate.look();
    for commit in group {
        match refuse_poisoned(poison).and_then(|()| look.admit(&commit.batch, commit.durability)) {
            Ok(()) => admitted.push(commit),
            Err(error) => refused.push((commit, error)),
        }
    }
    (admitted, refused)
}

/// Takes the batches that wait in the queue, until the group is large enough or other work comes, which is
/// handed back.
fn gather(first: Commit, queue: &Receiver<Work>) -> (Vec<Commit>, Option<Work>) {
    let mut operations = first.batch.len();
    let mut bytes = first.batch.bytes();
    let mut group = vec![first];
    while operations < GROUP_OPERATIONS && bytes < GROUP_BYTES {
        match queue.try_recv() {
            Ok(Work::Commit(next)) => {
                operations += next.batch.len();
                bytes += next.batch.bytes();
                group.push(next);
            }
            Ok(other) => return (group, Some(other)),
            Err(_) => break,
        }
    }
    (group, None)
}

/// Runs a step of the engine, whose failure poisons. It may panic on damage it finds: nothing of it is
/// used again after that but reads.
fn step(poison: &Poison, work: impl FnOnce() -> Result<(), String>) -> Result<(), StoreError> {
    guarded(work)
        .unwrap_or_else(Err)
        .map_err(|why| StoreError::Poisoned { why: poison.get_or_init(|| why).clone() })
}

fn refuse_poisoned(poison: &Poison) -> Result<(), StoreError> {
    match poison.get() {
        Some(why) => Err(StoreError::Poisoned { why: why.clone() }),
        None => Ok(()),
    }
}

/// A group is closed once it has this many operations …
const GROUP_OPERATIONS: usize = 4096;

/// … or this many bytes; the batch that crosses the line still belongs to it.
const GROUP_BYTES: usize = 1024 * 1024;

/// Lazy groups are forced once this many bytes wait, which bounds what an engine holds back in memory.
const UNFORCED_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
impl Groups {
    /// Those of a new engine, with a witness that nobody reads.
    pub(crate) fn unwitnessed() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = crate::folder::Folder::open(dir.path()).unwrap();
        Self::new(0, folder.start_witness(0).unwrap())
    }
}

#[cfg(test)]
mod tests;
