//! The broker: topics and their subscribers, over a message log.
//!
//! It joins the state machines of `topic` to a [`MessageStore`], a clock and tasks that wait. Everything that has to be
//! on disk before somebody hears of it goes through one task, the `committer`, which takes what has come together,
//! stores it as one batch and only then makes it visible, in the order in which it came. Acknowledgements follow with
//! the next batch, or after a few milliseconds.
//!
//! | file | what is there |
//! |---|---|
//! | `access` | endpoints, and what they may |
//! | `committer` | the one task that stores |
//! | `publish`, `subscribe`, `consume`, `operate` | the calls |
//! | `hand_over` | between taking a message and giving it to its subscriber |
//! | `reading` | what a start reads |
//! | `timer` | what is due by itself |
//! | `ports` | what the host brings: hooks, accounts |

pub(crate) mod access;
mod committer;
mod consume;
mod hand_over;
mod operate;
pub(crate) mod ports;
mod publish;
mod reading;
mod space;
mod subscribe;
#[cfg(test)]
mod tests;
mod timer;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore, mpsc};

use self::access::{Endpoint, Endpoints, MAX_TOPIC_NAME};
use self::committer::{Committer, Op};
pub use self::consume::{Batch, Consumer, Delivered, Ended, Gap, Pull};
pub use self::operate::{SubscriptionInfo, TopicInfo, Totals};
use self::ports::{Hooks, NoHooks, Observer};
pub use self::publish::Published;
use self::reading::Reading;
pub use self::subscribe::{StartAt, Subscribe, Subscribed};
use self::timer::Timer;
use crate::clock::{Clock, SystemClock};
use crate::error::PubSubError;
use crate::id::{EndpointId, SubKey, SubscriptionId, TopicId};
use crate::settings::{EndpointSettings, TopicSettings};
use crate::store::{Change, MessageStore, StoreError, TopicRecord};
use crate::topic::{HolderId, MemoryGauge, Now, Topic, TopicCounters};

/// How a broker works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BrokerSettings {
    /// The largest message, in bytes of its content. Default 16 MiB.
    pub max_message_bytes: usize,
    /// What messages that are nowhere but in memory may take, all together. Default 256 MiB.
    pub memory_bytes: usize,
    /// What contents of stored messages may take in memory, to be delivered without being read. Default 32 MiB.
    pub cache_bytes: usize,
    /// What may wait to be stored; publishers beyond that wait. Default 64 MiB.
    pub queue_bytes: usize,
    /// How many messages a subscriber who acknowledges may have without having done so. Default 1,000.
    pub max_unacknowledged: usize,
    /// How many bytes of contents are handed over at once, about. Default 4 MiB.
    pub batch_bytes: usize,
    /// How long acknowledgements wait for company before they are stored. Default 250 ms.
    pub lazy_pause: Duration,
    /// How many subscriptions there may be. Default 1,000,000.
    pub max_subscriptions: usize,
}

impl Default for BrokerSettings {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            max_message_bytes: 16 * MIB,
            memory_bytes: 256 * MIB,
            cache_bytes: 32 * MIB,
            queue_bytes: 64 * MIB,
            max_unacknowledged: 1_000,
            batch_bytes: 4 * MIB,
            lazy_pause: Duration::from_millis(250),
            max_subscriptions: 1_000_000,
        }
    }
}

/// Makes a broker.
pub struct BrokerBuilder {
    store: Arc<dyn MessageStore>,
    settings: BrokerSettings,
    clock: Arc<dyn Clock>,
    hooks: Arc<dyn Hooks>,
    observer: Arc<dyn Observer>,
}

impl BrokerBuilder {
    /// With other limits.
    #[must_use]
    pub fn settings(mut self, settings: BrokerSettings) -> Self {
        self.settings = settings;
        self
    }

    /// With another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// With services around publication and delivery.
    #[must_use]
    pub fn hooks(mut self, hooks: Arc<dyn Hooks>) -> Self {
        self.hooks = hooks;
        self
    }

    /// With somebody who counts.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Reads what is stored and starts. Blocks while it reads; has to be called within a tokio runtime.
    ///
    /// # Errors
    /// When the log cannot be read or is damaged.
    pub fn open(self) -> Result<Broker, StoreError> {
        Broker::restore(self)
    }
}

impl std::fmt::Debug for BrokerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokerBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Publishes, keeps and delivers. Cloning shares it.
#[derive(Clone)]
pub struct Broker(Arc<Shared>);

