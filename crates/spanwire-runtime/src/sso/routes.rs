//! The REST paths of single sign-on, on the main listener.

use std::collections::BTreeSet;
use std::sync::Arc;

use hyper::Method;
use spanwire_builtins::sso::{NOT_ALLOWED, OPENAPI};
use spanwire_channel::rest::{CorsPolicy, PathPattern, PathPatternError, RestChannel};
use spanwire_sso::operation::ENDPOINTS;

use crate::settings::Settings;

/// A channel for each operation, and one for each path that answers the verbs it does not have. The token in the message
/// is the only credential there is.
pub(crate) fn channels(settings: &Settings) -> Result<Vec<Arc<RestChannel>>, PathPatternError> {
    if !settings.sso.enabled {
        return Ok(Vec::new());
    }
    let cors = CorsPolicy::new(settings.sso.cors_origins.iter().cloned());
    let mut channels = Vec::new();
    for endpoint in ENDPOINTS {
        channels.push(Arc::new(RestChannel {
            // The table has verbs only.
            method: endpoint.method.parse().ok().or(Some(Method::POST)),
            max_body_size: MAX_BODY.min(settings.limits.message_bytes),
            cors: cors.clone(),
            ..RestChannel::new(
                endpoint.service,
                PathPattern::parse(endpoint.path, false)?,
                endpoint.service,
            )
        }));
    }
    let path = PathPattern::parse("/zato/sso/openapi.json", false)?;
    channels.push(Arc::new(RestChannel {
        method: Some(Method::GET),
        cors,
        ..RestChannel::new(OPENAPI, path, OPENAPI)
    }));
    let paths: BTreeSet<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
    for path in paths {
        channels.push(Arc::new(RestChannel {
            max_body_size: MAX_BODY.min(settings.limits.message_bytes),
            ..RestChannel::new(NOT_ALLOWED, PathPattern::parse(path, false)?, NOT_ALLOWED)
        }));
    }
    Ok(channels)
}

/// W35.
const MAX_BODY: usize = 64 * 1_024;
