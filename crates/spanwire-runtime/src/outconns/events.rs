//! What a link tells, as calls of hook services (outconn-and-platform 1.5).
//!
//! A hook gets `{"ctx": {"type": …, "config": …, "conn": …, …}}`, the same form for all of them, so that one service
//! can serve several.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use spanwire_config::{DataFormat, OutgoingWsx};
use spanwire_outconn::{Closed, Delivery, HandlerError, LinkEvents, PlainMessage, Request};
use spanwire_protocol::{Codec, Payload, Timestamp};
use spanwire_service::{Call, Origin, Ports};

use super::SubscriptionKeys;

pub(super) struct HookEvents {
    id: u64,
    name: Arc<str>,
    /// `config` and `conn`, as every hook gets them.
    config: Payload,
    on_connect: Option<Arc<str>>,
    on_message: Option<Arc<str>>,
    on_close: Option<Arc<str>>,
    on_subscribe: Option<Arc<str>>,
    parses: bool,
    ports: Ports,
    keys: Arc<SubscriptionKeys>,
}

impl HookEvents {
    pub(super) fn new(
        id: u64,
        object: &OutgoingWsx,
        ports: Ports,
        keys: Arc<SubscriptionKeys>,
    ) -> Self {
        let config = json!({
            "id": id,
            "name": object.name,
            "address": object.address.to_string(),
            "is_zato": object.is_zato,
            "is_active": object.is_active,
            "has_auto_reconnect": object.has_auto_reconnect,
            "pool_size": object.pool_size,
            "data_format": object.data_format,
            "security_name": object.security_name,
            "subscription_list": object.subscription_list,
        });
        let service = |name: &Option<String>| name.as_deref().map(Into::into);
        Self {
            id,
            name: object.name.as_str().into(),
            config: payload(&config),
            on_connect: service(&object.on_connect_service_name),
            on_message: service(&object.on_message_service_name),
            on_close: service(&object.on_close_service_name),
            on_subscribe: service(&object.on_subscribe_service_name),
            parses: object.data_format == Some(DataFormat::Json),
            ports,
            keys,
        }
    }