pub(crate) struct Shared {
    store: Arc<dyn MessageStore>,
    settings: BrokerSettings,
    clock: Arc<dyn Clock>,
    hooks: Arc<dyn Hooks>,
    observer: Arc<dyn Observer>,
    topics: RwLock<Topics>,
    endpoints: ArcSwap<Endpoints>,
    keys: RwLock<HashMap<SubKey, Located>>,
    ops: mpsc::Sender<Op>,
    /// What may wait to be stored, in KiB.
    room: Arc<Semaphore>,
    dirty: Mutex<Vec<Arc<Handle>>>,
    /// These two outlive it in the tasks that wait for them.
    dirty_wake: Arc<Notify>,
    timer: Arc<Timer>,
    memory: MemoryGauge,
    /// Contents that are kept at hand, oldest first, and what they take.
    cache: Mutex<VecDeque<(Arc<Handle>, u64, usize)>>,
    cached: AtomicUsize,
    next_subscription: AtomicU64,
    next_holder: AtomicU64,
    /// When it was opened.
    started: Now,
    /// The disk was full lately.
    wants_room: AtomicBool,
    /// How many messages had been published when it was last looked for space to give back.
    published_before: AtomicU64,
    /// How large the log was after it was last compacted, in bytes.
    compacted_to: AtomicU64,
    failed: OnceLock<String>,
    closing: AtomicBool,
}

/// A topic, shared.
pub(crate) struct Handle {
    id: TopicId,
    topic: Mutex<Topic>,
    is_dirty: AtomicBool,
}

/// Where a subscription is.
#[derive(Clone)]
struct Located {
    handle: Arc<Handle>,
    id: SubscriptionId,
}

#[derive(Default)]
struct Topics {
    by_id: HashMap<TopicId, Arc<Handle>>,
    by_name: HashMap<Arc<str>, Arc<Handle>>,
    /// What had happened to those that were removed.
    removed: TopicCounters,
}

impl Handle {
    fn lock(&self) -> MutexGuard<'_, Topic> {
        self.topic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    /// A broker over a message log.
    #[must_use]
    pub fn builder(store: Arc<dyn MessageStore>) -> BrokerBuilder {
        BrokerBuilder {
            store,
            settings: BrokerSettings::default(),
            clock: Arc::new(SystemClock::new()),
            hooks: Arc::new(NoHooks),
            observer: Arc::new(()),
        }
    }

    fn restore(builder: BrokerBuilder) -> Result<Self, StoreError> {
        let BrokerBuilder { store, settings, clock, hooks, observer } = builder;
        let memory = MemoryGauge::default();
        let read = Reading::of(&*store, &memory)?;
        let (ops, received) = mpsc::channel(OPS);
        let mut topics = Topics::default();
        let mut keys = HashMap::new();
        let mut dirty = Vec::new();
        let started = clock.now();
        for topic in read.topics.into_values().map(|topic| topic.finish(started.wall)) {
            let (id, name) = (topic.id, Arc::from(topic.name()));
            let located: Vec<_> =
                topic.subscriptions().map(|it| (it.record.key.clone(), it.id)).collect();
            let is_dirty = topic.has_changes();
            let handle = Handle { id, topic: Mutex::new(topic), is_dirty: is_dirty.into() };
            let handle = Arc::new(handle);
            for (key, id) in located {
                keys.insert(key, Located { handle: Arc::clone(&handle), id });
            }
            topics.by_id.insert(id, Arc::clone(&handle));
            topics.by_name.insert(name, Arc::clone(&handle));
            if is_dirty {
                dirty.push(handle);
            }
        }
        let room = settings.queue_bytes.div_ceil(KIB).clamp(1, Semaphore::MAX_PERMITS);
        let shared = Arc::new(Shared {
            store,
            clock,
            hooks,
            observer,
            topics: RwLock::new(topics),
            endpoints: ArcSwap::from_pointee(Endpoints::new(Vec::new())),
            keys: RwLock::new(keys),
            ops,
            room: Arc::new(Semaphore::new(room)),
            dirty: Mutex::new(dirty),
            dirty_wake: Arc::default(),
            timer: Arc::default(),
            memory,
            cache: Mutex::default(),
            cached: AtomicUsize::new(0),
            next_subscription: AtomicU64::new(read.last_subscription + 1),
            next_holder: AtomicU64::new(1),
            started,
            wants_room: AtomicBool::new(false),
            published_before: AtomicU64::new(0),
            compacted_to: AtomicU64::new(0),
            failed: OnceLock::new(),
            closing: AtomicBool::new(false),
            settings,
        });
        for handle in shared.handles() {
            shared.schedule(&handle);
        }
        // What the start found out is stored, whatever happens next.
        shared.dirty_wake.notify_one();
        tokio::spawn(Committer::new(&shared, received, read.orphans).run());
        tokio::spawn(timer::run(Arc::downgrade(&shared), Arc::clone(&shared.timer)));
        Ok(Self(shared))
    }

