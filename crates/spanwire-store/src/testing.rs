//! The suite every implementation of [`KeyValue`] passes; feature `testing`.
//!
//! It tests the face only: durability, locks and formats belong to each implementation.

use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use crate::{Batch, Durability, Health, KeyValue, MAX_BATCH_BYTES, MAX_KEY_BYTES, StoreError};

/// Runs the suite; `make` gives a new empty store each time it is called.
///
/// # Panics
///
/// When the implementation breaks a rule; the message names it.
pub fn contract(mut make: impl FnMut() -> Box<dyn KeyValue>) {
    let rules: [(&str, Rule); 12] = [
        ("an empty store has nothing", an_empty_store_has_nothing),
        ("a value is read as it was written", a_value_is_read_as_it_was_written),
        ("writes replace and delete", writes_replace_and_delete),
        ("a batch spans trees, in order", a_batch_spans_trees_in_order),
        ("a scan is sorted and keeps to its prefix", a_scan_is_sorted_and_keeps_to_its_prefix),
        ("a range is cut at its bounds and its limit", a_range_is_cut_at_its_bounds_and_its_limit),
        ("many values come in the order asked", many_values_come_in_the_order_asked),
        ("a batch beyond a limit writes nothing", a_batch_beyond_a_limit_writes_nothing),
        ("values of every size survive", values_of_every_size_survive),
        ("concurrent commits all arrive", concurrent_commits_all_arrive),
        ("submitted batches take effect in order", submitted_batches_take_effect_in_order),
        ("readers see whole values", readers_see_whole_values),
    ];
    for (name, rule) in rules {
        let store = make();
        let outcome = rule(store.as_ref());
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
        assert_eq!(store.health(), Health::Healthy, "{name}");
    }
}

type Rule = fn(&dyn KeyValue) -> Result<(), StoreError>;

fn an_empty_store_has_nothing(store: &dyn KeyValue) -> Result<(), StoreError> {
    assert_eq!(store.get("a", b"k")?, None);
    assert_eq!(store.scan("a", b"")?, []);
    store.delete("a", b"k")?;
    store.commit(Batch::new())?;
    assert_eq!(store.scan("a", b"")?, []);
    Ok(())
}

fn a_value_is_read_as_it_was_written(store: &dyn KeyValue) -> Result<(), StoreError> {
    for (key, value) in [(&b"k"[..], &b"v"[..]), (b"empty", b""), (&[0], &[0]), (&[255; 9], &[255])]
    {
        store.put("a", key, value)?;
        assert_eq!(store.get("a", key)?.as_deref(), Some(value));
        assert_eq!(store.get("b", key)?, None, "trees are separate");
    }
    Ok(())
}

fn writes_replace_and_delete(store: &dyn KeyValue) -> Result<(), StoreError> {
    store.put("a", b"k", b"one")?;
    store.put("a", b"k", b"two")?;
    assert_eq!(store.get("a", b"k")?.as_deref(), Some(&b"two"[..]));
    store.delete("a", b"k")?;
    assert_eq!(store.get("a", b"k")?, None);
    store.delete("a", b"k")?;
    store.put("a", b"k", b"three")?;
    assert_eq!(store.get("a", b"k")?.as_deref(), Some(&b"three"[..]));
    Ok(())
}

fn a_batch_spans_trees_in_order(store: &dyn KeyValue) -> Result<(), StoreError> {
    store.put("a", b"gone", b"x")?;
    let mut batch = Batch::new();
    batch.put("a", b"k", "1").put("b", b"k", "2").put("c", b"k", "3").delete("a", b"gone");
    batch.put("a", b"twice", "first").put("a", b"twice", "last");
    batch.put("a", b"undone", "x").delete("a", b"undone");
    batch.delete("a", b"redone").put("a", b"redone", "y");
    store.commit(batch)?;
    let read = |tree, key: &[u8]| store.get(tree, key);
    assert_eq!(read("a", b"k")?.as_deref(), Some(&b"1"[..]));
    assert_eq!(read("b", b"k")?.as_deref(), Some(&b"2"[..]));
    assert_eq!(read("c", b"k")?.as_deref(), Some(&b"3"[..]));
    assert_eq!(read("a", b"twice")?.as_deref(), Some(&b"last"[..]));
    assert_eq!(read("a", b"redone")?.as_deref(), Some(&b"y"[..]));
    assert_eq!(read("a", b"gone")?, None);
    assert_eq!(read("a", b"undone")?, None);
    Ok(())
}

