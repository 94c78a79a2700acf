//! Live connections of this server, and the last ones that ended.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use spanwire_channel::clock;
use spanwire_channel::websocket::{Ending, Side};
use spanwire_channel::wsx::ConnectionHandle;
use spanwire_protocol::admin::{
    AddressSource, ClosedConnection, ConnectionInfo, ConnectionState, NameSource,
};
use spanwire_protocol::{CloseFrame, ConnectionId, Payload};
use spanwire_service::{BoxFuture, ConnectionError, ConnectionFilter, Connections};
use spanwire_session::AskError;

/// How many ended connections are remembered.
const HISTORY: usize = 1000;

/// All connections of this process. Only logged-in ones are visible to services and administrators.
#[derive(Debug)]
pub(crate) struct ConnectionTable {
    server_name: String,
    live: RwLock<HashMap<ConnectionId, Entry>>,
    closed: Mutex<VecDeque<ClosedConnection>>,
}

#[derive(Debug)]
struct Entry {
    handle: ConnectionHandle,
    logged_in: bool,
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
        let entry = Entry { handle: handle.clone(), logged_in: false };
        self.write().insert(handle.id().clone(), entry);
    }

    pub(crate) fn logged_in(&self, id: &ConnectionId) {
        if let Some(entry) = self.write().get_mut(id) {
            entry.logged_in = true;
        }
    }

    /// Forgets a connection and remembers how it ended; tells whether it was logged in.
    pub(crate) fn ended(&self, id: &ConnectionId, ending: &Ending) -> bool {
        let Some(Entry { handle, logged_in }) = self.write().remove(id) else { return false };
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
        let mut history = self.history();
        if history.len() >= HISTORY {
            history.pop_back();
        }
        history.push_front(closed);
        logged_in
    }

    /// The last connections that ended, newest first.
    pub(crate) fn closed(&self) -> Vec<ClosedConnection> {
        self.history().iter().cloned().collect()
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
        ConnectionInfo {
            state: ConnectionState::Established,
            pub_client_id: handle.id().clone(),
            ext_client_id: client.id.clone(),
            ext_client_name: client.name.clone(),
            client_attrs: client
                .attributes
                .iter()
                .map(|(k, v)| (k.clone(), typed(v)))
                .collect::<BTreeMap<_, _>>(),
            channel_name: handle.channel().name.to_string(),
            security_name: handle.principal().security_name.to_string(),
            username: handle.principal().username.to_string(),
            peer_address: peer.address.to_string(),
            peer_address_source: AddressSource::Socket,
            peer_fqdn: names.peer.to_string(),
            peer_fqdn_source: NameSource::Unknown,
            peer_forwarded_for: handle.forwarded_for().map(str::to_owned),
            peer_forwarded_for_fqdn: names.forwarded_for.to_string(),
            local_address: peer.local.to_string(),
            server_name: self.server_name.clone(),
            server_proc_pid: std::process::id(),
            connection_time: handle.connected(),
            last_seen: handle.last_seen(),
            pings_missed: handle.pings_missed(),
            ping_round_trip_ms: None,
            in_flight: 0,
            outgoing_queue_bytes: handle.queue_bytes() as u64,
            last_close: None,
            is_internal: false,
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<ConnectionId, Entry>> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<ConnectionId, Entry>> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn history(&self) -> MutexGuard<'_, VecDeque<ClosedConnection>> {
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
