//! Outgoing WebSocket connections at work: a link for each active `outgoing_wsx` object, and services as its hooks.
//!
//! | file | what is there |
//! |---|---|
//! | `status` | how they stand, for the admin API |
//! | `events` | what a link tells, as calls of hook services |
//! | `keys` | the keys of subscriptions at peers, kept for the next connection and the next start |

mod events;
mod keys;
mod status;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use spanwire_config::{Object, ObjectSet, OutgoingWsx as Wanted, Security, Snapshot};
use spanwire_crypto::Secret;
use spanwire_outconn::{
    Address, CallError, CallOptions, ClientOptions, Link, LinkError, LinkOptions, PlainMessage,
    TlsOptions,
};
use spanwire_protocol::{Payload, Status};
use spanwire_service::{
    BoxFuture, OutgoingConnections, OutgoingError, OutgoingMessage, OutgoingRest, OutgoingWsx,
    Ports, RemoteCall,
};
use spanwire_store::StoreError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::events::HookEvents;
pub(crate) use self::keys::SubscriptionKeys;
use crate::rest_calls::{RestConnections, RestPort};

/// All outgoing WebSocket connections.
pub(crate) struct Outconns {
    running: RwLock<HashMap<u64, Running>>,
    rest: Arc<RestConnections>,
    keys: Arc<SubscriptionKeys>,
    /// Links that are being stopped.
    stopping: TaskTracker,
    /// Cancelled once the server is open: nobody is told anything by a start that may yet be refused.
    begin: CancellationToken,
}

/// A connection and what it was made of.
struct Running {
    object: Wanted,
    credentials: Option<Credentials>,
    link: Link,
}

#[derive(Clone, PartialEq, Eq)]
struct Credentials {
    username: String,
    password: String,
}

impl Outconns {
    pub(crate) fn new(keys: SubscriptionKeys) -> Self {
        Self {
            running: RwLock::default(),
            rest: Arc::default(),
            keys: Arc::new(keys),
            stopping: TaskTracker::new(),
            begin: CancellationToken::new(),
        }
    }

    /// Lets connections be made, those that are wanted already and those that will be.
    pub(crate) fn begin(&self) {
        self.begin.cancel();
    }

    /// Puts connections to work that have changed, and only those. Tells what failed, by object; what ran before runs
    /// on then. Blocks while files are read.
    pub(crate) fn apply(
        &self,
        target: &Arc<Snapshot>,
        ids: &BTreeSet<u64>,
        ports: &Ports,
    ) -> BTreeMap<u64, String> {
        let mut failed = BTreeMap::new();
        self.rest.apply(target, ids);
        for id in ids {
            let object = target.by_id(*id).map(|(object, _)| Arc::clone(object));
            match object.as_deref() {
                Some(Object::OutgoingWsx(wanted)) if wanted.is_active => {
                    if let Err(error) = self.start(*id, wanted, target.objects(), ports) {
                        failed.insert(*id, error);
                    }
                }
                Some(Object::OutgoingWsx(_)) => self.stop(*id, false),
                Some(_) => {}
                None => self.stop(*id, true),
            }
        }
        failed
    }

    fn start(
        &self,
        id: u64,
        wanted: &Wanted,
        objects: &ObjectSet,
        ports: &Ports,
    ) -> Result<(), String> {
        let credentials = credentials(wanted, objects);
        let is_same =
            |running: &Running| running.object == *wanted && running.credentials == credentials;
        if self.read().get(&id).is_some_and(is_same) {
            return Ok(());
        }
        let mut options = options(wanted, credentials.as_ref())?;
        options.client.client_id = self.keys.identity(id).unwrap_or_default();
        let events = HookEvents::new(id, wanted, ports.clone(), Arc::clone(&self.keys));
        // One after the other: a subscription is one socket's at a time.
        let before = self.write().remove(&id);
        if let Some(before) = before {
            self.stopping.spawn(async move { before.link.stop().await });
        }
        let link = Link::start_after(options, events, &self.begin);
        self.write().insert(id, Running { object: wanted.clone(), credentials, link });
        Ok(())
    }

    /// Stops a connection. One that is gone for good has its subscriptions ended at the peer, if that can be done now.
    fn stop(&self, id: u64, is_gone: bool) {
        let Some(running) = self.write().remove(&id) else { return };
        let keys = Arc::clone(&self.keys);
        self.stopping.spawn(async move {
            if is_gone {
                for (topic, key) in keys.of(id) {
                    let ending = running.link.unsubscribe(&key);
                    let _ = tokio::time::timeout(UNSUBSCRIBE_TIMEOUT, ending).await;
                    keys.keep(id, &topic, None).await;
                }
            }
            running.link.stop().await;
        });
    }

