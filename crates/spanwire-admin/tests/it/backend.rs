//! A made-up server over a real configuration in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use spanwire_admin::{Applied, Backend, BoxFuture, Caller, Failure, ObjectStatus, PubSubBackend};
use spanwire_config::store::KeyValueConfigStore;
use spanwire_config::{Author, Configuration, Edit, EditError, Kind};
use spanwire_crypto::KeyRing;
use spanwire_protocol::admin::{
    ClosedConnection, ConnectionInfo, Event, Invoked, KeyRotated, ObjectState, OutconnInfo, Pinged,
    Reloaded, ServerInfo, ServiceInfo, SettingInfo,
};
use spanwire_protocol::{ConnectionId, Timestamp};
use spanwire_store::MemoryStore;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::broker::FakeBroker;

/// The token that is right.
pub(crate) const TOKEN: &str = "right-token";

pub(crate) struct Fake {
    _folder: tempfile::TempDir,
    configuration: Arc<Configuration>,
    pub(crate) events: broadcast::Sender<Arc<Event>>,
    pub(crate) stopping: CancellationToken,
    pub(crate) connections: Mutex<Vec<ConnectionInfo>>,
    pub(crate) closed: Mutex<Vec<(String, Option<u16>, String)>>,
    pub(crate) tokens: Mutex<Vec<String>>,
    /// What the next change finds done by somebody else.
    pub(crate) rival: Mutex<Option<Vec<Edit>>>,
    pub(crate) is_ready: std::sync::atomic::AtomicBool,
    pub(crate) fails_to_reload: std::sync::atomic::AtomicBool,
    pub(crate) broker: FakeBroker,
    pub(crate) has_broker: std::sync::atomic::AtomicBool,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let keys = Arc::new(KeyRing::open_or_create(folder.path().join("secret.key")).unwrap());
        let store = Arc::new(KeyValueConfigStore::new(Arc::new(MemoryStore::new())));
        let configuration = Arc::new(Configuration::open(store, keys).unwrap());
        let connections = (0..3).map(connection).collect();
        Arc::new(Self {
            _folder: folder,
            configuration,
            events: broadcast::channel(16).0,
            stopping: CancellationToken::new(),
            connections: Mutex::new(connections),
            closed: Mutex::default(),
            tokens: Mutex::default(),
            rival: Mutex::default(),
            is_ready: true.into(),
            fails_to_reload: false.into(),
            broker: FakeBroker::new(),
            has_broker: true.into(),
        })
    }

    pub(crate) fn revision(&self) -> u64 {
        self.configuration.snapshot().revision()
    }

    fn make(&self, edits: Vec<Edit>, author: &Author, dry_run: bool) -> Result<Applied, EditError> {
        let now = self.now();
        let built_in = |kind, name: &str| self.is_built_in(kind, name);
        let outcome = if dry_run {
            self.configuration.preview(edits, author, now, &built_in)?
        } else {
            self.configuration.change(edits, author, now, &built_in)?
        };
        if let Some(number) = outcome.revision {
            let revision = self.configuration.revision(number).unwrap().unwrap();
            let event = Event::Change(spanwire_admin::event(revision));
            let _ = self.events.send(Arc::new(event));
        }
        Ok(Applied { outcome, closed_connections: 0 })
    }
}

/// A live connection; the newest has the lowest number.
fn connection(number: u32) -> ConnectionInfo {
    let text = format!("2024-03-04T10:20:3{}.000000", 9 - number);
    serde_json::from_value(json!({
        "state": "established",
        "pub_client_id": format!("ws.{number:024x}"),
        "ext_client_id": format!("client-{number}"),
        "ext_client_name": "Client",
        "client_attrs": {"site": if number == 0 { "a" } else { "b" }},
        "channel_name": "crm",
        "security_name": "app1",
        "username": "app1",
        "peer_address": "127.0.0.1:5",
        "peer_address_source": "socket",
        "peer_fqdn": "(Unknown)",
        "peer_fqdn_source": "unknown",
        "peer_forwarded_for": null,
        "peer_forwarded_for_fqdn": "(Unknown)",
        "local_address": "127.0.0.1:6",
        "server_name": "test",
        "server_proc_pid": 1,
        "connection_time": text,
        "last_seen": text,
        "pings_missed": 0,
        "in_flight": 0,
        "outgoing_queue_bytes": 0,
        "is_internal": false,
    }))
    .unwrap()
}

fn failure(status: u16, message: &str) -> Failure {
    Failure { status, message: message.to_owned(), cid: Some("c1d".to_owned()) }
}

fn invoked(response: Value) -> Invoked {
    Invoked { cid: "c1d".to_owned(), response }
}

