//! Hands users whose password expires to a service that warns them (reference sso 5).

use std::sync::Arc;

use serde_json::{Value, json};
use spanwire_protocol::Payload;
use spanwire_service::{BoxFuture, ChannelType, Context, PayloadService, ServiceError};
use spanwire_sso::Call;

use super::Services;
use super::answer::time;
use super::input::bad;

/// `pub.zato.sso.password-expiry.handler`: its input is the name of the service that is told.
///
/// For operators and timers: a client that could name the service would have everybody's addresses.
pub(super) struct Handler(pub(super) Arc<Services>);

impl PayloadService for Handler {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        Box::pin(async move {
            let is_trusted =
                matches!(ctx.origin().channel_type, ChannelType::Admin | ChannelType::Internal);
            if !is_trusted {
                return Err(ServiceError::forbidden());
            }
            let processor = input.parse::<String>().map_err(|_| bad())?;
            let call = Call { cid: ctx.cid().to_string(), ..Call::internal(ctx.service()) };
            let sso = self.0.sso.clone();
            let reading = tokio::task::spawn_blocking(move || sso.expiring_passwords(&call));
            let found =
                reading.await.map_err(ServiceError::internal)?.map_err(ServiceError::internal)?;
            let users = found.into_iter().map(|user| {
                json!({
                    "username": user.username, "email": user.email, "display_name": user.display_name,
                    "password_expiry": time(user.password_expiry), "is_password_expired": user.is_password_expired,
                    "is_password_about_to_expire": !user.is_password_expired,
                })
            });
            let users: Vec<Value> = users.collect();
            let told =
                Payload::from_serialize(input.codec(), &users).map_err(ServiceError::internal)?;
            ctx.call_payload(&processor, told).await
        })
    }
}
