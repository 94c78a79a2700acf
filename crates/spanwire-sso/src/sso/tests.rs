//! The invariants and cases of abuse of reference sso 9 that need no transport, by their numbers.

mod attributes;
mod guesses;
mod passwords;
mod rights;
mod upkeep;
mod users;

use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use spanwire_crypto::{KeyRing, Secret, totp};
use spanwire_protocol::Timestamp;
use spanwire_store::MemoryStore;

use super::{Observer, Sso};
use crate::call::{Call, Clock, Login, NewUser};
use crate::error::SsoError;
use crate::mail::Mail;
use crate::settings::Settings;
use crate::sso::login::Opened;
use crate::status::Code;
use crate::store::KeyValueUserStore;

/// A time that tests move.
#[derive(Debug)]
struct TestClock {
    begun: Instant,
    /// Microseconds since 1970, and those that passed.
    state: Mutex<(i64, Duration)>,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microseconds(self.state.lock().unwrap().0)
    }

    fn instant(&self) -> Instant {
        self.begun + self.state.lock().unwrap().1
    }
}

#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<(Vec<String>, Vec<Mail>)>>);

impl Observer for Seen {
    fn changed(&self, user_id: &str) {
        self.0.lock().unwrap().0.push(user_id.to_owned());
    }

    fn mail(&self, mail: Mail) {
        self.0.lock().unwrap().1.push(mail);
    }
}

/// Single sign-on with a super-user `root`, and a clock of its own.
struct World {
    sso: Sso,
    store: Arc<MemoryStore>,
    keys: Arc<KeyRing>,
    clock: Arc<TestClock>,
    seen: Seen,
    root: Secret,
}

const GOOD: &str = "correct horse battery staple";

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    settings.hash.rounds = 1_000;
    settings.hash.salt_size = 16;
    settings.apps.signup_allowed = Some(vec!["CRM".to_owned()]);
    settings.signup.always_return_confirm_token = Some(true);
    change(&mut settings);
    let settings = settings.resolve(false);
    assert_eq!(settings.problems(), [""; 0]);
    settings
}

fn call() -> Call {
    from("192.0.2.1")
}

fn from(address: &str) -> Call {
    Call { cid: "c".repeat(24), ..Call::new("CRM", [address.parse().unwrap()]) }
}

fn code<T: std::fmt::Debug>(result: Result<T, SsoError>) -> Code {
    let error = result.unwrap_err();
    error.code().unwrap_or_else(|| panic!("{error:?}"))
}

impl World {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let store = Arc::new(MemoryStore::new());
        let keys = Arc::new(KeyRing::ephemeral().unwrap());
        let clock = Arc::new(TestClock {
            begun: Instant::now(),
            state: Mutex::new((1_700_000_000_000_000, Duration::ZERO)),
        });
        let users = Arc::new(KeyValueUserStore::new(Arc::clone(&store) as _));
        let sso =
            Sso::open_with(users, Arc::clone(&keys), settings(change), Arc::clone(&clock) as _)
                .unwrap();
        let seen = Seen::default();
        sso.observe(seen.clone());
        let new = NewUser { is_super_user: true, ..user("root") };
        sso.create_user_as_operator(&Call::internal("test"), &new, true).unwrap();
        let mut world = Self { sso, store, keys, clock, seen, root: secret("") };
        world.root = world.login("root").unwrap().token;
        world
    }

    /// The same store, opened again.
    fn again(&self) -> Sso {
        let users = Arc::new(KeyValueUserStore::new(Arc::clone(&self.store) as _));
        let settings = Settings::clone(&self.sso.settings());
        Sso::open_with(users, Arc::clone(&self.keys), settings, Arc::clone(&self.clock) as _)
            .unwrap()
    }

    fn set(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = Settings::clone(&self.sso.settings());
        change(&mut settings);
        self.sso.set_settings(settings).unwrap();
    }

    /// Moves the clock, also back.
    fn pass(&self, seconds: i64) {
        let mut state = self.clock.state.lock().unwrap();
        state.0 += seconds * 1_000_000;
        state.1 += Duration::from_secs(seconds.try_into().unwrap_or_default());
    }

    fn create(&self, name: &str) -> String {
        self.create_with(&user(name))
    }

    fn create_with(&self, new: &NewUser) -> String {
        let user = self.sso.create_user_as_operator(&Call::internal("test"), new, true).unwrap();
        user.full.unwrap().user_id
    }

    fn login(&self, name: &str) -> Result<Opened, SsoError> {
        self.login_with(name, GOOD, None)
    }

    fn login_with(
        &self,
        name: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<Opened, SsoError> {
        let login = Login {
            username: name.to_owned(),
            password: secret(password),
            totp_code: code.map(str::to_owned),
            ..Login::default()
        };
        self.sso.login(&call(), &login)
    }

    /// A regular user with a session.
    fn joe(&self) -> (String, Secret) {
        (self.create("joe"), self.login("joe").unwrap().token)
    }

    fn good(&self, token: &Secret) -> bool {
        self.sso.current_user(&call(), token).is_ok()
    }

    fn update(&self, id: &str, fields: &serde_json::Value) -> Result<(), SsoError> {
        self.sso.update_user(&call(), &self.root, Some(id), fields.as_object().unwrap())
    }

    /// The code of a key now, some steps on.
    fn totp(&self, key: &Secret, steps: u64) -> String {
        let seconds = u64::try_from(self.clock.now().as_microseconds() / 1_000_000).unwrap();
        totp::code(key, totp::step(seconds) + steps).unwrap()
    }

    fn mails(&self) -> Vec<Mail> {
        self.seen.0.lock().unwrap().1.clone()
    }

    /// Every byte that is stored.
    fn dump(&self) -> Vec<u8> {
        use spanwire_store::KeyValue as _;
        let mut all = Vec::new();
        for tree in TREES {
            for (key, value) in self.store.scan(tree, b"").unwrap() {
                all.extend(key);
                all.extend(value);
            }
        }
        all
    }
}

const TREES: [&str; 15] = [
    "sso_users",
    "sso_user_names",
    "sso_user_emails",
    "sso_user_confirmations",
    "sso_sessions",
    "sso_sessions_of_users",
    "sso_sessions_of_links",
    "sso_session_ends",
    "sso_attributes",
    "sso_links",
    "sso_links_of_users",
    "sso_resets",
    "sso_resets_of_users",
    "sso_audit",
    "sso_meta",
];

fn user(name: &str) -> NewUser {
    NewUser {
        username: name.to_owned(),
        password: Some(secret(GOOD)),
        auto_approve: true,
        ..NewUser::default()
    }
}

fn contains(all: &[u8], part: &str) -> bool {
    all.windows(part.len()).any(|window| window == part.as_bytes())
}

/// The session that linked credentials are given.
fn opened(world: &World, name: &str) -> Opened {
    match world.sso.on_linked_auth(&call(), "basic_auth", name).unwrap() {
        super::links::LinkedAuth::Opened(opened) => opened,
        other => panic!("{other:?}"),
    }
}
