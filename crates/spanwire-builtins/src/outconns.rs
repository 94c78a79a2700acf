//! Outgoing connections as services, so that they can be mounted on REST and called by HTTP-backed services.

use std::time::Duration;

use serde::Deserialize;
use spanwire_protocol::Payload;
use spanwire_service::outgoing::Wsx;
use spanwire_service::{BoxFuture, Context, PayloadService, ServiceError};

/// `spanwire.outconn.invoke`: calls a service behind a connection, and returns exactly what it returns.
pub(crate) struct Invoke;
/// `spanwire.outconn.send`: sends to a connection, and returns the reply of a peer that answers.
pub(crate) struct Send;

#[derive(Deserialize)]
struct Input {
    name: String,
    #[serde(default)]
    service: Option<String>,
    #[serde(default)]
    timeout: Option<f64>,
}

impl Input {
    fn connection<'a>(&self, ctx: &'a Context) -> Result<Wsx<'a>, ServiceError> {
        let wsx = ctx.out().wsx(&self.name)?;
        let Some(seconds) = self.timeout else { return Ok(wsx) };
        match Duration::try_from_secs_f64(seconds) {
            Ok(timeout) if !timeout.is_zero() => Ok(wsx.timeout(timeout)),
            _ => Err(ServiceError::bad_request("`timeout` is a number of seconds above 0")),
        }
    }
}

impl PayloadService for Invoke {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        Box::pin(async move {
            let wanted: Input = input.parse()?;
            let service = wanted.service.as_deref().filter(|name| !name.is_empty());
            let service = service.ok_or_else(|| ServiceError::input("`service` is missing"))?;
            let request = input.entry("request").unwrap_or_else(|| Payload::empty(input.codec()));
            Ok(wanted.connection(&ctx)?.invoke_payload(service, request).await?)
        })
    }
}

impl PayloadService for Send {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        Box::pin(async move {
            let wanted: Input = input.parse()?;
            let data = input.entry("data");
            let data = data.ok_or_else(|| ServiceError::input("`data` is missing"))?;
            Ok(wanted.connection(&ctx)?.send_payload(data).await?)
        })
    }
}
