//! What an endpoint is told besides the request.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::Credentials;
use crate::context::Context;

/// Adds `X-Spanwire-*`, `traceparent` and the content type. Texts that clients chose are percent-encoded where they
/// are not printable ASCII, so that they cannot break out of their header.
pub(super) fn describe(headers: &mut HeaderMap, ctx: &Context, timeout: Duration) {
    let caller = if ctx.username().is_empty() { ctx.security_name() } else { ctx.username() };
    let connection = ctx.connection_id().map_or("", |id| id.as_str());
    let cid = ctx.cid();
    let texts = [
        ("x-spanwire-correlation-id", cid.as_str()),
        ("x-spanwire-service", ctx.service()),
        ("x-spanwire-channel", ctx.channel_name()),
        ("x-spanwire-caller", caller),
        ("x-spanwire-connection-id", connection),
        ("x-spanwire-client-id", ctx.client_id().unwrap_or_default()),
    ];
    for (name, text) in texts {
        if !text.is_empty()
            && let Ok(value) = HeaderValue::from_str(&utf8_percent_encode(text, UNSAFE).to_string())
        {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let deadline = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    headers.insert("x-spanwire-deadline-ms", deadline.into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::from_str(&traceparent(ctx)) {
        headers.insert("traceparent", value);
    }
}

/// The caller's trace, or a new one made of the correlation id (W3C Trace Context, 3.2).
fn traceparent(ctx: &Context) -> String {
    match ctx.traceparent() {
        Some(given) if is_traceparent(given) => given.to_owned(),
        _ => {
            let cid = ctx.cid();
            let parent: String = cid.as_str().chars().take(16).collect();
            format!("00-{:0>32}-{parent}-01", cid.as_str())
        }
    }
}

fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [2, 32, 16, 2]
        && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The header that authenticates; `None` when the credentials cannot be sent in one.
pub(super) fn authorization(credentials: &Credentials) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = match credentials {
        Credentials::Basic { username, password } => {
            let pair = STANDARD.encode(format!("{username}:{}", password.expose()));
            (AUTHORIZATION, HeaderValue::from_str(&format!("Basic {pair}")).ok()?)
        }
        Credentials::ApiKey { header, key } => (
            HeaderName::from_bytes(header.as_bytes()).ok()?,
            HeaderValue::from_str(key.expose()).ok()?,
        ),
    };
    let mut value = value;
    value.set_sensitive(true);
    Some((name, value))
}

const UNSAFE: &AsciiSet = &CONTROLS.add(b'%');
