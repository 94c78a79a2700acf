//! Hooks of an outgoing WebSocket connection as one type with a method for each event (outconn-and-platform 1.5).
//!
//! ```
//! use spanwire_protocol::Payload;
//! use spanwire_service::outgoing::{Adapter, MessageEvent, WsxAdapter};
//! use spanwire_service::{Context, Registry, ServiceError};
//!
//! struct Crm;
//!
//! impl WsxAdapter for Crm {
//!     async fn on_message_received(&self, _: Context, event: MessageEvent) -> Result<Payload, ServiceError> {
//!         println!("{} sent {} bytes", event.conn.name, event.data.len());
//!         Ok(Payload::null(event.data.codec()))
//!     }
//! }
//!
//! // Name it as each of the hooks that it has methods for.
//! Registry::new().insert("crm.adapter", spanwire_service::Source::Native, std::sync::Arc::new(Adapter(Crm)));
//! ```

use serde::Deserialize;
use serde_json::Value;
use spanwire_protocol::Payload;

use crate::context::Context;
use crate::error::ServiceError;
use crate::service::{BoxFuture, PayloadService};

/// What to call a connection by.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Conn {
    /// Its name.
    pub name: String,
}

/// A connection was made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectEvent {
    /// Which one.
    pub conn: Conn,
    /// As it is configured, without secrets.
    pub config: Value,
}

/// A message came.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MessageEvent {
    /// On which connection.
    pub conn: Conn,
    /// As it is configured, without secrets.
    pub config: Value,
    /// The peer's id of the message; from plain peers there is none.
    pub id: Option<String>,
    /// When it was sent, as the peer wrote it.
    pub timestamp: Option<String>,
    /// What is asked, or an array of the messages that are delivered. From plain peers the message itself.
    pub data: Payload,
}

/// A connection ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CloseEvent {
    /// Which one.
    pub conn: Conn,
    /// As it is configured, without secrets.
    pub config: Value,
    /// The close code: 1006 when the connection was lost.
    pub code: u16,
    /// The peer's words; may be empty.
    pub reason: String,
}

/// The events of outgoing WebSocket connections. Those without a method are taken and mean nothing.
pub trait WsxAdapter: Send + Sync + 'static {
    /// A connection was made, the first or a later one. Subscriptions are made once this has ended.
    fn on_connected(
        &self,
        _ctx: Context,
        _event: ConnectEvent,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send {
        std::future::ready(Ok(()))
    }

    /// A message came. What this returns is the answer to the peer; after an error the answer is null, and deliveries
    /// come again.
    fn on_message_received(
        &self,
        _ctx: Context,
        event: MessageEvent,
    ) -> impl Future<Output = Result<Payload, ServiceError>> + Send {
        std::future::ready(Ok(Payload::null(event.data.codec())))
    }

    /// A connection ended, and nobody here wanted that.
    fn on_closed(
        &self,
        _ctx: Context,
        _event: CloseEvent,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send {
        std::future::ready(Ok(()))
    }
}

/// An adapter as a service, to be named as a hook.
#[derive(Clone, Copy, Debug)]
pub struct Adapter<A>(pub A);

#[derive(Deserialize)]
struct Common {
    r#type: String,
    conn: Conn,
    #[serde(default)]
    config: Value,
    #[serde(default)]
    code: u16,
    #[serde(default)]
    reason: String,
}

impl<A: WsxAdapter> PayloadService for Adapter<A> {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        Box::pin(async move {
            let event =
                input.entry("ctx").ok_or_else(|| ServiceError::input("`ctx` is missing"))?;
            let Common { r#type, conn, config, code, reason } = event.parse()?;
            let nothing = Payload::null(input.codec());
            match r#type.as_str() {
                "connect" => {
                    self.0.on_connected(ctx, ConnectEvent { conn, config }).await?;
                    Ok(nothing)
                }
                "message" => {
                    let data = event.entry("data").unwrap_or_else(|| nothing.clone());
                    self.0.on_message_received(ctx, message(conn, config, data)).await
                }
                "close" => {
                    self.0.on_closed(ctx, CloseEvent { conn, config, code, reason }).await?;
                    Ok(nothing)
                }
                other => {
                    let text = format!("an adapter has no method for `{other}`");
                    Err(ServiceError::bad_request(text))
                }
            }
        })
    }
}

/// What a peer that speaks the client protocol sends has an id and a time around it.
fn message(conn: Conn, config: Value, data: Payload) -> MessageEvent {
    let is_zato = config.get("is_zato") == Some(&Value::Bool(true));
    if !is_zato {
        return MessageEvent { conn, config, id: None, timestamp: None, data };
    }
    let text = |name: &str| data.entry(name).and_then(|value| value.parse().ok());
    let (id, timestamp) = (text("id"), text("timestamp"));
    let data = data.entry("data").unwrap_or_else(|| Payload::null(data.codec()));
    MessageEvent { conn, config, id, timestamp, data }
}
