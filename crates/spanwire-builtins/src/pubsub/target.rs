//! Publishing to a service: to a topic of its own, whose only subscriber it is (pubsub 3.4, R17).
//!
//! Whoever may publish to such a topic makes the service run. A wildcard that happens to cover it is therefore not
//! enough for callers from outside: their endpoint has to name the topic in full.

use spanwire_pubsub::Endpoint;
use spanwire_pubsub::settings::EndpointKind;
use spanwire_service::{BoxFuture, Context, ServiceError};

use super::PubSub;
use super::caller::refused;

/// Topics of services. The host implements it.
pub trait ServiceTopics: Send + Sync + 'static {
    /// Makes sure that a service has its topic, called [`service_topic`], and is subscribed to it, one message at a
    /// time; returns the name of the topic.
    ///
    /// # Errors
    /// When it cannot be made, or another service's topic has the name.
    fn ensure<'a>(&'a self, service: &'a str) -> BoxFuture<'a, Result<String, ServiceError>>;
}

/// The name of the topic of a service: `/zato/s/to/` and the service's name with underscores for dots.
#[must_use]
pub fn service_topic(service: &str) -> String {
    format!("{PREFIX}{}", service.replace('.', "_"))
}

/// Where a message goes.
pub(super) struct Target {
    pub(super) topic: String,
    /// The service it is for.
    pub(super) service: Option<String>,
}

/// Finds out where a message goes that is published to a name.
pub(super) async fn resolve(
    pubsub: &PubSub,
    ctx: &Context,
    by: &Endpoint,
    name: String,
) -> Result<Target, ServiceError> {
    if name.starts_with(PREFIX) {
        return match may_start(by, &name) {
            true => Ok(Target { topic: name, service: None }),
            false => Err(ServiceError::forbidden()),
        };
    }
    let Some(topics) = &pubsub.service_topics else {
        return Ok(Target { topic: name, service: None });
    };
    if !ctx.has_service(&name) || pubsub.broker.topic(&name).is_some() {
        return Ok(Target { topic: name, service: None });
    }
    let topic = service_topic(&name);
    if !may_start(by, &topic) {
        return Ok(Target { topic: name, service: None });
    }
    by.allow(spanwire_protocol::TopicAccess::Publish, &topic).map_err(refused)?;
    let topic = topics.ensure(&name).await?;
    Ok(Target { topic, service: Some(name) })
}

/// Whether an endpoint is inside, or names the topic in full.
fn may_start(by: &Endpoint, topic: &str) -> bool {
    let settings = by.settings();
    by.is_internal()
        || settings.kind == EndpointKind::Srv
        || settings
            .patterns
            .iter()
            .any(|pattern| pattern.as_str().strip_prefix("pub=") == Some(topic))
}

const PREFIX: &str = "/zato/s/to/";
