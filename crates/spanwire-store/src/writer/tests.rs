//! The rules of the writer, with an engine that waits, counts and fails on command.

use std::ops::Bound;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::Entry;
use crate::engine::{VisitError, Visitor};

/// Writes down the size of each group; waits in `force` for a word from the test.
struct Scripted {
    groups: Mutex<Vec<usize>>,
    /// What each `force` does, in order.
    script: Mutex<Receiver<Step>>,
}

enum Step {
    Succeed,
    Fail(&'static str),
    Panic(&'static str),
}

impl Engine for Scripted {
    fn get(&self, _: &'static str, _: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn scan(&self, _: &'static str, _: &[u8]) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }

    fn scan_range(
        &self,
        _: &'static str,
        _: Bound<&[u8]>,
        _: Bound<&[u8]>,
        _: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }

    fn get_many(
        &self,
        _: &'static str,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        Ok(vec![None; keys.len()])
    }

    fn snapshots(&self) -> bool {
        true
    }

    fn visit(&self, _: &mut Visitor<'_>) -> Result<(), VisitError> {
        Ok(())
    }

    fn compact(&self) -> Result<(), CompactError> {
        Err(CompactError::Busy)
    }

    fn number(&self) -> Result<u64, String> {
        Ok(0)
    }

    fn apply(&self, batches: &[&Batch], _: u64, durability: Durability) -> Result<(), String> {
        self.groups.lock().unwrap().push(batches.len());
        match durability {
            Durability::Forced => self.force(),
            Durability::Lazy => Ok(()),
        }
    }

    fn force(&self) -> Result<(), String> {
        match self.script.lock().unwrap().recv().unwrap() {
            Step::Succeed => Ok(()),
            Step::Fail(why) => Err(why.to_owned()),
            Step::Panic(why) => panic!("{why}"),
        }
    }
}

fn writer() -> (Writer, Arc<Scripted>, SyncSender<Step>) {
    writer_with(Gate::new(Box::new(|| None), 0))
}

fn writer_with(gate: Gate) -> (Writer, Arc<Scripted>, SyncSender<Step>) {
    let (steps, script) = sync_channel(64);
    let engine = Arc::new(Scripted { groups: Mutex::new(Vec::new()), script: Mutex::new(script) });
    let dynamic = Arc::clone(&engine) as Arc<dyn Engine>;
    let writer = Writer::start(dynamic, 16_384, gate, Groups::unwitnessed()).unwrap();
    (writer, engine, steps)
}

impl Writer {
    fn enqueue(&self, batch: Batch, durability: Durability) -> Receiver<Result<(), StoreError>> {
        let (sender, answer) = sync_channel(1);
        self.submit(batch, durability, Box::new(move |outcome| sender.send(outcome).unwrap()));
        answer
    }

