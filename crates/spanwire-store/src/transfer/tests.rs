//! What is exported is imported again, into any engine, and what is damaged is refused as a whole.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::{Batch, EngineKind, KeyValue as _};

const ENGINES: [EngineKind; 2] = [EngineKind::Sled, EngineKind::Redb];

fn options(engine: EngineKind) -> Options {
    Options { engine, ..Options::default() }
}

fn export_of(engine: EngineKind) -> Vec<u8> {
    let root = TempDir::new().unwrap();
    let store = Store::open(root.path(), options(engine)).unwrap();
    let mut batch = Batch::new();
    batch.put("b", b"k", "").put("a", b"k2", vec![7; 5000]).put("a", &[255; 384], "v");
    store.commit(batch).unwrap();
    let mut bytes = Vec::new();
    let transfer = store.export(&mut bytes).unwrap();
    assert_eq!(transfer, Transfer { entries: 3, bytes: 2 + 5003 + 386 });
    // It writes again.
    store.put("c", b"k", b"v").unwrap();
    bytes
}

#[test]
fn an_export_is_the_same_for_every_engine_and_imported_by_every_engine() {
    let bytes = export_of(EngineKind::Sled);
    assert_eq!(bytes, export_of(EngineKind::Redb));
    for engine in ENGINES {
        let root = TempDir::new().unwrap();
        let dir = root.path().join("new");
        let transfer = import(&dir, options(engine), &mut bytes.as_slice()).unwrap();
        assert_eq!(transfer.entries, 3);
        let store = Store::open(&dir, options(engine)).unwrap();
        assert_eq!(store.get("b", b"k").unwrap().unwrap(), b"");
        assert_eq!(store.get("a", b"k2").unwrap().unwrap(), [7; 5000]);
        assert_eq!(store.scan("a", b"").unwrap().len(), 2);
        let mut again = Vec::new();
        store.export(&mut again).unwrap();
        assert_eq!(again, bytes);
        drop(store);
        let refused = import(&dir, options(engine), &mut bytes.as_slice());
        assert!(matches!(refused, Err(ImportError::NotEmpty { .. })), "{refused:?}");
    }
}

#[test]
fn a_damaged_export_is_refused_with_its_place_and_leaves_nothing() {
    let bytes = export_of(EngineKind::Redb);
    let read = |bytes: &[u8]| -> Result<(), ImportError> {
        let mut input = bytes;
        let mut reader = Reader::start(&mut input)?;
        while reader.next_entry()?.is_some() {}
        Ok(())
    };
    read(&bytes).unwrap();
    for length in 0..bytes.len() {
        assert!(matches!(read(&bytes[..length]), Err(ImportError::Damaged { .. })), "{length}");
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let error = read(&flipped).unwrap_err();
        assert!(matches!(error, ImportError::Damaged { .. }), "{at}: {error}");
    }
    let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
    assert!(read(&longer).unwrap_err().to_string().contains("after its end"));

    let root = TempDir::new().unwrap();
    for engine in ENGINES {
        let dir = root.path().join(engine.name());
        let cut = &bytes[..bytes.len() - 1];
        let error = import(&dir, options(engine), &mut &cut[..]).unwrap_err();
        assert!(error.to_string().contains("after 3 entries"), "{error}");
        let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["lock"]);
        // The same folder takes the whole one.
        import(&dir, options(engine), &mut bytes.as_slice()).unwrap();
    }
}

#[test]
fn an_interrupted_import_leaves_no_store() {
    let bytes = export_of(EngineKind::Redb);
    for engine in ENGINES {
        let root = TempDir::new().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let (_, dir) = folder.begin_building(engine).unwrap();
        drop(engine::open(engine, &dir, &options(engine), true).unwrap());
        drop(folder);
        import(root.path(), options(engine), &mut bytes.as_slice()).unwrap();
        let store = Store::open(root.path(), options(engine)).unwrap();
        assert_eq!(store.scan("a", b"").unwrap().len(), 2);
    }
}

#[test]
fn an_export_while_others_write_is_of_one_moment() {
    for engine in ENGINES {
        let root = TempDir::new().unwrap();
        let store = Store::open(root.path(), options(engine)).unwrap();
        let write = |number: u32| {
            let mut batch = Batch::new();
            batch.put("a", b"last", number.to_be_bytes()).put("z", &number.to_be_bytes(), "");
            store.commit(batch).unwrap();
        };
        (0..100).for_each(write);
        let bytes = std::thread::scope(|scope| {
            let writer = scope.spawn(|| (100..300).for_each(write));
            let mut bytes = Vec::new();
            store.export(&mut bytes).unwrap();
            writer.join().unwrap();
            bytes
        });
        let dir = root.path().join("new");
        import(&dir, options(engine), &mut bytes.as_slice()).unwrap();
        let copy = Store::open(&dir, options(engine)).unwrap();
        let last = copy.get("a", b"last").unwrap().unwrap();
        let count = u32::from_be_bytes(last.try_into().unwrap()) + 1;
        assert_eq!(copy.scan("z", b"").unwrap().len(), count as usize);
    }
}
