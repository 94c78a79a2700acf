//! Writing histories, for harnesses.
//!
//! A line is written whole under one lock, with the time taken inside it, so that the order of
//! the file is the order of time. Nothing here waits for the disk: the process that records is
//! not the one that is killed.
//!
//! Invariant: within one client `seq` and `at` increase together.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::error::HistoryError;
use crate::event::{Event, Record};

/// Appends events to one file. Cheap to clone, safe to share; what is buffered is written when
/// the last clone goes, on [`Recorder::flush`], or whenever the buffer is full.
#[derive(Debug, Clone)]
pub struct Recorder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    origin: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    out: BufWriter<File>,
    seqs: HashMap<String, u64>,
    /// The first failure; later records are not written, for a hole would look like a loss.
    failed: Option<std::io::Error>,
}

impl Recorder {
    /// Creates the file, replacing one that exists, with time counted from now.
    ///
    /// # Errors
    ///
    /// When the file cannot be created.
    pub fn create(file: impl AsRef<Path>) -> Result<Self, HistoryError> {
        Self::create_from(file, Instant::now())
    }

    /// As [`Self::create`], with time counted from `origin`: give all recorders of one run the
    /// same, or their files cannot be merged.
    ///
    /// # Errors
    ///
    /// When the file cannot be created.
    pub fn create_from(file: impl AsRef<Path>, origin: Instant) -> Result<Self, HistoryError> {
        let file = file.as_ref().to_owned();
        let out = File::create(&file)
            .map_err(|source| HistoryError::Write { file: file.clone(), source })?;
        let state = State { out: BufWriter::new(out), seqs: HashMap::new(), failed: None };
        Ok(Self { inner: Arc::new(Inner { file, origin, state: Mutex::new(state) }) })
    }

    /// A handle that records under the name of one client.
    pub fn client(&self, name: impl Into<String>) -> RecordingClient {
        RecordingClient { recorder: self.clone(), name: name.into() }
    }

    /// Microseconds since the origin, for `expires_at` and `since`.
    pub fn now(&self) -> u64 {
        self.inner.now()
    }

    /// Records that the client saw the event now, and returns the time it was given.
    ///
    /// A failure to write is kept for [`Self::flush`].
    pub fn record(&self, client: &str, event: Event) -> u64 {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let at = self.inner.now();
        let seq = match state.seqs.get_mut(client) {
            Some(seq) => {
                *seq += 1;
                *seq
            }
            None => {
                state.seqs.insert(client.to_owned(), 1);
                1
            }
        };
        if state.failed.is_none() {
            let record = Record { client: client.to_owned(), seq, at, event };
            let written = serde_json::to_writer(&mut state.out, &record)
                .map_err(std::io::Error::from)
                .and_then(|()| state.out.write_all(b"\n"));
            state.failed = written.err();
        }
        at
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    ///
    /// When this or any earlier write failed.
    pub fn flush(&self) -> Result<(), HistoryError> {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match state.failed.take() {
            Some(error) => Err(error),
            None => state.out.flush(),
        };
        result.map_err(|source| HistoryError::Write { file: self.inner.file.clone(), source })
    }
}

impl Inner {
    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Records under the name of one client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RecordingClient {
    recorder: Recorder,
    name: String,
}

impl RecordingClient {
    /// Records that the client saw the event now, and returns the time it was given.
    pub fn record(&self, event: Event) -> u64 {
        self.recorder.record(&self.name, event)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;

    #[test]
    fn what_many_threads_record_is_read_back_whole() {
        let name = format!("spanwire-checker-recorder-{}.jsonl", std::process::id());
        let file = std::env::temp_dir().join(name);
        let recorder = Recorder::create(&file).unwrap();
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let client = recorder.client(format!("c{}", number % 2));
                std::thread::spawn(move || {
                    for _ in 0..500 {
                        client.record(Event::ServerRunning {});
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        drop(recorder);
        let history = History::open(&[&file]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(history.unwrap().len(), 2000);
    }
}
