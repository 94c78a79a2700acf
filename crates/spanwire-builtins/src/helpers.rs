//! Ping, echo, input logger (wsx-protocol 4.5, outconn-and-platform 5.6).

use spanwire_protocol::Payload;
use spanwire_service::{BoxFuture, Context, PayloadService, ServiceError};

/// Answers `{"pong": "zato"}`, whatever the input.
pub(crate) struct Ping;

impl PayloadService for Ping {
    fn call(&self, _: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        let pong = serde_json::json!({"pong": "zato"});
        let reply = Payload::from_serialize(input.codec(), &pong).map_err(ServiceError::internal);
        Box::pin(std::future::ready(reply))
    }
}

/// Answers its input, unchanged and unparsed.
pub(crate) struct Echo;

impl PayloadService for Echo {
    fn call(&self, _: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        Box::pin(std::future::ready(Ok(input)))
    }
}

/// Writes its input to the log, for trying a channel out. The input is what somebody mounted this service to see.
pub(crate) struct InputLogger;

impl PayloadService for InputLogger {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        Box::pin(async move {
            let value: serde_json::Value = input.parse()?;
            let text: String = value.to_string().chars().take(MAX_LOGGED).collect();
            let (cid, channel, client) = (ctx.cid(), ctx.channel_name(), ctx.client_id());
            tracing::info!(%cid, channel, client, bytes = input.len(), input = text, "input");
            Ok(Payload::null(input.codec()))
        })
    }
}

/// How many characters of an input are logged.
const MAX_LOGGED: usize = 4096;
