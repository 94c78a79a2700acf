//! Where a peer is. What it prints as never has a secret.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use tokio_tungstenite::tungstenite::http::Uri;

/// The URL of a peer: `ws://` or `wss://`, a host, and if wanted a port, a path and a query.
///
/// Queries often have keys in them: it prints without the values of its query, and with no credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    uri: Uri,
    host: String,
    port: u16,
    tls: bool,
}

/// A text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the address must be a URL such as wss://example.com/path, without a user name in it")]
pub struct AddressError;

impl Address {
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The host: a name, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 80 or 443 where the URL has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is `wss://`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let uri: Uri = text.trim().parse().map_err(|_| AddressError)?;
        let tls = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(AddressError),
        };
        let authority = uri.authority().ok_or(AddressError)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(AddressError)?;
        if authority.as_str().contains('@') {
            return Err(AddressError);
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = match uri.port() {
            Some(port) => Some(port.as_u16()).filter(|port| *port > 0).ok_or(AddressError)?,
            // A port that is none.
            None if authority.as_str().len() > authority.host().len() => return Err(AddressError),
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
        };
        Ok(Self { uri, host, port, tls })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        let authority = self.uri.authority().map(|it| it.as_str()).unwrap_or_default();
        write!(f, "{scheme}://{authority}{}", self.uri.path())?;
        let query = self.uri.query().unwrap_or_default();
        let mut separator = '?';
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((name, _)) => write!(f, "{separator}{name}=***")?,
                None => write!(f, "{separator}***")?,
            }
            separator = '&';
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found() {
        for (text, host, port, tls) in [
            ("ws://example.com", "example.com", 80, false),
            ("wss://example.com/a?b=c", "example.com", 443, true),
            ("ws://127.0.0.1:17010/ws/demo", "127.0.0.1", 17010, false),
            ("wss://[::1]:8443/", "::1", 8443, true),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.host(), address.port(), address.is_tls()), (host, port, tls));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "example.com",
            "http://example.com",
            "ws://",
            "ws:///a",
            "ws://u:p@host/",
            "ws://h:0/",
            "ws://h:/",
            "ws://h:99999/",
        ] {
            assert_eq!(text.parse::<Address>(), Err(AddressError), "{text}");
        }
    }

    #[test]
    fn it_prints_without_secrets() {
        let address: Address = "wss://h:1/p?token=sesame&x&y=".parse().unwrap();
        assert_eq!(address.to_string(), "wss://h:1/p?token=***&***&y=***");
        assert_eq!(format!("{address:?}"), format!("Address({address})"));
    }
}
