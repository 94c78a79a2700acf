//! One connected WebSocket client: its login, its calls, its comings and goings.

use std::sync::Arc;
use std::time::Duration;

use spanwire_channel::backend::{BoxFuture, Principal, PrincipalUser, Traffic, WsxPeer};
use spanwire_channel::clock;
use spanwire_channel::websocket::Ending;
use spanwire_channel::wsx::{ConnectionHandle, WsxChannel};
use spanwire_protocol::admin::{ConnectionEvent, Event};
use spanwire_protocol::{CloseFrame, Payload};
use spanwire_service::{ChannelType, ClientOrigin, Origin, UserOrigin};
use spanwire_session::{Call, CallFailure, Login};

use super::{Host, failure};
use crate::security::Verdict;

/// How long users wait to be told that they are not let in.
const REFUSAL_DELAY: Duration = Duration::from_millis(300);

pub(super) struct ClientPeer {
    host: Arc<Host>,
    connection: ConnectionHandle,
    known: Option<Known>,
}

/// What is needed for each call; made anew when something in it changes.
struct Known {
    version: u32,
    channel: Arc<WsxChannel>,
    /// What services are told about the caller.
    origin: Arc<Origin>,
}

impl ClientPeer {
    pub(super) fn new(host: Arc<Host>, connection: ConnectionHandle) -> Self {
        Self { host, connection, known: None }
    }

    fn known(&mut self) -> &Known {
        let version = self.connection.version();
        if self.known.as_ref().is_none_or(|known| known.version != version) {
            self.known = None;
        }
        let connection = &self.connection;
        self.known.get_or_insert_with(|| Known::of(connection, version))
    }
}

impl Known {
    fn of(connection: &ConnectionHandle, version: u32) -> Self {
        let (channel, names) = (connection.channel(), connection.names());
        let (principal, client) = (connection.principal(), connection.client());
        let origin = Arc::new(Origin {
            channel_name: Arc::clone(&channel.name),
            channel_type: ChannelType::WebSocket,
            security_name: principal.security_name,
            username: principal.username,
            peer_address: connection.peer().address.to_string().into(),
            content_type: None,
            client: Some(ClientOrigin {
                connection_id: connection.id().clone(),
                client_id: client.id.as_str().into(),
                client_name: client.name.as_str().into(),
                peer_fqdn: names.peer,
            }),
            http: None,
            user: principal.user.map(|user| Arc::new(user_origin(&user))),
        });
        Self { version, channel, origin }
    }
}

/// A user as services see it.
fn user_origin(user: &PrincipalUser) -> UserOrigin {
    UserOrigin {
        user_id: user.user_id.clone(),
        username: user.username.clone(),
        is_super_user: user.is_super_user,
        session: user.session.clone(),
    }
}

impl ClientPeer {
    /// Takes the connection off the books, once; tells whether its client was logged in.
    fn end(&self, ending: &Ending) -> bool {
        let Some(closed) = self.host.connections.ended(self.connection.id(), ending) else {
            return false;
        };
        if let Some(sso) = &self.host.sso {
            sso.closed(&self.connection);
        }
        let was_logged_in = closed.was_logged_in;
        if was_logged_in {
            self.host.metrics.connections.decrement(1.0);
        }
        self.host
            .events
            .send(|| Event::Connection(ConnectionEvent::Closed { connection: Box::new(closed) }));
        was_logged_in
    }
}

impl ClientPeer {
    /// Lets a user of single sign-on in.
    fn log_user_in(&self, login: Login, definition: &str) -> BoxFuture<Option<Principal>> {
        let (host, connection) = (Arc::clone(&self.host), self.connection.clone());
        let as_whom = host.definitions.for_users(definition);
        Box::pin(async move {
            let principal = match (&host.sso, as_whom) {
                (Some(sso), Some(as_whom)) => sso.log_in(&connection, login, as_whom).await,
                _ => None,
            };
            let outcome = if principal.is_some() { "accepted" } else { "refused" };
            let channel = connection.channel();
            let labels = [("channel", &*channel.name), ("outcome", outcome)];
            host.metrics.count("spanwire_logins_total", &labels);
            if principal.is_none() {
                // Clients that reconnect at once, without limit, exist.
                tokio::time::sleep(REFUSAL_DELAY).await;
            }
            principal
        })
    }
}

