//! A connection that is kept: as many sockets as wanted, made again when they are lost, with subscriptions.
//!
//! Each socket has a task of its own ([`keeper`]). Subscriptions are the first socket's, so that each message comes once.

mod backoff;
mod keeper;
mod status;
mod topics;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use spanwire_protocol::Payload;
use spanwire_session::{CallError, CallOptions};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::status::Slot;
pub use self::status::{LinkState, LinkStatus, SocketStatus};
use crate::client::{Client, ClientOptions, Delivery, HandlerError, Request};
use crate::plain::{PlainMessage, PlainSocket};
use crate::socket::Closed;

/// What to connect to, and how.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// What it is called.
    pub name: String,
    /// Where, as whom, how patiently. Its `client_id` is what the ids of the sockets begin with, random if empty; each is the
    /// same in all connections of its socket, because a subscription may be bound to it.
    pub client: ClientOptions,
    /// Whether the peer speaks the client protocol.
    pub is_zato: bool,
    /// How many sockets are kept; 1.
    pub pool_size: usize,
    /// Whether a lost connection is made again; true. The first one is tried for in any case.
    pub reconnects: bool,
    /// How often connecting is tried in a row; without a bound if `None`.
    pub max_attempts: Option<u32>,
    /// Topics of the peer to subscribe to.
    pub topics: Vec<String>,
    /// The first pause before connecting again; 1 s. Each is half as long again as the one before.
    pub first_pause: Duration,
    /// The longest one; 30 s. Also the one after a login that was refused.
    pub longest_pause: Duration,
}

impl LinkOptions {
    /// The defaults, for a peer that speaks the client protocol.
    #[must_use]
    pub fn new(name: impl Into<String>, client: ClientOptions) -> Self {
        Self {
            name: name.into(),
            client,
            is_zato: true,
            pool_size: 1,
            reconnects: true,
            max_attempts: None,
            topics: Vec::new(),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
        }
    }
}

/// What a link tells and asks. Nothing of it holds up another socket.
pub trait LinkEvents: Send + Sync + 'static {
    /// A socket is open, the first time and each time again. Subscriptions are made once this has ended.
    fn connected(&self) -> BoxFuture<'_, ()>;

    /// The peer asks something; after an error the answer is null.
    fn asked(&self, request: Request) -> BoxFuture<'_, Result<Payload, HandlerError>>;

    /// Messages of a subscription, one delivery after the other. After an error they come again.
    fn delivered(&self, delivery: Delivery) -> BoxFuture<'_, Result<(), HandlerError>>;

    /// A message of a plain peer, one after the other.
    fn received(&self, message: PlainMessage) -> BoxFuture<'_, ()>;

    /// A socket is gone, and we did not want that.
    fn closed(&self, closed: Closed) -> BoxFuture<'_, ()>;

    /// More topics to subscribe to; `None` when that could not be found out.
    fn topics(&self) -> BoxFuture<'_, Option<Vec<String>>>;

    /// The key of the subscription to a topic of an earlier connection, perhaps of an earlier process.
    fn key_of(&self, topic: &str) -> BoxFuture<'_, Option<String>>;

    /// Topics with the keys of their subscriptions that are not among the wanted ones: they are ended.
    fn other_keys(&self, wanted: &[String]) -> Vec<(String, String)>;

    /// Keeps the key of a subscription, or forgets it. Whoever forgets too much loses what waits at the peer.
    fn keep_key(&self, topic: &str, sub_key: Option<&str>) -> BoxFuture<'_, ()>;
}

/// Why nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No socket is open.
    #[error("No free connections to {name} ({why})")]
    NotConnected {
        /// The link.
        name: String,
        /// Its state, and what went wrong last.
        why: String,
    },
    /// The peer does not speak the client protocol: there are no replies.
    #[error("{name} is no connection to a server that answers: only sending is possible")]
    NoReplies {
        /// The link.
        name: String,
    },
    /// The peer speaks the client protocol: it takes calls only.
    #[error("{name} takes calls only")]
    CallsOnly {
        /// The link.
        name: String,
    },
    /// It was sent, and what came of it is no result.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// A connection that is kept. Cloning shares it. It ends with [`stop`](Self::stop) or with its last clone.
#[derive(Clone)]
pub struct Link(Arc<Owner>);

/// Stops what runs when nobody has the link any more.
struct Owner {
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

struct Shared {
    options: LinkOptions,
    events: Arc<dyn LinkEvents>,
    slots: Vec<Mutex<Slot>>,
    /// The id of each socket, the same in all its connections: a subscription may be bound to it.
    client_ids: Vec<String>,
    stop: CancellationToken,
}

/// An open socket.
#[derive(Clone, Debug)]
enum Connection {
    Wsx(Client),
    Plain(PlainSocket),
}

impl Connection {
    fn is_open(&self) -> bool {
        match self {
            Self::Wsx(client) => client.is_open(),
            Self::Plain(socket) => socket.is_open(),
        }
    }

