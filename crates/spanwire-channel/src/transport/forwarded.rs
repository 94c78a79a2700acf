//! `Forwarded` (RFC 7239) and `X-Forwarded-For`: the hops of a request, nearest first.
//!
//! Both are text from outside: they are read only for the sake of [`TrustedProxies`](super::TrustedProxies).

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;

/// The hops, nearest first; `None` for one that hides or cannot be read. `Forwarded` wins when both are there.
/// At most [`MAX_HOPS`] are looked at.
pub fn hops(headers: &HeaderMap) -> impl Iterator<Item = Option<SocketAddr>> {
    let standard = headers.contains_key("forwarded");
    let name = if standard { "forwarded" } else { "x-forwarded-for" };
    let mut elements: Vec<Option<&str>> = Vec::new();
    for value in headers.get_all(name) {
        // What is not text, or leaves a quote open, could swallow what an honest proxy added behind it: then nothing in
        // this line can be told apart.
        match value.to_str() {
            Ok(text) if text.matches('"').count() % 2 == 0 => {
                elements.extend(split_elements(text).map(Some));
            }
            _ => elements.push(None),
        }
    }
    elements.reverse();
    elements.truncate(MAX_HOPS);
    let parse = if standard { forwarded_for } else { node };
    elements.into_iter().map(|element| parse(element?)).collect::<Vec<_>>().into_iter()
}

/// More hops than any real chain has.
pub const MAX_HOPS: usize = 32;

/// The first address in an `X-Forwarded-For` text that is one, for looking its name up. Says nothing about trust.
#[must_use]
pub fn first_address(text: &str) -> Option<IpAddr> {
    text.split(',').take(MAX_HOPS).find_map(|part| node(part).map(|address| address.ip()))
}

/// Splits at commas outside of quotes.
fn split_elements(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    value.split(move |c: char| {
        if c == '"' {
            quoted = !quoted;
        }
        c == ',' && !quoted
    })
}

/// The `for` parameter of one element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<SocketAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| node(value))?
    })
}

/// A node: an address, with or without a port, an IPv6 address also in brackets and quotes.
fn node(text: &str) -> Option<SocketAddr> {
    let text = text.trim().trim_matches('"');
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address);
    }
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    inner.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nodes_are_read_in_every_form() {
        for (text, expected) in [
            ("192.0.2.43", Some("192.0.2.43:0")),
            (" 192.0.2.43:47011 ", Some("192.0.2.43:47011")),
            ("\"[2001:db8:cafe::17]:4711\"", Some("[2001:db8:cafe::17]:4711")),
            ("[2001:db8:cafe::17]", Some("[2001:db8:cafe::17]:0")),
            ("2001:db8:cafe::17", Some("[2001:db8:cafe::17]:0")),
            ("fe80::1%eth0", None),
            ("unknown", None),
            ("_gazonk", None),
            ("192.0.2.43:99999", None),
            ("192.0.2.043", None),
            ("", None),
        ] {
            assert_eq!(node(text).map(|a| a.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_taken_apart_hides_its_hops() {
        let nearest = |name: &'static str, values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(name, hyper::header::HeaderValue::from_bytes(value).unwrap());
            }
            hops(&headers).next().unwrap()
        };
        assert_eq!(nearest("forwarded", &[b"for=6.6.6.6;x=\", for=1.2.3.4"]), None);
        assert_eq!(nearest("x-forwarded-for", &[b"6.6.6.6", b"\xff, 1.2.3.4"]), None);
        let honest = nearest("x-forwarded-for", &[b"\xff", b"1.2.3.4"]);
        assert_eq!(honest, Some("1.2.3.4:0".parse().unwrap()));
    }

    #[test]
    fn a_thousand_hops_cost_nothing() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", vec!["1.1.1.1"; 1000].join(",").parse().unwrap());
        assert_eq!(hops(&headers).count(), MAX_HOPS);
    }

    proptest! {
        #[test]
        fn any_text_is_handled(text in "[ -~]{0,200}", standard in any::<bool>()) {
            let mut headers = HeaderMap::new();
            let name = if standard { "forwarded" } else { "x-forwarded-for" };
            headers.insert(name, text.parse().unwrap());
            prop_assert!(hops(&headers).count() <= MAX_HOPS);
            let _ = first_address(&text);
        }
    }
}
