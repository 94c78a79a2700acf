//! What single sign-on can be set to (reference sso 4), with defaults that are safe in production.
//!
//! Where existing applications need another value (reference sso 3), an option without a value has that of the `compat`
//! profile there: [`Settings::resolve`].

mod checks;
mod defaults;
mod meanings;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::meanings::MEANINGS;

/// All options of `[sso]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether there is single sign-on at all; yes.
    pub enabled: bool,
    /// Whether e-mail addresses are encrypted; yes.
    pub encrypt_email: bool,
    /// Whether password hashes are encrypted; yes.
    pub encrypt_password: bool,
    /// Whether encrypted e-mail addresses can be searched for by a keyed digest; yes.
    pub email_index: bool,
    /// Whether an e-mail address has to look like one wherever it is set, and not only at sign-up; yes (`compat`: no).
    pub email_format_check: Option<bool>,
    /// Whether changing one's address takes a fresh login; yes (`compat`: no).
    pub email_change_needs_fresh_login: Option<bool>,
    /// What users know the site as, in mails; `site`.
    pub site_name: String,
    /// Origins of pages that may call the API, such as `https://app.example.com`; none.
    pub cors_origins: Vec<String>,
    /// How new password hashes are made.
    pub hash: Hash,
    /// Applications.
    pub apps: Apps,
    /// Logins.
    pub login: Login,
    /// By user name: `*`, addresses and networks, or nothing, which lets nobody in as that user.
    pub user_address_list: BTreeMap<String, Vec<String>>,
    /// Sessions.
    pub session: Session,
    /// Passwords that were forgotten.
    pub password_reset: PasswordReset,
    /// Passwords.
    pub password: Password,
    /// Codes of authenticator apps.
    pub totp: Totp,
    /// Signing up.
    pub signup: Signup,
    /// What new users are checked by.
    pub user_validation: UserValidation,
    /// Searching.
    pub search: Search,
    /// Mails.
    pub mail: Mail,
    /// Records of who did what.
    pub audit: Audit,
}

/// How new password hashes are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hash {
    /// `pbkdf2-sha512` or `argon2id`.
    pub scheme: HashScheme,
    /// Iterations of PBKDF2; 210,000.
    pub rounds: u32,
    /// Bytes of salt of PBKDF2; 64.
    pub salt_size: usize,
    /// Memory of Argon2id, in KiB; 19,456.
    pub memory_kib: u32,
    /// Passes of Argon2id; 2.
    pub passes: u32,
    /// How many passwords are hashed at a time; half of the processors, at least 1.
    pub parallel: Option<usize>,
}

/// A scheme of password hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HashScheme {
    /// PBKDF2-HMAC-SHA512.
    #[default]
    Pbkdf2Sha512,
    /// Argon2id.
    Argon2id,
}

/// Applications: every call names one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Apps {
    /// All that are known; `CRM`.
    pub all: Vec<String>,
    /// The one of linked credentials that name none; `CRM`.
    pub default: String,
    /// The header in which they name one; `X-Zato-SSO-Current-App`.
    pub http_header: String,
    /// Those that users may sign up to; none (`compat`: the default one).
    pub signup_allowed: Option<Vec<String>>,
    /// Those that users may log in from; `CRM`.
    pub login_allowed: Vec<String>,
    /// Those that may say from where a user logs in; none.
    pub login_metadata_allowed: Vec<String>,
    /// Whether an unknown application is told so; yes.
    pub inform_if_app_invalid: bool,
}

/// Logins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Login {
    /// Whether users without an entry in `user_address_list` are kept out; no.
    pub reject_if_not_listed: bool,
    /// Whether a locked user is told so, after the right password; yes.
    pub inform_if_locked: bool,
    /// Whether one who has not confirmed is; yes.
    pub inform_if_not_confirmed: bool,
    /// Whether one who was not approved is; yes.
    pub inform_if_not_approved: bool,
    /// Whether a missing code is told, after the right password; yes.
    pub inform_if_totp_missing: bool,
    /// Failures of one user from one address in a row before delays begin; 5.
    pub failures: u32,
    /// Failures of one address in a minute before it has to wait; 200.
    pub failures_per_address: u32,
}

/// Sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Session {
    /// Minutes until a session ends that nobody renews; 60.
    pub expiry: u32,
    /// A service that says how many minutes instead; none.
    pub expiry_hook: String,
    /// Minutes after which no renewal helps; 1,440, 0 is none (`compat`: none).
    pub max_lifetime: Option<u32>,
    /// Whether every use renews it; no.
    pub sliding: bool,
    /// Minutes for which a login counts as fresh, for what only a fresh one may do; 15.
    pub fresh_for: u32,
}

