//! Live connections of this server, and the last ones that ended.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use spanwire_channel::websocket::{Ending, Side};
use spanwire_channel::wsx::ConnectionHandle;
use spanwire_channel::{clock, transport};
use spanwire_protocol::admin::{
    AddressSource, ClosedConnection, ConnectionInfo, ConnectionState, ConnectionSubscription,
    LastClose, NameSource, UNKNOWN,
};
use spanwire_protocol::{CloseFrame, ConnectionId, Payload};
use spanwire_pubsub::SubscriptionId;
use spanwire_service::{BoxFuture, ConnectionError, ConnectionFilter, Connections};
use spanwire_session::AskError;

/// How many ended connections are remembered.
const HISTORY: usize = 1000;

/// All connections of this process. Only logged-in ones are visible to services and administrators.
#[derive(Debug)]
pub(crate) struct ConnectionTable {
    server_name: String,
    live: RwLock<HashMap<ConnectionId, Entry>>,
    closed: Mutex<Closed>,
}

/// Connections that ended.
#[derive(Debug, Default)]
struct Closed {
    /// Newest first.
    all: VecDeque<ClosedConnection>,
    /// How the last connection of each client id ended, for those in `all`.
    by_client: HashMap<String, (u64, LastClose)>,
    count: u64,
}

impl Closed {
    fn push(&mut self, closed: ClosedConnection) {
        self.count += 1;
        if !closed.ext_client_id.is_empty() {
            let last = LastClose {
                close_time: closed.close_time,
                closed_by: closed.closed_by.clone(),
                code: closed.code,
                reason: closed.reason.clone(),
            };
            self.by_client.insert(closed.ext_client_id.clone(), (self.count, last));
        }
        self.all.push_front(closed);
        if self.all.len() > HISTORY
            && let Some(oldest) = self.all.pop_back()
        {
            let forgotten = self.count - HISTORY as u64;
            let client = oldest.ext_client_id;
            if self.by_client.get(&client).is_some_and(|(number, _)| *number <= forgotten) {
                self.by_client.remove(&client);
            }
        }
    }
}

#[derive(Debug)]
struct Entry {
    handle: ConnectionHandle,
    logged_in: bool,
    /// What is delivered to it, by the number of the subscription: what is shown of keys is alike for all of a client.
    subscriptions: Vec<(SubscriptionId, ConnectionSubscription)>,
}

impl ConnectionTable {
    pub(crate) fn new(server_name: &str) -> Self {
        Self {
            server_name: server_name.to_owned(),
            live: RwLock::default(),
            closed: Mutex::default(),
        }
    }

    pub(crate) fn connected(&self, handle: &ConnectionHandle) {
        let entry = Entry { handle: handle.clone(), logged_in: false, subscriptions: Vec::new() };
        self.write().insert(handle.id().clone(), entry);
    }

    pub(crate) fn logged_in(&self, id: &ConnectionId) {
        if let Some(entry) = self.write().get_mut(id) {
            entry.logged_in = true;
        }
    }

    /// Forgets a connection and remembers how it ended; `None` if it is not known.
    pub(crate) fn ended(&self, id: &ConnectionId, ending: &Ending) -> Option<ClosedConnection> {
        let Entry { handle, logged_in, .. } = self.write().remove(id)?;
        let client = handle.client();
        let closed = ClosedConnection {
            pub_client_id: id.clone(),
            ext_client_id: client.id.clone(),
            ext_client_name: client.name.clone(),
            channel_name: handle.channel().name.to_string(),
            peer_address: handle.peer().address.to_string(),
            connection_time: handle.connected(),
            close_time: clock::timestamp(),
            was_logged_in: logged_in,
            closed_by: side(ending.side).to_owned(),
            code: ending.frame.code.0,
            reason: ending.frame.reason.to_string(),
        };
        self.history().push(closed.clone());
        Some(closed)
    }

    /// A live connection whose client is logged in.
    pub(crate) fn handle(&self, id: &ConnectionId) -> Option<ConnectionHandle> {
        self.find(id)
    }

    /// A subscription is delivered to a connection from now on.
    pub(crate) fn subscribed(
        &self,
        id: &ConnectionId,
        number: SubscriptionId,
        subscription: ConnectionSubscription,
    ) {
        if let Some(entry) = self.write().get_mut(id) {
            entry.subscriptions.push((number, subscription));
        }
    }

    /// A subscription is not delivered to a connection any more.
    pub(crate) fn unsubscribed(&self, id: &ConnectionId, number: SubscriptionId) {
        if let Some(entry) = self.write().get_mut(id)
            && let Some(at) = entry.subscriptions.iter().position(|(it, _)| *it == number)
        {
            entry.subscriptions.remove(at);
        }
    }

    fn subscriptions(&self, id: &ConnectionId) -> Vec<ConnectionSubscription> {
        let live = self.read();
        let of = |entry: &Entry| entry.subscriptions.iter().map(|(_, it)| it.clone()).collect();
        live.get(id).map(of).unwrap_or_default()
    }

    /// Every connection, logged in or not.
    pub(crate) fn handles(&self) -> Vec<ConnectionHandle> {
        self.read().values().map(|entry| entry.handle.clone()).collect()
    }

    pub(crate) fn is_logged_in(&self, id: &ConnectionId) -> bool {
        self.read().get(id).is_some_and(|entry| entry.logged_in)
    }

    /// The last connections that ended, newest first.
    pub(crate) fn closed(&self) -> Vec<ClosedConnection> {
        self.history().all.iter().cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.read().values().filter(|entry| entry.logged_in).count()
    }