    /// Calls a hook with its part of the context.
    async fn hook(
        &self,
        service: &Arc<str>,
        kind: &str,
        own: &[(&'static str, Payload)],
    ) -> Result<Payload, HandlerError> {
        let kind = payload(&json!(kind));
        let conn = payload(&json!({ "name": *self.name }));
        let mut fields = vec![("type", &kind), ("config", &self.config), ("conn", &conn)];
        fields.extend(own.iter().map(|(name, value)| (*name, value)));
        let ctx = Payload::object(Codec::Json, fields);
        let input = ctx.and_then(|ctx| Payload::object(Codec::Json, [("ctx", &ctx)]));
        let input = input.map_err(|error| HandlerError(error.to_string()))?;
        let mut origin = Origin::clone(&Origin::internal());
        origin.channel_name = Arc::clone(&self.name);
        let call = Call { service: Arc::clone(service), ..Call::new("", input) };
        let answer = self.ports.invoke(call, Arc::new(origin)).await;
        answer.map_err(|error| HandlerError(format!("hook service '{service}': {error}")))
    }

    async fn tell(&self, service: Option<&Arc<str>>, kind: &str, own: &[(&'static str, Payload)]) {
        let Some(service) = service else { return };
        if let Err(error) = self.hook(service, kind, own).await {
            tracing::warn!(outconn = &*self.name, hook = kind, %error, "a hook failed");
        }
    }

    /// The MESSAGE hook for what a server that speaks the client protocol sends.
    async fn message(
        &self,
        id: &str,
        timestamp: Option<Timestamp>,
        data: Payload,
    ) -> Result<Payload, HandlerError> {
        let Some(service) = &self.on_message else {
            return Err(HandlerError("there is no on_message_service_name".to_owned()));
        };
        let (id, timestamp) = (payload(&json!(id)), payload(&json!(timestamp)));
        let fields = [("id", &id), ("timestamp", &timestamp), ("data", &data)];
        let data = Payload::object(Codec::Json, fields);
        let data = data.map_err(|error| HandlerError(error.to_string()))?;
        self.hook(service, "message", &[("data", data)]).await
    }
}

impl LinkEvents for HookEvents {
    fn connected(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.tell(self.on_connect.as_ref(), "connect", &[]))
    }

    fn asked(&self, request: Request) -> BoxFuture<'_, Result<Payload, HandlerError>> {
        Box::pin(async move { self.message(&request.id, request.timestamp, request.data).await })
    }

    fn delivered(&self, delivery: Delivery) -> BoxFuture<'_, Result<(), HandlerError>> {
        Box::pin(async move {
            let list = delivery.as_list();
            self.message(&delivery.id, delivery.timestamp, list).await.map(drop)
        })
    }

    fn received(&self, message: PlainMessage) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let data = match plain(message, self.parses) {
                Ok(data) => data,
                Err(error) => {
                    tracing::warn!(outconn = &*self.name, error, "a message is left out");
                    return;
                }
            };
            self.tell(self.on_message.as_ref(), "message", &[("data", data)]).await;
        })
    }

    fn closed(&self, closed: Closed) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let own = [
                ("code", payload(&json!(closed.code))),
                ("reason", payload(&json!(closed.reason))),
            ];
            self.tell(self.on_close.as_ref(), "close", &own).await;
        })
    }

    fn topics(&self) -> BoxFuture<'_, Option<Vec<String>>> {
        Box::pin(async move {
            let Some(service) = &self.on_subscribe else { return Some(Vec::new()) };
            let answer = self.hook(service, "subscribe", &[]).await;
            let topics = answer.and_then(|answer| {
                answer.parse::<Vec<String>>().map_err(|error| HandlerError(error.to_string()))
            });
            if let Err(error) = &topics {
                let outconn = &*self.name;
                tracing::warn!(outconn, %error, "the on_subscribe hook has to return a list of topic names");
            }
            topics.ok()
        })
    }

    fn key_of(&self, topic: &str) -> BoxFuture<'_, Option<String>> {
        let key = self.keys.get(self.id, topic);
        Box::pin(async move { key })
    }

    fn keep_key(&self, topic: &str, sub_key: Option<&str>) -> BoxFuture<'_, ()> {
        let (topic, sub_key) = (topic.to_owned(), sub_key.map(str::to_owned));
        Box::pin(async move { self.keys.keep(self.id, &topic, sub_key.as_deref()).await })
    }

    fn other_keys(&self, wanted: &[String]) -> Vec<(String, String)> {
        let all = self.keys.of(self.id).into_iter();
        all.filter(|(topic, _)| !wanted.contains(topic)).collect()
    }
}

/// What a plain peer sent, as its hook gets it: texts and bytes as a text, or as the JSON that they are.
fn plain(message: PlainMessage, parses: bool) -> Result<Payload, String> {
    let text = match message {
        PlainMessage::Text(text) => text,
        PlainMessage::Binary(bytes) => match String::from_utf8(bytes.to_vec()) {
            Ok(text) => text,
            Err(_) if parses => return Err("it is no UTF-8, so no JSON".to_owned()),
            // Bytes have no form in JSON.
            Err(error) => {
                let bytes = BASE64.encode(error.as_bytes());
                return Ok(payload(&json!({ "base64": bytes })));
            }
        },
    };
    match parses {
        true => Payload::from_json(text).map_err(|error| format!("it is no JSON: {error}")),
        false => Ok(payload(&json!(text))),
    }
}

/// Texts and numbers have a form in JSON.
fn payload(value: &Value) -> Payload {
    Payload::from_serialize(Codec::Json, value).unwrap_or_else(|_| Payload::null(Codec::Json))
}
