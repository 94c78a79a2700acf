//! A simulated disk: it knows what is written from what is synced, and fails when it is told to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::id::TopicId;
use crate::message::StoredMessage;
use crate::store::memory::State;
use crate::store::{BoxFuture, Change, Durability, MessageStore, Record, StoreError};

#[derive(Clone, Debug, Default)]
pub(super) struct SimStore(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
pub(super) struct Disk {
    /// What the process sees.
    live: State,
    /// What a power loss leaves.
    synced: State,
    /// Batches behind that, oldest first, and the number of the first.
    written: Vec<Vec<Change>>,
    first: usize,
    pub(super) delay: Duration,
    pub(super) is_full: bool,
    /// What it takes.
    pub(super) bytes: u64,
    pub(super) compactions: usize,
    /// The most bytes of a batch; 0 is any number.
    pub(super) batch_limit: usize,
    /// The next commit fails, and with it all later ones.
    pub(super) fails: bool,
    /// Every read fails.
    pub(super) read_fails: bool,
    failed: bool,
    pub(super) commits: usize,
    /// Commits that were asked for after one had failed.
    pub(super) after_failure: usize,
}

impl SimStore {
    pub(super) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk after a power loss: what was synced and as many of the batches behind it as are given.
    pub(super) fn after_crash(&self, keep: usize) -> Self {
        let disk = self.disk();
        let mut state = disk.synced.clone();
        for batch in disk.written.iter().take(keep) {
            batch.iter().for_each(|change| state.apply(change.clone()));
        }
        Self::of(state)
    }

    fn of(state: State) -> Self {
        let disk = Disk { live: state.clone(), synced: state, ..Disk::default() };
        Self(Arc::new(Mutex::new(disk)))
    }

    /// How many batches a crash may lose.
    pub(super) fn unsynced(&self) -> usize {
        self.disk().written.len()
    }

    pub(super) fn records(&self) -> Vec<Record> {
        let mut all = Vec::new();
        self.disk().live.visit(&mut |record| all.push(record));
        all
    }

    /// Whether nobody else has it any more.
    pub(super) fn is_let_go(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl MessageStore for SimStore {
    fn load(&self, visit: &mut dyn FnMut(Record)) -> Result<(), StoreError> {
        let state = self.disk().live.clone();
        state.visit(visit);
        Ok(())
    }

    fn commit(
        &self,
        batch: Vec<Change>,
        durability: Durability,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        let failure = StoreError::Failed("the flush failed".to_owned());
        let mut disk = self.disk();
        disk.commits += 1;
        if disk.failed {
            disk.after_failure += 1;
            return Box::pin(std::future::ready(Err(failure)));
        }
        if disk.is_full && !batch.is_empty() {
            return Box::pin(std::future::ready(Err(StoreError::Full)));
        }
        let (size, limit) = (batch.iter().map(Change::bytes).sum(), disk.batch_limit);
        if limit > 0 && size > limit {
            return Box::pin(std::future::ready(Err(StoreError::TooLarge { size, limit })));
        }
        batch.iter().for_each(|change| disk.live.apply(change.clone()));
        disk.written.push(batch);
        let number = disk.first + disk.written.len();
        disk.failed = disk.fails;
        let (failed, delay) = (disk.failed, disk.delay);
        drop(disk);
        let this = self.clone();
        Box::pin(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            if failed {
                return Err(failure);
            }
            if durability == Durability::Forced {
                this.sync(number);
            }
            Ok(())
        })
    }

    fn fetch(
        &self,
        topic: TopicId,
        offsets: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Option<StoredMessage>>, StoreError>> {
        let this = self.clone();
        Box::pin(async move {
            let delay = this.disk().delay;
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let disk = this.disk();
            if disk.read_fails {
                return Err(StoreError::Read("a sector is bad".to_owned()));
            }
            Ok(offsets.into_iter().map(|offset| disk.live.message(topic, offset)).collect())
        })
    }

    fn health(&self) -> Result<(), String> {
        if self.disk().failed { Err("the flush failed".to_owned()) } else { Ok(()) }
    }

    fn disk_bytes(&self) -> u64 {
        self.disk().bytes
    }

    fn compact(&self) -> Result<u64, StoreError> {
        let mut disk = self.disk();
        disk.compactions += 1;
        disk.bytes /= 100;
        disk.is_full = false;
        Ok(disk.bytes)
    }
}

impl SimStore {
    /// Everything up to a batch is on disk.
    fn sync(&self, number: usize) {
        let disk = &mut *self.disk();
        let count = number.saturating_sub(disk.first);
        for change in disk.written.drain(..count).flatten() {
            disk.synced.apply(change);
        }
        disk.first += count;
    }
}
