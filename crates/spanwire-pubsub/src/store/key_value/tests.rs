use spanwire_store::{EngineKind, MemoryStore, Options, Store};
use tempfile::TempDir;

use super::*;
use crate::message::{EncodedMessage, Header, Publication};
use crate::testing::store_contract;

/// Reading uses threads of the runtime.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap()
}

fn open(dir: &TempDir, name: &str, engine: EngineKind) -> KeyValueMessageStore {
    let mut options = Options::default();
    options.engine = engine;
    let store = Store::open(&dir.path().join(name), options).unwrap();
    KeyValueMessageStore::new(Arc::new(store))
}

#[test]
fn every_database_keeps_the_contract() {
    let runtime = runtime();
    let _entered = runtime.enter();
    store_contract(|| Arc::new(KeyValueMessageStore::new(Arc::new(MemoryStore::new()))));
    for engine in [EngineKind::Sled, EngineKind::Redb] {
        let (dir, mut count) = (tempfile::tempdir().unwrap(), 0);
        store_contract(|| {
            count += 1;
            Arc::new(open(&dir, &format!("{engine}-{count}"), engine))
        });
    }
}

fn message(text: &str) -> StoredMessage {
    let publication = Publication::from_value(text).unwrap();
    let now = Timestamp::from_microseconds(1);
    let message = publication.into_message(&"/t".into(), "p".into(), "pub=/*".into(), now).unwrap();
    let header = Header {
        priority: 5,
        order: 1,
        expires_at: None,
        by_retention: false,
        size: u32::try_from(text.len()).unwrap(),
        waiting: false,
        has_own_time: false,
        recipients: None,
    };
    StoredMessage::new(&header, &EncodedMessage::of(&message))
}

#[test]
fn what_was_forced_is_there_after_a_restart_and_long_messages_are_read_without_their_content_at_first()
 {
    let runtime = runtime();
    let _entered = runtime.enter();
    let dir = tempfile::tempdir().unwrap();
    for engine in [EngineKind::Sled, EngineKind::Redb] {
        let (short, long) = (message("short"), message(&"long".repeat(5_000)));
        let topic = TopicRecord { name: "/t".to_owned(), epoch: 7, floor: 0 };
        let store = open(&dir, engine.name(), engine);
        let changes = vec![
            Change::PutTopic(TopicId(1), topic),
            Change::PutNext(TopicId(1), 3),
            Change::Append(TopicId(1), 1, short.clone()),
            Change::Append(TopicId(1), 2, long.clone()),
        ];
        runtime.block_on(store.commit(changes, Durability::Forced)).unwrap();
        drop(store);

        let store = open(&dir, engine.name(), engine);
        let mut read = Vec::new();
        store.load(&mut |record| read.push(record)).unwrap();
        let bytes = |record: &Record| match record {
            Record::Message(_, _, message) => message.as_bytes().len(),
            _ => 0,
        };
        assert_eq!(read.len(), 3, "{read:?}");
        assert!(matches!(&read[0], Record::Topic(TopicId(1), record, 3) if record.epoch == 7));
        assert!(read.iter().map(bytes).max().unwrap() < 500, "headers alone");
        let fetched = runtime.block_on(store.fetch(TopicId(1), vec![2, 1, 9])).unwrap();
        assert_eq!(fetched, [Some(long), Some(short), None]);
    }
}

#[test]
fn what_belongs_to_nobody_any_more_is_deleted_at_the_next_start() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let database = Arc::new(MemoryStore::new());
    let store = KeyValueMessageStore::new(Arc::clone(&database) as Arc<dyn KeyValue>);
    let changes = vec![
        Change::Append(TopicId(9), 1, message("of a topic that is gone")),
        Change::PutAttempts(SubscriptionId(9), 1, 2),
        Change::PutAcked(SubscriptionId(9), 0, Some(Box::new([1; 64]))),
    ];
    runtime.block_on(store.commit(changes, Durability::Forced)).unwrap();
    let mut read = 0;
    store.load(&mut |_| read += 1).unwrap();
    assert_eq!(read, 0);
    for tree in ["message", "attempts", "acked"] {
        assert_eq!(database.scan(tree, b""), Ok(vec![]), "{tree}");
    }
}

#[test]
fn odd_records_are_errors() {
    for (tree, key, value) in [
        ("topic", &[1; 3][..], &b"x"[..]),
        ("topic", &[1; 8], b"x"),
        ("next", &[1; 8], b"x"),
        ("floor", &[1; 8], b""),
    ] {
        let database = MemoryStore::new();
        database.put(tree, key, value).unwrap();
        let store = KeyValueMessageStore::new(Arc::new(database));
        assert!(matches!(store.load(&mut |_| {}), Err(StoreError::Read(_))), "{tree}");
    }
}