    /// Closes all connections, and waits until they are closed.
    pub(crate) async fn stop_all(&self) {
        let all: Vec<Running> = self.write().drain().map(|(_, running)| running).collect();
        for running in all {
            self.stopping.spawn(async move { running.link.stop().await });
        }
        self.stopping.close();
        self.stopping.wait().await;
    }

    /// Encrypts what is stored of subscriptions with the newest key. Blocks.
    pub(crate) fn encrypt_again(&self) -> Result<usize, StoreError> {
        self.keys.encrypt_again()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<u64, Running>> {
        self.running.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<u64, Running>> {
        self.running.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutgoingConnections for Outconns {
    fn wsx(&self, name: &str) -> Option<Arc<dyn OutgoingWsx>> {
        let running = self.read();
        let found = running.values().find(|running| running.object.name == name)?;
        Some(Arc::new(LinkPort(found.link.clone())))
    }

    fn rest(&self, name: &str) -> Option<Arc<dyn OutgoingRest>> {
        let port = || RestPort { all: Arc::clone(&self.rest), name: name.to_owned() };
        self.rest.has(name).then(|| Arc::new(port()) as Arc<dyn OutgoingRest>)
    }
}

/// A link as services see it.
struct LinkPort(Link);

impl OutgoingWsx for LinkPort {
    fn call(&self, call: RemoteCall) -> BoxFuture<'_, Result<Payload, OutgoingError>> {
        Box::pin(async move {
            let options = CallOptions {
                timeout: Some(call.timeout),
                traceparent: call.traceparent.map(|it| it.to_string()),
                hops: call.hops,
            };
            self.0.call(call.data, options).await.map_err(failure)
        })
    }

    fn send(&self, message: OutgoingMessage) -> BoxFuture<'_, Result<(), OutgoingError>> {
        Box::pin(async move {
            let message = match message {
                OutgoingMessage::Text(text) => PlainMessage::Text(text),
                OutgoingMessage::Binary(bytes) => PlainMessage::Binary(bytes.into()),
            };
            self.0.send(message).await.map_err(failure)
        })
    }
}

fn failure(error: LinkError) -> OutgoingError {
    match error {
        LinkError::NotConnected { .. } => OutgoingError::NotConnected(error.to_string()),
        // Which of the two servers notices first is chance.
        LinkError::Call(
            CallError::TimedOut | CallError::Status { status: Status::TIMEOUT, .. },
        ) => OutgoingError::TimedOut,
        LinkError::Call(CallError::Status { status, message }) => {
            OutgoingError::Refused { status, message }
        }
        LinkError::Call(_) => OutgoingError::Closed,
        other => OutgoingError::Unsuitable(other.to_string()),
    }
}

fn credentials(wanted: &Wanted, objects: &ObjectSet) -> Option<Credentials> {
    let security = objects.find::<Security>(wanted.security_name.as_deref()?)?;
    let password = security.password.as_ref().map(|password| password.reveal().to_owned());
    Some(Credentials {
        username: security.username.clone().unwrap_or_default(),
        password: password.unwrap_or_default(),
    })
}

/// A link as the object wants it.
fn options(wanted: &Wanted, credentials: Option<&Credentials>) -> Result<LinkOptions, String> {
    let address: Address =
        wanted.address.reveal().parse().map_err(|error| format!("address: {error}"))?;
    let tls = TlsOptions {
        ca_file: wanted.ca_file.as_deref().map(Into::into),
        client_certificate: wanted
            .tls_cert_file
            .as_deref()
            .zip(wanted.tls_key_file.as_deref())
            .map(|(certificate, key)| (certificate.into(), key.into())),
        checks_host_name: wanted.tls_check_host_name,
    };
    let tls = match address.is_tls() {
        true => Some(tls.load().map_err(|error| error.to_string())?),
        false => None,
    };
    let client = ClientOptions {
        tls,
        username: credentials.map(|it| it.username.clone()).unwrap_or_default(),
        password: Secret::new(credentials.map(|it| it.password.clone()).unwrap_or_default()),
        ping_interval: wanted.ping_interval,
        pings_missed: wanted.pings_missed_threshold,
        write_timeout: wanted.socket_write_timeout,
        ..ClientOptions::new(address)
    };
    Ok(LinkOptions {
        is_zato: wanted.is_zato,
        pool_size: usize::try_from(wanted.pool_size).unwrap_or(usize::MAX),
        reconnects: wanted.has_auto_reconnect,
        max_attempts: wanted.max_connect_attempts,
        longest_pause: wanted.max_reconnect_pause,
        topics: wanted.subscription_list.clone(),
        ..LinkOptions::new(&wanted.name, client)
    })
}

/// Whether a connection can be put to work, as far as that can be known without connecting.
pub(crate) fn check(wanted: &Wanted, objects: &ObjectSet) -> Result<(), String> {
    options(wanted, credentials(wanted, objects).as_ref()).map(drop)
}

/// How long the end of a subscription at the peer is waited for.
const UNSUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(2);
