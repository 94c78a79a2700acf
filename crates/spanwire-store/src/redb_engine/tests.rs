//! redb over a simulated disk: whatever a crash does to what was not flushed, and whenever a flush fails.
//!
//! The disk knows what was written and what was flushed. At a crash each 512-byte sector has what was
//! flushed last or any later content, for itself: writes are lost, torn and out of order.

mod disk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use self::disk::{Disk, Seeded};
use super::*;
use crate::space::Gate;
use crate::writer::{Groups, Writer};

fn open(disk: Disk, fresh: bool) -> Result<RedbEngine, OpenError> {
    let opened = guarded(|| builder(256 * 1024).create_with_backend(disk));
    RedbEngine::prepare(Path::new("simulated"), opened, 1, fresh)
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// The batch of a number: puts and deletes of all sizes, and the number itself.
fn batch(number: u32) -> Batch {
    let mut batch = Batch::new();
    let mut random = Seeded(u64::from(number));
    for _ in 0..1 + random.below(6) {
        let key = u8::try_from(random.below(40)).unwrap();
        if random.below(3) == 0 {
            batch.delete("t", &[key]);
        } else {
            let length = [10, 100, 1000, 9000][random.below(4)];
            batch.put("t", &[key], vec![number.to_le_bytes()[0]; length]);
        }
    }
    batch.put("t", b"number", number.to_be_bytes());
    batch
}

/// What there is after all batches up to a number.
fn model(last: u32) -> Model {
    let mut model = Model::new();
    for number in 1..=last {
        for operation in batch(number).into_operations() {
            match operation.value {
                Some(value) => model.insert(operation.key, value),
                None => model.remove(&operation.key),
            };
        }
    }
    model
}

fn durability(number: u32) -> Durability {
    if number.is_multiple_of(3) { Durability::Forced } else { Durability::Lazy }
}

/// Writes until the disk fails; the last number that was forced, and the last that was tried.
fn write(engine: &RedbEngine) -> (u32, u32) {
    let mut forced = 0;
    for number in 1..=BATCHES {
        match engine.apply(&[&batch(number)], number.into(), durability(number)) {
            Ok(()) if durability(number) == Durability::Forced => forced = number,
            Ok(()) => {}
            Err(_) => return (forced, number),
        }
    }
    (forced, BATCHES)
}

#[test]
fn a_crash_loses_nothing_that_was_forced_and_splits_no_batch() {
    let disk = Disk::new();
    let engine = open(disk.clone(), true).unwrap();
    let opened = disk.operations();
    write(&engine);
    let end = disk.operations();
    // A crash in a flush is where it matters what got through.
    let flushes: Vec<_> = disk.flushes().into_iter().filter(|at| *at > opened).collect();
    let mut tails = 0;
    for seed in 0..CRASHES {
        let mut random = Seeded(seed);
        let disk = Disk::new();
        let engine = open(disk.clone(), true).unwrap();
        assert_eq!(disk.operations(), opened, "it is the same every time");
        let anywhere = opened + 1 + random.below(end - opened);
        let in_flush = flushes[random.below(flushes.len())];
        disk.crash_at(if seed % 3 == 0 { anywhere } else { in_flush });
        let (forced, tried) = write(&engine);
        drop(engine);

        let engine = open(disk.after_crash(&mut random), false);
        let engine = engine.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found: Model = engine.scan("t", b"").unwrap().into_iter().collect();
        let last = found.get(&b"number"[..]);
        let last = last.map_or(0, |bytes| u32::from_be_bytes(bytes.as_slice().try_into().unwrap()));
        assert!((forced..=tried).contains(&last), "seed {seed}: {forced} <= {last} <= {tried}");
        assert!(found == model(last), "seed {seed}: not the state after batch {last}");
        assert_eq!(engine.number(), Ok(last.into()), "seed {seed}");
        tails += u32::from(last > forced);
        // It goes on from there.
        engine.apply(&[&batch(last + 1)], u64::from(last) + 1, Durability::Forced).unwrap();
    }
    assert!(tails > 20, "the crashes are all of one kind");
}

#[test]
fn nothing_is_acknowledged_after_a_flush_that_failed() {
    for always in [false, true] {
        for failing in 0..12 {
            let disk = Disk::new();
            let engine: Arc<dyn Engine> = Arc::new(open(disk.clone(), true).unwrap());
            disk.fail_flush(failing, always);
            let gate = Gate::new(Box::new(|| None), 0);
            let mut writer =
                Writer::start(Arc::clone(&engine), 16, gate, Groups::unwitnessed()).unwrap();
            let mut failed = false;
            let mut forced = 0;
            for number in 1..=BATCHES {
                let (sender, answer) = sync_channel(1);
                let done = move |outcome| sender.send(outcome).unwrap();
                writer.submit(batch(number), durability(number), Box::new(done));
                let outcome = answer.recv().unwrap();
                assert!(!(failed && outcome.is_ok()), "flush {failing}: {number} was acknowledged");
                failed |= outcome.is_err();
                if outcome.is_ok() && durability(number) == Durability::Forced {
                    forced = number;
                }
            }
            assert!(failed, "flush {failing} did not fail");
            writer.stop();
            drop((writer, engine));

            let mut random = Seeded(failing);
            let engine = open(disk.after_crash(&mut random), false).unwrap();
            let number = engine.get("t", b"number").unwrap();
            let last = number.map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
            assert!(last >= forced, "flush {failing}: {last} < {forced}");
            assert_eq!(engine.number(), Ok(last.into()), "flush {failing}");
            let found: Model = engine.scan("t", b"").unwrap().into_iter().collect();
            assert!(found == model(last), "flush {failing}");
        }
    }
}

#[test]
fn a_forced_group_is_one_flush_and_a_lazy_one_none_of_its_own() {
    let disk = Disk::new();
    let engine = open(disk.clone(), true).unwrap();
    let flushes = |numbers: std::ops::Range<u32>, durability| {
        let before = disk.flushes().len();
        for number in numbers {
            engine
                .apply(&[&batch(number), &batch(number + 20)], number.into(), durability)
                .unwrap();
        }
        disk.flushes().len() - before
    };
    // When the file grows redb flushes the new length too, seldom.
    flushes(1..100, Durability::Lazy);
    flushes(1..2, Durability::Forced);
    let lazy = flushes(1..20, Durability::Lazy);
    assert!(lazy <= 2, "{lazy}");
    let forced = flushes(1..20, Durability::Forced);
    assert!((19..=21).contains(&forced), "{forced}");
}

const BATCHES: u32 = 45;
const CRASHES: u64 = 300;
