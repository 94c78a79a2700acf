//! Room on the disk, as a store with a real folder sees it.

use super::*;
use crate::space;

#[test]
fn a_disk_without_room_refuses_puts_and_nothing_else() {
    for engine in ENGINES {
        let root = TempDir::new().unwrap();
        open_as(engine, root.path()).unwrap().put("t", b"k", b"v").unwrap();
        // More than any disk has: an eighth of it is too little even for deletes.
        let greedy = Options { reserve_bytes: u64::MAX, ..options(engine) };
        let store = Store::open(root.path(), greedy).unwrap();
        let error = store.put("t", b"k", b"w").unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        assert!(error.to_string().contains("free some space"), "{error}");
        assert_eq!(store.health(), Health::Healthy);
        assert_eq!(store.get("t", b"k").unwrap().unwrap(), b"v");
        drop(store);
        // Between the two marks, deletes go on.
        let available = space::available(root.path()).unwrap();
        let tight = Options { reserve_bytes: available.saturating_mul(4), ..options(engine) };
        let store = Store::open(root.path(), tight).unwrap();
        assert!(matches!(store.put("t", b"k", b"w"), Err(StoreError::Full { .. })));
        assert_eq!(store.delete("t", b"k"), Ok(()));
        assert_eq!(store.get("t", b"k").unwrap(), None);
    }
}

#[test]
fn a_compaction_gives_space_back_or_says_why_not() {
    let root = TempDir::new().unwrap();
    let store = open_as(EngineKind::Redb, root.path()).unwrap();
    for number in 0..40_u8 {
        store.put("t", &[number], &vec![number; 200_000]).unwrap();
    }
    for number in 1..40_u8 {
        store.delete("t", &[number]).unwrap();
    }
    let Compaction { before, after } = store.compact().unwrap();
    assert!(before > 4_000_000 && after < 2_000_000, "{before} to {after}");
    assert!(store.disk_bytes() < 2_000_000);
    assert_eq!(store.get("t", &[0]).unwrap().unwrap(), vec![0; 200_000]);
    store.put("t", b"k", b"v").unwrap();

    let root = TempDir::new().unwrap();
    let store = open_as(EngineKind::Sled, root.path()).unwrap();
    let error = store.compact().unwrap_err();
    assert!(error.to_string().contains("rewrite the store"), "{error}");
    assert!(store.disk_bytes() > 0);
    store.put("t", b"k", b"v").unwrap();
}
