//! The rules of the durable store, on real folders.

mod damage;
mod killed;
mod space;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::*;
use crate::EngineKind;
use crate::engine::{CompactError, VisitError, Visitor};

fn open(dir: &Path) -> Result<Store, OpenError> {
    Store::open(dir, Options::default())
}

fn options(engine: EngineKind) -> Options {
    Options { engine, ..Options::default() }
}

fn open_as(engine: EngineKind, dir: &Path) -> Result<Store, OpenError> {
    Store::open(dir, options(engine))
}

const ENGINES: [EngineKind; 2] = [EngineKind::Sled, EngineKind::Redb];

/// Opens the closed store's engine behind its back.
fn raw(dir: &Path) -> sled::Db {
    let config = sled::Config::default().path(dir.join("sled")).flush_every_ms(None);
    for _ in 0..400 {
        match config.open() {
            Ok(db) => return db,
            Err(_) => std::thread::park_timeout(std::time::Duration::from_millis(5)),
        }
    }
    panic!("the engine stays locked");
}

#[test]
fn it_keeps_the_contract() {
    for engine in ENGINES {
        let root = TempDir::new().unwrap();
        let mut number = 0;
        crate::testing::contract(|| {
            number += 1;
            Box::new(open_as(engine, &root.path().join(number.to_string())).unwrap())
        });
    }
}

#[test]
fn data_is_there_after_a_reopen() {
    let large: Vec<u8> = (0..1_000_003_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    for engine in ENGINES {
        let root = TempDir::new().unwrap();
        data_is_there_after_a_reopen_of(engine, &root.path().join("deep/er"), &large);
    }
}

fn data_is_there_after_a_reopen_of(engine: EngineKind, dir: &Path, large: &[u8]) {
    for round in 0..3_u8 {
        let store = open_as(engine, dir).unwrap();
        for earlier in 0..round {
            assert_eq!(store.get("small", &[earlier]).unwrap().unwrap(), [earlier]);
            assert_eq!(store.get("large", &[earlier]).unwrap().unwrap(), large);
        }
        let mut batch = Batch::new();
        batch.put("small", &[round], [round]).put("large", &[round], large);
        store.commit(batch).unwrap();
    }
}

#[test]
fn large_values_leave_nothing_in_files_that_are_never_flushed() {
    let root = TempDir::new().unwrap();
    let store = open(root.path()).unwrap();
    let large = vec![7; 20 * 1024 * 1024];
    store.put("t", b"k", &large).unwrap();
    assert!(store.get("t", b"k").unwrap().unwrap() == large);
    // The longest keys, many of them, so that index pages stay small too. sled shortens what the keys of
    // a page share at the start, and the rest of a separator behind its first difference: families that
    // differ at the start, with members that differ at the end, leave it nothing to shorten.
    for round in 0..4_u32 {
        let mut batch = Batch::new();
        for number in 0..2000_u32 {
            let mut key = [0xA5; crate::MAX_KEY_BYTES];
            let family = (number / 10).wrapping_mul(2_654_435_761);
            key[..4].copy_from_slice(&family.to_be_bytes());
            let member = number % 10 * 4 + round;
            key[crate::MAX_KEY_BYTES - 4..].copy_from_slice(&member.to_be_bytes());
            batch.put("long", &key, vec![1; 4000]);
        }
        store.commit(batch).unwrap();
    }
    assert_eq!(store.scan("long", b"").unwrap().len(), 8000);
    assert_eq!(fs::read_dir(root.path().join("sled/blobs")).unwrap().count(), 0);
}

#[test]
fn replaced_and_deleted_large_values_leave_no_chunks() {
    let root = TempDir::new().unwrap();
    let store = open(root.path()).unwrap();
    let mut batch = Batch::new();
    batch.put("t", b"a", vec![1; 50_000]).put("t", b"a", vec![2; 60_000]);
    store.commit(batch).unwrap();
    store.put("t", b"b", &[3; 50_000]).unwrap();
    store.put("t", b"b", b"small").unwrap();
    store.delete("t", b"a").unwrap();
    drop(store);
    assert_eq!(raw(root.path()).open_tree("chunks").unwrap().len(), 0);
}

#[test]
fn the_folder_is_private_and_says_its_format() {
    use std::os::unix::fs::PermissionsExt as _;

    let root = TempDir::new().unwrap();
    let dir = root.path().join("store");
    let _store = open(&dir).unwrap();
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_to_string(dir.join("format")).unwrap(), "spanwire-store 1 sled\n");
}

