//! What a call comes with.

use std::net::IpAddr;

use spanwire_crypto::Secret;
use spanwire_protocol::Timestamp;

/// Who calls, from where, with what and for what. The channel fills it in, never the caller.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The correlation id.
    pub cid: String,
    /// The application; it has to be known.
    pub current_app: String,
    /// The address of whoever calls; empty for programs on this machine.
    pub addresses: Vec<IpAddr>,
    /// The program of whoever calls.
    pub user_agent: String,
    /// For which purpose, as the caller says; recorded.
    pub purpose: String,
    /// Who acts where no session says it: an operator, a program. Recorded.
    pub operator: String,
}

impl Call {
    /// From an application and an address.
    #[must_use]
    pub fn new(current_app: &str, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self {
            current_app: current_app.to_owned(),
            addresses: addresses.into_iter().collect(),
            ..Self::default()
        }
    }

    /// By a program on this machine, or by who operates it.
    #[must_use]
    pub fn internal(operator: &str) -> Self {
        Self { operator: operator.to_owned(), ..Self::default() }
    }

    /// Addresses as lists and logs have them.
    #[must_use]
    pub(crate) fn remote_addr(&self, separator: &str) -> String {
        let all: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        all.join(separator)
    }
}

/// A login.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// The code of the authenticator app.
    pub totp_code: Option<String>,
    /// The new password, when the old one has to be changed.
    pub new_password: Option<Secret>,
    /// From where the user really comes, for applications that may say so.
    pub metadata: Option<LoginMetadata>,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            username: String::new(),
            password: Secret::new(String::new()),
            totp_code: None,
            new_password: None,
            metadata: None,
        }
    }
}

/// From where a user really comes.
#[derive(Clone, Debug, Default)]
pub struct LoginMetadata {
    /// The addresses, comma-separated; not said if `None`.
    pub remote_addr: Option<String>,
    /// The program; not said if `None`.
    pub user_agent: Option<String>,
}

/// A user that is to be.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    /// The user name; needed.
    pub username: String,
    /// The password; a random one that nobody knows if `None`.
    pub password: Option<Secret>,
    /// A hash of a password from elsewhere, instead of a password.
    pub password_hash: Option<Secret>,
    /// Whether the first login needs a new password.
    pub password_must_change: bool,
    /// The e-mail address.
    pub email: Option<String>,
    /// Shown to people; made of the other names if `None`.
    pub display_name: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Middle name.
    pub middle_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Whether the user is kept out.
    pub is_locked: bool,
    /// `final` if `None`.
    pub sign_up_status: Option<String>,
    /// Whether linked credentials have a limit.
    pub is_rate_limit_active: Option<bool>,
    /// The limit.
    pub rate_limit_def: Option<String>,
    /// Whether a login needs a code.
    pub is_totp_enabled: bool,
    /// The key of the authenticator app; a new one if `None`.
    pub totp_key: Option<Secret>,
    /// What the app shows.
    pub totp_label: Option<String>,
    /// Whether approval is given at once.
    pub auto_approve: bool,
    /// Whether everything is allowed; only for operators.
    pub is_super_user: bool,
    /// The applications the user may use; all if empty.
    pub apps: Vec<String>,
}

/// Tells the time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time, UTC.
    fn now(&self) -> Timestamp;

    /// A time that never goes back.
    fn instant(&self) -> std::time::Instant;
}

/// The time of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        Timestamp::from_microseconds(micros)
    }

    fn instant(&self) -> std::time::Instant {
        std::time::Instant::now()
    }
}