    /// Makes a topic, or gives it another name or other settings. Stored when this returns.
    ///
    /// # Errors
    /// When another topic has the name, when it has more than 1,024 bytes, or when the log fails.
    pub async fn put_topic(
        &self,
        id: TopicId,
        name: &str,
        settings: TopicSettings,
    ) -> Result<(), PubSubError> {
        if name.len() > MAX_TOPIC_NAME {
            return Err(PubSubError::Input(format!(
                "The name of a topic has {} bytes, allowed are {MAX_TOPIC_NAME}",
                name.len()
            )));
        }
        let (shared, name) = (Arc::clone(&self.0), Arc::<str>::from(name));
        let prepare = move || {
            let topics = shared.topics.read().unwrap_or_else(PoisonError::into_inner);
            if topics.by_name.get(&name).is_some_and(|other| other.id != id) {
                return Err(PubSubError::TopicExists(name.to_string()));
            }
            let existing = topics.by_id.get(&id).cloned();
            drop(topics);
            let record = match &existing {
                Some(handle) => {
                    TopicRecord { name: name.to_string(), ..handle.lock().record.clone() }
                }
                None => TopicRecord {
                    name: name.to_string(),
                    epoch: u64::try_from(shared.clock.now().wall).unwrap_or_default(),
                    floor: 0,
                },
            };
            let same = existing.as_ref().is_some_and(|handle| handle.lock().record == record);
            let changes = if same { vec![] } else { vec![Change::PutTopic(id, record.clone())] };
            let apply = move || shared.show_topic(id, existing, record, settings);
            Ok((changes, apply))
        };
        self.0.structural(prepare).await
    }

    /// Removes a topic with everything in it. Removing what is not there is no error.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn remove_topic(&self, id: TopicId) -> Result<(), PubSubError> {
        let shared = Arc::clone(&self.0);
        let prepare = move || {
            let Some(handle) = shared.handle(id) else { return Ok((Vec::new(), None)) };
            let topic = handle.lock();
            let mut changes: Vec<Change> =
                topic.subscriptions().map(|it| Change::DeleteSubscription(it.id)).collect();
            changes.push(Change::DeleteTopic(id));
            drop(topic);
            Ok((changes, Some((shared, handle))))
        };
        let apply = |prepared: Option<(Arc<Shared>, Arc<Handle>)>| {
            if let Some((shared, handle)) = prepared {
                shared.hide_topic(&handle);
            }
        };
        self.0.structural(move || prepare().map(|(changes, it)| (changes, move || apply(it)))).await
    }

    /// Replaces all endpoints. What those that are gone had subscribed to stays until
    /// [`retain_endpoints`](Self::retain_endpoints).
    pub fn set_endpoints(&self, endpoints: Vec<EndpointSettings>) {
        self.0.endpoints.store(Arc::new(Endpoints::new(endpoints)));
    }

    /// The endpoint that the server itself is: nothing is forbidden to it.
    #[must_use]
    pub fn internal(&self) -> Arc<Endpoint> {
        Arc::clone(self.0.endpoints.load().internal())
    }

    /// The endpoint that is recognised by credentials.
    #[must_use]
    pub fn endpoint_by_security(&self, name: &str) -> Option<Arc<Endpoint>> {
        self.0.endpoints.load().by_security(name).cloned()
    }

    /// The endpoint that is recognised by a WebSocket channel.
    #[must_use]
    pub fn endpoint_by_channel(&self, name: &str) -> Option<Arc<Endpoint>> {
        self.0.endpoints.load().by_channel(name).cloned()
    }

    /// The endpoint of a name.
    #[must_use]
    pub fn endpoint_by_name(&self, name: &str) -> Option<Arc<Endpoint>> {
        self.0.endpoints.load().by_name(name).cloned()
    }

    /// The endpoint of a number.
    #[must_use]
    pub fn endpoint_by_id(&self, id: EndpointId) -> Option<Arc<Endpoint>> {
        self.0.endpoints.load().by_id(id).cloned()
    }

    /// Why nothing can be stored any more.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn health(&self) -> Result<(), String> {
        match self.0.failed.get() {
            Some(why) => Err(why.clone()),
            None => self.0.store.health(),
        }
    }

    /// Whether it is being closed, or was.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    /// Waits until everything that has happened so far is on disk.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn flush(&self) -> Result<(), PubSubError> {
        self.0.flush().await
    }

    /// Stores what is left and ends: nothing can be published or taken any more. What was handed over and not
    /// acknowledged will be delivered again.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn close(&self) -> Result<(), PubSubError> {
        self.0.close().await
    }
}