#[test]
fn a_second_opener_learns_who_holds_the_store() {
    let root = TempDir::new().unwrap();
    let store = open(root.path()).unwrap();
    let error = open(root.path()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(store);
    open(root.path()).unwrap();
}

#[test]
fn a_newer_format_is_refused_before_the_engine_is_touched() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("format"), "spanwire-store 2 sled\n").unwrap();
    let error = open(root.path()).unwrap_err();
    assert!(matches!(error, OpenError::NewerFormat { found: 2, supported: 1, .. }), "{error}");
    assert!(error.to_string().contains("use the release that wrote it"), "{error}");
    assert!(!root.path().join("sled").exists());
}

#[test]
fn a_newer_format_inside_the_engine_is_refused_too() {
    let root = TempDir::new().unwrap();
    drop(open(root.path()).unwrap());
    let db = raw(root.path());
    db.open_tree("meta").unwrap().insert("format", "2").unwrap();
    db.flush().unwrap();
    drop(db);
    fs::remove_file(root.path().join("format")).unwrap();
    assert!(matches!(open(root.path()), Err(OpenError::NewerFormat { found: 2, .. })));
}

#[test]
fn foreign_format_files_are_refused() {
    type Check = fn(&OpenError) -> bool;
    let is_corrupt: Check = |e| matches!(e, OpenError::Corrupt { .. });
    let is_other: Check = |e| matches!(e, OpenError::OtherEngine { .. });
    let cases: [(&str, Check); 5] = [
        ("", is_corrupt),
        ("hello 1 sled", is_corrupt),
        ("spanwire-store zero sled", is_corrupt),
        ("spanwire-store 0 sled", is_corrupt),
        ("spanwire-store 1 lmdb", is_other),
    ];
    for (text, expected) in cases {
        let root = TempDir::new().unwrap();
        fs::write(root.path().join("format"), text).unwrap();
        let error = open(root.path()).unwrap_err();
        assert!(expected(&error), "{text}: {error}");
    }
}

#[test]
fn another_engine_than_the_store_has_is_refused() {
    for (written, chosen) in [(ENGINES[0], ENGINES[1]), (ENGINES[1], ENGINES[0])] {
        let root = TempDir::new().unwrap();
        open_as(written, root.path()).unwrap().put("t", b"k", b"v").unwrap();
        let error = open_as(chosen, root.path()).unwrap_err();
        assert!(matches!(error, OpenError::WrongEngine { .. }), "{error}");
        assert!(error.to_string().contains("export there and import"), "{error}");
        let store = open_as(written, root.path()).unwrap();
        assert_eq!(store.get("t", b"k").unwrap().unwrap(), b"v");
        drop(store);
        // Nor is a new store put beside data that lost its description.
        fs::remove_file(root.path().join("format")).unwrap();
        let error = open_as(chosen, root.path()).unwrap_err();
        assert!(error.to_string().contains("`format` is missing"), "{error}");
        open_as(written, root.path()).unwrap();
    }
}

#[test]
fn an_interrupted_creation_is_finished() {
    for engine in ENGINES {
        let root = TempDir::new().unwrap();
        drop(open_as(engine, root.path()).unwrap());
        fs::remove_file(root.path().join("format")).unwrap();
        open_as(engine, root.path()).unwrap().put("t", b"k", b"v").unwrap();
        assert!(root.path().join("format").exists());
    }
    // redb marks its file last.
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("redb")).unwrap();
    fs::write(root.path().join("redb/data"), [0; 5000]).unwrap();
    open_as(EngineKind::Redb, root.path()).unwrap().put("t", b"k", b"v").unwrap();
}

#[test]
fn a_store_that_lost_its_data_is_not_taken_for_a_new_one() {
    let root = TempDir::new().unwrap();
    open(root.path()).unwrap().put("t", b"k", b"v").unwrap();

    fs::rename(root.path().join("sled/db"), root.path().join("aside")).unwrap();
    let error = open(root.path()).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("restore an export or a backup"), "{error}");

    fs::remove_dir_all(root.path().join("sled")).unwrap();
    fs::create_dir(root.path().join("sled")).unwrap();
    fs::write(root.path().join("sled/db"), b"").unwrap();
    let error = open(root.path()).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
}

#[test]
fn a_damaged_data_file_is_an_error_and_no_panic() {
    let root = TempDir::new().unwrap();
    let store = open(root.path()).unwrap();
    for number in 0..500_u32 {
        store.put("t", &number.to_be_bytes(), &[9; 3000]).unwrap();
    }
    drop(store);
    let path = root.path().join("sled/db");
    let mut bytes = fs::read(&path).unwrap();
    bytes.iter_mut().for_each(|byte| *byte = 0x5A);
    fs::write(&path, bytes).unwrap();
    let error = open(root.path()).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
}