    async fn closed(&self) -> Closed {
        match self {
            Self::Wsx(client) => client.closed().await,
            Self::Plain(socket) => socket.closed().await,
        }
    }

    async fn close(&self) -> Closed {
        match self {
            Self::Wsx(client) => client.close().await,
            Self::Plain(socket) => socket.close().await,
        }
    }
}

impl Link {
    /// Begins to connect, and returns at once. Has to be called within a tokio runtime.
    #[must_use]
    pub fn start(options: LinkOptions, events: impl LinkEvents) -> Self {
        let begin = CancellationToken::new();
        begin.cancel();
        Self::start_after(options, events, &begin)
    }

    /// Begins to connect once this is cancelled, and returns at once.
    #[must_use]
    pub fn start_after(
        options: LinkOptions,
        events: impl LinkEvents,
        begin: &CancellationToken,
    ) -> Self {
        let pool_size = options.pool_size.max(1);
        let identity = match options.client.client_id.as_str() {
            "" => format!("wsx.out.{:016x}", rand::random::<u64>()),
            given => given.to_owned(),
        };
        let shared = Arc::new(Shared {
            client_ids: (0..pool_size).map(|index| format!("{identity}.{index}")).collect(),
            options,
            events: Arc::new(events),
            slots: (0..pool_size).map(|_| Mutex::new(Slot::new())).collect(),
            stop: CancellationToken::new(),
        });
        let tasks = TaskTracker::new();
        for index in 0..pool_size {
            tasks.spawn(keeper::keep(Arc::clone(&shared), index, begin.clone()));
        }
        tasks.close();
        Self(Arc::new(Owner { shared, tasks }))
    }

    /// Calls the service that is mounted on the peer's channel with this input, and waits for the reply.
    ///
    /// # Errors
    /// [`LinkError`]. When no socket is open it says so at once.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the reply; the call may be carried out.
    pub async fn call(&self, data: Payload, options: CallOptions) -> Result<Payload, LinkError> {
        let client = self.client()?;
        Ok(client.call(data, options).await?)
    }

    /// Calls a service through the gateway of the peer's channel.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    pub async fn invoke(
        &self,
        service: &str,
        request: &Payload,
        options: CallOptions,
    ) -> Result<Payload, LinkError> {
        let client = self.client()?;
        Ok(client.invoke(service, request, options).await?)
    }

    /// Sends a message to a plain peer. `Ok` does not say that it has arrived.
    ///
    /// # Errors
    /// [`LinkError`]. When no socket is open it says so at once.
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing.
    pub async fn send(&self, message: PlainMessage) -> Result<(), LinkError> {
        let name = || self.0.shared.options.name.clone();
        match self.0.shared.open() {
            Some(Connection::Plain(socket)) => {
                socket.send(message).await.map_err(|_| self.0.shared.not_connected())
            }
            Some(Connection::Wsx(_)) => Err(LinkError::CallsOnly { name: name() }),
            None => Err(self.0.shared.not_connected()),
        }
    }

    /// Ends a subscription at the peer, with its queue.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// Dropping the future may leave it ended.
    pub async fn unsubscribe(&self, sub_key: &str) -> Result<(), LinkError> {
        Ok(self.client()?.unsubscribe(sub_key).await?)
    }

    fn client(&self) -> Result<Client, LinkError> {
        match self.0.shared.open() {
            Some(Connection::Wsx(client)) => Ok(client),
            Some(Connection::Plain(_)) => {
                Err(LinkError::NoReplies { name: self.0.shared.options.name.clone() })
            }
            None => Err(self.0.shared.not_connected()),
        }
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> LinkStatus {
        self.0.shared.status()
    }

    /// Closes all sockets with 1000 and waits until they are closed. Events are not told.
    ///
    /// # Cancel safety
    /// Dropping the future does not wait.
    pub async fn stop(&self) {
        self.0.shared.stop.cancel();
        self.0.tasks.wait().await;
    }
}

impl Shared {
    /// An open socket: of several, the one with the fewest calls under way.
    fn open(&self) -> Option<Connection> {
        let open = self.slots.iter().filter_map(|slot| {
            let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.connection.clone().filter(Connection::is_open)
        });
        open.min_by_key(|connection| match connection {
            Connection::Wsx(client) => client.in_flight(),
            Connection::Plain(_) => 0,
        })
    }

    fn not_connected(&self) -> LinkError {
        let why = self.status().to_string();
        LinkError::NotConnected { name: self.options.name.clone(), why }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("name", &self.0.shared.options.name)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
