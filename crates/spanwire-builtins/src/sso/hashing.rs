//! The threads that hash passwords: a bounded number, behind a bounded queue, after everything else.
//!
//! A hash keeps a processor busy for long. On threads of the usual priority the scheduler would let calls wait for one to have
//! had its share; on these, hashing has what nobody else wants.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The threads. Cloning shares them; they end with the last clone.
#[derive(Clone, Debug)]
pub struct Hashing {
    jobs: SyncSender<Job>,
}

/// Too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Hashing {
    /// So many threads, at least one.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel(MOST_WAITING);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new().name("hashing".to_owned()).spawn(move || work(&queue))?;
        }
        Ok(Self { jobs })
    }

    /// Does this on one of the threads, and returns what comes of it.
    ///
    /// # Errors
    /// [`Full`]; also when the work panicked, which the log has.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the work: what it does is done as a whole.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Full> {
        let (sender, done) = oneshot::channel();
        let job = move || {
            // Whoever asked may have gone.
            let _ = sender.send(work());
        };
        match self.jobs.try_send(Box::new(job)) {
            Ok(()) => done.await.map_err(|_| Full),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Full),
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    // Of this thread alone, on Linux. Where it cannot be had, hashing is in the way and nothing else is different.
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "the priority of a thread could not be lowered");
    }
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // The panic hook has logged it; the next job is another's.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

/// Calls that wait for a thread.
const MOST_WAITING: usize = 256;
const NICENESS: i32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_in_turns_and_a_panic_is_its_own() {
        let hashing = Hashing::start(2).unwrap();
        let all = (0..100).map(|number| hashing.run(move || number * 2));
        let done = futures_util::future::join_all(all).await;
        assert_eq!(done, (0..100).map(|number| Ok(number * 2)).collect::<Vec<_>>());
        assert_eq!(hashing.run(|| panic!("as asked")).await, Err::<(), _>(Full));
        for _ in 0..3 {
            assert_eq!(hashing.run(|| 1).await, Ok(1));
        }
    }

    #[tokio::test]
    async fn whoever_comes_too_late_is_told_at_once() {
        let hashing = Hashing::start(1).unwrap();
        let (go, wait) = sync_channel::<()>(1);
        let first = tokio::spawn({
            let hashing = hashing.clone();
            async move { hashing.run(move || wait.recv()).await }
        });
        tokio::task::yield_now().await;
        let mut waiting = Vec::new();
        let full = loop {
            let mut next = Box::pin({
                let hashing = hashing.clone();
                async move { hashing.run(|| ()).await }
            });
            match futures_util::poll!(&mut next) {
                std::task::Poll::Ready(result) => break result,
                std::task::Poll::Pending => waiting.push(next),
            }
        };
        assert_eq!(full, Err(Full));
        // The first may be among those that wait, or not yet.
        assert!((MOST_WAITING - 1..=MOST_WAITING).contains(&waiting.len()), "{}", waiting.len());
        go.send(()).unwrap();
        for waiting in waiting {
            assert_eq!(waiting.await, Ok(()));
        }
        assert!(first.await.unwrap().unwrap().is_ok());
    }
}
