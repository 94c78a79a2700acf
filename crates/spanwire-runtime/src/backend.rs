//! The ports of the channels, joined to security, services and the table of connections.

mod peer;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use spanwire_channel::backend::{
    Backend, BoxFuture, Principal, Probe, RestCall, RestReply, Unauthenticated, WsxPeer,
};
use spanwire_channel::rest::{Credentials, RestChannel, Security};
use spanwire_channel::transport::{Observer, Peer};
use spanwire_channel::wsx::ConnectionHandle;
use spanwire_crypto::Secret;
use spanwire_pubsub::Broker;
use spanwire_service::{Call, ChannelType, HttpAnswer, HttpOrigin, Origin, Ports, ServiceError};
use spanwire_session::CallFailure;
use spanwire_store::{Health, KeyValue, Store};

use self::peer::ClientPeer;
use crate::connections::ConnectionTable;
use crate::events::Events;
use crate::hooks::Hooks;
use crate::outconns::Outconns;
use crate::pubsub::PubSub;
use crate::resolver::Resolver;
use crate::security::{Definitions, Verdict};
use crate::sso::SingleSignOn;
use crate::status::Statuses;
use crate::telemetry::Metrics;

/// Everything a channel asks for.
pub(crate) struct Host {
    pub(crate) ports: Ports,
    pub(crate) connections: Arc<ConnectionTable>,
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) resolver: Resolver,
    pub(crate) hooks: Hooks,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) pubsub: Arc<PubSub>,
    pub(crate) outconns: Arc<Outconns>,
    pub(crate) sso: Option<SingleSignOn>,
    pub(crate) events: Events,
    pub(crate) statuses: Statuses,
}

/// What probes are told.
#[derive(Debug)]
pub(crate) struct Readiness {
    pub(crate) stopping: AtomicBool,
    store: Option<Arc<Store>>,
    broker: Broker,
}

impl Readiness {
    pub(crate) fn new(store: Option<Arc<Store>>, broker: Broker) -> Self {
        Self { stopping: AtomicBool::new(false), store, broker }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err("the server is shutting down".to_owned());
        }
        if let Some(Health::Poisoned { why }) = self.store.as_ref().map(|store| store.health()) {
            return Err(format!("the store refuses writes: {why}"));
        }
        self.broker.health().map_err(|why| format!("the message log refuses writes: {why}"))
    }
}

impl Host {
    fn verdict(
        &self,
        definition: Option<&str>,
        username: Option<&str>,
        password: &str,
        from: IpAddr,
        channel: &str,
    ) -> Verdict {
        let verdict = match definition {
            Some(definition) => self.definitions.check(definition, username, password, from),
            None => self.definitions.check_any(username.unwrap_or_default(), password, from),
        };
        let outcome = match &verdict {
            Verdict::Accepted(_) => "accepted",
            Verdict::Refused(_) => "refused",
            Verdict::Throttled(_) => "throttled",
        };
        self.metrics.count("spanwire_logins_total", &[("channel", channel), ("outcome", outcome)]);
        if !matches!(verdict, Verdict::Accepted(_)) {
            // The user name comes from outside: it may be a password in the wrong field.
            tracing::info!(channel, %from, outcome, "login refused");
        }
        verdict
    }
}

/// The host as channels see it.
pub(crate) struct ChannelBackend(pub(crate) Arc<Host>);

impl Backend for ChannelBackend {
    fn connect(&self, connection: ConnectionHandle) -> Box<dyn WsxPeer> {
        let channel = connection.channel();
        self.0.metrics.count("spanwire_connections_opened_total", &[("channel", &*channel.name)]);
        let (id, address) = (connection.id(), connection.peer().address);
        tracing::info!(connection = %id, channel = &*channel.name, %address, "new connection");
        self.0.connections.connected(&connection);
        Box::new(ClientPeer::new(Arc::clone(&self.0), connection))
    }

    fn authenticate(
        &self,
        channel: &Arc<RestChannel>,
        peer: &Peer,
        credentials: Option<Credentials>,
    ) -> BoxFuture<Result<Principal, Unauthenticated>> {
        let Some(credentials) = credentials else {
            return Box::pin(std::future::ready(Err(Unauthenticated::Wrong)));
        };
        let (username, password) = match &credentials {
            Credentials::Basic { username, password } => (Some(&**username), password),
            Credentials::ApiKey(key) => (None, key),
        };
        let definition = channel.security_name.as_deref();
        let verdict =
            self.0.verdict(definition, username, password, peer.address.ip(), &channel.name);
        Box::pin(async move {
            match verdict {
                Verdict::Accepted(principal) => Ok(principal),
                Verdict::Refused(delay) => {
                    tokio::time::sleep(delay).await;
                    Err(Unauthenticated::Wrong)
                }
                Verdict::Throttled(_) => Err(Unauthenticated::Throttled),
            }
        })
    }

    fn call(&self, call: RestCall) -> BoxFuture<Result<RestReply, CallFailure>> {
        let http = Arc::new(http_origin(&call));
        let linked = self.0.sso.as_ref().and_then(|sso| sso.linked(&call));
        let origin = Arc::new(Origin {
            channel_name: Arc::clone(&call.channel.name),
            channel_type: ChannelType::Rest,
            security_name: call.principal.security_name,
            username: call.principal.username,
            peer_address: call.peer.address.to_string().into(),
            content_type: call.content_type.map(Into::into),
            client: None,
            http: Some(Arc::clone(&http)),
            user: None,
        });
        let invocation = Call {
            service: Arc::clone(&call.channel.service),
            input: call.input,
            cid: Some(call.cid),
            timeout: call.channel.timeout,
            traceparent: call.traceparent.map(Into::into),
            hops: 0,
        };
        let host = Arc::clone(&self.0);
        Box::pin(async move {
            let token = match linked {
                Some(linked) => linked.token().await.map_err(failure)?,
                None => None,
            };
            let payload = host.ports.invoke(invocation, origin).await.map_err(failure)?;
            let HttpAnswer { status, mut headers } = http.answer(std::mem::take);
            headers.extend(
                token.map(|token| ("x-zato-sso-ust".to_owned(), token.expose().to_owned())),
            );
            Ok(RestReply { payload, status, headers })
        })
    }

    fn health(&self, probe: Probe) -> Result<(), String> {
        match probe {
            Probe::Live => Ok(()),
            Probe::Ready | Probe::ReadyForWebSockets => self.0.readiness.check(),
        }
    }

    fn refused(&self, reason: &'static str) {
        self.0.metrics.count("spanwire_refusals_total", &[("reason", reason)]);
    }
}

/// What services see of a request. A bearer token is the service's business only where the channel has none of its own.
fn http_origin(call: &RestCall) -> HttpOrigin {
    let header = |name: &str| call.headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = header("authorization").and_then(|value| {
        let (scheme, token) = value.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Secret::new(token.trim().to_owned()))
    });
    let bearer = bearer.filter(|_| call.channel.security == Security::None);
    let user_agent = header("user-agent").unwrap_or_default().to_owned();
    HttpOrigin::new(call.method.as_str().to_owned(), user_agent, bearer)
}

/// Counts what listeners refuse.
pub(crate) struct Refusals(pub(crate) Arc<Metrics>);

impl Observer for Refusals {
    fn refused(&self, reason: &'static str) {
        self.0.count("spanwire_refusals_total", &[("reason", reason)]);
    }
}

/// What the caller of a failed service is told.
pub(crate) fn failure(error: ServiceError) -> CallFailure {
    CallFailure { status: error.status(), message: error.into_message() }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}
