//! Publish/subscribe: the broker, its message log, and what joins it to channels, services and managed objects.
//!
//! | file | what is there |
//! |---|---|
//! | `objects` | managed objects as topics, endpoints and subscriptions |
//! | `apply` | managed objects put to work |
//! | `push` | messages to WebSocket clients |
//! | `notify` | messages to REST connections and services |
//! | `hooks` | services around publication and delivery |
//! | `accounts` | metrics and the audit |
//! | `log` | the folder of the message log |
//! | `routes` | the REST paths of existing clients |

mod accounts;
mod apply;
mod hooks;
mod log;
mod notify;
mod objects;
mod push;
mod routes;
mod service_topics;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use spanwire_builtins::pubsub::{Options, PubSub as Services};
use spanwire_config::Snapshot;
use spanwire_protocol::TopicAccess;
use spanwire_pubsub::store::MessageStore;
use spanwire_pubsub::store::key_value::KeyValueMessageStore;
use spanwire_pubsub::store::memory::MemoryMessageStore;
use spanwire_pubsub::{Broker, BrokerSettings, SubKey, SubscriptionFacts, SubscriptionId};
use spanwire_service::Ports;
use tokio_util::sync::CancellationToken;

pub(crate) use self::accounts::Accounts;
pub use self::log::{LogTask, run as run_log_task};
pub(crate) use self::routes::channels;
use crate::connections::ConnectionTable;
use crate::error::StartError;
use crate::rest_calls::RestClients;
use crate::settings::{Profile, Protocol, Settings};
use crate::telemetry::Metrics;

/// The broker at work.
pub(crate) struct PubSub {
    pub(crate) broker: Broker,
    ports: Ports,
    options: Options,
    /// What messages expire after where neither they nor their topic say.
    default_expiry: Option<Duration>,
    /// The configuration that is put to work, for what a delivery has to look up.
    running: Arc<ArcSwap<Snapshot>>,
    /// Who notifies, by subscription.
    notifiers: Mutex<HashMap<SubscriptionId, CancellationToken>>,
    clients: RestClients,
    /// Subscriptions made through the API that a managed object has taken over, by its number. After a restart they are
    /// taken over again.
    adopted: Mutex<BTreeMap<u64, SubKey>>,
    /// Whether notifiers were started once.
    is_applied: AtomicBool,
    /// Cancelled when a stop begins: nobody waits for messages any more.
    pub(crate) stop: CancellationToken,
    accounts: Arc<Accounts>,
}

/// What a broker is opened with.
pub(crate) struct Opening<'a> {
    pub(crate) folder: Option<&'a Path>,
    pub(crate) settings: &'a Settings,
    pub(crate) ports: &'a Ports,
    pub(crate) connections: &'a Arc<ConnectionTable>,
    pub(crate) metrics: &'a Arc<Metrics>,
}

impl PubSub {
    /// Opens the message log, starts the broker and registers its services. Blocks while the log is read.
    pub(crate) fn open(opening: &Opening<'_>) -> Result<Arc<Self>, StartError> {
        let Opening { folder, settings, ports, connections, metrics } = opening;
        let store: Arc<dyn MessageStore> = match folder {
            Some(folder) => {
                let store = log::open(folder, settings.pubsub.store)?;
                Arc::new(KeyValueMessageStore::new(Arc::new(store)))
            }
            None => Arc::new(MemoryMessageStore::new()),
        };
        let mut limits = BrokerSettings::default();
        limits.max_message_bytes = settings.limits.message_bytes;
        let accounts = Arc::new(Accounts::new(metrics, settings).map_err(StartError::data)?);
        let broker = Broker::builder(store)
            .settings(limits)
            .hooks(Arc::new(hooks::ServiceHooks::new(ports)))
            .observer(Arc::clone(&accounts) as _)
            .open()
            .map_err(StartError::data)?;
        let running = Arc::new(ArcSwap::<Snapshot>::default());
        let this = Arc::new(Self {
            broker: broker.clone(),
            ports: (*ports).clone(),
            options: options(settings),
            default_expiry: (settings.effective_profile() == Profile::Compat).then_some(DAY),
            running: Arc::clone(&running),
            notifiers: Mutex::default(),
            clients: RestClients::default(),
            adopted: Mutex::default(),
            is_applied: AtomicBool::new(false),
            stop: CancellationToken::new(),
            accounts,
        });
        // Before anybody can subscribe to them.
        let restored = this.restore_service_topics();
        tokio::runtime::Handle::current().block_on(restored).map_err(StartError::data)?;
        let services = Services {
            broker: broker.clone(),
            clients: Arc::new(push::PushClients {
                broker: broker.clone(),
                connections: Arc::clone(connections),
                options: this.options.clone(),
                running,
            }),
            service_topics: Some(Arc::new(service_topics::Made::new(&this))),
            stop: this.stop.clone(),
            options: this.options.clone(),
        };
        spanwire_builtins::pubsub::register(ports.registry(), services);
        Ok(this)
    }

    /// A stop begins: whoever waits for messages gets none any more.
    pub(crate) fn end_waits(&self) {
        self.stop.cancel();
    }

    /// Stores what is left, until then; nothing is published or delivered any more.
    pub(crate) async fn close(&self, until: Instant) {
        self.end_waits();
        self.stop_notifiers();
        match tokio::time::timeout_at(until.into(), self.broker.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "the message log could not be closed properly")
            }
            Err(_) => tracing::error!("the message log took too long to close"),
        }
        let accounts = Arc::clone(&self.accounts);
        let written = tokio::task::spawn_blocking(move || accounts.finish());
        if tokio::time::timeout_at(until.into(), written).await.is_err() {
            tracing::error!("the audit of messages took too long to write");
        }
    }
}

/// Whether the endpoint of a subscription may have what was taken for it: it may have lost the right since it subscribed.
fn may_receive(broker: &Broker, subscription: &SubscriptionFacts) -> bool {
    let endpoint = broker.endpoint_by_name(&subscription.endpoint);
    endpoint.is_some_and(|it| it.allow(TopicAccess::Subscribe, &subscription.topic).is_ok())
}

/// What existing clients expect.
fn options(settings: &Settings) -> Options {
    let compat = settings.effective_profile() == Profile::Compat;
    let old = settings.protocol == Protocol::V3_0;
    Options {
        milliseconds: old,
        first_count_zero: old && compat,
        refuses_repeats: old,
        ..Options::default()
    }
}

impl std::fmt::Debug for PubSub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PubSub").finish_non_exhaustive()
    }
}

/// How long messages wait whose subscriber has lost the right to have them, before it is looked whether it has it again.
const REVOKED_PAUSE: Duration = Duration::from_secs(1);
/// What messages expire after where nobody says otherwise, as existing installations have it.
const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests;