    fn force(&self, batch: Batch) -> Receiver<Result<(), StoreError>> {
        self.enqueue(batch, Durability::Forced)
    }
}

fn one(value_bytes: usize) -> Batch {
    let mut batch = Batch::new();
    batch.put("t", b"k", vec![0; value_bytes]);
    batch
}

/// Waits until the writer has taken the first commit and stands in its `force`.
fn wait_for_first_group(engine: &Scripted) {
    while engine.groups.lock().unwrap().is_empty() {
        thread::yield_now();
    }
}

#[test]
fn commits_that_wait_together_share_one_flush() {
    let (writer, engine, steps) = writer();
    let mut answers = vec![writer.force(one(1))];
    wait_for_first_group(&engine);
    answers.extend((0..10).map(|_| writer.force(one(1))));
    steps.send(Step::Succeed).unwrap();
    steps.send(Step::Succeed).unwrap();
    for answer in answers {
        assert_eq!(answer.recv().unwrap(), Ok(()));
    }
    assert_eq!(*engine.groups.lock().unwrap(), [1, 10]);
}

#[test]
fn a_group_is_bounded_in_operations_and_bytes() {
    for (value_bytes, commits, expected) in [(1, 5000, 4096), (GROUP_BYTES / 4, 9, 4)] {
        let (writer, engine, steps) = writer();
        let mut answers = vec![writer.force(one(1))];
        wait_for_first_group(&engine);
        answers.extend((0..commits).map(|_| writer.force(one(value_bytes))));
        for _ in 0..10 {
            steps.send(Step::Succeed).unwrap();
        }
        assert!(answers.into_iter().all(|answer| answer.recv().unwrap().is_ok()));
        assert_eq!(engine.groups.lock().unwrap()[1], expected);
    }
}

#[test]
fn a_commit_is_not_answered_before_its_flush() {
    let (writer, engine, steps) = writer();
    let answer = writer.force(one(1));
    wait_for_first_group(&engine);
    assert!(answer.try_recv().is_err());
    steps.send(Step::Succeed).unwrap();
    assert_eq!(answer.recv().unwrap(), Ok(()));
}

#[test]
fn a_failed_flush_fails_its_group_and_everything_after() {
    for step in [Step::Fail("no space left"), Step::Panic("no space left")] {
        let (writer, engine, steps) = writer();
        assert_eq!(writer.health(), Health::Healthy);
        let first = writer.force(one(1));
        wait_for_first_group(&engine);
        let queued = writer.force(one(1));
        steps.send(step).unwrap();

        let poisoned = StoreError::Poisoned { why: "no space left".to_owned() };
        assert_eq!(first.recv().unwrap(), Err(poisoned.clone()));
        assert_eq!(queued.recv().unwrap(), Err(poisoned.clone()));
        assert_eq!(writer.force(one(1)).recv().unwrap(), Err(poisoned));
        assert_eq!(writer.health(), Health::Poisoned { why: "no space left".to_owned() });
        assert_eq!(*engine.groups.lock().unwrap(), [1], "nothing is written after a failure");
    }
}

#[test]
fn a_drop_finishes_what_is_queued() {
    let (writer, engine, steps) = writer();
    let mut answers = vec![writer.force(one(1))];
    wait_for_first_group(&engine);
    answers.extend((0..5).map(|_| writer.force(one(1))));
    steps.send(Step::Succeed).unwrap();
    steps.send(Step::Succeed).unwrap();
    drop(writer);
    for answer in answers {
        assert_eq!(answer.try_recv().unwrap(), Ok(()));
    }
}

#[test]
fn lazy_batches_are_answered_without_a_flush_and_flushed_by_the_next_forced_one() {
    let (writer, engine, steps) = writer();
    for _ in 0..3 {
        // No step is scripted: a flush would wait for ever.
        assert_eq!(writer.enqueue(one(1), Durability::Lazy).recv().unwrap(), Ok(()));
    }
    let forced = writer.force(one(1));
    assert!(forced.try_recv().is_err());
    steps.send(Step::Succeed).unwrap();
    assert_eq!(forced.recv().unwrap(), Ok(()));
    assert_eq!(*engine.groups.lock().unwrap(), [1, 1, 1, 1]);
    // Nothing is left to force, so the drop needs no step.
    drop(writer);
}

#[test]
fn a_drop_forces_lazy_batches() {
    let (writer, engine, steps) = writer();
    assert_eq!(writer.enqueue(one(1), Durability::Lazy).recv().unwrap(), Ok(()));
    steps.send(Step::Succeed).unwrap();
    drop(writer);
    assert!(engine.script.lock().unwrap().try_recv().is_err(), "the step was used");
}

#[test]
fn lazy_batches_are_forced_when_much_has_gathered() {
    let (writer, _engine, steps) = writer();
    let half = || one(UNFORCED_BYTES / 2);
    assert_eq!(writer.enqueue(half(), Durability::Lazy).recv().unwrap(), Ok(()));
    steps.send(Step::Fail("no space left")).unwrap();
    let poisoned = StoreError::Poisoned { why: "no space left".to_owned() };
    assert_eq!(writer.enqueue(half(), Durability::Lazy).recv().unwrap(), Err(poisoned));
}

#[test]
fn a_panic_of_the_one_who_is_told_harms_nobody() {
    let (writer, engine, steps) = writer();
    writer.submit(one(1), Durability::Forced, Box::new(|_| panic!("of the caller")));
    wait_for_first_group(&engine);
    let other = writer.force(one(1));
    steps.send(Step::Succeed).unwrap();
    steps.send(Step::Succeed).unwrap();
    assert_eq!(other.recv().unwrap(), Ok(()));
    assert_eq!(writer.health(), Health::Healthy);
}

#[test]
fn a_full_disk_refuses_puts_and_recovers() {
    let free = Arc::new(AtomicU64::new(100));
    let seen = Arc::clone(&free);
    let available = Box::new(move || Some(seen.load(Ordering::SeqCst)));
    let (writer, engine, steps) = writer_with(Gate::new(available, 200));
    let delete = || {
        let mut batch = Batch::new();
        batch.delete("t", b"k");
        batch
    };
    let refused = writer.force(one(1)).recv().unwrap();
    assert!(matches!(refused, Err(StoreError::Full { available: 100, .. })), "{refused:?}");
    assert_eq!(writer.health(), Health::Healthy);

    // In one group, each for itself.
    let first = writer.force(delete());
    wait_for_first_group(&engine);
    let (put, deleted) = (writer.force(one(1)), writer.force(delete()));
    steps.send(Step::Succeed).unwrap();
    steps.send(Step::Succeed).unwrap();
    assert_eq!(first.recv().unwrap(), Ok(()));
    assert!(matches!(put.recv().unwrap(), Err(StoreError::Full { .. })));
    assert_eq!(deleted.recv().unwrap(), Ok(()));
    assert_eq!(*engine.groups.lock().unwrap(), [1, 1]);

    free.store(10_000, Ordering::SeqCst);
    steps.send(Step::Succeed).unwrap();
    assert_eq!(writer.force(one(1)).recv().unwrap(), Ok(()));
}
