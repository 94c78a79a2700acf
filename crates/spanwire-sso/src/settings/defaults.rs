//! What options are if nobody says otherwise (reference sso 4).

use std::collections::BTreeMap;

use super::{
    Apps, Audit, Hash, HashScheme, Login, Mail, Password, PasswordReset, Search, SearchBy, Session,
    Settings, Signup, Totp, UserValidation,
};

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            encrypt_email: true,
            encrypt_password: true,
            email_index: true,
            email_format_check: None,
            email_change_needs_fresh_login: None,
            site_name: "site".to_owned(),
            cors_origins: Vec::new(),
            hash: Hash::default(),
            apps: Apps::default(),
            login: Login::default(),
            user_address_list: BTreeMap::new(),
            session: Session::default(),
            password_reset: PasswordReset::default(),
            password: Password::default(),
            totp: Totp::default(),
            signup: Signup::default(),
            user_validation: UserValidation::default(),
            search: Search::default(),
            mail: Mail::default(),
            audit: Audit::default(),
        }
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self {
            scheme: HashScheme::default(),
            rounds: 210_000,
            salt_size: 64,
            memory_kib: 19_456,
            passes: 2,
            parallel: None,
        }
    }
}

impl Default for Apps {
    fn default() -> Self {
        let crm = || vec!["CRM".to_owned()];
        Self {
            all: crm(),
            default: "CRM".to_owned(),
            http_header: "X-Zato-SSO-Current-App".to_owned(),
            signup_allowed: None,
            login_allowed: crm(),
            login_metadata_allowed: Vec::new(),
            inform_if_app_invalid: true,
        }
    }
}

impl Default for Login {
    fn default() -> Self {
        Self {
            reject_if_not_listed: false,
            inform_if_locked: true,
            inform_if_not_confirmed: true,
            inform_if_not_approved: true,
            inform_if_totp_missing: true,
            failures: 5,
            failures_per_address: 200,
        }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self {
            expiry: 60,
            expiry_hook: String::new(),
            max_lifetime: None,
            sliding: false,
            fresh_for: 15,
        }
    }
}

impl Default for PasswordReset {
    fn default() -> Self {
        Self {
            valid_for: None,
            password_change_session_duration: 1_800,
            user_search_by: SearchBy::default(),
            email_title: "Password reset".to_owned(),
            email_from: "hello@example.com".to_owned(),
            url: String::new(),
        }
    }
}

impl Default for Password {
    fn default() -> Self {
        Self {
            expiry: 730,
            inform_if_expired: false,
            inform_if_about_to_expire: true,
            inform_if_must_be_changed: true,
            inform_if_invalid: true,
            about_to_expire_threshold: 30,
            log_in_if_about_to_expire: true,
            min_length: None,
            max_length: 256,
            min_complexity: 0,
            reject_common: None,
            reject_list: REJECTED.iter().map(|it| (*it).to_owned()).collect(),
            history: None,
            revoke_sessions_on_change: None,
        }
    }
}

impl Default for Totp {
    fn default() -> Self {
        Self { reject_replay: None, is_bypassed_by_links: None, window: 1 }
    }
}

impl Default for Signup {
    fn default() -> Self {
        Self {
            inform_if_user_exists: false,
            inform_if_user_invalid: false,
            inform_if_email_exists: false,
            inform_if_email_invalid: false,
            is_email_required: None,
            max_length_username: 128,
            max_length_email: 128,
            password_allow_whitespace: true,
            always_return_confirm_token: None,
            is_approval_needed: true,
            callback_service_list: Vec::new(),
            per_address: 20,
            email_confirm_enabled: true,
            email_confirm_from: "confirm@example.com".to_owned(),
            email_confirm_url: String::new(),
            email_welcome_enabled: true,
            email_welcome_from: "welcome@example.com".to_owned(),
            email_reject_enabled: false,
            email_reject_from: "welcome@example.com".to_owned(),
        }
    }
}

impl Default for UserValidation {
    fn default() -> Self {
        let rejected = || ["zato", "admin", "root", "system", "sso"].map(str::to_owned).to_vec();
        Self {
            service: vec![crate::VALIDATOR.to_owned()],
            reject_username: rejected(),
            reject_email: rejected(),
        }
    }
}

impl Default for Search {
    fn default() -> Self {
        Self { default_page_size: 50, max_page_size: 100 }
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            server: String::new(),
            username: String::new(),
            password_file: None,
            templates: None,
            locale: "en_GB".to_owned(),
            per_recipient: 5,
            per_address: 20,
        }
    }
}

/// Reference sso 4.7.
const REJECTED: [&str; 24] = [
    "111111",
    "123123",
    "123321",
    "123456",
    "123qwe",
    "1q2w3e",
    "1q2w3e4r",
    "1q2w3e4r5t",
    "222222",
    "333333",
    "444444",
    "555555",
    "654321",
    "666666",
    "777777",
    "888888",
    "999999",
    "987654321",
    "google",
    "letmein",
    "mynoob",
    "password",
    "qwerty",
    "zxcvbnm",
];
