//! Mails to users: templates, and how many are sent.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use minijinja::{AutoEscape, Environment, context};
use spanwire_crypto::Secret;

use crate::budget::AddressBudget;
use crate::call::Call;
use crate::error::{Result, SsoError};
use crate::record::User;
use crate::settings::Settings;
use crate::sso::Sso;

/// A mail that is to be sent. It may have a token in it: it belongs in no log.
#[derive(Clone)]
pub struct Mail {
    /// The sender.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Which mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// Asks for confirmation of a sign-up.
    SignupConfirm,
    /// Welcomes who can log in now.
    SignupWelcome,
    /// Tells who was not approved.
    SignupRejected,
    /// Has the token for a new password.
    PasswordReset,
}

impl Template {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::SignupConfirm, Self::SignupWelcome, Self::SignupRejected, Self::PasswordReset];

    /// The name of its files, without `.html` and `.txt`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SignupConfirm => "signup-confirm",
            Self::SignupWelcome => "signup-welcome",
            Self::SignupRejected => "signup-rejected",
            Self::PasswordReset => "password-reset-link",
        }
    }

    fn built_in(self, is_html: bool) -> &'static str {
        match (self, is_html) {
            (Self::SignupConfirm, true) => include_str!("../templates/signup-confirm.html"),
            (Self::SignupConfirm, false) => include_str!("../templates/signup-confirm.txt"),
            (Self::SignupWelcome, true) => include_str!("../templates/signup-welcome.html"),
            (Self::SignupWelcome, false) => include_str!("../templates/signup-welcome.txt"),
            (Self::SignupRejected, true) => include_str!("../templates/signup-rejected.html"),
            (Self::SignupRejected, false) => include_str!("../templates/signup-rejected.txt"),
            (Self::PasswordReset, true) => include_str!("../templates/password-reset-link.html"),
            (Self::PasswordReset, false) => include_str!("../templates/password-reset-link.txt"),
        }
    }

    /// The text of a template: of the folder in the settings, if it is there, or the built-in one.
    fn text(self, settings: &Settings, is_html: bool) -> String {
        let extension = if is_html { "html" } else { "txt" };
        let own = settings.mail.templates.as_deref().and_then(|folder| {
            // The locale comes from the settings, and is a folder's name all the same.
            let locale = Path::new(&settings.mail.locale).file_name()?;
            let file = folder.join(locale).join(self.name()).with_extension(extension);
            std::fs::read_to_string(file).ok()
        });
        own.unwrap_or_else(|| self.built_in(is_html).to_owned())
    }
}

/// What a template is filled with.
#[derive(Clone, Copy, Debug)]
struct Variables<'a> {
    username: &'a str,
    display_name: &'a str,
    site_name: &'a str,
    token: &'a str,
    url: &'a str,
    expiration_time_hours: &'a str,
}

/// Fills a template; what is HTML is escaped.
fn render(
    source: &str,
    is_html: bool,
    variables: Variables<'_>,
) -> std::result::Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(
        move |_| if is_html { AutoEscape::Html } else { AutoEscape::None },
    );
    let Variables { username, display_name, site_name, token, url, expiration_time_hours } =
        variables;
    let link = match url {
        "" => String::new(),
        url => format!("{url}{token}"),
    };
    environment.render_str(
        source,
        context! { username, display_name, site_name, token, link, expiration_time_hours, data => context! { display_name } },
    )
}

/// How many mails may be sent: to one address, and because of calls from one address, in an hour.
#[derive(Debug)]
pub(crate) struct MailBudget {
    addresses: AddressBudget,
    per_recipient: AtomicU32,
    hasher: RandomState,
    sent: Mutex<HashMap<u64, (Instant, u32)>>,
}

impl MailBudget {
    pub(crate) fn new(settings: &crate::settings::Mail) -> Self {
        Self {
            addresses: AddressBudget::per_hour(settings.per_address),
            per_recipient: settings.per_recipient.into(),
            hasher: RandomState::new(),
            sent: Mutex::default(),
        }
    }

    pub(crate) fn set(&self, settings: &crate::settings::Mail) {
        self.addresses.set(settings.per_address);
        self.per_recipient.store(settings.per_recipient, Ordering::Relaxed);
    }

    /// Whether one more may be sent; then it counts.
    pub(crate) fn take(&self, recipient: &str, from: Option<IpAddr>, now: Instant) -> bool {
        let key = self.hasher.hash_one(crate::names::fold(recipient));
        let most = self.per_recipient.load(Ordering::Relaxed);
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() >= MOST_RECIPIENTS {
            sent.retain(|_, (since, _)| now.duration_since(*since) < HOUR);
            if sent.len() >= MOST_RECIPIENTS {
                return false;
            }
        }
        let entry = sent.entry(key).or_insert((now, 0));
        if now.duration_since(entry.0) >= HOUR {
            *entry = (now, 0);
        }
        if entry.1 >= most || !self.addresses.take(from, now) {
            return false;
        }
        entry.1 += 1;
        true
    }
}