#[test]
fn a_changed_value_is_detected_and_can_be_replaced() {
    let root = TempDir::new().unwrap();
    let store = open(root.path()).unwrap();
    store.put("t", b"inline", b"value").unwrap();
    store.put("t", b"chunked", &[1; 10_000]).unwrap();
    store.put("t", b"sound", b"value").unwrap();
    drop(store);

    let db = raw(root.path());
    let tree = db.open_tree("t:t").unwrap();
    let mut record = tree.get("inline").unwrap().unwrap().to_vec();
    *record.last_mut().unwrap() ^= 1;
    tree.insert("inline", record).unwrap();
    let chunks = db.open_tree("chunks").unwrap();
    let (key, chunk) = chunks.last().unwrap().unwrap();
    let mut chunk = chunk.to_vec();
    chunk[0] ^= 1;
    chunks.insert(key, chunk).unwrap();
    db.flush().unwrap();
    drop((tree, chunks, db));

    let store = open(root.path()).unwrap();
    for key in [&b"inline"[..], b"chunked"] {
        let error = store.get("t", key).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { tree: "t", .. }), "{error}");
    }
    assert!(store.scan("t", b"").is_err());
    assert_eq!(store.get("t", b"sound").unwrap().unwrap(), b"value");
    store.put("t", b"inline", b"again").unwrap();
    assert_eq!(store.get("t", b"inline").unwrap().unwrap(), b"again");
}

/// Lets everything through but, from a moment on, the flush.
struct FailingFlush {
    inner: Arc<dyn Engine>,
    fails: Arc<AtomicBool>,
}

impl Engine for FailingFlush {
    fn get(&self, tree: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(tree, key)
    }

    fn scan(&self, tree: &'static str, prefix: &[u8]) -> Result<Vec<Entry>, StoreError> {
        self.inner.scan(tree, prefix)
    }

    fn scan_range(
        &self,
        tree: &'static str,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.inner.scan_range(tree, from, to, limit)
    }

    fn get_many(
        &self,
        tree: &'static str,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.inner.get_many(tree, keys)
    }

    fn snapshots(&self) -> bool {
        self.inner.snapshots()
    }

    fn visit(&self, visitor: &mut Visitor<'_>) -> Result<(), VisitError> {
        self.inner.visit(visitor)
    }

    fn compact(&self) -> Result<(), CompactError> {
        self.inner.compact()
    }

    fn number(&self) -> Result<u64, String> {
        self.inner.number()
    }

    fn apply(&self, batches: &[&Batch], number: u64, durability: Durability) -> Result<(), String> {
        self.inner.apply(batches, number, Durability::Lazy)?;
        match durability {
            Durability::Forced => self.force(),
            Durability::Lazy => Ok(()),
        }
    }

    fn force(&self) -> Result<(), String> {
        if self.fails.load(Ordering::SeqCst) {
            return Err("input/output error".to_owned());
        }
        self.inner.force()
    }
}

#[test]
fn a_failed_flush_poisons_the_store_until_it_is_opened_again() {
    for engine in ENGINES {
        a_failed_flush_poisons(engine);
    }
}

fn a_failed_flush_poisons(engine: EngineKind) {
    let root = TempDir::new().unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let hook = Arc::clone(&fails);
    let wrap = |inner| Arc::new(FailingFlush { inner, fails: hook }) as Arc<dyn Engine>;
    let store = Store::open_with(root.path(), &options(engine), wrap).unwrap();
    store.put("t", b"before", b"v").unwrap();
    assert_eq!(store.health(), Health::Healthy);

    fails.store(true, Ordering::SeqCst);
    let why = "input/output error".to_owned();
    let poisoned = StoreError::Poisoned { why: why.clone() };
    assert_eq!(store.put("t", b"at", b"v"), Err(poisoned.clone()));

    fails.store(false, Ordering::SeqCst);
    assert_eq!(store.put("t", b"after", b"v"), Err(poisoned.clone()), "it does not recover");
    assert_eq!(store.commit(Batch::new()), Err(poisoned));
    assert_eq!(store.health(), Health::Poisoned { why });
    assert_eq!(store.get("t", b"before").unwrap().unwrap(), b"v", "reads go on");
    drop(store);

    let store = open_as(engine, root.path()).unwrap();
    assert_eq!(store.get("t", b"before").unwrap().unwrap(), b"v");
    assert_eq!(store.get("t", b"after").unwrap(), None);
    store.put("t", b"after", b"v").unwrap();
}

#[test]
fn debug_shows_the_folder_and_no_content() {
    let root = TempDir::new().unwrap();
    let store = open(root.path()).unwrap();
    store.put("t", b"k", b"sesame").unwrap();
    let shown = format!("{store:?}");
    assert!(shown.contains("Healthy") && !shown.contains("sesame"), "{shown}");
}
