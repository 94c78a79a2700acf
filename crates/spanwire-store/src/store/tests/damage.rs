//! Damage to the files of a store that was closed, or that a crash left - one flipped bit anywhere, an end that
//! is gone - is found when it is opened or read, or harmless.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::EngineKind;

/// Numbers that look random and are the same every time.
pub(super) struct Seeded(pub(super) u64);

impl Seeded {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

fn value(number: u8) -> Vec<u8> {
    let length = if number.is_multiple_of(20) { 9000 } else { 60 };
    (number..=u8::MAX).cycle().take(length).collect()
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let mut found = Vec::new();
    files(from, &mut found);
    for path in found {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
}

/// Whether the damage was noticed; fails the test when a read shows anything but the truth.
fn noticed(engine: EngineKind, dir: &Path, place: &str) -> bool {
    let store = match open_as(engine, dir) {
        Ok(store) => store,
        Err(OpenError::Locked { .. }) => panic!("{place}: locked"),
        Err(_) => return true,
    };
    let mut noticed = false;
    for number in 0..=100_u8 {
        match store.get("t", &[number]) {
            Ok(found) => assert!(found == Some(value(number)), "{place}: key {number}"),
            Err(_) => noticed = true,
        }
    }
    match store.scan("t", b"") {
        Ok(found) => {
            let all: Vec<_> = (0..=100_u8).map(|number| (vec![number], value(number))).collect();
            assert!(found == all, "{place}: scan");
        }
        Err(_) => noticed = true,
    }
    noticed
}

#[test]
fn a_flipped_bit_is_noticed_or_harmless() {
    for engine in ENGINES {
        for crashed in [false, true] {
            flip_bits(engine, crashed);
        }
    }
}

fn flip_bits(engine: EngineKind, crashed: bool) {
    let root = TempDir::new().unwrap();
    let (dir, sound) = (root.path().join("store"), root.path().join("sound"));
    let store = open_as(engine, &dir).unwrap();
    for number in 0..=100_u8 {
        store.put("t", &[number], &value(number)).unwrap();
    }
    // The files of an open store are what a process that is killed leaves.
    let open = crashed.then_some(store);
    copy(&dir, &sound);
    drop(open);
    let mut all = Vec::new();
    files(&sound, &mut all);
    // Every file in equal parts, in larger ones mostly where there is something.
    let mut flips = Vec::new();
    let mut random = Seeded(7);
    for path in &all {
        let bytes = fs::read(path).unwrap();
        let used: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        let wanted = if bytes.len() > 1000 { 300 } else { 20 };
        for round in 0..wanted.min(bytes.len()) {
            let any = random.below(bytes.len());
            let at = if round % 8 == 0 || used.is_empty() {
                any
            } else {
                used[random.below(used.len())]
            };
            flips.push((path, at, random.below(8)));
        }
    }
    let found = AtomicBool::new(false);
    let next = std::sync::Mutex::new(flips.into_iter().enumerate());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((number, (path, at, bit))) = next.lock().unwrap().next() else {
                        break;
                    };
                    let dir = root.path().join(number.to_string());
                    copy(&sound, &dir);
                    let name = path.strip_prefix(&sound).unwrap();
                    let mut bytes = fs::read(path).unwrap();
                    bytes[at] ^= 1 << bit;
                    fs::write(dir.join(name), bytes).unwrap();
                    let place = format!(
                        "{engine}, crashed {crashed}: {} byte {at} bit {bit}",
                        name.display()
                    );
                    if noticed(engine, &dir, &place) {
                        found.store(true, Ordering::SeqCst);
                    }
                    fs::remove_dir_all(&dir).unwrap();
                }
            });
        }
    });
    assert!(found.load(Ordering::SeqCst), "{engine}: no flip was noticed");
}

#[test]
fn an_end_lost_after_a_clean_close_is_noticed() {
    for engine in ENGINES {
        let root = TempDir::new().unwrap();
        let (dir, copy) = (root.path().join("store"), root.path().join("copy"));
        open_as(engine, &dir).unwrap().put("t", b"k", b"old").unwrap();
        let data = dir.join(engine.name());
        let file = if engine == EngineKind::Sled { "db" } else { "data" };
        fs::copy(data.join(file), &copy).unwrap();
        open_as(engine, &dir).unwrap().put("t", b"k", b"new").unwrap();
        fs::rename(&copy, data.join(file)).unwrap();
        if engine == EngineKind::Sled {
            for entry in fs::read_dir(&data).unwrap().map(Result::unwrap) {
                if entry.file_name().to_str().unwrap().starts_with("snap.") {
                    fs::remove_file(entry.path()).unwrap();
                }
            }
        }
        for _ in 0..2 {
            let error = open_as(engine, &dir).unwrap_err();
            assert!(error.to_string().contains("last writes are gone"), "{error}");
        }
    }
}

#[test]
fn an_end_lost_behind_a_crash_is_noticed_until_the_witness_is_removed() {
    for engine in ENGINES {
        let root = TempDir::new().unwrap();
        let [dir, earlier, later] =
            ["store", "earlier", "later"].map(|name| root.path().join(name));
        let store = open_as(engine, &dir).unwrap();
        store.put("t", b"k", b"old").unwrap();
        copy(&dir, &earlier);
        store.put("t", b"k", b"new").unwrap();
        copy(&dir, &later);
        drop(store);
        // What an engine forgets, it forgets without a word.
        fs::copy(later.join("witness"), earlier.join("witness")).unwrap();
        assert_eq!(open_as(engine, &later).unwrap().get("t", b"k").unwrap().unwrap(), b"new");
        for _ in 0..2 {
            let error = open_as(engine, &earlier).unwrap_err().to_string();
            assert!(error.contains("last writes are gone: group 2"), "{error}");
            assert!(error.contains("remove its file `witness`"), "{error}");
        }
        fs::remove_file(earlier.join("witness")).unwrap();
        assert_eq!(open_as(engine, &earlier).unwrap().get("t", b"k").unwrap().unwrap(), b"old");
    }
}

#[test]
fn lazy_batches_that_a_crash_took_are_not_missed() {
    for engine in ENGINES {
        let root = TempDir::new().unwrap();
        let [dir, earlier] = ["store", "earlier"].map(|name| root.path().join(name));
        let store = open_as(engine, &dir).unwrap();
        store.put("t", b"k", b"old").unwrap();
        copy(&dir, &earlier);
        let mut batch = Batch::new();
        batch.put("t", b"k", b"lazy");
        let (sender, answer) = sync_channel(1);
        let done = move |outcome: Result<(), StoreError>| sender.send(outcome).unwrap();
        store.submit(batch, Durability::Lazy, Box::new(done));
        answer.recv().unwrap().unwrap();
        fs::copy(dir.join("witness"), earlier.join("witness")).unwrap();
        assert_eq!(open_as(engine, &earlier).unwrap().get("t", b"k").unwrap().unwrap(), b"old");
    }
}
