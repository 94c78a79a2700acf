//! Credentials of callers: comparing them in constant time, and slowing wrong ones down (DESIGN 10).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use spanwire_channel::backend::Principal;
use spanwire_channel::clock;
use spanwire_channel::wsx::{ConnectionHandle, WsxChannel};
use spanwire_config::{ChangedObject, Kind, Object, Security, SecurityType};
use spanwire_crypto::Secret;
use spanwire_crypto::throttle::Throttle;

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
    by_name: RwLock<HashMap<String, Arc<Definition>>>,
    throttle: Throttle,
    /// Counts states of credentials, so that no two are mistaken for each other.
    states: AtomicU64,
}

struct Definition {
    principal: Principal,
    password: Secret,
    /// Whether it is a user name with a password, an API key, or users of single sign-on.
    kind: SecurityType,
    is_active: bool,
}

impl Definition {
    fn is_basic(&self) -> bool {
        self.kind == SecurityType::BasicAuth
    }
}

/// What a change of definitions means for those who logged in with them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CredentialChanges {
    /// Whether there is any.
    pub(crate) any: bool,
    /// Former names with the new ones.
    pub(crate) renamed: BTreeMap<String, String>,
}

/// Clients that reconnect at once, without limit, exist (wsx-protocol 7, trap 8): a refusal that takes a moment keeps
/// them from turning that into a storm.
const REFUSAL_DELAY: Duration = Duration::from_millis(1500);

/// Failures of user names are counted for all definitions together, under this name, which none can have: a password that
/// is tried on several ways is tried once.
const ANY_DEFINITION: &str = "";

impl Definitions {
    /// None yet. Delays begin after this many failures in a row.
    pub(crate) fn new(failures_before_delay: u32) -> Self {
        Self {
            by_name: RwLock::default(),
            throttle: Throttle::new(failures_before_delay),
            states: AtomicU64::new(0),
        }
    }

    /// After how many failures in a row delays begin.
    pub(crate) fn set_failed_logins(&self, failures_before_delay: u32) {
        self.throttle.set_free(failures_before_delay);
    }

    /// Takes over what has changed in the configuration. Former names stay until [`Definitions::forget`], for those
    /// who still ask by them.
    pub(crate) fn apply(&self, changes: &[ChangedObject]) -> CredentialChanges {
        let mut result = CredentialChanges::default();
        let changes: Vec<_> =
            changes.iter().filter(|change| change.kind == Kind::Security).collect();
        if changes.is_empty() {
            return result;
        }
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let former: Vec<_> = changes
            .iter()
            .map(|change| change.before.as_ref().and_then(|it| by_name.get(&it.name()).cloned()))
            .collect();
        for (change, former) in changes.into_iter().zip(former) {
            result.any = true;
            let Some(Object::Security(object)) = change.after.as_deref() else { continue };
            let before = change.before.as_ref().map(|it| it.name());
            if let Some(before) = before.filter(|before| *before != object.name) {
                result.renamed.insert(before, object.name.clone());
            }
            let same = match change.before.as_deref() {
                Some(Object::Security(before)) => opens_the_same(before, object),
                _ => false,
            };
            let state = former.filter(|_| same).map(|former| former.principal.credentials);
            by_name.insert(object.name.clone(), Arc::new(self.definition(object, state)));
        }
        result
    }

    /// Forgets the names that stand for nothing any more after these changes.
    pub(crate) fn forget(&self, changes: &[ChangedObject]) {
        let changes = || changes.iter().filter(|change| change.kind == Kind::Security);
        let name = |object: &Option<Arc<Object>>| object.as_ref().map(|object| object.name());
        let stay: BTreeSet<String> = changes().filter_map(|change| name(&change.after)).collect();
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        for former in changes().filter_map(|change| name(&change.before)) {
            if !stay.contains(&former) {
                by_name.remove(&former);
            }
        }
    }

