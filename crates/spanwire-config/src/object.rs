//! Managed objects in their typed form, and their JSON forms for storing and showing.
//!
//! An [`Object`] is always valid by itself: it comes from the same description-driven check as an
//! imported file, whatever it is made from. Whether what it refers to exists is checked where a set
//! of objects is known, at import.

mod channel;
mod outgoing;
mod pubsub;
mod references;
mod security;
mod service;
mod time;

use serde_json::{Map, Value as Json, json};

pub use self::channel::{
    ContentEncoding, DataFormat, ParamsPriority, RestChannel, UrlParamsPriority, WebSocketChannel,
};
pub use self::outgoing::{OutgoingRest, OutgoingWsx};
pub(crate) use self::pubsub::subscription_name;
pub use self::pubsub::{
    ActiveStatus, DeliveryMethod, EndpointType, NoSubscribers, PubSubEndpoint, PubSubSubscription,
    PubSubTopic, Role,
};
pub use self::references::Reference;
pub use self::security::{Security, SecurityType};
pub use self::service::{HttpService, WsxGateway};
use crate::document::Node;
use crate::normalise::{RawObject, normalise};
use crate::password::Password;
use crate::problem::{Problem, Report, Source};
use crate::spec::{KindSpec, ValueType};
use crate::{Kind, address::RemoteUrl};

/// A managed object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Object {
    /// Credentials.
    Security(Security),
    /// A service behind a URL.
    Service(HttpService),
    /// What WebSocket clients may call.
    WsxGateway(WsxGateway),
    /// An inbound WebSocket channel.
    WebSocket(Box<WebSocketChannel>),
    /// An inbound REST channel.
    ChannelRest(Box<RestChannel>),
    /// An outgoing HTTP connection.
    OutgoingRest(Box<OutgoingRest>),
    /// An outgoing WebSocket connection.
    OutgoingWsx(Box<OutgoingWsx>),
    /// A topic.
    PubsubTopic(PubSubTopic),
    /// An application that takes part in publish/subscribe.
    PubsubEndpoint(PubSubEndpoint),
    /// A subscription.
    PubsubSubscription(PubSubSubscription),
}

