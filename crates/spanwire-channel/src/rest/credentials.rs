//! Reading credentials from headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use super::Security;

/// Credentials as a caller sent them. [`Debug`] does not show secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// HTTP Basic Auth.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
    /// An API key.
    ApiKey(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Basic { username, .. } => {
                f.debug_struct("Basic").field("username", username).finish_non_exhaustive()
            }
            Self::ApiKey(_) => f.write_str("ApiKey(***)"),
        }
    }
}

/// What a request carries for this kind of security; `None` when it carries nothing usable.
pub(super) fn read(security: &Security, headers: &HeaderMap) -> Option<Credentials> {
    let single = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    };
    match security {
        Security::None => None,
        Security::ApiKey { header } => {
            single(header).map(|key| Credentials::ApiKey(key.to_owned()))
        }
        Security::Basic { .. } | Security::AnyBasic => {
            let (scheme, encoded) = single(AUTHORIZATION.as_str())?.trim().split_once(' ')?;
            let decoded = STANDARD.decode(encoded.trim()).ok()?;
            let decoded = String::from_utf8(decoded).ok()?;
            let (username, password) = decoded.split_once(':')?;
            let basic =
                Credentials::Basic { username: username.to_owned(), password: password.to_owned() };
            scheme.eq_ignore_ascii_case("basic").then_some(basic)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_auth_is_read_and_anything_else_is_nothing() {
        let basic = Security::Basic { realm: "r".into() };
        for (value, expected) in [
            ("Basic dXNlcjpwYTpzcw==", Some(("user", "pa:ss"))),
            ("basic dXNlcjo=", Some(("user", ""))),
            ("Bearer dXNlcjpwYTpzcw==", None),
            ("Basic dXNlcg==", None),
            ("Basic %%%", None),
            ("Basic", None),
            ("Basic /////w==", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            let expected = expected.map(|(username, password)| Credentials::Basic {
                username: username.into(),
                password: password.into(),
            });
            assert_eq!(read(&basic, &headers), expected, "{value}");
        }
        assert_eq!(format!("{:?}", Credentials::ApiKey("k".into())), "ApiKey(***)");
    }

    #[test]
    fn a_key_sent_twice_is_no_key() {
        let security = Security::ApiKey { header: "X-API-Key".into() };
        let mut headers = HeaderMap::new();
        headers.append("x-api-key", "k".parse().unwrap());
        assert_eq!(read(&security, &headers), Some(Credentials::ApiKey("k".into())));
        headers.append("x-api-key", "k".parse().unwrap());
        assert_eq!(read(&security, &headers), None);
    }
}
