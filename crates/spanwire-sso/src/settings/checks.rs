//! What is wrong with values, and what is unsafe about them.

use super::{HashScheme, Settings};
use crate::address::AddressRule;

impl Settings {
    /// Every mistake in values, each naming its option as in the file.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expect = |is_right: bool, key: &str, expected: &str| {
            if !is_right {
                problems.push(format!("sso.{key}: expected {expected}"));
            }
        };
        expect(
            (1_000..=20_000_000).contains(&self.hash.rounds),
            "hash.rounds",
            "1,000 to 20,000,000",
        );
        expect((8..=1_024).contains(&self.hash.salt_size), "hash.salt_size", "8 to 1,024 bytes");
        expect(
            (8..=1_048_576).contains(&self.hash.memory_kib),
            "hash.memory_kib",
            "8 to 1,048,576",
        );
        expect((1..=100).contains(&self.hash.passes), "hash.passes", "1 to 100");
        expect(
            self.hash.parallel.is_none_or(|it| (1..=64).contains(&it)),
            "hash.parallel",
            "1 to 64",
        );
        expect(!self.apps.all.is_empty(), "apps.all", "at least one application");
        expect(self.apps.all.contains(&self.apps.default), "apps.default", "one of apps.all");
        for (key, list) in [
            ("apps.signup_allowed", self.apps.signup_allowed.as_deref().unwrap_or_default()),
            ("apps.login_allowed", &self.apps.login_allowed),
            ("apps.login_metadata_allowed", &self.apps.login_metadata_allowed),
        ] {
            expect(
                list.iter().all(|app| self.apps.all.contains(app)),
                key,
                "applications of apps.all",
            );
        }
        expect(self.session.expiry > 0, "session.expiry", "at least 1 minute");
        expect(
            self.password_reset.valid_for != Some(0),
            "password_reset.valid_for",
            "at least 1 minute",
        );
        expect(self.password.expiry > 0, "password.expiry", "at least 1 day");
        expect(
            (1..=4_096).contains(&self.password.max_length),
            "password.max_length",
            "1 to 4,096",
        );
        let least = self.password.min_length.unwrap_or(1);
        expect(
            (1..=self.password.max_length).contains(&least),
            "password.min_length",
            "1 to password.max_length",
        );
        expect(self.password.min_complexity <= 4, "password.min_complexity", "0 to 4");
        expect(self.password.history.unwrap_or(0) <= 50, "password.history", "0 to 50");
        expect(self.totp.window <= 10, "totp.window", "0 to 10 steps");
        expect(
            (1..=191).contains(&self.signup.max_length_username),
            "signup.max_length_username",
            "1 to 191",
        );
        expect(
            (1..=191).contains(&self.signup.max_length_email),
            "signup.max_length_email",
            "1 to 191",
        );
        expect(
            (1..=1_000).contains(&self.search.max_page_size),
            "search.max_page_size",
            "1 to 1,000",
        );
        expect(
            (1..=self.search.max_page_size).contains(&self.search.default_page_size),
            "search.default_page_size",
            "1 to search.max_page_size",
        );
        expect(
            is_mail_server(&self.mail.server),
            "mail.server",
            "smtp://, smtps:// or smtp+starttls:// with a host, or file:PATH",
        );
        for (user, rules) in &self.user_address_list {
            if let Err(problem) = AddressRule::parse(rules) {
                problems.push(format!("sso.user_address_list.{user}: {problem}"));
            }
        }
        problems
    }

    /// What should not be used where strangers can connect.
    #[must_use]
    pub fn unsafe_values(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !self.enabled {
            return found;
        }
        let mut warn = |is_unsafe: bool, text: &str| {
            if is_unsafe {
                found.push(format!("sso.{text}"));
            }
        };
        warn(
            self.hash.scheme == HashScheme::Pbkdf2Sha512 && self.hash.rounds < 120_000,
            "hash.rounds is below 120,000: find a number with `spanwire sso hash-calibrate`",
        );
        warn(self.hash.salt_size < 16, "hash.salt_size is below 16 bytes");
        warn(
            self.hash.scheme == HashScheme::Argon2id && self.hash.memory_kib < 7_168,
            "hash.memory_kib is below 7,168 (OWASP's least)",
        );
        warn(
            self.password.min_length.is_some_and(|least| least < 8),
            "password.min_length is below 8",
        );
        warn(
            self.mail.server.starts_with("file:"),
            "mail.server is a folder: mails with tokens would be left there",
        );
        warn(
            self.mail.server.starts_with("smtp://") && !is_local(&self.mail.server),
            "mail.server is without TLS: use smtps:// or smtp+starttls://",
        );
        warn(
            self.cors_origins.iter().any(|origin| origin == "*"),
            "cors_origins allows every origin: list your pages",
        );
        found
    }
}

fn is_mail_server(text: &str) -> bool {
    let rest = ["smtp://", "smtps://", "smtp+starttls://", "file:"]
        .iter()
        .find_map(|it| text.strip_prefix(it));
    text.is_empty() || rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('@'))
}

fn is_local(server: &str) -> bool {
    ["smtp://127.0.0.1", "smtp://localhost", "smtp://[::1]"]
        .iter()
        .any(|local| server.starts_with(local))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 9, 62.
    #[test]
    fn inv_62_mistakes_name_their_option() {
        type Change = fn(&mut Settings);
        let table: [(Change, &str); 9] = [
            (|it| it.hash.rounds = 1, "sso.hash.rounds"),
            (|it| it.apps.all.clear(), "sso.apps.all"),
            (|it| it.apps.default = "x".to_owned(), "sso.apps.default"),
            (|it| it.apps.login_allowed = vec!["x".to_owned()], "sso.apps.login_allowed"),
            (|it| it.password.min_complexity = 5, "sso.password.min_complexity"),
            (|it| it.password.min_length = Some(300), "sso.password.min_length"),
            (|it| it.search.default_page_size = 0, "sso.search.default_page_size"),
            (|it| it.mail.server = "imap://x".to_owned(), "sso.mail.server"),
            (
                |it| {
                    drop(
                        it.user_address_list
                            .insert("joe".to_owned(), vec!["10.0.0.300".to_owned()]),
                    )
                },
                "sso.user_address_list.joe",
            ),
        ];
        for (change, expected) in table {
            let mut settings = Settings::default().resolve(false);
            change(&mut settings);
            let problems = settings.problems();
            assert!(
                problems.iter().any(|problem| problem.starts_with(expected)),
                "{expected}: {problems:?}"
            );
        }
    }
}
