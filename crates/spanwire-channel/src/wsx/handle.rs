//! One live connection, as the rest of the server sees it.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use hyper::HeaderMap;
use spanwire_protocol::admin::UNKNOWN;
use spanwire_protocol::codec::Dialect;
use spanwire_protocol::{CloseFrame, ConnectionId, Payload, Timestamp};
use spanwire_session::{AskError, Client};
use tokio::sync::oneshot;

use super::WsxChannel;
use super::delivery::DeliveryStream;
use super::mailbox::{Command, Mailbox, Rejected};
use crate::backend::{Principal, PrincipalUser};
use crate::clock;
use crate::transport::Peer;
use crate::websocket::upgrade::RequestOrigin;

/// A live connection. Cloning shares it; it can outlive the connection, and then every wish fails.
#[derive(Clone)]
pub struct ConnectionHandle(Arc<Shared>);

struct Shared {
    id: ConnectionId,
    channel: ArcSwap<WsxChannel>,
    peer: Peer,
    origin: RequestOrigin,
    forwarded_for: Option<String>,
    dialect: Dialect,
    connected: Timestamp,
    last_seen: AtomicI64,
    pings_missed: AtomicU32,
    /// In microseconds; 0 before the first one.
    round_trip: AtomicU64,
    in_flight: AtomicUsize,
    queue_bytes: AtomicUsize,
    draining: AtomicBool,
    closing: AtomicBool,
    details: Mutex<Details>,
    /// Counts changes of `details`.
    version: AtomicU32,
    mailbox: Mailbox,
}

#[derive(Clone)]
struct Details {
    client: Arc<Client>,
    principal: Principal,
    names: Names,
}

/// Host names, filled in when somebody finds them out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Of the client.
    pub peer: Arc<str>,
    /// Of the first address in `X-Forwarded-For`.
    pub forwarded_for: Arc<str>,
}

impl ConnectionHandle {
    pub(crate) fn new(
        id: ConnectionId,
        channel: Arc<WsxChannel>,
        peer: Peer,
        headers: &HeaderMap,
        dialect: Dialect,
    ) -> Self {
        let forwarded_for = headers.get("x-forwarded-for");
        let forwarded_for =
            forwarded_for.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let connected = clock::timestamp();
        let names = Names { peer: UNKNOWN.into(), forwarded_for: UNKNOWN.into() };
        let principal = Principal::anonymous();
        Self(Arc::new(Shared {
            id,
            channel: ArcSwap::new(channel),
            peer,
            origin: RequestOrigin::of(headers),
            forwarded_for,
            dialect,
            connected,
            last_seen: AtomicI64::new(connected.as_microseconds()),
            pings_missed: AtomicU32::new(0),
            round_trip: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            queue_bytes: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            details: Mutex::new(Details { client: Arc::default(), principal, names }),
            version: AtomicU32::new(0),
            mailbox: Mailbox::default(),
        }))
    }

    /// The connection's id.
    #[must_use]
    pub fn id(&self) -> &ConnectionId {
        &self.0.id
    }

    /// The channel it came through, as it is now.
    #[must_use]
    pub fn channel(&self) -> Arc<WsxChannel> {
        self.0.channel.load_full()
    }

    /// Which browser page the connection belongs to.
    #[must_use]
    pub fn origin(&self) -> &RequestOrigin {
        &self.0.origin
    }

    /// Its two ends.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// The `X-Forwarded-For` header of the upgrade, as it came.
    #[must_use]
    pub fn forwarded_for(&self) -> Option<&str> {
        self.0.forwarded_for.as_deref()
    }

