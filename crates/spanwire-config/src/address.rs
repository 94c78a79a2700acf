//! Addresses: URLs of peers, listening addresses of channels, and paths.
//!
//! Only their form is checked, no name is resolved. Messages do not repeat an address, because
//! existing ones carry secrets in their query strings.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize, Serializer};

use crate::password::MASK;

/// The URL of a peer; shown with the secrets in its query string masked.
///
/// `Debug`, `Display` and `Serialize` mask the values of query parameters whose names contain
/// `password`, `passwd`, `secret`, `token`, `key`, `auth`, `credential`, `sig` or `code`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct RemoteUrl(String);

impl RemoteUrl {
    /// Returns the whole URL, secrets included: for connecting, not for logs.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the URL as it may be shown; one that shows [`MASK`] is refused as an address.
    #[must_use]
    pub fn masked(&self) -> String {
        mask_query(&self.0)
    }

    /// Returns whether the URL carries a secret.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.masked() != self.0
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.masked(), f)
    }
}

impl Serialize for RemoteUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

/// Where a WebSocket channel listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WebSocketAddress {
    /// On the server's main listener.
    Shared {
        /// The path, beginning with `/`.
        path: String,
    },
    /// On a listener of its own.
    Own {
        /// Whether the listener speaks TLS (`wss://`).
        tls: bool,
        /// A host name, an IPv4 address or an IPv6 address without its brackets.
        host: String,
        /// The port; 0 lets the operating system choose.
        port: u16,
        /// The path, beginning with `/`.
        path: String,
    },
}

impl WebSocketAddress {
    /// Parses `/ws/x`, `ws://host:port/ws/x` or `wss://[::1]:port/ws/x`.
    ///
    /// # Errors
    /// What is wrong, as a sentence that does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            check_path(text, false)?;
            return Ok(Self::Shared { path: text.to_owned() });
        }
        let url = Url::parse(text, &["ws", "wss"])
            .map_err(|error| format!("{error}; a path alone, like /ws/crm, is fine as well"))?;
        let Some(port) = url.port else {
            return Err(
                "the port is missing: write ws://host:port/path, or a path alone to listen \
                        on the main port"
                    .to_owned(),
            );
        };
        if url.has_query {
            return Err("an address to listen on has no query string: leave out everything from \
                        the '?' on"
                .to_owned());
        }
        check_path(url.path, false)?;
        Ok(Self::Own {
            tls: url.scheme == "wss",
            host: url.host.to_owned(),
            port,
            path: url.path.to_owned(),
        })
    }

    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Shared { path } | Self::Own { path, .. } => path,
        }
    }
}

impl fmt::Display for WebSocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared { path } => f.write_str(path),
            Self::Own { tls, host, port, path } => {
                let scheme = if *tls { "wss" } else { "ws" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}{path}")
                } else {
                    write!(f, "{scheme}://{host}:{port}{path}")
                }
            }
        }
    }
}

impl Serialize for WebSocketAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WebSocketAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The parts of a URL that are looked at.
struct Url<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
    /// `/` if there is none.
    path: &'a str,
    has_query: bool,
}

impl<'a> Url<'a> {
    fn parse(text: &'a str, schemes: &[&str]) -> Result<Self, String> {
        let expected = || format!("write a URL that begins with {}://", schemes.join(":// or "));
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(expected());
        };
        if !schemes.contains(&scheme) {
            return Err(expected());
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("a URL contains no spaces: write %20".to_owned());
        }
        if rest.contains('#') {
            return Err("a URL of a server has no '#' part: leave it out".to_owned());
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let (path, has_query) = match tail.split_once('?') {
            Some((path, _)) => (path, true),
            None => (tail, false),
        };
        if authority.contains('@') {
            return Err("credentials do not belong into a URL: put them into a security \
                        definition and name it in 'security_name'"
                .to_owned());
        }
        let (host, port) = split_authority(authority)?;
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { scheme, host, port, path, has_query })
    }
}

