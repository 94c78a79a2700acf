//! What passwords have to be like (reference sso 1.10), and what new users are checked by (1.4).

use spanwire_crypto::Secret;

use crate::names;
use crate::settings::Settings;
use crate::status::Code;

/// What is wrong with a password, if anything is. `words` are what it should not be made of: the user's name and the like.
pub(crate) fn check_password(
    settings: &Settings,
    password: &Secret,
    words: &[&str],
) -> Result<(), Code> {
    let rules = &settings.password;
    let text = password.expose();
    let length = text.chars().count();
    // zxcvbn looks at 100 characters at most; so many are not guessed.
    let guesses = (rules.min_complexity > 0 || rules.reject_common == Some(true)).then(|| {
        let start: String = text.chars().take(100).collect();
        let site = settings.site_name.as_str();
        let inputs: Vec<&str> =
            words.iter().copied().chain([site]).filter(|it| !it.is_empty()).collect();
        zxcvbn::zxcvbn(&start, &inputs)
    });
    if guesses.as_ref().is_some_and(|it| u8::from(it.score()) < rules.min_complexity) {
        return Err(Code::PasswordNotComplexEnough);
    }
    if length < rules.min_length.unwrap_or(1) {
        return Err(Code::PasswordTooShort);
    }
    if length > rules.max_length {
        return Err(Code::PasswordTooLong);
    }
    let lower = text.to_lowercase();
    let rejected =
        rules.reject_list.iter().map(|it| it.trim().to_lowercase()).filter(|it| !it.is_empty());
    let is_rejected = rejected.into_iter().any(|it| lower.contains(&it));
    // A password that is the name with something around it is no secret.
    let is_name = words
        .iter()
        .any(|word| word.chars().count() >= 4 && names::fold(text) == names::fold(word));
    let has_space =
        !settings.signup.password_allow_whitespace && text.contains(char::is_whitespace);
    let is_common = rules.reject_common == Some(true)
        && guesses.is_some_and(|it| it.guesses() < COMMON_GUESSES);
    if is_rejected || is_name || is_common || has_space {
        return Err(Code::PasswordInvalid);
    }
    Ok(())
}

/// Whoever may guess online does not get that far.
const COMMON_GUESSES: u64 = 1_000_000;

/// What is wrong with a name that somebody chose, if anything is.
pub(crate) fn check_username(settings: &Settings, username: &str) -> Result<(), Code> {
    if username.is_empty() {
        return Err(Code::UsernameInvalid);
    }
    if username.chars().count() > settings.signup.max_length_username {
        return Err(Code::UsernameTooLong);
    }
    if names::has_invisible(username) {
        return Err(Code::UsernameHasWhitespace);
    }
    if contains(username, &settings.user_validation.reject_username) {
        return Err(Code::UsernameInvalid);
    }
    Ok(())
}

/// Whether a text contains one of these words, whatever their case and form.
fn contains(text: &str, rejected: &[String]) -> bool {
    let folded = names::fold(text);
    rejected.iter().map(|it| names::fold(it)).any(|it| !it.is_empty() && folded.contains(&it))
}

/// What is wrong with the name or the address of a new user, if anything is; and whether that is told.
pub(crate) fn check_names(
    settings: &Settings,
    username: &str,
    email: Option<&str>,
) -> Result<(), (Code, bool)> {
    let told = &settings.signup;
    check_username(settings, username).map_err(|code| (code, told.inform_if_user_invalid))?;
    let mail = |code| (code, told.inform_if_email_invalid);
    let Some(email) = email else {
        return if told.is_email_required == Some(true) {
            Err(mail(Code::EmailMissing))
        } else {
            Ok(())
        };
    };
    if email.chars().count() > told.max_length_email {
        return Err(mail(Code::EmailTooLong));
    }
    if names::has_invisible(email) {
        return Err(mail(Code::EmailHasWhitespace));
    }
    if !names::is_email(email) || contains(email, &settings.user_validation.reject_email) {
        return Err(mail(Code::EmailInvalid));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(settings: &Settings, text: &str) -> Result<(), Code> {
        check_password(settings, &Secret::new(text.to_owned()), &["maria.garcia", ""])
    }

    #[test]
    fn passwords_are_checked_in_the_order_of_the_reference() {
        let mut settings = Settings::default().resolve(true);
        assert_eq!(password(&settings, "ab"), Err(Code::PasswordTooShort));
        assert_eq!(password(&settings, "ąćęłńóśź"), Ok(()), "characters count, not bytes");
        assert_eq!(password(&settings, &"x".repeat(257)), Err(Code::PasswordTooLong));
        assert_eq!(password(&settings, "my-QwErTy-keyboard"), Err(Code::PasswordInvalid));
        assert_eq!(password(&settings, "Maria.Garcia"), Err(Code::PasswordInvalid));
        settings.password.reject_list = vec![" ".to_owned(), String::new()];
        assert_eq!(password(&settings, "my-QwErTy-keyboard"), Ok(()), "blank lines reject nothing");
        settings.password.min_complexity = 4;
        assert_eq!(password(&settings, "ab"), Err(Code::PasswordNotComplexEnough));
        assert_eq!(password(&settings, "correct-horse-battery-staple"), Ok(()));
        settings.signup.password_allow_whitespace = false;
        assert_eq!(password(&settings, "correct horse battery staple"), Err(Code::PasswordInvalid));
    }

    /// Section 9, 43.
    #[test]
    fn inv_43_names_that_only_look_harmless_are_rejected() {
        let settings = Settings::default().resolve(true);
        let check = |name: &str, email: Option<&str>| {
            check_names(&settings, name, email).map_err(|(code, _)| code)
        };
        for (name, code) in [
            ("", Code::UsernameInvalid),
            ("my\u{a0}name", Code::UsernameHasWhitespace),
            ("my\tname", Code::UsernameHasWhitespace),
            ("my\u{200b}name", Code::UsernameHasWhitespace),
            ("my\u{202e}name", Code::UsernameHasWhitespace),
            ("adm\u{fe0f}in", Code::UsernameHasWhitespace),
            ("ADMIN2", Code::UsernameInvalid),
            ("ａｄｍｉｎ", Code::UsernameInvalid),
            ("the.zato.user", Code::UsernameInvalid),
        ] {
            assert_eq!(check(name, None), Err(code), "{name:?}");
        }
        assert_eq!(check(&"x".repeat(129), None), Err(Code::UsernameTooLong));
        assert_eq!(check("joe", None), Ok(()));
        assert_eq!(check("joe", Some("joe@example.com")), Ok(()));
        for (email, code) in [
            ("joe", Code::EmailInvalid),
            ("joe @example.com", Code::EmailHasWhitespace),
            ("root@example.com", Code::EmailInvalid),
        ] {
            assert_eq!(check("joe", Some(email)), Err(code), "{email:?}");
        }
        assert_eq!(
            check("joe", Some(&format!("{}@b.c", "x".repeat(130)))),
            Err(Code::EmailTooLong)
        );
        let strict = Settings::default().resolve(false);
        assert_eq!(check_names(&strict, "joe", None), Err((Code::EmailMissing, false)));
    }
}