impl Object {
    /// Returns the kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Security(_) => Kind::Security,
            Self::Service(_) => Kind::Service,
            Self::WsxGateway(_) => Kind::WsxGateway,
            Self::WebSocket(_) => Kind::WebSocket,
            Self::ChannelRest(_) => Kind::ChannelRest,
            Self::OutgoingRest(_) => Kind::OutgoingRest,
            Self::OutgoingWsx(_) => Kind::OutgoingWsx,
            Self::PubsubTopic(_) => Kind::PubsubTopic,
            Self::PubsubEndpoint(_) => Kind::PubsubEndpoint,
            Self::PubsubSubscription(_) => Kind::PubsubSubscription,
        }
    }

    /// Returns the name, unique within the kind; of a subscription, `endpoint_name/topic_name`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Security(it) => it.name.clone(),
            Self::Service(it) => it.name.clone(),
            Self::WsxGateway(it) => it.name.clone(),
            Self::WebSocket(it) => it.name.clone(),
            Self::ChannelRest(it) => it.name.clone(),
            Self::OutgoingRest(it) => it.name.clone(),
            Self::OutgoingWsx(it) => it.name.clone(),
            Self::PubsubTopic(it) => it.name.clone(),
            Self::PubsubEndpoint(it) => it.name.clone(),
            Self::PubsubSubscription(it) => it.name(),
        }
    }

    /// Returns whether the object is in use.
    #[must_use]
    pub fn is_active(&self) -> bool {
        match self {
            Self::Security(it) => it.is_active,
            Self::Service(it) => it.is_active,
            Self::WsxGateway(it) => it.is_active,
            Self::WebSocket(it) => it.is_active,
            Self::ChannelRest(it) => it.is_active,
            Self::OutgoingRest(it) => it.is_active,
            Self::OutgoingWsx(it) => it.is_active,
            Self::PubsubTopic(it) => it.is_active,
            Self::PubsubEndpoint(it) => it.is_active,
            Self::PubsubSubscription(it) => it.is_active,
        }
    }

    /// Makes an object from JSON with the keys of [`KindSpec`], such as a request to the admin API.
    ///
    /// Secrets are in clear. Keys that are not given have their defaults. Nothing is taken from the
    /// environment and no file is read, whatever the values say.
    ///
    /// # Errors
    /// Every mistake, without a file and a line.
    pub fn from_json(kind: Kind, value: &Json) -> Result<Self, Vec<Problem>> {
        let mut report = Report::default();
        let source = Source { file: None, kind: Some(kind), name: None };
        let raw = RawObject::new(source, Node::from_json(value), &mut report);
        let object = raw.and_then(|raw| normalise(&raw, &mut report));
        match object {
            Some(checked) if report.problems.is_empty() => Ok(checked.object),
            _ => Err(report.problems),
        }
    }

    /// Returns the object as it may be shown: secrets are replaced by [`crate::MASK`].
    #[must_use]
    pub fn to_masked(&self) -> Json {
        Json::Object(self.fields())
    }

    /// Returns the object with its secrets in clear, for an export that asks for them.
    ///
    /// [`Object::from_json`] reads it back.
    #[must_use]
    pub fn to_revealed(&self) -> Json {
        let mut fields = self.fields();
        for (key, secret) in self.secrets() {
            fields.insert(key.to_owned(), secret.into());
        }
        Json::Object(fields)
    }

    /// Returns the form for the store, in which each secret is `{"encrypted": "…"}`.
    ///
    /// Secrets are passwords and addresses that carry a secret in their query string.
    ///
    /// # Errors
    /// What `encrypt` returned.
    pub fn to_stored<E>(&self, encrypt: &dyn Fn(&str) -> Result<String, E>) -> Result<Json, E> {
        let mut fields = self.fields();
        for (key, secret) in self.secrets() {
            fields.insert(key.to_owned(), json!({ ENCRYPTED: encrypt(secret)? }));
        }
        Ok(Json::Object(fields))
    }

    /// Makes an object from what [`Object::to_stored`] returned, by this or an earlier version.
    ///
    /// # Errors
    /// [`StoredError::Decrypt`] with what `decrypt` returned, or [`StoredError::Invalid`] if the
    /// form is not one that this version writes or reads.
    pub fn from_stored<E>(
        kind: Kind,
        value: &Json,
        decrypt: &dyn Fn(&str) -> Result<String, E>,
    ) -> Result<Self, StoredError<E>> {
        let mut value = value.clone();
        for field in KindSpec::of(kind).fields().filter(|field| is_secret(field.value)) {
            let Some(stored) = value.get_mut(field.key) else {
                continue;
            };
            if let Some(Json::String(encrypted)) = stored.get(ENCRYPTED) {
                *stored = decrypt(encrypted).map_err(StoredError::Decrypt)?.into();
            }
        }
        Self::from_json(kind, &value).map_err(StoredError::Invalid)
    }

    /// Takes over the password of an earlier version of the object if this one has none.
    ///
    /// An address always comes with its secrets: a masked one is refused where objects are made, and
    /// never completed from an earlier version.
    pub fn keep_secrets_of(&mut self, earlier: &Self) {
        if let (Self::Security(new), Self::Security(old)) = (self, earlier)
            && new.password.is_none()
        {
            new.password.clone_from(&old.password);
        }
    }

    /// Makes an object from normalised fields; `None` if the struct does not fit the description.
    pub(crate) fn from_fields(kind: Kind, fields: Map<String, Json>) -> Option<Self> {
        let fields = Json::Object(fields);
        let object = match kind {
            Kind::Security => Self::Security(typed(fields)?),
            Kind::Service => Self::Service(typed(fields)?),
            Kind::WsxGateway => Self::WsxGateway(typed(fields)?),
            Kind::WebSocket => Self::WebSocket(typed(fields)?),
            Kind::ChannelRest => Self::ChannelRest(typed(fields)?),
            Kind::OutgoingRest => Self::OutgoingRest(typed(fields)?),
            Kind::OutgoingWsx => Self::OutgoingWsx(typed(fields)?),
            Kind::PubsubTopic => Self::PubsubTopic(typed(fields)?),
            Kind::PubsubEndpoint => Self::PubsubEndpoint(typed(fields)?),
            Kind::PubsubSubscription => Self::PubsubSubscription(typed(fields)?),
        };
        Some(object)
    }

    /// Returns the normalised fields; secrets are masked.
    pub(crate) fn fields(&self) -> Map<String, Json> {
        let json = match self {
            Self::Security(it) => serde_json::to_value(it),
            Self::Service(it) => serde_json::to_value(it),
            Self::WsxGateway(it) => serde_json::to_value(it),
            Self::WebSocket(it) => serde_json::to_value(it),
            Self::ChannelRest(it) => serde_json::to_value(it),
            Self::OutgoingRest(it) => serde_json::to_value(it),
            Self::OutgoingWsx(it) => serde_json::to_value(it),
            Self::PubsubTopic(it) => serde_json::to_value(it),
            Self::PubsubEndpoint(it) => serde_json::to_value(it),
            Self::PubsubSubscription(it) => serde_json::to_value(it),
        };
        // Structs with texts, numbers and lists always have a JSON form; a test goes through them.
        match json {
            Ok(Json::Object(fields)) => fields,
            Ok(_) | Err(_) => Map::new(),
        }
    }

    /// Returns the secrets in clear, by key.
    pub(crate) fn secrets(&self) -> Vec<(&'static str, &str)> {
        let url =
            |key, url| -> Vec<(&'static str, &str)> { secret_url(key, url).into_iter().collect() };
        match self {
            Self::Security(it) => {
                let password = it.password.as_ref().map(Password::reveal);
                password.map(|password| ("password", password)).into_iter().collect()
            }
            Self::Service(it) => url("url", &it.url),
            Self::OutgoingRest(it) => url("host", &it.host),
            Self::OutgoingWsx(it) => url("address", &it.address),
            _ => Vec::new(),
        }
    }
}

/// Why a stored object could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoredError<E> {
    /// A secret could not be decrypted.
    #[error(
        "a secret of a stored object could not be decrypted: restore the key it was stored with"
    )]
    Decrypt(#[source] E),
    /// The object is not valid.
    #[error("a stored object is not valid: {}", join(.0))]
    Invalid(Vec<Problem>),
}

fn join(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn typed<T: serde::de::DeserializeOwned>(fields: Json) -> Option<T> {
    // The error may contain a value, hence is not kept; the caller says which object it is.
    serde_json::from_value(fields).ok()
}

fn secret_url<'a>(key: &'static str, url: &'a RemoteUrl) -> Option<(&'static str, &'a str)> {
    url.has_secret().then(|| (key, url.reveal()))
}

const fn is_secret(value: ValueType) -> bool {
    matches!(value, ValueType::Secret | ValueType::Url(_))
}

/// The key of the object that stands for an encrypted text in the store.
pub(crate) const ENCRYPTED: &str = "encrypted";

#[cfg(test)]
pub(crate) mod tests;
