//! A client of one server: logs in, calls services, answers the server, publishes and subscribes.
//!
//! Many calls share the socket; each reply goes to its caller. There is no reconnecting here: a client lives as long
//! as its connection. [`Link`](crate::Link) keeps one.

mod cancelled;
mod conversation;
mod lanes;
mod pubsub;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use spanwire_crypto::Secret;
use spanwire_protocol::{Codec, Payload, Timestamp};
use spanwire_session::{CallError, CallOptions, ClientConfig, ClientSession};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_rustls::rustls;

use self::cancelled::Cancelled;
use self::conversation::{Command, WsxConversation};
pub use self::pubsub::{Delivery, Publication, Subscribed};
use crate::address::Address;
use crate::clock;
use crate::connect::{self, ConnectError};
use crate::socket::{self, Closed, Limits};

/// How to reach a server, as whom, and how patiently.
#[derive(Clone)]
pub struct ClientOptions {
    /// Where it is.
    pub address: Address,
    /// For `wss://`; see [`TlsOptions::load`](crate::TlsOptions::load).
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// For the login; empty when the channel has no security.
    pub username: String,
    /// For the login.
    pub password: Secret,
    /// The id that survives reconnects; choose a unique one.
    pub client_id: String,
    /// A label for people.
    pub client_name: String,
    /// Whether the additions of spanwire are asked for. A server that does not know them is connected to again
    /// without.
    pub wants_additions: bool,
    /// How long connecting may take, up to the end of the upgrade; 10 s.
    pub connect_timeout: Duration,
    /// How long the login may take; 5 s.
    pub login_timeout: Duration,
    /// How long a call may take that says nothing else; 30 s.
    pub call_timeout: Duration,
    /// The time between two pings; 45 s.
    pub ping_interval: Duration,
    /// After how many unanswered pings in a row the peer counts as gone; 1.
    pub pings_missed: u32,
    /// How long writing may stand still; 60 s.
    pub write_timeout: Duration,
    /// The largest message; 16 MiB.
    pub max_message_bytes: usize,
    /// How much may wait to be sent; callers wait beyond that; 8 MiB.
    pub outgoing_bytes: usize,
    /// How many calls may be unanswered; further callers wait. Servers refuse what is beyond their own limit (1,088); 1,000.
    pub max_in_flight: usize,
}

impl ClientOptions {
    /// The defaults, for a server at `address`.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            tls: None,
            username: String::new(),
            password: Secret::new(String::new()),
            client_id: String::new(),
            client_name: String::new(),
            wants_additions: true,
            connect_timeout: Duration::from_secs(10),
            login_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            ping_interval: Duration::from_secs(45),
            pings_missed: 1,
            write_timeout: Duration::from_secs(60),
            max_message_bytes: 16 * 1024 * 1024,
            outgoing_bytes: 8 * 1024 * 1024,
            max_in_flight: 1_000,
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            outgoing_bytes: self.outgoing_bytes,
            ping_interval: self.ping_interval,
            pings_missed: self.pings_missed,
            write_timeout: self.write_timeout,
        }
    }
}

impl std::fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientOptions")
            .field("address", &self.address)
            .field("username", &self.username)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// A handler could not do what it was asked to. The text is for the log of this side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HandlerError(pub String);

/// A request of the server.
#[derive(Clone, Debug)]
pub struct Request {
    /// The server's id of it.
    pub id: String,
    /// When it was sent, if that was readable.
    pub timestamp: Option<Timestamp>,
    /// What is asked.
    pub data: Payload,
}