fn split_authority(authority: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, tail) = rest
            .split_once(']')
            .filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok())
            .ok_or("what stands in [brackets] must be an IPv6 address, like [::1]")?;
        match tail.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if tail.is_empty() => (host, None),
            None => return Err("after an [IPv6] address comes :port or the path".to_owned()),
        }
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let is_host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host.is_empty() {
            return Err("the host is missing after '://'".to_owned());
        }
        if port.is_some_and(|port| port.contains(':')) {
            return Err("an IPv6 address goes into brackets, like [::1]".to_owned());
        }
        let is_number = host.chars().all(|c| c.is_ascii_digit() || c == '.');
        if !host.chars().all(is_host) || (is_number && host.parse::<IpAddr>().is_err()) {
            return Err("the host is neither a name nor an IP address: correct it".to_owned());
        }
        (host, port)
    };
    let port = match port {
        None => None,
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some(
            port.parse::<u16>()
                .map_err(|_| "the port must be a number from 0 to 65535".to_owned())?,
        ),
        Some(_) => return Err("the port must be a number from 0 to 65535".to_owned()),
    };
    Ok((host, port))
}

/// Checks a URL of a peer.
pub(crate) fn check_url(text: &str, schemes: &[&str]) -> Result<(), String> {
    let url = Url::parse(text, schemes)?;
    if url.port == Some(0) {
        return Err("nobody can be reached at port 0: write the port of the peer".to_owned());
    }
    if text.contains(&format!("={MASK}")) {
        return Err(format!("'{MASK}' stands for a secret that is not shown: write the secret"));
    }
    Ok(())
}

/// Checks a path, in which `{name}` parameters may be allowed.
pub(crate) fn check_path(path: &str, has_parameters: bool) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err("a path begins with '/'".to_owned());
    }
    if path.len() > MAX_PATH {
        return Err(format!("a path has at most {MAX_PATH} bytes: shorten it"));
    }
    if path.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("a path contains no spaces: write %20".to_owned());
    }
    if path.contains(['?', '#']) {
        return Err("a path has no '?' or '#' part: leave it out".to_owned());
    }
    let mut names: Vec<&str> = Vec::new();
    let mut rest = path;
    while let Some(at) = rest.find(['{', '}']) {
        let (_, tail) = rest.split_at_checked(at).unwrap_or(("", ""));
        let parameter = tail.strip_prefix('{').and_then(|tail| tail.split_once('}'));
        let Some((name, after)) = parameter else {
            return Err(
                "the braces in the path do not match: write parameters as {name}".to_owned()
            );
        };
        if !has_parameters {
            return Err("this path takes no {parameters}: write it out".to_owned());
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || !name.chars().all(is_name) {
            return Err("a {parameter} is named with letters, digits, '_', '-' and '.'".to_owned());
        }
        if after.starts_with('{') {
            return Err("two {parameters} need a text between them".to_owned());
        }
        if names.contains(&name) {
            return Err(format!("the parameter {{{name}}} is there twice: rename one"));
        }
        names.push(name);
        rest = after;
    }
    Ok(())
}

/// Returns a path with the names of its parameters removed: equal ones match the same requests.
pub(crate) fn path_shape(path: &str) -> String {
    let mut shape = String::new();
    for piece in path.split('{') {
        match piece.split_once('}') {
            Some((_, after)) => {
                shape.push_str("{}");
                shape.push_str(after);
            }
            None => shape.push_str(piece),
        }
    }
    shape
}

/// Masks the values of secret query parameters.
pub(crate) fn mask_query(url: &str) -> String {
    let Some((before, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, value)) if !value.is_empty() && is_secret_name(name) => {
            format!("{name}={MASK}")
        }
        _ => parameter.to_owned(),
    });
    format!("{before}?{}", parameters.collect::<Vec<_>>().join("&"))
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part)) || name.contains('%')
}

const SECRET_NAMES: [&str; 9] =
    ["password", "passwd", "secret", "token", "key", "auth", "credential", "sig", "code"];

pub(crate) const MAX_PATH: usize = 2_000;

#[cfg(test)]
mod tests;
