//! `Forwarded` and `X-Forwarded-For`: one header a line, a leading `x` for the latter.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use spanwire_channel::transport::forwarded::{MAX_HOPS, first_address, hops};

/// Reads the hops of headers made of the lines.
///
/// # Panics
/// When there are more hops than allowed, or when a line of the nearest proxy does not come first.
pub fn run(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(64) {
        let (name, value) = match line.split_first() {
            Some((b'x', value)) => ("x-forwarded-for", value),
            _ => ("forwarded", line),
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    assert!(hops(&headers).count() <= MAX_HOPS);
    if headers.contains_key("forwarded") {
        headers.append("forwarded", HeaderValue::from_static("for=192.0.2.7:4711"));
    } else {
        headers.append("x-forwarded-for", HeaderValue::from_static("192.0.2.7:4711"));
    }
    let nearest = hops(&headers).next().flatten().map(|address| address.to_string());
    assert_eq!(nearest.as_deref(), Some("192.0.2.7:4711"));
    let _ = first_address(&String::from_utf8_lossy(bytes));
}
