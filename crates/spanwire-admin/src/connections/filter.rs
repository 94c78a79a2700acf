//! Which connections are meant: those for which every given attribute matches.

use std::collections::BTreeMap;

use serde_json::Value;
use spanwire_protocol::admin::ConnectionInfo;

/// What connections are found by, beside what clients say about themselves (`attr.KEY`).
pub(crate) const ATTRIBUTES: [&str; 16] = [
    "state",
    "pub_client_id",
    "ext_client_id",
    "ext_client_name",
    "channel_name",
    "security_name",
    "username",
    "peer_address",
    "peer_address_source",
    "peer_fqdn",
    "peer_fqdn_source",
    "peer_forwarded_for",
    "peer_forwarded_for_fqdn",
    "local_address",
    "server_name",
    "server_proc_pid",
];

/// Whether a connection can be found by this key.
pub(crate) fn is_attribute(key: &str) -> bool {
    ATTRIBUTES.contains(&key) || is_client_attribute(key)
}

pub(crate) fn is_client_attribute(key: &str) -> bool {
    key.strip_prefix("attr.").is_some_and(|key| !key.is_empty())
}

/// Keeps the connections for which every attribute has exactly this text. An address also matches without its port.
pub(crate) fn keep(connections: &mut Vec<ConnectionInfo>, filter: &BTreeMap<String, String>) {
    if filter.is_empty() {
        return;
    }
    connections.retain(|connection| {
        let shown = serde_json::to_value(connection).unwrap_or_default();
        filter.iter().all(|(key, wanted)| {
            let actual = match key.strip_prefix("attr.") {
                Some(key) => connection.client_attrs.get(key).map(text),
                None => shown.get(key).map(text),
            };
            actual.is_some_and(|actual| {
                actual == *wanted || (key.ends_with("_address") && is_host(&actual, wanted))
            })
        })
    });
}

/// Whether `wanted` is the host of `address`; IPv6 with or without brackets.
fn is_host(address: &str, wanted: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host == wanted || host.strip_prefix('[').and_then(|it| it.strip_suffix(']')) == Some(wanted)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_match_with_and_without_their_port() {
        for wanted in ["[2001:db8::1]", "2001:db8::1"] {
            assert!(is_host("[2001:db8::1]:4711", wanted), "{wanted}");
        }
        assert!(is_host("192.0.2.1:80", "192.0.2.1"));
        assert!(!is_host("192.0.2.1:80", "192.0.2.1:81") && !is_host("[::1]:1", "::"));
    }
}
