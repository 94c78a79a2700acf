//! A listener on a free port with an application that echoes, and what it saw.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use spanwire_channel::transport::{
    AddressLimits, Body, HttpApp, LimitSettings, Listener, ListenerSettings, Observer, Peer,
    response,
};
use spanwire_channel::websocket::{
    Action, Conversation, Ending, Message, OriginPolicy, SocketLimits, Upgrade,
};
use spanwire_protocol::{CloseCode, CloseFrame};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::client::within;

/// The one path that upgrades; `/whoami` tells the client's address, everything else is 404.
pub(crate) const PATH: &str = "/zato.ws.apitests";

/// A text that makes the server close with [`GOODBYE`].
pub(crate) const CLOSE_COMMAND: &str = "please close";
pub(crate) const GOODBYE: CloseFrame = CloseFrame::new(CloseCode(4005), "Good-bye");

/// What the application saw so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) messages: usize,
    pub(crate) pongs: usize,
    pub(crate) queue: usize,
    pub(crate) queue_max: usize,
    pub(crate) endings: Vec<Ending>,
    pub(crate) refused: Vec<&'static str>,
}

/// A running server; stops when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<watch::Sender<Seen>>,
    /// Open connections and conversations.
    pub(crate) tasks: TaskTracker,
    _stop: DropGuard,
}

/// How a server is to work.
pub(crate) struct Options {
    pub(crate) socket: SocketLimits,
    /// Whether the conversation trusts its peer at once.
    pub(crate) trust: bool,
    /// Which foreign origins may connect; the test vectors come from browsers of anywhere.
    pub(crate) origins: OriginPolicy,
}

impl Default for Options {
    fn default() -> Self {
        let origins = OriginPolicy::new(["*".to_owned()]);
        Self { socket: SocketLimits::default(), trust: true, origins }
    }
}

impl Server {
    /// An echo server with these limits.
    pub(crate) fn start(options: Options) -> Self {
        Self::with_listener(options, |_| {})
    }

    /// An echo server whose connections trust at once, with a greatest message.
    pub(crate) fn with_max_message(bytes: usize) -> Self {
        let socket = SocketLimits { max_message_size: bytes, ..SocketLimits::default() };
        Self::start(Options { socket, ..Options::default() })
    }

    /// An echo server with a listener of its own kind.
    pub(crate) fn with_listener(
        options: Options,
        change: impl FnOnce(&mut ListenerSettings),
    ) -> Self {
        let seen = Arc::new(watch::Sender::new(Seen::default()));
        let limits = LimitSettings { loopback_exempt: true, ..LimitSettings::default() };
        let mut settings = ListenerSettings::new(AddressLimits::new(limits));
        settings.observer = Arc::new(Refusals(Arc::clone(&seen)));
        change(&mut settings);
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), settings).unwrap();
        let address = listener.local_address().unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let app = Arc::new(Echo { options, seen: Arc::clone(&seen), tasks: tasks.clone() });
        tokio::spawn(listener.serve(app, stop.clone(), tasks.clone()));
        Self { address, seen, tasks, _stop: stop.drop_guard() }
    }

    /// Waits until what the application saw is as wanted, and takes something of it.
    pub(crate) async fn saw<T>(
        &self,
        wanted: impl FnMut(&Seen) -> bool,
        take: impl FnOnce(&Seen) -> T,
    ) -> T {
        let mut receiver = self.seen.subscribe();
        let seen = within("the server to see it", receiver.wait_for(wanted)).await.unwrap();
        take(&seen)
    }

    /// How the first connection ended.
    pub(crate) async fn ending(&self) -> Ending {
        self.saw(|seen| !seen.endings.is_empty(), |seen| seen.endings[0].clone()).await
    }
}

struct Refusals(Arc<watch::Sender<Seen>>);

impl Observer for Refusals {
    fn refused(&self, reason: &'static str) {
        self.0.send_modify(|seen| seen.refused.push(reason));
    }
}

struct Echo {
    options: Options,
    seen: Arc<watch::Sender<Seen>>,
    tasks: TaskTracker,
}

impl HttpApp for Echo {
    async fn handle(&self, mut request: Request<Incoming>, peer: Peer) -> Response<Body> {
        match request.uri().path() {
            PATH => {}
            "/whoami" => return response::text(StatusCode::OK, peer.address.to_string()),
            _ => return response::error(StatusCode::NOT_FOUND, "Not found"),
        }
        let upgrade = match Upgrade::check(&mut request, &self.options.origins) {
            Ok(upgrade) => upgrade,
            Err(refusal) => return *refusal,
        };
        let first = self.options.trust.then_some(Action::Trust);
        let conversation = EchoConversation { action: first, seen: Arc::clone(&self.seen) };
        upgrade.accept(self.options.socket.clone(), &self.tasks, conversation)
    }
}

struct EchoConversation {
    action: Option<Action>,
    seen: Arc<watch::Sender<Seen>>,
}

impl Conversation for EchoConversation {
    fn handle_message(&mut self, message: Message) {
        self.seen.send_modify(|seen| seen.messages += 1);
        let command = Message::Text(CLOSE_COMMAND.into());
        let answer =
            if message == command { Action::Close(GOODBYE) } else { Action::Send(message) };
        assert!(self.action.replace(answer).is_none_or(|action| action == Action::Trust));
    }

    fn handle_pong(&mut self) {
        self.seen.send_modify(|seen| seen.pongs += 1);
    }

    fn poll_progress(&mut self, _: &mut Context<'_>, _: bool) {}

    fn poll_action(&mut self) -> Option<Action> {
        self.action.take()
    }

    fn queue_changed(&mut self, bytes: usize) {
        self.seen.send_modify(|seen| {
            seen.queue = bytes;
            seen.queue_max = seen.queue_max.max(bytes);
        });
    }

    fn handle_end(&mut self, ending: &Ending) {
        self.seen.send_modify(|seen| seen.endings.push(ending.clone()));
    }
}

/// Limits that are soon reached, for tests of what happens then.
pub(crate) fn impatient() -> SocketLimits {
    SocketLimits {
        write_timeout: Duration::from_millis(400),
        close_timeout: Duration::from_millis(200),
        ..SocketLimits::default()
    }
}