/// What the server may ask and tell. Nothing of it holds up the connection.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request of the server. Up to 64 run at once; after an error the answer is null.
    fn asked(
        &self,
        client: Client,
        request: Request,
    ) -> BoxFuture<'_, Result<Payload, HandlerError>>;

    /// Takes messages of a subscription, one delivery after the other. `Ok` acknowledges them; after an error they
    /// come again, as far as the server knows of acknowledgements.
    fn delivered(
        &self,
        client: Client,
        delivery: Delivery,
    ) -> BoxFuture<'_, Result<(), HandlerError>>;

    /// Is told of messages that will not come. The receipt has the key of the subscription, which is a secret.
    fn missed(&self, receipt: Payload) {
        let part = |name: &str| {
            receipt
                .entry(name)
                .and_then(|it| it.parse::<serde_json::Value>().ok())
                .unwrap_or_default()
        };
        let (topic, cause) = (part("topic_name"), part("cause"));
        let (from, to, count) = (part("from"), part("to"), part("count"));
        tracing::warn!(%topic, %cause, %from, %to, %count, "messages will not come");
    }
}

/// For clients that are not asked anything: answers null, and refuses deliveries.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHandler;

impl Handler for NoHandler {
    fn asked(&self, _: Client, request: Request) -> BoxFuture<'_, Result<Payload, HandlerError>> {
        Box::pin(async move { Ok(Payload::null(request.data.codec())) })
    }

    fn delivered(&self, _: Client, _: Delivery) -> BoxFuture<'_, Result<(), HandlerError>> {
        Box::pin(async { Err(HandlerError("nobody takes messages here".to_owned())) })
    }
}

/// An open session with a server. Cloning shares the connection, which is closed once the last clone is dropped.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    commands: mpsc::Sender<Command>,
    next: AtomicU64,
    cancelled: Arc<Cancelled>,
    closed: watch::Receiver<Option<Closed>>,
    in_flight: AtomicUsize,
    room: Semaphore,
    additions: bool,
    call_timeout: Duration,
}

impl Client {
    /// Connects and logs in.
    ///
    /// # Errors
    /// [`ConnectError`], which says which of the two failed.
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection.
    pub async fn connect(
        options: &ClientOptions,
        handler: impl Handler,
    ) -> Result<Self, ConnectError> {
        Self::connect_with(options, Arc::new(handler)).await
    }

    pub(crate) async fn connect_with(
        options: &ClientOptions,
        handler: Arc<dyn Handler>,
    ) -> Result<Self, ConnectError> {
        let late = |_| ConnectError::TimedOut(options.connect_timeout);
        let opening = open(options);
        let (socket, additions) =
            tokio::time::timeout(options.connect_timeout, opening).await.map_err(late)??;
        let config = ClientConfig {
            username: options.username.clone(),
            secret: options.password.expose().to_owned(),
            client_id: options.client_id.clone(),
            client_name: options.client_name.clone(),
            attributes: String::new(),
            login_timeout: options.login_timeout,
            call_timeout: options.call_timeout,
            additions,
        };
        let session = ClientSession::new(config, Codec::Json, clock::now());
        // Callers wait here while the outgoing queue is full.
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (tell_closed, closed) = watch::channel(None);
        let (tell_opened, opened) = oneshot::channel();
        let cancelled = Arc::new(Cancelled::default());
        let shared = Arc::new(Shared {
            commands,
            next: AtomicU64::new(0),
            cancelled: Arc::clone(&cancelled),
            closed,
            in_flight: AtomicUsize::new(0),
            room: Semaphore::new(options.max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            additions,
            call_timeout: options.call_timeout,
        });
        let mut conversation = WsxConversation::new(
            session,
            receiver,
            cancelled,
            handler,
            Arc::downgrade(&shared),
            tell_opened,
        );
        let limits = options.limits();
        tokio::spawn(async move {
            let closed = socket::run(socket, &limits, &mut conversation).await;
            drop(conversation);
            // Nobody may be interested.
            let _ = tell_closed.send(Some(closed));
        });
        match opened.await {
            Ok(()) => Ok(Self(shared)),
            Err(_closed) => Err(ConnectError::Login),
        }
    }

    /// Calls the service that is mounted on the channel with this input.
    ///
    /// # Errors
    /// [`CallError`]: the server refused, did not answer in time, or is gone. Only in the first case it is certain that
    /// the call was not carried out.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the reply; the call may be carried out.
    pub async fn call(&self, data: Payload, options: CallOptions) -> Result<Payload, CallError> {
        let timeout = options.timeout.unwrap_or(self.0.call_timeout);
        let call = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let _in_flight = InFlight::new(&self.0);
        let started = Instant::now();
        let exchange = async {
            let _room = self.0.room.acquire().await.map_err(|_| CallError::Closed)?;
            // The server is told of the time that is left.
            let left = timeout.saturating_sub(started.elapsed());
            let options = CallOptions { timeout: Some(left), ..options };
            let command = Command::Call { call, data, options, reply };
            self.0.commands.send(command).await.map_err(|_| CallError::Closed)?;
            let mut given_up = GivenUp { cancelled: &self.0.cancelled, call: Some(call) };
            let answer = answer.await.unwrap_or(Err(CallError::Closed));
            given_up.call = None;
            answer
        };
        // The queue may be full for longer than the caller wants to wait.
        tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(CallError::TimedOut))
    }