fn a_scan_is_sorted_and_keeps_to_its_prefix(store: &dyn KeyValue) -> Result<(), StoreError> {
    let mut keys: Vec<Vec<u8>> = (0..600_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes().to_vec())
        .chain([vec![7], vec![7, 0], vec![7, 255], vec![7, 255, 255], vec![8], vec![255; 3]])
        .collect();
    let mut batch = Batch::new();
    for key in &keys {
        batch.put("a", key, key.as_slice());
    }
    batch.put("b", &[7, 1], "another tree");
    store.commit(batch)?;
    keys.sort();
    for prefix in [&[][..], &[7], &[7, 255], &[255], &[255, 255, 255], &[7, 0, 0, 0, 0, 0]] {
        let expected: Vec<_> = keys.iter().filter(|key| key.starts_with(prefix)).collect();
        let found = store.scan("a", prefix)?;
        assert!(found.iter().all(|(key, value)| key == value));
        assert_eq!(found.iter().map(|(key, _)| key).collect::<Vec<_>>(), expected);
    }
    Ok(())
}

fn a_range_is_cut_at_its_bounds_and_its_limit(store: &dyn KeyValue) -> Result<(), StoreError> {
    assert_eq!(store.scan_range("a", Unbounded, Unbounded, 9)?, [], "no such tree");
    let mut batch = Batch::new();
    for number in 0..100_u8 {
        batch.put("a", &[number], vec![number; usize::from(number) * 100]);
    }
    batch.put("b", &[50], "another tree");
    store.commit(batch)?;
    let (low, high) = ([10], [20]);
    let (low, high) = (&low[..], &high[..]);
    let cases = [
        (Unbounded, Unbounded, usize::MAX, 0, 100),
        (Unbounded, Unbounded, 3, 0, 3),
        (Unbounded, Unbounded, 0, 0, 0),
        (Included(low), Included(high), 100, 10, 21),
        (Included(low), Excluded(high), 100, 10, 20),
        (Excluded(low), Included(high), 100, 11, 21),
        (Excluded(low), Excluded(high), 4, 11, 15),
        (Excluded(low), Unbounded, 5, 11, 16),
        (Unbounded, Excluded(low), 50, 0, 10),
        (Included(low), Included(low), 50, 10, 11),
        // Backwards, or with nothing in between.
        (Excluded(low), Excluded(low), 50, 0, 0),
        (Included(low), Excluded(low), 50, 0, 0),
        (Included(high), Included(low), 50, 0, 0),
    ];
    for (from, to, limit, first, end) in cases {
        let expected: Vec<_> =
            (first..end).map(|n: u8| (vec![n], vec![n; usize::from(n) * 100])).collect();
        let found = store.scan_range("a", from, to, limit)?;
        assert!(found == expected, "{from:?} to {to:?}, {limit}: {} entries", found.len());
    }
    Ok(())
}

fn many_values_come_in_the_order_asked(store: &dyn KeyValue) -> Result<(), StoreError> {
    let keys: Vec<Vec<u8>> = [&b"c"[..], b"missing", b"a", b"c", b""].map(<[u8]>::to_vec).into();
    assert_eq!(store.get_many("a", &keys)?, vec![None; 5], "no such tree");
    let mut batch = Batch::new();
    batch.put("a", b"a", "1").put("a", b"b", "2").put("a", b"c", vec![3; 10_000]);
    store.commit(batch)?;
    let long = Some(vec![3; 10_000]);
    assert_eq!(store.get_many("a", &keys)?, [long.clone(), None, Some(vec![b'1']), long, None]);
    assert_eq!(store.get_many("a", &[])?, [None; 0]);
    Ok(())
}