/// Passwords that were forgotten.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordReset {
    /// Minutes for which a link is good; 60 (`compat`: 1,440).
    pub valid_for: Option<u32>,
    /// Seconds between following the link and setting the password; 1,800.
    pub password_change_session_duration: u32,
    /// `username`, `email` or `username_or_email`.
    pub user_search_by: SearchBy,
    /// The subject of the mail; `Password reset`.
    pub email_title: String,
    /// Its sender; `hello@example.com`.
    pub email_from: String,
    /// The page that the link leads to; the token is appended. Empty: the mail has the token alone.
    pub url: String,
}

/// What a user is looked for by when a password was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchBy {
    /// The user name.
    #[default]
    Username,
    /// The e-mail address.
    Email,
    /// Either.
    UsernameOrEmail,
}

/// Passwords.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Password {
    /// Days until a password expires; 730.
    pub expiry: u32,
    /// Whether a user whose password expired is told so, after the right password; no.
    pub inform_if_expired: bool,
    /// Whether one whose password will soon is warned; yes.
    pub inform_if_about_to_expire: bool,
    /// Whether a password that has to be changed is told; yes.
    pub inform_if_must_be_changed: bool,
    /// Whether what is wrong with a new password is told; yes.
    pub inform_if_invalid: bool,
    /// Days before the expiry in which that is soon; 30.
    pub about_to_expire_threshold: u32,
    /// Whether a user can log in then; yes.
    pub log_in_if_about_to_expire: bool,
    /// Characters at least; 15 (`compat`: 8).
    pub min_length: Option<usize>,
    /// Characters at most; 256.
    pub max_length: usize,
    /// The least score of zxcvbn, 0 to 4; 0, which is any.
    pub min_complexity: u8,
    /// Whether passwords that a million guesses find, the most used ones first, are rejected; yes (`compat`: no).
    pub reject_common: Option<bool>,
    /// What no password may contain, in any case.
    pub reject_list: Vec<String>,
    /// How many earlier passwords cannot be set again; 5 (`compat`: 0).
    pub history: Option<usize>,
    /// Whether a new password ends the user's other sessions; yes (`compat`: no).
    pub revoke_sessions_on_change: Option<bool>,
}

/// Codes of authenticator apps (RFC 6238).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Totp {
    /// Whether a code works once; yes (`compat`: no).
    pub reject_replay: Option<bool>,
    /// Whether linked credentials open sessions of users who need codes; no (`compat`: yes).
    pub is_bypassed_by_links: Option<bool>,
    /// Steps before and after this one whose codes are taken; 1.
    pub window: u8,
}

/// Signing up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Signup {
    /// Whether a name that is taken is told; no.
    pub inform_if_user_exists: bool,
    /// Whether what is wrong with a name is; no.
    pub inform_if_user_invalid: bool,
    /// Whether an address that is taken is; no.
    pub inform_if_email_exists: bool,
    /// Whether what is wrong with an address is; no.
    pub inform_if_email_invalid: bool,
    /// Whether an address is needed; yes (`compat`: no).
    pub is_email_required: Option<bool>,
    /// Characters of a name; 128.
    pub max_length_username: usize,
    /// Characters of an address; 128.
    pub max_length_email: usize,
    /// Whether passwords may have spaces; yes.
    pub password_allow_whitespace: bool,
    /// Whether the answer has the confirmation token, which is then no proof of the address; no (`compat`: yes).
    pub always_return_confirm_token: Option<bool>,
    /// Whether a super-user has to approve new users; yes.
    pub is_approval_needed: bool,
    /// Services that are told of new users.
    pub callback_service_list: Vec<String>,
    /// Sign-ups of one address in an hour; 20.
    pub per_address: u32,
    /// Whether a mail asks for confirmation; yes.
    pub email_confirm_enabled: bool,
    /// Its sender; `confirm@example.com`.
    pub email_confirm_from: String,
    /// The page that its link leads to; the token is appended.
    pub email_confirm_url: String,
    /// Whether a mail welcomes who is confirmed and approved; yes.
    pub email_welcome_enabled: bool,
    /// Its sender; `welcome@example.com`.
    pub email_welcome_from: String,
    /// Whether a mail tells who is rejected; no.
    pub email_reject_enabled: bool,
    /// Its sender; `welcome@example.com`.
    pub email_reject_from: String,
}