    /// Calls a service through the gateway of the channel.
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
    ) -> Result<Payload, CallError> {
        self.call(Payload::for_gateway(service, request), options).await
    }

    /// Calls a service through the gateway with a typed value.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    pub async fn ask<T: Serialize + Sync + ?Sized>(
        &self,
        service: &str,
        request: &T,
    ) -> Result<Payload, CallError> {
        let request =
            Payload::from_serialize(Codec::Json, request).map_err(|error| CallError::Status {
                status: spanwire_protocol::Status::BAD_REQUEST,
                message: error.to_string(),
            })?;
        self.invoke(service, &request, CallOptions::default()).await
    }

    /// Whether the server knows the additions of spanwire.
    #[must_use]
    pub fn has_additions(&self) -> bool {
        self.0.additions
    }

    /// How many calls wait for their replies.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// Whether the connection is there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.closed.borrow().is_none()
    }

    /// Waits until the connection is over, and tells how it ended.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn closed(&self) -> Closed {
        socket::wait_closed(&self.0.closed).await
    }

    /// Closes the connection with 1000, and waits until it is over. Calls that wait fail.
    ///
    /// # Cancel safety
    /// Dropping the future does not wait.
    pub async fn close(&self) -> Closed {
        // Where it cannot be told any more, it is over.
        let _ = self.0.commands.send(Command::Close).await;
        self.closed().await
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("is_open", &self.is_open())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn upgrade(this: &Weak<Self>) -> Option<Client> {
        this.upgrade().map(Client)
    }
}

/// The socket, and whether the server chose a subprotocol of spanwire.
async fn open(options: &ClientOptions) -> Result<(connect::Socket, bool), ConnectError> {
    let offers = if options.wants_additions { SUBPROTOCOL } else { "" };
    let (address, tls) = (&options.address, options.tls.as_ref());
    match connect::open(address, tls, offers, options.max_message_bytes).await {
        Err(error) if options.wants_additions && connect::chose_nothing(&error) => {
            let (socket, _) = connect::open(address, tls, "", options.max_message_bytes).await?;
            Ok((socket, false))
        }
        opened => opened.map(|(socket, chosen)| (socket, chosen.as_deref() == Some(SUBPROTOCOL))),
    }
}

/// Counts a call for as long as its caller waits.
struct InFlight<'a>(&'a AtomicUsize);

impl<'a> InFlight<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(&shared.in_flight)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells the conversation that nobody waits for a call any more, unless it was answered.
struct GivenUp<'a> {
    cancelled: &'a Cancelled,
    call: Option<u64>,
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.cancelled.push(call);
        }
    }
}

const SUBPROTOCOL: &str = "spanwire.v1.json";
/// How many calls wait to be taken by the connection; further callers wait themselves.
const COMMANDS: usize = 256;
