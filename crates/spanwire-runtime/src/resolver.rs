//! Host names of clients, found out beside the path of connections (DESIGN 5.4).
//!
//! A connection never waits for a name: it starts with `(Unknown)`, and a bounded number of tasks with a bounded
//! queue, a time limit and a cache fills names in. A resolver that never answers costs only the names.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use spanwire_channel::clock;
use spanwire_channel::transport::forwarded;
use spanwire_channel::wsx::{ConnectionHandle, Names};
use spanwire_protocol::admin::UNKNOWN;
use spanwire_service::BoxFuture;
use tokio::sync::{Semaphore, mpsc};

/// Finds the name of an address. Implement it to use another resolver, or to test with one.
pub trait ReverseDns: Send + Sync + 'static {
    /// The host name of an address; `None` when it has none. May take any time: a limit is kept outside.
    fn lookup(&self, address: IpAddr) -> BoxFuture<'static, Option<String>>;
}

/// The system's resolver.
#[derive(Clone, Debug, Default)]
pub struct SystemDns(());

impl ReverseDns for SystemDns {
    fn lookup(&self, address: IpAddr) -> BoxFuture<'static, Option<String>> {
        // The call blocks, at worst for as long as the system's resolver is configured to try.
        let lookup = tokio::task::spawn_blocking(move || dns_lookup::lookup_addr(&address).ok());
        Box::pin(async move {
            lookup.await.ok().flatten().filter(|name| name.parse::<IpAddr>().is_err())
        })
    }
}

const QUEUE: usize = 1024;
const AT_ONCE: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(5);
const CACHE_FOR: Duration = Duration::from_secs(300);
const CACHE_SIZE: usize = 10_000;
/// DNS names have at most this many characters (RFC 1035, 2.3.4); a longer answer is not one.
const MAX_NAME: usize = 253;

/// Fills names into connections.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    jobs: mpsc::Sender<ConnectionHandle>,
}

impl Resolver {
    /// Starts the task; it ends when the last `Resolver` is gone.
    pub(crate) fn start(dns: Arc<dyn ReverseDns>) -> Self {
        let (jobs, mut wanted) = mpsc::channel::<ConnectionHandle>(QUEUE);
        let lookups = Arc::new(Lookups {
            dns,
            running: Arc::new(Semaphore::new(AT_ONCE)),
            cache: Mutex::default(),
        });
        tokio::spawn(async move {
            while let Some(connection) = wanted.recv().await {
                // The permit stays with the lookup itself, so that stuck ones stay counted.
                let Ok(permit) = Arc::clone(&lookups.running).acquire_owned().await else { return };
                let lookups = Arc::clone(&lookups);
                tokio::spawn(async move {
                    let _permit = permit;
                    lookups.fill_in(&connection).await;
                });
            }
        });
        Self { jobs }
    }

    /// Asks for the names of a connection. When too many are wanted already, its names stay unknown.
    pub(crate) fn want(&self, connection: &ConnectionHandle) {
        let _ = self.jobs.try_send(connection.clone());
    }
}

struct Lookups {
    dns: Arc<dyn ReverseDns>,
    running: Arc<Semaphore>,
    cache: Mutex<HashMap<IpAddr, (Arc<str>, Instant)>>,
}

impl Lookups {
    async fn fill_in(&self, connection: &ConnectionHandle) {
        let peer = self.name(connection.peer().address.ip()).await;
        let first = connection.forwarded_for().and_then(forwarded::first_address);
        let forwarded_for = match first {
            Some(address) => self.name(address).await,
            None => UNKNOWN.into(),
        };
        connection.set_names(Names { peer, forwarded_for });
    }

    async fn name(&self, address: IpAddr) -> Arc<str> {
        let now = clock::instant();
        let cached = self
            .cache()
            .get(&address)
            .filter(|(_, until)| now < *until)
            .map(|(name, _)| Arc::clone(name));
        if let Some(name) = cached {
            return name;
        }
        let found = tokio::time::timeout(TIMEOUT, self.dns.lookup(address)).await;
        let usable = |name: &String| !name.is_empty() && name.len() <= MAX_NAME;
        let name: Arc<str> =
            found.ok().flatten().filter(usable).map_or_else(|| UNKNOWN.into(), Into::into);
        let mut cache = self.cache();
        if cache.len() >= CACHE_SIZE {
            cache.clear();
        }
        cache.insert(address, (Arc::clone(&name), now + CACHE_FOR));
        name
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, (Arc<str>, Instant)>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
