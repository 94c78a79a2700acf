//! Who is at the other end, as far as trusted proxies tell.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use ipnet::IpNet;

use super::forwarded;

/// The two ends of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client, as far as trusted proxies tell; otherwise the TCP peer. Port 0 when a proxy did not tell it.
    pub address: SocketAddr,
    /// Our own end.
    pub local: SocketAddr,
    /// Whether the connection itself is TLS.
    pub is_tls: bool,
    /// Who told `address`.
    pub source: AddressSource,
}

/// Who told the address of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressSource {
    /// The TCP connection itself.
    Socket,
    /// A PROXY protocol header of a trusted proxy.
    ProxyProtocol,
    /// `Forwarded` or `X-Forwarded-For` of a trusted proxy.
    Header,
}

/// The addresses whose word about clients is taken.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads addresses and networks, such as `10.0.0.7` or `10.0.0.0/8`.
    ///
    /// # Errors
    /// The first text that is neither.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, String> {
        let parse = |text: T| {
            let text = text.as_ref().trim();
            let network = text.parse::<IpNet>().ok();
            let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
            network.ok_or_else(|| {
                format!("`{text}` is neither an IP address nor a network such as 10.0.0.0/8")
            })
        };
        texts.into_iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether this address is a trusted proxy.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client behind a request that came from `peer`: walks the forwarding headers from the nearest hop to the
    /// first one that is no trusted proxy. Without trust in the peer, the headers mean nothing.
    #[must_use]
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if self.0.is_empty() || !self.contains(peer.ip()) {
            return peer;
        }
        let mut client = peer;
        for hop in forwarded::hops(headers) {
            // An obfuscated or unreadable hop ends what can be known.
            let Some(address) = hop else { break };
            client = address;
            if !self.contains(address.ip()) {
                break;
            }
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], headers: &[(&'static str, &str)]) -> String {
        let trusted = TrustedProxies::parse(trusted).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        trusted.client("10.0.0.1:999".parse().unwrap(), &map).to_string()
    }

    #[test]
    fn headers_of_strangers_mean_nothing() {
        assert_eq!(client(&[], &[("x-forwarded-for", "1.2.3.4")]), "10.0.0.1:999");
        assert_eq!(client(&["10.0.0.2"], &[("x-forwarded-for", "1.2.3.4")]), "10.0.0.1:999");
    }

    #[test]
    fn the_nearest_untrusted_hop_is_the_client() {
        let trusted = ["10.0.0.0/8"];
        for (headers, expected) in [
            (&[("x-forwarded-for", "1.2.3.4")][..], "1.2.3.4:0"),
            (&[("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.0.0.9")], "1.2.3.4:0"),
            (&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.2.3.4:55")], "1.2.3.4:55"),
            (&[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3:0"),
            (&[("x-forwarded-for", "1.2.3.4, nonsense")], "10.0.0.1:999"),
            (
                &[("forwarded", "for=6.6.6.6, for=\"[2001:db8::1]:80\";proto=https")],
                "[2001:db8::1]:80",
            ),
            (&[("forwarded", "for=_hidden")], "10.0.0.1:999"),
            (&[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "2.2.2.2")], "1.1.1.1:0"),
            (&[], "10.0.0.1:999"),
        ] {
            assert_eq!(client(&trusted, headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn mapped_addresses_count_as_what_they_map() {
        let trusted = TrustedProxies::parse(["10.0.0.0/8"]).unwrap();
        assert!(trusted.contains("::ffff:10.1.1.1".parse().unwrap()));
        assert!(TrustedProxies::parse(["10.0.0.0/99"]).is_err());
    }
}
