//! Who calls, and how refusals read.

use std::sync::Arc;

use spanwire_protocol::ConnectionId;
use spanwire_pubsub::{Endpoint, PubSubError};
use spanwire_service::{ChannelType, Context, ServiceError};

use super::PubSub;

/// The endpoint that a caller acts as.
pub(super) struct Caller {
    pub(super) endpoint: Arc<Endpoint>,
    /// The id that the WebSocket client chose; empty for others.
    pub(super) client_id: String,
    /// The connection of the WebSocket client.
    pub(super) connection: Option<ConnectionId>,
}

impl Caller {
    /// The endpoint of a call, by where the call came from in the first place.
    pub(super) fn of(pubsub: &PubSub, ctx: &Context) -> Result<Self, ServiceError> {
        let (origin, broker) = (ctx.origin(), &pubsub.broker);
        let endpoint = match origin.channel_type {
            ChannelType::WebSocket => broker.endpoint_by_channel(&origin.channel_name),
            ChannelType::Rest => broker.endpoint_by_security(&origin.security_name),
            ChannelType::Admin | ChannelType::Internal => Some(broker.internal()),
            _ => None,
        };
        let endpoint = endpoint.ok_or_else(ServiceError::forbidden)?;
        let client = match origin.channel_type {
            ChannelType::WebSocket => origin.client.as_ref(),
            _ => None,
        };
        Ok(Self {
            endpoint,
            client_id: client.map(|client| client.client_id.to_string()).unwrap_or_default(),
            connection: client.map(|client| client.connection_id.clone()),
        })
    }
}

/// A refusal or failure of the broker as the caller reads it.
pub(super) fn refused(error: PubSubError) -> ServiceError {
    if matches!(error, PubSubError::Store(_) | PubSubError::DiskFull) {
        tracing::error!(%error, "publish/subscribe is not available");
    }
    // The log shows sources.
    ServiceError::new(error.status(), error.to_string()).with_source(error)
}