    fn definition(&self, object: &Security, state: Option<u64>) -> Definition {
        let password = object.password.as_ref().map(|password| password.reveal().to_owned());
        let principal = Principal {
            security_name: object.name.as_str().into(),
            username: object.username.as_deref().unwrap_or_default().into(),
            credentials: state.unwrap_or_else(|| self.states.fetch_add(1, Ordering::Relaxed) + 1),
            user: None,
        };
        // An empty secret matches nothing.
        let password = Secret::new(password.unwrap_or_default());
        Definition { principal, password, kind: object.r#type, is_active: object.is_active }
    }

    /// Whether a connection could be made now as it was made then.
    pub(crate) fn let_in(
        &self,
        connection: &ConnectionHandle,
        channel: &WsxChannel,
        logged_in: bool,
    ) -> bool {
        if !channel.origins.allows(connection.origin()) {
            return false;
        }
        match &channel.security_name {
            // By the state of the credentials, not by their name, which may just have changed.
            Some(security) if logged_in => self.find(security).is_some_and(|known| {
                let principal = connection.principal();
                known.is_active && known.principal.credentials == principal.credentials
            }),
            _ => true,
        }
    }

    /// Checks a user name and a password against one definition; an API key in a header comes without a user name.
    pub(crate) fn check(
        &self,
        definition: &str,
        username: Option<&str>,
        password: &str,
        from: IpAddr,
    ) -> Verdict {
        let key = match username {
            Some(username) => self.throttle.guesser((ANY_DEFINITION, username), Some(from)),
            None => self.throttle.guesser((definition, ""), Some(from)),
        };
        if self.throttle.is_blocked(key, clock::instant()) {
            return Verdict::Throttled(REFUSAL_DELAY);
        }
        let known = self.find(definition).filter(|known| known.is_active);
        // Both parts are compared whatever the first says, so that time does not tell which was wrong.
        let matches = known.as_ref().is_some_and(|known| {
            let own = Secret::new(format!("u{}", known.principal.username));
            let user = username.is_none_or(|username| own.matches(&format!("u{username}")));
            user & known.password.matches(password)
        });
        match known {
            Some(known) if matches => {
                self.throttle.succeeded(key);
                Verdict::Accepted(known.principal.clone())
            }
            _ if self.throttle.failed(key, clock::instant()) => Verdict::Refused(REFUSAL_DELAY),
            _ => Verdict::Refused(Duration::ZERO),
        }
    }

    /// Checks a user name and a password against every Basic Auth definition with that user name. If several match it is
    /// the one whose name comes first.
    pub(crate) fn check_any(&self, username: &str, password: &str, from: IpAddr) -> Verdict {
        let key = self.throttle.guesser((ANY_DEFINITION, username), Some(from));
        if self.throttle.is_blocked(key, clock::instant()) {
            return Verdict::Throttled(REFUSAL_DELAY);
        }
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let known: Vec<Arc<Definition>> = by_name.values().cloned().collect();
        drop(by_name);
        // All are compared, and both parts of each, so that time does not tell which was wrong.
        let user = format!("u{username}");
        let matches = |known: &Arc<Definition>| {
            let own = Secret::new(format!("u{}", known.principal.username));
            own.matches(&user)
                & known.password.matches(password)
                & known.is_active
                & known.is_basic()
        };
        let matching: Vec<_> = known.into_iter().filter(matches).collect();
        let name = |known: &Arc<Definition>| Arc::clone(&known.principal.security_name);
        let matching = matching.into_iter().min_by_key(name);
        match matching {
            Some(known) => {
                self.throttle.succeeded(key);
                Verdict::Accepted(known.principal.clone())
            }
            None if self.throttle.failed(key, clock::instant()) => Verdict::Refused(REFUSAL_DELAY),
            None => Verdict::Refused(Duration::ZERO),
        }
    }

    /// What users of single sign-on are known as who log in with this definition; `None` if it is for others.
    pub(crate) fn for_users(&self, name: &str) -> Option<Principal> {
        let known =
            self.find(name).filter(|known| known.kind == SecurityType::Sso && known.is_active);
        known.map(|known| known.principal.clone())
    }

    /// Whether credentials of this name are for users of single sign-on.
    pub(crate) fn is_for_users(&self, name: &str) -> bool {
        self.find(name).is_some_and(|known| known.kind == SecurityType::Sso)
    }

    /// Whether there are credentials of this name with a user name and a password.
    pub(crate) fn is_basic(&self, name: &str) -> bool {
        self.find(name).is_some_and(|known| known.is_basic())
    }

    fn find(&self, name: &str) -> Option<Arc<Definition>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

/// Whether the same user name with the same password opens both.
fn opens_the_same(before: &Security, after: &Security) -> bool {
    before.r#type == after.r#type
        && before.username == after.username
        && before.password == after.password
        && before.is_active == after.is_active
}

impl std::fmt::Debug for Definitions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Definitions")
            .field("count", &self.by_name.read().map_or(0, |all| all.len()))
            .finish_non_exhaustive()
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
        let definitions = Definitions::new(5);
        let changes: Vec<_> = import.objects.into_iter().map(|it| change(None, Some(it))).collect();
        assert!(definitions.apply(&changes).any);
        definitions
    }

