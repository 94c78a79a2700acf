//! The gateway: what a WebSocket client may call through a channel (wsx-protocol 4.4).

use spanwire_protocol::{Payload, ServicePatterns};
use spanwire_service::{BoxFuture, Context, PayloadService, ServiceError};

/// The name of the gateway as shipped.
pub const DEFAULT_GATEWAY: &str = "helpers.web-sockets-gateway";

/// What it allows (DESIGN 13); a `wsx_gateway` object of its name replaces the list.
pub const DEFAULT_SERVICES: [&str; 12] = [
    "zato.ping",
    "zato.ping2",
    "pub.zato.ping",
    "zato.helpers.echo",
    "zato.pubsub.pubapi.publish-message",
    "zato.pubsub.pubapi.subscribe-wsx",
    "zato.pubsub.pubapi.subscribe",
    "zato.pubsub.pubapi.unsubscribe",
    "zato.pubsub.resume-wsx-subscription",
    "zato.pubsub.subscription.create-wsx-subscription",
    // They touch the caller's own queues only.
    "spanwire.pubsub.acknowledge",
    "spanwire.pubsub.refuse",
];

/// Takes `{"service": …, "request": …}`, calls the service if it is allowed, and returns exactly what it returns.
#[derive(Clone, Debug)]
pub struct Gateway {
    allowed: ServicePatterns,
}

impl Gateway {
    /// A gateway to the services that these patterns name.
    #[must_use]
    pub fn new(allowed: ServicePatterns) -> Self {
        Self { allowed }
    }
}

impl Default for Gateway {
    fn default() -> Self {
        Self::new(ServicePatterns::new(DEFAULT_SERVICES))
    }
}

impl PayloadService for Gateway {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        Box::pin(async move {
            let service = input.entry("service").and_then(|name| name.parse::<String>().ok());
            let service = service.filter(|name| !name.is_empty());
            let service = service.ok_or_else(|| ServiceError::input("`service` is missing"))?;
            if !self.allowed.allow(&service) {
                tracing::info!(cid = %ctx.cid(), gateway = ctx.service(), service, "service is not allowed");
                return Err(ServiceError::forbidden());
            }
            let request = input.entry("request").unwrap_or_else(|| Payload::empty(input.codec()));
            ctx.call_payload(&service, request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use spanwire_protocol::Codec;
    use spanwire_service::{Call, Origin, Ports, Registry};

    use super::*;

    async fn call(codec: Codec, input: Value) -> Result<Value, (u16, String)> {
        let registry = Registry::new();
        crate::register(&registry);
        let input = Payload::from_serialize(codec, &input).unwrap();
        let reply = Ports::new(registry.into())
            .invoke(Call::new(DEFAULT_GATEWAY, input), Origin::internal())
            .await;
        reply.map(|reply| reply.parse().unwrap()).map_err(|e| (e.status().0, e.into_message()))
    }

    #[tokio::test]
    async fn allowed_services_answer_exactly_what_they_answer() {
        for codec in [Codec::Json, Codec::MsgPack] {
            for (input, expected) in [
                (json!({"service": "zato.ping"}), json!({"pong": "zato"})),
                (json!({"service": "zato.ping2", "request": null}), json!({"pong": "zato"})),
                (
                    json!({"request": {"response": 1}, "service": "zato.helpers.echo"}),
                    json!({"response": 1}),
                ),
                (json!({"service": "zato.helpers.echo", "request": "abc"}), json!("abc")),
                (json!({"service": "zato.helpers.echo"}), json!({})),
            ] {
                assert_eq!(call(codec, input).await, Ok(expected));
            }
        }
    }

    #[tokio::test]
    async fn others_are_refused_whether_they_exist_or_not() {
        let refused = Err((403, "You are not allowed to access this resource".to_owned()));
        for service in ["zato.channel.web-socket.invoke-wsx", DEFAULT_GATEWAY, "no.such.service"] {
            assert_eq!(call(Codec::Json, json!({"service": service})).await, refused);
        }
    }

    #[tokio::test]
    async fn input_without_a_service_is_400() {
        let refused = Err((400, "I/O processing error".to_owned()));
        for input in [
            json!({}),
            json!({"service": 1}),
            json!({"service": ""}),
            json!([]),
            json!("zato.ping"),
        ] {
            assert_eq!(call(Codec::Json, input).await, refused);
        }
    }

    #[tokio::test]
    async fn allowed_but_missing_services_are_500() {
        let missing = json!({"service": "zato.pubsub.pubapi.subscribe"});
        assert_eq!(
            call(Codec::Json, missing).await,
            Err((500, "Internal server error".to_owned()))
        );
    }
}
