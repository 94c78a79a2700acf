//! The task of one socket: open it, tell, subscribe, wait for its end, and again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use spanwire_protocol::Payload;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::status::LinkState;
use super::{Connection, LinkEvents, Shared, topics};
use crate::client::{Client, Delivery, Handler, HandlerError, Request};
use crate::connect::ConnectError;
use crate::plain::{PlainHandler, PlainMessage, PlainSocket};

/// Keeps a socket open until the link is stopped.
pub(super) async fn keep(shared: Arc<Shared>, index: usize, begin: CancellationToken) {
    let stop = shared.stop.clone();
    // What is under way is dropped with its connection, but for one that is open.
    let keeping = Keeper::new(Arc::clone(&shared), index);
    let kept = async {
        begin.cancelled().await;
        keeping.run().await;
    };
    if stop.run_until_cancelled(kept).await.is_none()
        && let Some(Some(connection)) = shared.slot(index, |slot| slot.connection.take())
    {
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, connection.close()).await;
    }
    shared.slot(index, |slot| slot.set(LinkState::Down));
}

struct Keeper {
    shared: Arc<Shared>,
    index: usize,
    backoff: Backoff,
    /// When a failure was last worth a line in the log.
    logged: Option<Instant>,
}

impl Keeper {
    fn new(shared: Arc<Shared>, index: usize) -> Self {
        let (first, longest) = (shared.options.first_pause, shared.options.longest_pause);
        Self { shared, index, backoff: Backoff::new(first, longest), logged: None }
    }

    async fn run(mut self) {
        loop {
            self.shared.slot(self.index, |slot| slot.set(LinkState::Connecting));
            let pause = match self.connect().await {
                Ok(connection) => {
                    let opened = Instant::now();
                    self.serve(connection).await;
                    if !self.shared.options.reconnects {
                        return;
                    }
                    if opened.elapsed() >= STABLE {
                        self.backoff.reset();
                    }
                    self.backoff.pause(rand::random())
                }
                Err(error) => match self.failed(&error) {
                    Some(pause) => pause,
                    None => return,
                },
            };
            let next = Instant::now() + pause;
            self.shared.slot(self.index, |slot| slot.next_try = Some(next));
            sleep_until(next).await;
        }
    }

    async fn connect(&self) -> Result<Connection, ConnectError> {
        let options = &self.shared.options;
        let mut client = options.client.clone();
        client.client_id = self.shared.client_ids.get(self.index).cloned().unwrap_or_default();
        client.client_name =
            format!("WSX outconn - {}:{} - {}", std::process::id(), self.index, options.name);
        let events = EventHandler(Arc::clone(&self.shared.events));
        Ok(match options.is_zato {
            true => Connection::Wsx(Client::connect_with(&client, Arc::new(events)).await?),
            false => Connection::Plain(PlainSocket::connect_with(&client, Arc::new(events)).await?),
        })
    }

    /// From the moment a socket is open until it is gone.
    async fn serve(&mut self, connection: Connection) {
        let (name, address) = (&self.shared.options.name, &self.shared.options.client.address);
        tracing::info!(outconn = name, %address, "connected");
        self.logged = None;
        self.shared.slot(self.index, |slot| {
            slot.set(LinkState::Connected);
            slot.connection = Some(connection.clone());
            slot.attempts = 0;
            slot.problem = None;
        });
        let closed = {
            let closed = connection.closed();
            let alongside = async {
                self.shared.events.connected().await;
                if let (0, Connection::Wsx(client)) = (self.index, &connection) {
                    topics::subscribe(&self.shared, client).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                closed = closed => closed,
                () = alongside => return,
            }
        };
        tracing::warn!(
            outconn = name, %address, code = closed.code, reason = closed.reason, "disconnected"
        );
        let waits = self.shared.options.reconnects;
        self.shared.slot(self.index, |slot| {
            slot.set(if waits { LinkState::Waiting } else { LinkState::Down });
            slot.connection = None;
            slot.problem =
                Some(format!("closed with {} {}", closed.code, closed.reason).trim().to_owned());
        });
        self.shared.events.closed(closed).await;
    }

    /// How long to wait after a failure; `None` when it is not to be tried again.
    fn failed(&mut self, error: &ConnectError) -> Option<Duration> {
        let options = &self.shared.options;
        let is_login = matches!(error, ConnectError::Login);
        let attempts = self.shared.slot(self.index, |slot| {
            slot.attempts = slot.attempts.saturating_add(1);
            slot.set(if is_login { LinkState::AuthenticationFailed } else { LinkState::Waiting });
            slot.problem = Some(error.to_string());
            slot.attempts
        });
        let attempts = attempts.unwrap_or_default();
        let address = &options.client.address;
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            self.logged = Some(Instant::now());
            tracing::warn!(outconn = options.name, %address, attempts, %error, "cannot connect");
        }
        if options.max_attempts.is_some_and(|most| attempts >= most) {
            tracing::error!(outconn = options.name, %address, attempts, "connecting is given up");
            self.shared.slot(self.index, |slot| slot.set(LinkState::Down));
            return None;
        }
        let chance = rand::random();
        let pause =
            if is_login { self.backoff.longest(chance) } else { self.backoff.pause(chance) };
        Some(error.retry_after().map_or(pause, |wanted| pause.max(wanted)))
    }
}

/// What comes in on a socket, as events of the link.
struct EventHandler(Arc<dyn LinkEvents>);

impl Handler for EventHandler {
    fn asked(&self, _: Client, request: Request) -> BoxFuture<'_, Result<Payload, HandlerError>> {
        self.0.asked(request)
    }

    fn delivered(&self, _: Client, delivery: Delivery) -> BoxFuture<'_, Result<(), HandlerError>> {
        self.0.delivered(delivery)
    }
}

impl PlainHandler for EventHandler {
    fn received(&self, message: PlainMessage) -> BoxFuture<'_, ()> {
        self.0.received(message)
    }
}

/// A connection that held for so long was no accident: pauses begin anew.
const STABLE: Duration = Duration::from_secs(60);
/// Failures are worth a line in the log this often.
const LOG_EVERY: Duration = Duration::from_secs(60);
/// How long the close of a socket is waited for when the link is stopped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