    fn change(before: Option<Object>, after: Option<Object>) -> ChangedObject {
        let (before, after) = (before.map(Arc::new), after.map(Arc::new));
        ChangedObject { id: 1, kind: Kind::Security, version: 1, before, after }
    }

    fn object(name: &str, password: &str) -> Object {
        let json = serde_json::json!({"name": name, "type": "basic_auth", "username": "user1", "password": password});
        Object::from_json(Kind::Security, &json).unwrap()
    }

    #[tokio::test]
    async fn who_logged_in_is_known_until_what_they_logged_in_with_changes() {
        let definitions = definitions();
        let Verdict::Accepted(mut principal) =
            definitions.check("app1", Some("user1"), "secret1", from())
        else {
            panic!()
        };
        let apply = |before: &Object, after: Option<&Object>| {
            let changes = [change(Some(before.clone()), after.cloned())];
            let result = definitions.apply(&changes);
            definitions.forget(&changes);
            result
        };
        let is_current = |principal: &Principal| {
            let known = definitions.find(&principal.security_name);
            known
                .is_some_and(|it| it.is_active && it.principal.credentials == principal.credentials)
        };
        let (first, renamed) = (object("app1", "secret1"), object("app2", "secret1"));
        let changes = apply(&first, Some(&renamed));
        assert_eq!(changes.renamed.get("app1").map(String::as_str), Some("app2"));
        assert!(!is_current(&principal));
        principal.security_name = "app2".into();
        assert!(is_current(&principal), "a new name is no new password");
        let other = object("app2", "secret2");
        apply(&renamed, Some(&other));
        assert!(!is_current(&principal));
        apply(&other, Some(&renamed));
        assert!(!is_current(&principal), "not even when it is changed back");
        apply(&renamed, None);
        assert!(!is_current(&principal));
        assert!(!definitions.apply(&[]).any);
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

    #[tokio::test(start_paused = true)]
    async fn only_basic_auth_matches_without_a_definition() {
        let text = "security:\n  - {name: b, type: basic_auth, username: u, password: p}\n  \
                    - {name: a, type: basic_auth, username: u, password: p}\n  \
                    - {name: c, type: basic_auth, username: u, password: p}\n  \
                    - {name: key, type: apikey, password: k}\n  \
                    - {name: 0key, type: apikey, username: u, password: p}\n";
        let nothing = spanwire_config::Existing::nothing();
        let import = spanwire_config::parse_str("test.yaml", text, &|_| None, nothing).unwrap();
        let definitions = Definitions::new(5);
        let changes: Vec<_> = import.objects.into_iter().map(|it| change(None, Some(it))).collect();
        definitions.apply(&changes);
        assert!(matches!(definitions.check_any("", "k", from()), Verdict::Refused(_)));
        let Verdict::Accepted(principal) = definitions.check_any("u", "p", from()) else {
            panic!("refused")
        };
        assert_eq!(&*principal.security_name, "a");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_count_for_a_user_name_whichever_way_it_is_tried() {
        let definitions = definitions();
        for _ in 0..3 {
            definitions.check("app1", Some("user1"), "wrong", from());
            definitions.check_any("user1", "wrong", from());
        }
        let throttled = Verdict::Throttled(REFUSAL_DELAY);
        assert_eq!(definitions.check_any("user1", "secret1", from()), throttled);
        assert_eq!(definitions.check("app1", Some("user1"), "secret1", from()), throttled);
    }
}
