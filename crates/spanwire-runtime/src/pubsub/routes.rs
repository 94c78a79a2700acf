//! The REST paths of existing clients (pubsub 3.1), on the main listener.

use std::sync::Arc;

use hyper::Method;
use spanwire_channel::rest::{PathPattern, PathPatternError, RestChannel, Security};

use crate::settings::Settings;

/// The channels, each mounted on a built-in service. Credentials are checked by the channel, what they are good for by
/// the service.
pub(crate) fn channels(settings: &Settings) -> Result<Vec<Arc<RestChannel>>, PathPatternError> {
    let rows = [
        ("topic.post", Method::POST, TOPIC, "zato.pubsub.rest.topic-post"),
        ("topic.patch", Method::PATCH, TOPIC, "zato.pubsub.rest.topic-patch"),
        ("subscribe.post", Method::POST, SUBSCRIBE, "zato.pubsub.rest.subscribe-post"),
        ("subscribe.delete", Method::DELETE, SUBSCRIBE, "zato.pubsub.rest.subscribe-delete"),
        ("acknowledge.post", Method::POST, ACKNOWLEDGE, "zato.pubsub.rest.ack-post"),
    ];
    let channel = |(name, method, path, service): (&str, Method, &str, &str)| {
        // Names of topics have slashes.
        let path = PathPattern::parse(path, true)?;
        Ok(Arc::new(RestChannel {
            method: Some(method),
            security: Security::AnyBasic,
            errors: settings.protocol.errors(),
            path_over_query: true,
            max_body_size: settings.limits.message_bytes,
            ..RestChannel::new(&format!("zato.pubsub.{name}"), path, service)
        }))
    };
    rows.into_iter().map(channel).collect()
}

const TOPIC: &str = "/zato/pubsub/topic/{topic_name}";
const SUBSCRIBE: &str = "/zato/pubsub/subscribe/topic/{topic_name}";
const ACKNOWLEDGE: &str = "/zato/pubsub/acknowledge/topic/{topic_name}";
