//! Many users at once, from files of other systems: NDJSON or CSV, with passwords or with hashes of them.

use serde::{Deserialize, Serialize};
use spanwire_crypto::{Secret, password};

use crate::call::{Call, NewUser};
use crate::error::SsoError;
use crate::sso::Sso;

/// One user of a file. Unknown columns are mistakes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImportedUser {
    /// The user name; needed.
    pub username: String,
    /// The address.
    pub email: Option<String>,
    /// Shown to people.
    pub display_name: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Middle name.
    pub middle_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// A password; neither it nor a hash makes a random one that nobody knows.
    pub password: Option<Secret>,
    /// A hash: PBKDF2 as passlib writes it, Argon2 or bcrypt.
    pub password_hash: Option<Secret>,
    /// Whether the first login needs a new password.
    pub password_must_change: bool,
    /// Whether the user is kept out.
    pub is_locked: bool,
    /// Whether everything is allowed.
    pub is_super_user: bool,
    /// Whether a login needs a code.
    pub is_totp_enabled: bool,
    /// The key of the authenticator app, in base32.
    pub totp_key: Option<Secret>,
}

/// What became of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineReport {
    /// Which one, from 1.
    pub line: u64,
    /// The user name, as far as it could be read.
    pub username: String,
    /// `created`, `would be created`, `exists` or `failed`.
    pub result: String,
    /// Why it failed.
    pub problem: String,
}

impl Sso {
    /// Creates the user of one line, approved and able to log in; or only says what would come of it.
    pub fn import(
        &self,
        call: &Call,
        line: u64,
        user: ImportedUser,
        is_dry_run: bool,
    ) -> LineReport {
        let username = user.username.clone();
        let report = |result: &str, problem: &str| LineReport {
            line,
            username: username.clone(),
            result: result.to_owned(),
            problem: problem.to_owned(),
        };
        if user.password.is_some() && user.password_hash.is_some() {
            return report("failed", "give password or password_hash, not both");
        }
        if let Some(Err(error)) = user.password_hash.as_ref().map(password::check) {
            return report("failed", &error.to_string());
        }
        let new = NewUser {
            username: user.username,
            password: user.password,
            password_hash: user.password_hash,
            password_must_change: user.password_must_change,
            email: user.email,
            display_name: user.display_name,
            first_name: user.first_name,
            middle_name: user.middle_name,
            last_name: user.last_name,
            is_locked: user.is_locked,
            is_super_user: user.is_super_user,
            is_totp_enabled: user.is_totp_enabled,
            totp_key: user.totp_key,
            auto_approve: true,
            ..NewUser::default()
        };
        let outcome = match is_dry_run {
            true => self.check_new_user(call, &new),
            false => self.create_user_as_operator(call, &new, true).map(drop),
        };
        match outcome {
            Ok(()) if is_dry_run => report("would be created", ""),
            Ok(()) => report("created", ""),
            Err(SsoError::Refused(crate::Code::UsernameExists)) => report("exists", ""),
            Err(error) => report("failed", &error.to_string()),
        }
    }
}