/// What new users are checked by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UserValidation {
    /// Services, in this order; `zato.sso.signup.validate` is the built-in one.
    pub service: Vec<String>,
    /// What no user name may contain, in any case.
    pub reject_username: Vec<String>,
    /// What no address may contain, in any case.
    pub reject_email: Vec<String>,
}

/// Searching.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// Users on a page that does not say; 50.
    pub default_page_size: u32,
    /// Users on a page at most; 100.
    pub max_page_size: u32,
}

/// Mails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// `smtp://`, `smtps://` or `smtp+starttls://` with host and port, or a folder as `file:PATH`; empty sends nothing.
    pub server: String,
    /// The user name at the server; none.
    pub username: String,
    /// A file with the password at the server; none.
    pub password_file: Option<PathBuf>,
    /// A folder with templates that replace the built-in ones, `en_GB/signup-confirm.html`; none.
    pub templates: Option<PathBuf>,
    /// The language of mails; `en_GB`.
    pub locale: String,
    /// Mails to one address in an hour; 5.
    pub per_recipient: u32,
    /// Mails because of calls from one address in an hour; 20.
    pub per_address: u32,
}

/// Records of who did what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// Days for which records are kept; 0, which is for ever.
    pub retention: u32,
}

impl Settings {
    /// Gives every option a value: that of existing applications where it has none and they are wanted.
    #[must_use]
    pub fn resolve(mut self, is_compat: bool) -> Self {
        fn fill<T>(option: &mut Option<T>, is_compat: bool, secure: T, compat: T) {
            option.get_or_insert(if is_compat { compat } else { secure });
        }
        let default_app = vec![self.apps.default.clone()];
        fill(&mut self.email_format_check, is_compat, true, false);
        fill(&mut self.email_change_needs_fresh_login, is_compat, true, false);
        fill(&mut self.totp.is_bypassed_by_links, is_compat, false, true);
        fill(&mut self.apps.signup_allowed, is_compat, Vec::new(), default_app);
        fill(&mut self.session.max_lifetime, is_compat, 1_440, 0);
        fill(&mut self.password_reset.valid_for, is_compat, 60, 1_440);
        fill(&mut self.password.min_length, is_compat, 15, 8);
        fill(&mut self.password.reject_common, is_compat, true, false);
        fill(&mut self.password.history, is_compat, 5, 0);
        fill(&mut self.password.revoke_sessions_on_change, is_compat, true, false);
        fill(&mut self.totp.reject_replay, is_compat, true, false);
        fill(&mut self.signup.is_email_required, is_compat, true, false);
        fill(&mut self.signup.always_return_confirm_token, is_compat, false, true);
        self
    }

    /// With something in every option, for whoever lists them.
    #[must_use]
    pub fn filled(self) -> Self {
        let mut filled = self.resolve(false);
        filled.hash.parallel.get_or_insert(1);
        filled.mail.password_file.get_or_insert_with(PathBuf::new);
        filled.mail.templates.get_or_insert_with(PathBuf::new);
        filled
    }

    /// How new passwords are hashed.
    #[must_use]
    pub fn scheme(&self) -> spanwire_crypto::password::Scheme {
        use spanwire_crypto::password::Scheme;
        match self.hash.scheme {
            HashScheme::Pbkdf2Sha512 => {
                Scheme::Pbkdf2Sha512 { rounds: self.hash.rounds, salt_size: self.hash.salt_size }
            }
            HashScheme::Argon2id => {
                Scheme::Argon2id { memory_kib: self.hash.memory_kib, passes: self.hash.passes }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_right_and_safe_in_every_profile() {
        for is_compat in [false, true] {
            let settings = Settings::default().resolve(is_compat);
            assert_eq!(settings.problems(), [""; 0]);
            assert_eq!(settings.unsafe_values(), [""; 0]);
        }
    }

    /// Section 3 of the reference: what `compat` switches back, and only where nobody says otherwise.
    #[test]
    fn compat_switches_back_what_existing_applications_need() {
        let (secure, compat) =
            (Settings::default().resolve(false), Settings::default().resolve(true));
        assert_eq!((secure.password.min_length, compat.password.min_length), (Some(15), Some(8)));
        assert_eq!(
            (secure.totp.reject_replay, compat.totp.reject_replay),
            (Some(true), Some(false))
        );
        assert_eq!(compat.apps.signup_allowed, Some(vec!["CRM".to_owned()]));
        assert_eq!(secure.apps.signup_allowed, Some(Vec::new()));
        let mut own = Settings::default();
        own.password.min_length = Some(12);
        assert_eq!(own.resolve(true).password.min_length, Some(12));
    }
}
