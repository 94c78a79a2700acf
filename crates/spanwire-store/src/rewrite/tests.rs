//! The rules of rewriting, on real folders, with every moment at which it can be interrupted.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::{KeyValue as _, Store};

const ENGINES: [EngineKind; 2] = [EngineKind::Sled, EngineKind::Redb];

fn options(engine: EngineKind) -> Options {
    Options { engine, ..Options::default() }
}

fn fill(engine: EngineKind, dir: &Path) {
    let store = Store::open(dir, options(engine)).unwrap();
    for round in 0..20_u8 {
        let mut batch = Batch::new();
        for number in 0..100_u8 {
            batch.put("churn", &[number], vec![round; 3000]);
        }
        batch.put("kept", &[round], vec![round; 10_000]);
        store.commit(batch).unwrap();
    }
    let mut batch = Batch::new();
    for number in 0..100_u8 {
        batch.delete("churn", &[number]);
    }
    store.commit(batch).unwrap();
}

fn check(engine: EngineKind, dir: &Path) {
    let store = Store::open(dir, options(engine)).unwrap();
    assert_eq!(store.scan("churn", b"").unwrap(), []);
    let kept: Vec<_> = (0..20_u8).map(|round| (vec![round], vec![round; 10_000])).collect();
    assert!(store.scan("kept", b"").unwrap() == kept);
    store.put("churn", b"k", b"v").unwrap();
    store.delete("churn", b"k").unwrap();
}

/// What is in a closed store whose data is in `data`.
fn assert_tidy(dir: &Path, data: &str) {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["format", "lock", data, "witness"]);
}

#[test]
fn a_store_is_rewritten_for_every_engine() {
    for from in ENGINES {
        for to in ENGINES {
            let root = TempDir::new().unwrap();
            fill(from, root.path());
            let Compaction { before, after } = rewrite(root.path(), options(to)).unwrap();
            assert!(after < before, "{from} to {to}: {before} to {after}");
            check(to, root.path());
            // And once more, back.
            rewrite(root.path(), options(from)).unwrap();
            check(from, root.path());
            assert_tidy(root.path(), &format!("{from}-2"));
        }
    }
}

#[test]
fn an_interrupted_rewrite_leaves_the_old_store_or_the_new() {
    for (from, to) in [(ENGINES[0], ENGINES[1]), (ENGINES[1], ENGINES[0])] {
        let root = TempDir::new().unwrap();
        let dir = root.path().join("store");
        fill(from, &dir);
        // With half a copy.
        for _ in 0..2 {
            let folder = Folder::open(&dir).unwrap();
            let (data, new) = folder.begin_building(to).unwrap();
            fs::write(new.join("half"), b"a copy").unwrap();
            assert_eq!(data.generation, 1);
            drop(folder);
            check(from, &dir);
            assert_tidy(&dir, from.name());
        }
        // After the switch, before the old data is removed.
        let mut folder = Folder::open(&dir).unwrap();
        let old = engine::open(from, &folder.engine_dir().unwrap(), &options(to), false).unwrap();
        replace(&mut folder, old.as_ref(), &options(to)).unwrap();
        drop((folder, old));
        assert!(dir.join(from.name()).exists());
        check(to, &dir);
        assert_tidy(&dir, &format!("{to}-1"));
    }
}

#[test]
fn nothing_is_removed_on_the_word_of_a_damaged_file() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("store");
    fill(EngineKind::Redb, &dir);
    let folder = Folder::open(&dir).unwrap();
    folder.begin_building(EngineKind::Redb).unwrap();
    drop(folder);
    let sound = fs::read(dir.join("building")).unwrap();
    for bit in 0..sound.len() * 8 {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(dir.join("building"), bytes).unwrap();
        Folder::open(&dir).unwrap();
        assert!(dir.join("redb/data").exists());
    }
    check(EngineKind::Redb, &dir);
    // A folder that stayed behind is no obstacle, nor is it taken for the copy.
    fs::create_dir_all(dir.join("redb-1")).unwrap();
    fs::write(dir.join("redb-1/data"), "left behind").unwrap();
    rewrite(&dir, options(EngineKind::Redb)).unwrap();
    check(EngineKind::Redb, &dir);
    assert_tidy(&dir, "redb-1");
}

#[test]
fn sled_is_rewritten_at_open_when_it_is_due() {
    let root = TempDir::new().unwrap();
    fill(EngineKind::Sled, root.path());
    let when = |times_live| Options {
        compact_when: Some(CompactWhen { disk_bytes: 100_000, times_live }),
        ..Options::default()
    };
    drop(Store::open(root.path(), when(1_000)).unwrap());
    assert!(root.path().join("sled").exists(), "not due");
    drop(Store::open(root.path(), when(2)).unwrap());
    assert_tidy(root.path(), "sled-1");
    check(EngineKind::Sled, root.path());
}

#[test]
fn only_a_store_is_rewritten() {
    let root = TempDir::new().unwrap();
    assert!(rewrite(root.path(), Options::default()).is_err());
    assert!(rewrite(&root.path().join("missing"), Options::default()).is_err());
    assert!(!root.path().join("missing").exists());
}