impl Backend for Fake {
    fn authenticate(&self, token: &str) -> BoxFuture<'_, Option<Caller>> {
        self.tokens.lock().unwrap().push(token.to_owned());
        // Also an empty one, as a careless host might.
        let is_right = token == TOKEN || token.is_empty();
        Box::pin(async move { is_right.then(|| Caller { name: "admin".to_owned() }) })
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_microseconds(1_700_000_000_000_000)
    }

    fn server(&self) -> ServerInfo {
        let snapshot = self.configuration.snapshot();
        serde_json::from_value(json!({
            "name": "test",
            "version": "1",
            "host": "h",
            "pid": 1,
            "profile": "dev",
            "start_time": "2024-03-04T10:20:30.000000",
            "current_time": "2024-03-04T10:20:31.000000",
            "listen": "127.0.0.1:1",
            "connections": 3,
            "revision": snapshot.revision(),
            "objects": snapshot.objects().len(),
            "failed_objects": 0,
            "state_hash": snapshot.hash().to_string(),
            "running_hash": snapshot.hash().to_string(),
        }))
        .unwrap()
    }

    fn metrics(&self) -> String {
        "spanwire_up 1\n".to_owned()
    }

    fn ready(&self) -> Result<(), String> {
        let is_ready = self.is_ready.load(std::sync::atomic::Ordering::Relaxed);
        is_ready.then_some(()).ok_or_else(|| "the store refuses".to_owned())
    }

    fn sso(
        &self,
        operator: String,
        _: spanwire_protocol::admin::sso::SsoCommand,
    ) -> BoxFuture<'_, Result<Value, Failure>> {
        Box::pin(std::future::ready(Ok(serde_json::json!({ "operator": operator }))))
    }

    fn outconns(&self) -> Vec<OutconnInfo> {
        Vec::new()
    }

    fn ping_outconn(&self, _: String) -> BoxFuture<'_, Option<Pinged>> {
        Box::pin(std::future::ready(None))
    }

    fn services(&self) -> Vec<ServiceInfo> {
        ["demo.echo", "zato.ping"]
            .map(|name| ServiceInfo { name: name.to_owned(), source: "builtin".to_owned() })
            .into()
    }

    fn invoke_service(
        &self,
        name: String,
        input: Bytes,
        timeout: Option<Duration>,
    ) -> BoxFuture<'_, Result<Invoked, Failure>> {
        Box::pin(async move {
            if name != "demo.echo" {
                return Err(failure(404, "there is no such service"));
            }
            let input: Value = serde_json::from_slice(&input).unwrap_or_default();
            Ok(invoked(json!({"input": input, "timeout": timeout.map(|it| it.as_secs_f64())})))
        })
    }

    fn configuration(&self) -> &Arc<Configuration> {
        &self.configuration
    }

    fn is_built_in(&self, kind: Kind, name: &str) -> bool {
        kind == Kind::Service && name == "zato.ping"
    }

    fn change(
        &self,
        edits: Vec<Edit>,
        author: Author,
        dry_run: bool,
    ) -> BoxFuture<'_, Result<Applied, EditError>> {
        Box::pin(async move {
            if let Some(rival) = self.rival.lock().unwrap().take() {
                self.make(rival, &Author::new("rival", "test"), false)?;
            }
            self.make(edits, &author, dry_run)
        })
    }

    fn status(&self, id: u64) -> ObjectStatus {
        // Only the first object does not work.
        let (state, error) = match id {
            1 => (ObjectState::Failed, Some("the port is taken".to_owned())),
            _ => (ObjectState::Running, None),
        };
        ObjectStatus { state, error, since: self.now() }
    }

    fn connections(&self) -> Vec<ConnectionInfo> {
        self.connections.lock().unwrap().clone()
    }

    fn connection(&self, id: &ConnectionId) -> Option<ConnectionInfo> {
        self.connections().into_iter().find(|it| it.pub_client_id == *id)
    }

    fn invoke_connection(
        &self,
        _: ConnectionId,
        request: Value,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Invoked, Failure>> {
        Box::pin(async move {
            if request == json!("late") {
                return Err(failure(504, "the client did not answer in time"));
            }
            Ok(invoked(json!({"request": request, "timeout": timeout.as_secs_f64()})))
        })
    }

    fn disconnect(
        &self,
        id: &ConnectionId,
        code: Option<u16>,
        reason: &str,
    ) -> Result<(), Failure> {
        let mut connections = self.connections.lock().unwrap();
        let known = connections.len();
        connections.retain(|it| it.pub_client_id != *id);
        if connections.len() == known {
            return Err(failure(404, "there is no such connection"));
        }
        self.closed.lock().unwrap().push((id.as_str().to_owned(), code, reason.to_owned()));
        Ok(())
    }

    fn closed_connections(&self) -> Vec<ClosedConnection> {
        let closed = |number: u32| {
            serde_json::from_value(json!({
                "pub_client_id": format!("ws.{number:024x}"),
                "ext_client_id": format!("client-{}", number % 2),
                "ext_client_name": "Client",
                "channel_name": "crm",
                "peer_address": "127.0.0.1:5",
                "connection_time": "2024-03-04T10:20:30.000000",
                "close_time": "2024-03-04T10:20:31.000000",
                "was_logged_in": true,
                "closed_by": "client",
                "code": 1000,
                "reason": "",
            }))
            .unwrap()
        };
        (0..4).map(closed).collect()
    }

    fn settings(&self) -> Vec<SettingInfo> {
        let setting = |key: &str| {
            serde_json::from_value(json!({
                "key": key,
                "variable": "SPANWIRE_X",
                "value": 5,
                "origin": "file",
                "place": "spanwire.toml:3",
                "default": null,
                "reloadable": true,
                "after_restart": 6,
                "meaning": "What it is for.",
            }))
            .unwrap()
        };
        vec![setting("limits.headers"), setting("log.level")]
    }

    fn reload_settings(&self) -> BoxFuture<'_, Result<Reloaded, Vec<String>>> {
        let fails = self.fails_to_reload.load(std::sync::atomic::Ordering::Relaxed);
        Box::pin(async move {
            if fails {
                return Err(vec!["spanwire.toml:3: one".to_owned(), "another".to_owned()]);
            }
            Ok(Reloaded { changed: vec!["log.level".to_owned()], needs_restart: Vec::new() })
        })
    }

    fn rotate_key(&self) -> BoxFuture<'_, Result<KeyRotated, Failure>> {
        Box::pin(async { Ok(KeyRotated { encrypted_again: 1, keys: 2 }) })
    }

    fn pubsub(&self) -> Option<&dyn PubSubBackend> {
        let has_broker = self.has_broker.load(std::sync::atomic::Ordering::Relaxed);
        has_broker.then_some(&self.broker as &dyn PubSubBackend)
    }

    fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }
}