impl Shared {
    fn handle(&self, id: TopicId) -> Option<Arc<Handle>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).by_id.get(&id).cloned()
    }

    fn handle_by_name(&self, name: &str) -> Option<Arc<Handle>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).by_name.get(name).cloned()
    }

    fn handles(&self) -> Vec<Arc<Handle>> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.by_id.values().cloned().collect()
    }

    fn locate(&self, key: &SubKey) -> Option<Located> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Does something with a topic, and sees to it that what follows is stored and comes in time.
    fn with<T>(self: &Arc<Self>, handle: &Arc<Handle>, work: impl FnOnce(&mut Topic) -> T) -> T {
        let mut topic = handle.lock();
        let result = work(&mut topic);
        self.after(handle, topic);
        result
    }

    fn after(self: &Arc<Self>, handle: &Arc<Handle>, mut topic: MutexGuard<'_, Topic>) {
        let due = topic.next_due(self.clock.now());
        let has_changes = topic.has_changes();
        drop(topic);
        if let Some(due) = due {
            self.timer.set(handle.id, due);
        }
        if has_changes && !handle.is_dirty.swap(true, Ordering::AcqRel) {
            self.dirty.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(handle));
            self.dirty_wake.notify_one();
        }
    }

    fn schedule(self: &Arc<Self>, handle: &Arc<Handle>) {
        let topic = handle.lock();
        self.after(handle, topic);
    }

    fn show_topic(
        self: &Arc<Self>,
        id: TopicId,
        existing: Option<Arc<Handle>>,
        record: TopicRecord,
        settings: TopicSettings,
    ) {
        let name: Arc<str> = record.name.as_str().into();
        let handle = existing.unwrap_or_else(|| {
            let topic = Topic::new(id, record.clone(), settings.clone(), Arc::clone(&self.memory));
            Arc::new(Handle { id, topic: Mutex::new(topic), is_dirty: AtomicBool::new(false) })
        });
        let mut topic = handle.lock();
        let former = std::mem::replace(&mut topic.record, record).name;
        topic.settings = settings;
        drop(topic);
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if *former != *name && topics.by_name.get(&*former).is_some_and(|it| it.id == id) {
            topics.by_name.remove(&*former);
        }
        topics.by_name.insert(name, Arc::clone(&handle));
        topics.by_id.insert(id, handle);
    }

    fn hide_topic(self: &Arc<Self>, handle: &Arc<Handle>) {
        let name = handle.lock().name().to_owned();
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.by_name.remove(&*name);
        topics.by_id.remove(&handle.id);
        // In the same step: what has happened has happened.
        topics.removed.add(&handle.lock().counters);
        drop(topics);
        let ids: Vec<_> = handle.lock().subscriptions().map(|it| it.id).collect();
        for id in ids {
            self.forget_subscription(handle, id);
        }
        self.with(handle, Topic::end);
    }

    /// Takes a subscription that is removed from the log out of the books.
    fn forget_subscription(self: &Arc<Self>, handle: &Arc<Handle>, id: SubscriptionId) {
        if let Some(gone) = self.with(handle, |topic| topic.remove(id)) {
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            keys.remove(&gone.record.key);
        }
    }

    fn new_holder(&self) -> HolderId {
        HolderId(self.next_holder.fetch_add(1, Ordering::Relaxed))
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

/// The tasks notice that nobody is left to work for.
impl Drop for Shared {
    fn drop(&mut self) {
        self.timer.wake();
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").finish_non_exhaustive()
    }
}

const OPS: usize = 4096;
const KIB: usize = 1024;
