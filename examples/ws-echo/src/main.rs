//! A WebSocket server that sends every message back, on spanwire's transport alone: no sessions, no login, any path.
//!
//! It shows how little the transport needs, and it is what foreign conformance suites, such as Autobahn, are pointed
//! at: `ws-echo 127.0.0.1:9001`. Not for the open Internet: it trusts every peer with messages of 64 MiB.

use std::collections::VecDeque;
use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::task::Context;

use hyper::body::Incoming;
use hyper::{Request, Response};
use spanwire_channel::transport::{
    AddressLimits, Body, HttpApp, LimitSettings, Listener, ListenerSettings, Peer,
};
use spanwire_channel::websocket::{
    Action, Conversation, Ending, Message, OriginPolicy, SocketLimits, Upgrade,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const MAX_MESSAGE: usize = 64 << 20;

/// Upgrades whatever asks for it.
struct EchoApp {
    tasks: TaskTracker,
}

impl HttpApp for EchoApp {
    async fn handle(&self, mut request: Request<Incoming>, _: Peer) -> Response<Body> {
        let limits = SocketLimits {
            max_message_size: MAX_MESSAGE,
            // There is no login that could earn trust.
            untrusted_bytes: usize::MAX,
            ..SocketLimits::default()
        };
        match Upgrade::check(&mut request, &OriginPolicy::new(["*".to_owned()])) {
            Ok(upgrade) => upgrade.accept(limits, &self.tasks, Echo::default()),
            Err(refusal) => *refusal,
        }
    }
}

/// What came and was not yet sent back.
#[derive(Default)]
struct Echo {
    messages: VecDeque<Message>,
}

impl Conversation for Echo {
    fn handle_message(&mut self, message: Message) {
        self.messages.push_back(message);
    }

    fn handle_pong(&mut self) {}

    fn poll_progress(&mut self, _: &mut Context<'_>, _room: bool) {}

    fn poll_action(&mut self) -> Option<Action> {
        self.messages.pop_front().map(Action::Send)
    }

    fn handle_end(&mut self, _: &Ending) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let limits = LimitSettings { loopback_exempt: true, ..LimitSettings::default() };
    let settings = ListenerSettings::new(AddressLimits::new(limits));
    let listener = Listener::bind(address.parse()?, settings)?;
    writeln!(std::io::stdout(), "listening on {}", listener.local_address()?)?;
    let tasks = TaskTracker::new();
    let app = Arc::new(EchoApp { tasks: tasks.clone() });
    listener.serve(app, CancellationToken::new(), tasks).await;
    Ok(())
}
