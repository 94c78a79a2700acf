//! The one thread that writes to an engine: group commit, and the memory of a failure.
//!
//! Commits wait in a bounded queue. The thread takes what is there, up to about [`GROUP_OPERATIONS`] or
//! [`GROUP_BYTES`], applies it as one transaction, forces it to disk once and answers everybody in the
//! group. There is no artificial delay: while one group is being forced the next one gathers.
//!
//! It checks no limits and never reads. A group that fails poisons the writer for good: whether the data
//! reached the disk cannot be known, and the operating system may have forgotten it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use crate::engine::{Engine, panic_text};
use crate::{Batch, Health, StoreError};

/// The handle to the writer thread. Dropping it writes what is queued, then ends the thread.
pub(crate) struct Writer {
    /// `None` only while dropping.
    queue: Option<SyncSender<Commit>>,
    thread: Option<JoinHandle<()>>,
    poison: Poison,
}

impl Writer {
    /// Starts the thread. At most `queue` commits wait; further ones block before they are queued.
    pub(crate) fn start(engine: Arc<dyn Engine>, queue: usize) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(queue);
        let poison = Poison::default();
        let of_thread = Arc::clone(&poison);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(engine.as_ref(), &receiver, &of_thread))?;
        Ok(Self { queue: Some(sender), thread: Some(thread), poison })
    }

    /// Queues the batch and waits until it is forced to disk.
    pub(crate) fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.enqueue(batch)?.recv().unwrap_or_else(|_| Err(self.stopped()))
    }

    /// Queues the batch; the answer comes through the receiver.
    fn enqueue(&self, batch: Batch) -> Result<Receiver<Answer>, StoreError> {
        refuse_poisoned(&self.poison)?;
        let (done, answer) = sync_channel(1);
        let queue = self.queue.as_ref().ok_or_else(|| self.stopped())?;
        queue.send(Commit { batch, done }).map_err(|_| self.stopped())?;
        Ok(answer)
    }

    pub(crate) fn health(&self) -> Health {
        match self.poison.get() {
            Some(why) => Health::Poisoned { why: why.clone() },
            None => Health::Healthy,
        }
    }

    /// Poisons a writer whose thread is gone, which happens to no other.
    fn stopped(&self) -> StoreError {
        let why = self.poison.get_or_init(|| "the writer thread has stopped".to_owned());
        StoreError::Poisoned { why: why.clone() }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Without a sender the thread ends once the queue is empty.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported to the commits already.
            let _ = thread.join();
        }
    }
}

struct Commit {
    batch: Batch,
    done: SyncSender<Answer>,
}

type Answer = Result<(), StoreError>;

/// What failed first, for as long as the process lives.
type Poison = Arc<OnceLock<String>>;

fn run(engine: &dyn Engine, queue: &Receiver<Commit>, poison: &Poison) {
    while let Ok(first) = queue.recv() {
        let group = gather(first, queue);
        let mut answer = refuse_poisoned(poison);
        if answer.is_ok()
            && let Err(why) = write(engine, &group)
        {
            let why = poison.get_or_init(|| why).clone();
            answer = Err(StoreError::Poisoned { why });
        }
        for commit in group {
            // Nobody waits any more where a caller's thread is gone.
            let _ = commit.done.send(answer.clone());
        }
    }
}

/// Takes what waits in the queue, until the group is large enough.
fn gather(first: Commit, queue: &Receiver<Commit>) -> Vec<Commit> {
    let mut operations = first.batch.len();
    let mut bytes = first.batch.bytes();
    let mut group = vec![first];
    while operations < GROUP_OPERATIONS && bytes < GROUP_BYTES {
        let Ok(next) = queue.try_recv() else { break };
        operations += next.batch.len();
        bytes += next.batch.bytes();
        group.push(next);
    }
    group
}

fn write(engine: &dyn Engine, group: &[Commit]) -> Result<(), String> {
    let batches: Vec<&Batch> = group.iter().map(|commit| &commit.batch).collect();
    // The engine may panic on damage it finds. Nothing of it is used again after that but reads.
    catch_unwind(AssertUnwindSafe(|| {
        engine.apply(&batches)?;
        engine.force()
    }))
    .unwrap_or_else(|payload| Err(panic_text(payload.as_ref())))
}

fn refuse_poisoned(poison: &Poison) -> Result<(), StoreError> {
    match poison.get() {
        Some(why) => Err(StoreError::Poisoned { why: why.clone() }),
        None => Ok(()),
    }
}

/// A group is closed once it has this many operations …
const GROUP_OPERATIONS: usize = 4096;

/// … or this many bytes; the commit that crosses the line still belongs to it.
const GROUP_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests;