    /// How its messages are written.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.0.dialect
    }

    /// When it was made.
    #[must_use]
    pub fn connected(&self) -> Timestamp {
        self.0.connected
    }

    /// When the last message or pong came.
    #[must_use]
    pub fn last_seen(&self) -> Timestamp {
        Timestamp::from_microseconds(self.0.last_seen.load(Ordering::Relaxed))
    }

    /// How many pings in a row were missed.
    #[must_use]
    pub fn pings_missed(&self) -> u32 {
        self.0.pings_missed.load(Ordering::Relaxed)
    }

    /// How long the last answered ping took; `None` before the first one.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        let microseconds = self.0.round_trip.load(Ordering::Relaxed);
        (microseconds > 0).then(|| Duration::from_micros(microseconds))
    }

    /// How many calls of the client run.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it closes as soon as running calls have finished.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Whether somebody has asked for its close already.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.closing.load(Ordering::Relaxed)
    }

    /// How many bytes wait to be sent.
    #[must_use]
    pub fn queue_bytes(&self) -> usize {
        self.0.queue_bytes.load(Ordering::Relaxed)
    }

    /// Changes whenever the client, its principal or its names do: whoever keeps copies of them sees it here.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.0.version.load(Ordering::Acquire)
    }

    /// What the client says about itself.
    #[must_use]
    pub fn client(&self) -> Arc<Client> {
        Arc::clone(&self.details().client)
    }

    /// Who the client proved to be.
    #[must_use]
    pub fn principal(&self) -> Principal {
        self.details().principal.clone()
    }

    /// Its host names, `(Unknown)` as long as nobody found them out.
    #[must_use]
    pub fn names(&self) -> Names {
        self.details().names.clone()
    }

    /// Fills host names in.
    pub fn set_names(&self, names: Names) {
        self.details().names = names;
        self.0.version.fetch_add(1, Ordering::Release);
    }

    /// Asks the client and waits for its answer.
    ///
    /// # Errors
    /// When there is no answer in time, the connection ends, or too much waits for it already.
    ///
    /// # Cancel safety
    /// Dropping the future gives the answer up; the client was asked all the same.
    pub async fn ask(&self, data: Payload, timeout: Duration) -> Result<Payload, AskError> {
        let (answer, answered) = oneshot::channel();
        self.put(Command::Ask { data, timeout, answer }).map_err(|rejected| match rejected {
            Rejected::Full => AskError::TooMany,
            Rejected::Closed => AskError::Disconnected,
        })?;
        // The connection may take no commands while its queue is full, so the time is kept here as well.
        let waited = tokio::time::timeout(timeout, answered).await;
        waited.map_err(|_| AskError::TimedOut)?.unwrap_or(Err(AskError::Disconnected))
    }

    /// Sends a request without waiting for an answer; tells whether it was taken.
    #[must_use]
    pub fn tell(&self, data: Payload) -> bool {
        self.put(Command::Tell(data)).is_ok()
    }

    /// Pushes what a subscription has to the client from now on; tells whether the connection is there to do so. The
    /// stream is dropped with the connection.
    #[must_use]
    pub fn push(&self, stream: DeliveryStream) -> bool {
        self.put(Command::Push(stream)).is_ok()
    }

    /// Closes the connection with this frame.
    pub fn disconnect(&self, frame: CloseFrame) {
        self.0.closing.store(true, Ordering::Relaxed);
        self.put_if_open(Command::Disconnect(frame));
    }

    /// Lets running calls finish until this moment, then closes with 1001.
    pub fn drain(&self, until: Instant) {
        self.0.draining.store(true, Ordering::Relaxed);
        self.put_if_open(Command::Drain(until));
    }

    /// Makes it a connection of another channel, usually the same one with other settings. Names, service and hooks
    /// hold at once, times and limits as soon as the connection takes its next turn.
    pub fn reconfigure(&self, channel: Arc<WsxChannel>) {
        self.0.channel.store(Arc::clone(&channel));
        self.0.version.fetch_add(1, Ordering::Release);
        self.put_if_open(Command::Reconfigure(channel));
    }

    /// Gives the credentials it logged in with another name.
    pub fn rename_principal(&self, security_name: Arc<str>) {
        self.details().principal.security_name = security_name;
        self.0.version.fetch_add(1, Ordering::Release);
    }

    /// Has services know the user as it is now.
    pub fn change_user(&self, user: Arc<PrincipalUser>) {
        let mut details = self.details();
        details.principal.username = user.username.as_str().into();
        details.principal.user = Some(user);
        drop(details);
        self.0.version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn set_client(&self, client: Client) {
        self.details().client = Arc::new(client);
        self.0.version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn set_principal(&self, principal: Principal) {
        self.details().principal = principal;
        self.0.version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn seen(&self, now: Timestamp, pings_missed: u32) {
        self.0.last_seen.store(now.as_microseconds(), Ordering::Relaxed);
        self.0.pings_missed.store(pings_missed, Ordering::Relaxed);
    }

    pub(super) fn set_pings_missed(&self, pings_missed: u32) {
        self.0.pings_missed.store(pings_missed, Ordering::Relaxed);
    }

    pub(super) fn set_round_trip(&self, round_trip: Option<Duration>) {
        let microseconds = round_trip.map_or(0, |time| time.as_micros().max(1));
        let microseconds = u64::try_from(microseconds).unwrap_or(u64::MAX);
        self.0.round_trip.store(microseconds, Ordering::Relaxed);
    }

    pub(super) fn set_in_flight(&self, calls: usize) {
        self.0.in_flight.store(calls, Ordering::Relaxed);
    }

    pub(super) fn set_queue_bytes(&self, bytes: usize) {
        self.0.queue_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.0.mailbox
    }

    fn put(&self, command: Command) -> Result<(), Rejected> {
        let limit = self.0.channel.load().socket.outgoing_queue_size;
        self.0.mailbox.put(command, limit)
    }

    /// A connection that is over needs no closing and no settings.
    fn put_if_open(&self, command: Command) {
        let _ = self.put(command);
    }

    fn details(&self) -> std::sync::MutexGuard<'_, Details> {
        self.0.details.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for ConnectionHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionHandle").field("id", &self.0.id).finish_non_exhaustive()
    }
}