impl Sso {
    /// Writes a mail to a user.
    pub(crate) fn compose(
        &self,
        settings: &Settings,
        template: Template,
        user: &User,
        email: &Secret,
        token: Option<&Secret>,
    ) -> Result<Mail> {
        let minutes = settings.password_reset.valid_for.unwrap_or(60);
        let hours = match minutes % 60 {
            0 => (minutes / 60).to_string(),
            _ => format!("{:.1}", f64::from(minutes) / 60.0),
        };
        let (from, url, subject) = match template {
            Template::SignupConfirm => {
                let subject = format!("Confirm your account at {}", settings.site_name);
                (
                    &settings.signup.email_confirm_from,
                    settings.signup.email_confirm_url.as_str(),
                    subject,
                )
            }
            Template::SignupWelcome => (
                &settings.signup.email_welcome_from,
                "",
                format!("Welcome to {}", settings.site_name),
            ),
            Template::SignupRejected => (
                &settings.signup.email_reject_from,
                "",
                format!("Your account at {}", settings.site_name),
            ),
            Template::PasswordReset => {
                let reset = &settings.password_reset;
                (&reset.email_from, reset.url.as_str(), reset.email_title.clone())
            }
        };
        let variables = Variables {
            username: &user.username,
            display_name: user.display_name.as_deref().unwrap_or(&user.username),
            site_name: &settings.site_name,
            token: token.map(Secret::expose).unwrap_or_default(),
            url,
            expiration_time_hours: &hours,
        };
        let fill = |is_html| {
            let source = template.text(settings, is_html);
            render(&source, is_html, variables).map_err(|error| SsoError::Unreadable {
                what: "a template of mails",
                why: format!("{}: {}", template.name(), error.kind()),
            })
        };
        Ok(Mail {
            from: from.clone(),
            to: email.expose().to_owned(),
            subject: subject.replace(['\r', '\n'], " "),
            text: fill(false)?,
            html: fill(true)?,
        })
    }

    /// Hands a mail on, if there is one and not too many were sent.
    pub(crate) fn send(&self, call: &Call, mail: Option<Mail>) {
        if let Some(mail) = mail {
            let to = Secret::new(mail.to.clone());
            self.send_within_budget(call, &to, Ok(mail));
        }
    }

    /// The same, for a mail that may not have been written. What it belongs to has happened already.
    pub(crate) fn send_within_budget(&self, call: &Call, to: &Secret, mail: Result<Mail>) {
        match mail {
            Ok(mail) => {
                if self.may_send(call, to) {
                    self.hand_on(mail);
                } else {
                    tracing::warn!(
                        cid = call.cid,
                        "a mail was not sent: too many to one address, or because of one"
                    );
                }
            }
            Err(error) => tracing::error!(cid = call.cid, %error, "a mail could not be written"),
        }
    }
}

const MOST_RECIPIENTS: usize = 100_000;
const HOUR: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLES: Variables<'_> = Variables {
        username: "<img src=x>",
        display_name: "<b>Joe</b>",
        site_name: "Our & site",
        token: "TOKEN",
        url: "https://example.com/confirm#",
        expiration_time_hours: "1",
    };

    /// Section 9, 49; R5: complete bodies, and nothing in them is anybody else's HTML.
    #[test]
    fn inv_49_templates_are_complete_and_escape_what_users_write() {
        for template in Template::ALL {
            // Slashes are escaped, too, and read as slashes.
            let html =
                render(template.built_in(true), true, VARIABLES).unwrap().replace("&#x2f;", "/");
            let text = render(template.built_in(false), false, VARIABLES).unwrap();
            assert!(html.contains("&lt;img src=x&gt;") || html.contains("&lt;b&gt;Joe"), "{html}");
            assert!(!html.contains("<img") && !html.contains("<b>Joe"), "{html}");
            assert!(
                html.contains("Our &amp; site") && text.contains("Our & site"),
                "{html} {text}"
            );
            let has_token = matches!(template, Template::SignupConfirm | Template::PasswordReset);
            assert_eq!(html.contains("https://example.com/confirm#TOKEN"), has_token, "{html}");
            assert_eq!(text.contains("https://example.com/confirm#TOKEN"), has_token, "{text}");
            // Without a page the token itself is there.
            let plain = render(template.built_in(false), false, Variables { url: "", ..VARIABLES })
                .unwrap();
            assert_eq!(plain.contains("TOKEN"), has_token, "{plain}");
        }
    }

    #[test]
    fn no_more_are_sent_than_the_settings_say() {
        let budget = MailBudget::new(&crate::settings::Mail {
            per_recipient: 2,
            per_address: 3,
            ..Default::default()
        });
        let from = Some([192, 0, 2, 1].into());
        let now = Instant::now();
        assert!(budget.take("a@b.c", from, now) && budget.take("A@b.c", from, now));
        assert!(!budget.take("a@b.c", from, now));
        assert!(budget.take("b@b.c", from, now));
        assert!(!budget.take("c@b.c", from, now), "of this address");
        assert!(budget.take("c@b.c", Some([192, 0, 2, 2].into()), now));
        assert!(budget.take("a@b.c", from, now + HOUR));
    }
}