fn a_batch_beyond_a_limit_writes_nothing(store: &dyn KeyValue) -> Result<(), StoreError> {
    let long_key = [7; MAX_KEY_BYTES + 1];
    let bad: [(&'static str, &[u8], usize); 4] =
        [("a", b"", 1), ("a", &long_key, 1), ("", b"k", 1), ("a", b"k", MAX_BATCH_BYTES)];
    for (tree, key, value_bytes) in bad {
        let mut batch = Batch::new();
        batch.put("a", b"innocent", "v").put(tree, key, vec![0; value_bytes]);
        let refused = store.commit(batch);
        assert!(matches!(refused, Err(StoreError::Size { .. })), "{refused:?}");
    }
    assert_eq!(store.scan("a", b"")?, []);
    store.put("a", &[7; MAX_KEY_BYTES], b"v")
}

fn values_of_every_size_survive(store: &dyn KeyValue) -> Result<(), StoreError> {
    let sizes = [0, 1, 4085, 4090, 4091, 4096, 4097, 8192, 8193, 100_000, 1 << 20];
    // Each key has every size in turn, so that long replaces short and short replaces long.
    for turn in 0..sizes.len() {
        let mut batch = Batch::new();
        let mut expected = Vec::new();
        let turned = sizes.iter().cycle().skip(turn);
        for ((key, size), fill) in (0..=u8::MAX).zip(turned).take(sizes.len()).zip(1..) {
            let value: Vec<u8> = (fill..=u8::MAX).cycle().take(*size).collect();
            batch.put("a", &[key], value.clone());
            expected.push((vec![key], value));
        }
        store.commit(batch)?;
        // Not assert_eq: nobody reads megabytes of differences.
        assert!(store.scan("a", b"")? == expected, "scan, turn {turn}");
        for (key, value) in &expected {
            assert!(store.get("a", key)?.as_ref() == Some(value), "{} bytes", value.len());
        }
    }
    Ok(())
}

fn concurrent_commits_all_arrive(store: &dyn KeyValue) -> Result<(), StoreError> {
    thread::scope(|scope| {
        for writer in 0..8_u8 {
            scope.spawn(move || {
                for number in 0..25_u8 {
                    let mut batch = Batch::new();
                    batch.put("a", &[writer, number], [number]).put("b", &[number, writer], "");
                    let outcome = store.commit(batch);
                    assert!(outcome.is_ok(), "{outcome:?}");
                    let read = store.get("a", &[writer, number]);
                    assert_eq!(read, Ok(Some(vec![number])), "a commit is seen once it returned");
                }
            });
        }
    });
    assert_eq!(store.scan("a", b"")?.len(), 200);
    assert_eq!(store.scan("b", b"")?.len(), 200);
    Ok(())
}

fn submitted_batches_take_effect_in_order(store: &dyn KeyValue) -> Result<(), StoreError> {
    let (sender, outcomes) = sync_channel(64);
    for number in 0..50_u8 {
        let mut batch = Batch::new();
        batch.put("a", b"last", [number]).put("b", &[number], "");
        let durability = if number % 7 == 3 { Durability::Forced } else { Durability::Lazy };
        let sender = sender.clone();
        let done = move |outcome| {
            let sent = sender.send((number, outcome));
            assert!(sent.is_ok(), "the test is gone");
        };
        store.submit(batch, durability, Box::new(done));
    }
    for expected in 0..50_u8 {
        let outcome = outcomes.recv_timeout(PATIENCE);
        assert_eq!(outcome, Ok((expected, Ok(()))), "answered in order");
    }
    assert_eq!(store.get("a", b"last")?, Some(vec![49]), "seen once answered, lazy or not");
    assert_eq!(store.scan("b", b"")?.len(), 50);

    let mut bad = Batch::new();
    bad.put("a", b"", "");
    store.submit(
        bad,
        Durability::Lazy,
        Box::new(move |outcome| {
            let sent = sender.send((255, outcome));
            assert!(sent.is_ok(), "the test is gone");
        }),
    );
    let outcome = outcomes.recv_timeout(PATIENCE);
    assert!(matches!(outcome, Ok((255, Err(StoreError::Size { .. })))), "{outcome:?}");
    Ok(())
}

fn readers_see_whole_values(store: &dyn KeyValue) -> Result<(), StoreError> {
    store.put("a", b"k", &[0; 20_000])?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let one = store.get("a", b"k").map(Option::unwrap_or_default);
                    let all = store.scan("a", b"k").map(|entries| entries.into_iter().next());
                    let all = all.map(|entry| entry.map(|(_, value)| value).unwrap_or_default());
                    for value in [one, all] {
                        assert!(value.is_ok(), "{:?}", value.err());
                        let value = value.unwrap_or_default();
                        let first = value.first().copied();
                        assert_eq!(value.len(), 20_000 + usize::from(first.unwrap_or_default()));
                        assert!(value.iter().all(|byte| Some(*byte) == first), "a mixed value");
                    }
                }
            });
        }
        let outcome = (0..=200_u8)
            .try_for_each(|fill| store.put("a", b"k", &vec![fill; 20_000 + usize::from(fill)]));
        done.store(true, Ordering::SeqCst);
        outcome
    })
}

/// How long an answer may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
