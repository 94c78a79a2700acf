//! The keys of subscriptions at peers. Whoever has one takes up a subscription where the last connection left it, and
//! what was published meanwhile is not lost; also across restarts of this server.
//!
//! They are secrets: on disk they are encrypted, one record for each connection. With them is the name under which this
//! server's connections are known to peers, because a subscription may be bound to it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spanwire_crypto::KeyRing;
use spanwire_store::{KeyValue, StoreError};

use crate::error::StartError;

type Topics = BTreeMap<String, String>;

pub(crate) struct SubscriptionKeys {
    /// By the number of the connection, then by topic.
    known: Mutex<HashMap<u64, Topics>>,
    /// `None` without a store: it is another one in each process.
    identity: Option<String>,
    store: Option<(Arc<dyn KeyValue>, Arc<KeyRing>)>,
}

impl SubscriptionKeys {
    /// Without a store they last as long as the process.
    pub(crate) fn open(
        store: Option<(Arc<dyn KeyValue>, Arc<KeyRing>)>,
    ) -> Result<Self, StartError> {
        let mut known = HashMap::new();
        if let Some((store, keys)) = &store {
            for (key, value) in store.scan(TREE, b"").map_err(StartError::data)? {
                let id = <[u8; 8]>::try_from(key.as_slice()).map(u64::from_be_bytes);
                match id.ok().zip(decrypt(keys, &value)) {
                    Some((id, topics)) => drop(known.insert(id, topics)),
                    // A connection subscribes again without its keys; what waits at the peer is then delivered twice or not
                    // at all, which an operator has to know.
                    None => {
                        tracing::error!("subscriptions of an outgoing connection cannot be read")
                    }
                }
            }
        }
        let identity = store.as_ref().map(|(store, _)| identity(store.as_ref())).transpose()?;
        Ok(Self { known: Mutex::new(known), identity, store })
    }

    /// What the ids of a connection's sockets begin with at its peer; the same after a restart.
    pub(super) fn identity(&self, id: u64) -> Option<String> {
        self.identity.as_ref().map(|identity| format!("wsx.out.{identity}.{id}"))
    }

    /// Encrypts what is stored with the newest key, and tells how many records that were. Blocks.
    pub(crate) fn encrypt_again(&self) -> Result<usize, StoreError> {
        let Some((store, keys)) = &self.store else { return Ok(0) };
        // Under the lock: what is kept meanwhile is written after.
        let known = self.lock();
        for (id, topics) in known.iter() {
            write(store.as_ref(), keys, *id, topics)?;
        }
        Ok(known.len())
    }

    pub(super) fn get(&self, id: u64, topic: &str) -> Option<String> {
        self.lock().get(&id)?.get(topic).cloned()
    }

    /// All of a connection.
    pub(super) fn of(&self, id: u64) -> Vec<(String, String)> {
        let known = self.lock();
        let topics = known.get(&id).into_iter().flatten();
        topics.map(|(topic, key)| (topic.clone(), key.clone())).collect()
    }

    /// Keeps a key, or forgets it. It is on disk when this returns.
    pub(super) async fn keep(&self, id: u64, topic: &str, key: Option<&str>) {
        let record = {
            let mut known = self.lock();
            let topics = known.entry(id).or_default();
            match key {
                Some(key) => drop(topics.insert(topic.to_owned(), key.to_owned())),
                None => drop(topics.remove(topic)),
            }
            let topics = topics.clone();
            if topics.is_empty() {
                known.remove(&id);
            }
            topics
        };
        let Some((store, keys)) = self.store.clone() else { return };
        let write = move || write(store.as_ref(), &keys, id, &record);
        let written = tokio::task::spawn_blocking(write).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::error!(
                ?written,
                "the key of a subscription could not be stored: after a restart it is lost"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Topics>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody guesses it: it is what a bound subscription asks for beside its key.
fn identity(store: &dyn KeyValue) -> Result<String, StartError> {
    let kept = store.get(IDENTITY, b"client_id").map_err(StartError::data)?;
    if let Some(identity) = kept.and_then(|it| String::from_utf8(it).ok()) {
        return Ok(identity);
    }
    let identity = spanwire_crypto::random::hex_token(16).map_err(StartError::data)?;
    store.put(IDENTITY, b"client_id", identity.expose().as_bytes()).map_err(StartError::data)?;
    Ok(identity.expose().to_owned())
}

fn write(store: &dyn KeyValue, keys: &KeyRing, id: u64, topics: &Topics) -> Result<(), StoreError> {
    if topics.is_empty() {
        return store.delete(TREE, &id.to_be_bytes());
    }
    let text = serde_json::to_string(topics).unwrap_or_default();
    store.put(TREE, &id.to_be_bytes(), keys.encrypt(text.as_bytes()).as_bytes())
}

fn decrypt(keys: &KeyRing, value: &[u8]) -> Option<Topics> {
    let text = keys.decrypt(std::str::from_utf8(value).ok()?).ok()?;
    serde_json::from_slice(&text).ok()
}

const TREE: &str = "outconn_subscriptions";
const IDENTITY: &str = "outconn_identity";
