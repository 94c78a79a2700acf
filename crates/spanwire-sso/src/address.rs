//! From where a user may log in and use sessions (reference sso 1.9).

use std::net::IpAddr;

use ipnet::IpNet;

/// The rule for one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AddressRule {
    /// From anywhere.
    Any,
    /// From these networks; from nowhere if there are none.
    Networks(Vec<IpNet>),
}

impl AddressRule {
    /// Reads `*`, addresses and networks.
    pub(crate) fn parse(texts: &[String]) -> Result<Self, String> {
        let texts = || texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
        if texts().any(|text| text == "*") {
            return Ok(Self::Any);
        }
        let network = |text: &str| {
            let network = text.parse::<IpNet>().ok();
            let network =
                network.map(canonical).or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?)));
            network.ok_or_else(|| format!("`{text}` is neither `*` nor an IP address or network"))
        };
        texts().map(network).collect::<Result<_, _>>().map(Self::Networks)
    }

    /// Whether every address is allowed. None at all is not: somebody without an address is not who was listed.
    pub(crate) fn allows(&self, addresses: &[IpAddr]) -> bool {
        match self {
            Self::Any => true,
            Self::Networks(networks) => {
                let is_listed = |address: &IpAddr| {
                    let address = address.to_canonical();
                    networks.iter().any(|network| network.contains(&address))
                };
                !addresses.is_empty() && addresses.iter().all(is_listed)
            }
        }
    }
}

/// A network of IPv4 in the form of IPv6 is one of IPv4.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    v4.and_then(|(address, length)| ipnet::Ipv4Net::new(address, length).ok())
        .map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 9, 35: the truth table of 1.9.
    #[test]
    fn inv_35_addresses_and_rules() {
        let rule = |texts: &[&str]| {
            AddressRule::parse(&texts.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
                .unwrap()
        };
        let allows =
            |texts: &[&str], address: &str| rule(texts).allows(&[address.parse().unwrap()]);
        for (texts, address, expected) in [
            (&["*"][..], "203.0.113.9", true),
            (&[], "203.0.113.9", false),
            (&[""], "203.0.113.9", false),
            (&["203.0.113.9"], "203.0.113.9", true),
            (&["203.0.113.9"], "203.0.113.10", false),
            (&["203.0.113.0/24", "10.1.1.1"], "10.1.1.1", true),
            (&["203.0.113.0/24"], "203.0.114.1", false),
            (&["203.0.113.0/24"], "::ffff:203.0.113.7", true),
            (&["::ffff:203.0.113.0/120"], "203.0.113.7", true),
            (&["2001:db8::/32"], "2001:db8::1", true),
            (&["2001:db8::/32"], "2001:db9::1", false),
            (&["::1"], "::1", true),
        ] {
            assert_eq!(allows(texts, address), expected, "{texts:?} {address}");
        }
        let two = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        assert!(rule(&["10.0.0.0/8"]).allows(&two) && !rule(&["10.0.0.1"]).allows(&two));
        assert!(!rule(&["10.0.0.0/8"]).allows(&[]) && rule(&["*"]).allows(&[]));
        assert!(AddressRule::parse(&["10.0.0.0/33".to_owned()]).is_err());
    }
}