    pub(crate) fn queue_bytes(&self) -> usize {
        self.read().values().map(|entry| entry.handle.queue_bytes()).sum()
    }

    /// Lets every connection finish its calls, up to this moment.
    pub(crate) fn drain(&self, until: Instant) {
        for entry in self.read().values() {
            entry.handle.drain(until);
        }
    }

    fn matching(&self, filter: &ConnectionFilter) -> Vec<(ConnectionHandle, ConnectionInfo)> {
        let logged_in: Vec<ConnectionHandle> = match &filter.pub_client_id {
            Some(id) => self.find(&ConnectionId::from_text(id)).into_iter().collect(),
            None => {
                let live = self.read();
                live.values()
                    .filter(|entry| entry.logged_in)
                    .map(|entry| entry.handle.clone())
                    .collect()
            }
        };
        let described = logged_in.into_iter().map(|handle| {
            let info = self.describe(&handle);
            (handle, info)
        });
        described.filter(|(_, info)| filter.matches(info)).collect()
    }

    fn find(&self, id: &ConnectionId) -> Option<ConnectionHandle> {
        let live = self.read();
        live.get(id).filter(|entry| entry.logged_in).map(|entry| entry.handle.clone())
    }

    pub(crate) fn describe(&self, handle: &ConnectionHandle) -> ConnectionInfo {
        let (client, names, peer) = (handle.client(), handle.names(), handle.peer());
        let principal = handle.principal();
        let last_close = self.history().by_client.get(&client.id).map(|(_, last)| last.clone());
        ConnectionInfo {
            state: match (handle.is_closing(), handle.is_draining()) {
                (true, _) => ConnectionState::Closing,
                (false, true) => ConnectionState::Draining,
                (false, false) => ConnectionState::Established,
            },
            pub_client_id: handle.id().clone(),
            ext_client_id: client.id.clone(),
            ext_client_name: client.name.clone(),
            client_attrs: client
                .attributes
                .iter()
                .map(|(k, v)| (k.clone(), typed(v)))
                .collect::<BTreeMap<_, _>>(),
            channel_name: handle.channel().name.to_string(),
            security_name: principal.security_name.to_string(),
            username: principal.username.to_string(),
            peer_address: peer.address.to_string(),
            peer_address_source: match peer.source {
                transport::AddressSource::Socket => AddressSource::Socket,
                transport::AddressSource::ProxyProtocol => AddressSource::ProxyProtocol,
                transport::AddressSource::Header => AddressSource::Header,
            },
            peer_fqdn: names.peer.to_string(),
            peer_fqdn_source: match &*names.peer {
                UNKNOWN => NameSource::Unknown,
                _ => NameSource::Dns,
            },
            peer_forwarded_for: handle.forwarded_for().map(str::to_owned),
            peer_forwarded_for_fqdn: names.forwarded_for.to_string(),
            local_address: peer.local.to_string(),
            server_name: self.server_name.clone(),
            server_proc_pid: std::process::id(),
            connection_time: handle.connected(),
            last_seen: handle.last_seen(),
            pings_missed: handle.pings_missed(),
            ping_round_trip_ms: handle.round_trip().map(|time| time.as_secs_f64() * 1e3),
            in_flight: u32::try_from(handle.in_flight()).unwrap_or(u32::MAX),
            outgoing_queue_bytes: handle.queue_bytes() as u64,
            last_close,
            subscriptions: self.subscriptions(handle.id()),
            is_internal: false,
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<ConnectionId, Entry>> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<ConnectionId, Entry>> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn history(&self) -> MutexGuard<'_, Closed> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Values that look like a boolean or a number are one (wsx-protocol 2.1, `attrs`).
fn typed(text: &str) -> Value {
    match text {
        "true" | "True" => Value::Bool(true),
        "false" | "False" => Value::Bool(false),
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => number.into(),
            (_, Ok(number)) if number.is_finite() => number.into(),
            _ => text.into(),
        },
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Peer => "client",
        Side::Server => "server",
        Side::Network => "network",
    }
}

impl Connections for ConnectionTable {
    fn list(&self, filter: &ConnectionFilter) -> Vec<ConnectionInfo> {
        let mut found: Vec<_> = self.matching(filter).into_iter().map(|(_, info)| info).collect();
        found.sort_by_key(|info| std::cmp::Reverse(info.connection_time));
        found
    }

    fn invoke(
        &self,
        connection: &ConnectionId,
        request: Payload,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Payload, ConnectionError>> {
        let handle =
            self.find(connection).ok_or_else(|| ConnectionError::Unknown(connection.clone()));
        Box::pin(async move {
            handle?.ask(request, timeout).await.map_err(|error| match error {
                AskError::TimedOut => ConnectionError::TimedOut(timeout),
                AskError::Disconnected => ConnectionError::Disconnected,
                _ => ConnectionError::Busy,
            })
        })
    }

    fn broadcast(&self, filter: &ConnectionFilter, request: &Payload) -> usize {
        self.matching(filter).into_iter().filter(|(handle, _)| handle.tell(request.clone())).count()
    }

    fn disconnect(
        &self,
        connection: &ConnectionId,
        frame: CloseFrame,
    ) -> Result<(), ConnectionError> {
        let handle =
            self.find(connection).ok_or_else(|| ConnectionError::Unknown(connection.clone()))?;
        handle.disconnect(frame);
        Ok(())
    }
}
