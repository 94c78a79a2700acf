//! Credentials of callers: comparing them in constant time, and slowing wrong ones down (DESIGN 10).

mod throttle;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use spanwire_channel::backend::Principal;
use spanwire_config::ObjectSet;
use spanwire_crypto::Secret;

use self::throttle::Throttle;

/// What comes of a login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Right.
    Accepted(Principal),
    /// Wrong; tell it after this time.
    Refused(Duration),
    /// Not even looked at: too many wrong ones came before.
    Throttled(Duration),
}

/// All security definitions.
pub(crate) struct Definitions {
    by_name: HashMap<String, Definition>,
    throttle: Throttle,
}

struct Definition {
    principal: Principal,
    password: Secret,
    is_active: bool,
}

/// Clients that reconnect at once, without limit, exist (wsx-protocol 7, trap 8): a refusal that takes a moment keeps
/// them from turning that into a storm.
const REFUSAL_DELAY: Duration = Duration::from_millis(1500);

impl Definitions {
    /// Delays begin after this many failures in a row. A definition without a password gets one that nobody knows.
    pub(crate) fn new(objects: &ObjectSet, failures_before_delay: u32) -> Self {
        let by_name = objects.all::<spanwire_config::Security>().map(|object| {
            let password = object.password.as_ref().map(|password| password.reveal().to_owned());
            let principal = Principal {
                security_name: object.name.as_str().into(),
                username: object.username.as_deref().unwrap_or_default().into(),
            };
            // An empty secret matches nothing.
            let password = Secret::new(password.unwrap_or_default());
            (object.name.clone(), Definition { principal, password, is_active: object.is_active })
        });
        Self { by_name: by_name.collect(), throttle: Throttle::new(failures_before_delay) }
    }

    /// Checks a user name and a password against one definition; an API key in a header comes without a user name.
    pub(crate) fn check(
        &self,
        definition: &str,
        username: Option<&str>,
        password: &str,
        from: IpAddr,
    ) -> Verdict {
        let key = self.throttle.key(definition, username.unwrap_or_default(), from);
        if self.throttle.is_blocked(key) {
            return Verdict::Throttled(REFUSAL_DELAY);
        }
        let known = self.by_name.get(definition).filter(|known| known.is_active);
        // Both parts are compared whatever the first says, so that time does not tell which was wrong.
        let matches = known.is_some_and(|known| {
            let own = Secret::new(format!("u{}", known.principal.username));
            let user = username.is_none_or(|username| own.matches(&format!("u{username}")));
            user & known.password.matches(password)
        });
        match known {
            Some(known) if matches => {
                self.throttle.succeeded(key);
                Verdict::Accepted(known.principal.clone())
            }
            _ if self.throttle.failed(key) => Verdict::Refused(REFUSAL_DELAY),
            _ => Verdict::Refused(Duration::ZERO),
        }
    }
}

impl std::fmt::Debug for Definitions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Definitions").field("count", &self.by_name.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definitions() -> Definitions {
        let text = "security:\n  - {name: app1, type: basic_auth, username: user1, password: secret1}\n  \
                    - {name: key1, type: apikey, password: k1}\n  - {name: key2, type: apikey, username: bob, password: k2}\n  - {name: none, type: basic_auth, username: user1}\n  \
                    - {name: off, type: basic_auth, username: user1, password: secret1, is_active: false}\n";
        let nothing = spanwire_config::Existing::nothing();
        let import = spanwire_config::parse_str("test.yaml", text, &|_| None, nothing).unwrap();
        Definitions::new(&import.objects.into_iter().collect(), 5)
    }

    /// Stands for an API key that came in a header, without a user name.
    const KEY_ALONE: &str = "(key alone)";

    fn from() -> IpAddr {
        IpAddr::from([192, 0, 2, 1])
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_right_pair_is_accepted() {
        let definitions = definitions();
        let accepted = |name: &str, user: &str, password: &str| {
            let user = Some(user).filter(|user| *user != KEY_ALONE);
            matches!(definitions.check(name, user, password, from()), Verdict::Accepted(_))
        };
        assert!(accepted("app1", "user1", "secret1") && accepted("key1", KEY_ALONE, "k1"));
        assert!(accepted("key2", KEY_ALONE, "k2") && accepted("key2", "bob", "k2"));
        assert!(!accepted("key2", "eve", "k2") && !accepted("key2", "bob", "k1"));
        for (name, user, password) in [
            ("app1", "user1", "secret2"),
            ("app1", "user2", "secret1"),
            ("app1", "", ""),
            ("app1", "user1", ""),
            ("none", "user1", ""),
            ("none", "user1", "secret1"),
            ("off", "user1", "secret1"),
            ("missing", "user1", "secret1"),
        ] {
            assert!(!accepted(name, user, password), "{name} {user} {password}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_are_slowed_down_per_user_and_address() {
        let definitions = definitions();
        let wrong = || definitions.check("app1", Some("user1"), "wrong", from());
        for _ in 0..5 {
            assert_eq!(wrong(), Verdict::Refused(Duration::ZERO));
        }
        assert_eq!(wrong(), Verdict::Refused(REFUSAL_DELAY));
        // Now even the right one has to wait, from here; not from elsewhere.
        let right = |from| definitions.check("app1", Some("user1"), "secret1", from);
        assert_eq!(right(from()), Verdict::Throttled(REFUSAL_DELAY));
        assert!(matches!(right(IpAddr::from([192, 0, 2, 2])), Verdict::Accepted(_)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(matches!(right(from()), Verdict::Accepted(_)));
        assert_eq!(wrong(), Verdict::Refused(Duration::ZERO));
    }
}