impl WsxPeer for ClientPeer {
    fn login(&mut self, login: Login) -> BoxFuture<Option<Principal>> {
        let channel = self.connection.channel();
        let Some(definition) = &channel.security_name else {
            return Box::pin(std::future::ready(Some(Principal::anonymous())));
        };
        if self.host.definitions.is_for_users(definition) {
            return self.log_user_in(login, definition);
        }
        let from = self.connection.peer().address.ip();
        let verdict = self.host.verdict(
            Some(&**definition),
            Some(&login.username),
            &login.secret,
            from,
            &channel.name,
        );
        Box::pin(async move {
            match verdict {
                Verdict::Accepted(principal) => Some(principal),
                Verdict::Refused(delay) | Verdict::Throttled(delay) => {
                    if !delay.is_zero() {
                        tokio::time::sleep(delay).await;
                    }
                    None
                }
            }
        })
    }

    fn opened(&mut self) {
        self.host.connections.logged_in(self.connection.id());
        let channel = self.connection.channel();
        if !self.host.definitions.let_in(&self.connection, &channel, true) {
            // What it logged in with changed while it did.
            self.connection.disconnect(CloseFrame::NOT_LET_IN);
        }
        if let Some(name) = &channel.security_name
            && self.connection.principal().security_name != *name
        {
            self.connection.rename_principal(Arc::clone(name));
        }
        if let Some(sso) = &self.host.sso {
            sso.opened(&self.connection);
        }
        self.host.metrics.connections.increment(1.0);
        self.host.resolver.want(&self.connection);
        let (id, client) = (self.connection.id(), self.connection.client());
        tracing::info!(connection = %id, client_id = client.id, client_name = client.name, "client logged in");
        if let Some(hook) = &channel.on_connect {
            let record = self.host.connections.describe(&self.connection);
            self.host.hooks.call(hook, "on_connected", &record);
        }
        self.host.events.send(|| {
            let connection = Box::new(self.host.connections.describe(&self.connection));
            Event::Connection(ConnectionEvent::Opened { connection })
        });
    }

    fn invoke(&mut self, call: Call) -> BoxFuture<Result<Payload, CallFailure>> {
        let known = self.known();
        let (channel, origin) = (&known.channel, Arc::clone(&known.origin));
        let timeout = call.deadline.map_or(channel.service_timeout, |deadline| {
            channel.service_timeout.min(deadline.saturating_duration_since(clock::instant()))
        });
        let invocation = spanwire_service::Call {
            service: Arc::clone(&channel.service),
            input: call.data,
            cid: Some(call.cid),
            timeout,
            traceparent: call.traceparent.map(Into::into),
            hops: call.hops,
        };
        let ports = self.host.ports.clone();
        Box::pin(async move { ports.invoke(invocation, origin).await.map_err(failure) })
    }

    fn moved(&mut self, traffic: Traffic) {
        let metrics = &self.host.metrics;
        metrics.messages_in.increment(traffic.messages_in);
        metrics.bytes_in.increment(traffic.bytes_in);
        metrics.messages_out.increment(traffic.messages_out);
        metrics.bytes_out.increment(traffic.bytes_out);
    }

    fn ended(&mut self, ending: &Ending) {
        let record = self.host.connections.describe(&self.connection);
        let (id, code) = (self.connection.id(), ending.frame.code.0);
        tracing::info!(connection = %id, side = ?ending.side, code, reason = &*ending.frame.reason, "connection ended");
        let text = code.to_string();
        let side = format!("{:?}", ending.side).to_ascii_lowercase();
        // A client may send any code: only those of the standard and ours get a label of their own.
        let label = if matches!(code, 1000..=1015 | 4002..=4005) { &*text } else { "other" };
        let labels = [("channel", &*record.channel_name), ("side", &*side), ("code", label)];
        self.host.metrics.count("spanwire_connections_closed_total", &labels);
        if self.end(ending)
            && let Some(hook) = &self.connection.channel().on_disconnect
        {
            self.host.hooks.call(hook, "on_disconnected", &record);
        }
    }
}

impl Drop for ClientPeer {
    /// A connection whose upgrade never completed, or whose task was aborted, leaves no record behind.
    fn drop(&mut self) {
        self.end(&Ending::aborted());
    }
}
