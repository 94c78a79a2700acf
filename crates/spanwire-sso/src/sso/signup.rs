//! How users make themselves (reference sso 1.4, 2.5.2).

use std::sync::Arc;

use spanwire_crypto::{Secret, random};

use super::{Sso, Trail};
use crate::call::{Call, NewUser};
use crate::error::{Result, SsoError, told_if};
use crate::mail::{Mail, Template};
use crate::names;
use crate::operation::Operation;
use crate::policy;
use crate::record::{Approval, SignUp, User};
use crate::settings::Settings;
use crate::status::Code;
use crate::store::Change;

/// What somebody signs up with.
#[derive(Clone, Debug)]
pub struct SignupRequest {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// The address.
    pub email: Option<String>,
    /// The applications that the user is for.
    pub app_list: Vec<String>,
}

/// Somebody signed up.
#[derive(Clone, Debug)]
pub struct SignedUp {
    /// The user.
    pub user_id: String,
    /// What confirms it.
    pub confirm_token: Secret,
    /// Whether the caller may have it, and not only who reads the mail.
    pub shows_token: bool,
    /// Whether a super-user has to approve.
    pub approval_status: Approval,
}

impl Sso {
    /// The built-in check of new users: `Err` says what is wrong, and whether that is told.
    ///
    /// # Errors
    /// The codes of names, addresses and passwords.
    pub fn validate_signup(&self, request: &SignupRequest) -> Result<()> {
        let settings = self.settings();
        let email = request.email.as_deref().map(str::trim).filter(|it| !it.is_empty());
        policy::check_names(&settings, request.username.trim(), email)
            .map_err(|(code, told)| told_if(told, code))?;
        let words = [request.username.as_str()];
        policy::check_password(&settings, &request.password, &words)
            .map_err(|code| told_if(settings.password.inform_if_invalid, code))
    }

    /// What can be refused without looking at users, before anybody else is asked.
    ///
    /// # Errors
    /// [`Code::AppInvalid`], [`Code::AppNoSignup`], [`Code::NotAllowed`] for too many from one address.
    pub fn check_signup(&self, call: &Call, request: &SignupRequest) -> Result<()> {
        self.check_app(call).and_then(|()| self.may_sign_up(call, request)).map_err(|error| {
            self.record(call, Operation::Signup.endpoint().audit, |_| Err::<(), _>(error))
                .err()
                .unwrap_or(SsoError::Busy)
        })
    }

    fn may_sign_up(&self, call: &Call, request: &SignupRequest) -> Result<()> {
        let settings = self.settings();
        let now = self.0.clock.instant();
        if !self.0.throttles.signups.take(call.addresses.first().copied(), now) {
            return Err(SsoError::Hidden(Code::NotAllowed));
        }
        let allowed = settings.apps.signup_allowed.as_deref().unwrap_or_default();
        if !allowed.contains(&call.current_app) {
            return Err(SsoError::Refused(Code::AppNoSignup));
        }
        if !request.app_list.iter().all(|app| settings.apps.all.contains(app)) {
            return Err(SsoError::Refused(Code::AppInvalid));
        }
        if !request.app_list.iter().all(|app| allowed.contains(app)) {
            return Err(SsoError::Refused(Code::AppNoSignup));
        }
        Ok(())
    }

    /// Signs a new user up. `checks` makes the built-in checks; without them, [`check_signup`](Self::check_signup) and
    /// whoever the settings name were asked before.
    ///
    /// Whoever signs up again with the same name and password before confirming gets another mail.
    ///
    /// # Errors
    /// As [`check_signup`](Self::check_signup) and [`validate_signup`](Self::validate_signup); a name or an address that is
    /// taken is told only where the settings say so.
    pub fn signup(&self, call: &Call, request: &SignupRequest, checks: bool) -> Result<SignedUp> {
        self.run(call, Operation::Signup, |trail| {
            match checks {
                true => {
                    self.may_sign_up(call, request)?;
                    self.validate_signup(request)?;
                }
                // Whoever was asked before may not know what passwords have to be like.
                false => self.validate_password(&request.password)?,
            }
            self.sign_up(trail, request)
        })
    }

    fn sign_up(&self, trail: &mut Trail<'_>, request: &SignupRequest) -> Result<SignedUp> {
        let settings = self.settings();
        let new = NewUser {
            username: request.username.clone(),
            password: Some(request.password.clone()),
            email: request.email.clone(),
            apps: request.app_list.clone(),
            ..NewUser::default()
        };
        let told = &settings.signup;
        let mask = |error: SsoError| match error {
            SsoError::Refused(code @ Code::UsernameExists) => {
                told_if(told.inform_if_user_exists, code)
            }
            SsoError::Refused(code @ Code::EmailExists) => {
                told_if(told.inform_if_email_exists, code)
            }
            SsoError::Refused(code @ (Code::UsernameInvalid | Code::UsernameTooLong)) => {
                told_if(told.inform_if_user_invalid, code)
            }
            SsoError::Refused(code @ (Code::EmailInvalid | Code::EmailTooLong)) => {
                told_if(told.inform_if_email_invalid, code)
            }
            other => other,
        };
        let mut user = self.new_user(&settings, trail.call, &new).map_err(mask)?;
        let token = random::hex_token(24)?;
        user.confirm_digest = Some(self.0.sealer.digest("confirm", token.expose()));
        user.approval_status = if settings.signup.is_approval_needed {
            Approval::BeforeDecision
        } else {
            Approval::Approved
        };
        user.was_welcomed = false;
        self.give_password(&settings, &mut user, &new, false)?;
        let user = match self.insert(trail, user, true) {
            Ok(user) => user,
            Err(SsoError::Refused(Code::UsernameExists)) => {
                match self.sign_up_again(trail, request, &token)? {
                    Some(user) => user,
                    None => return Err(mask(SsoError::Refused(Code::UsernameExists))),
                }
            }
            Err(error) => return Err(mask(error)),
        };
        let email = self.email_of(&user)?;
        if let Some(email) = email.filter(|_| settings.signup.email_confirm_enabled) {
            let mail =
                self.compose(&settings, Template::SignupConfirm, &user, &email, Some(&token));
            self.send_within_budget(trail.call, &email, mail);
        }
        Ok(SignedUp {
            user_id: user.user_id.clone(),
            shows_token: settings.signup.always_return_confirm_token == Some(true),
            confirm_token: token,
            approval_status: user.approval_status,
        })
    }

    /// The mail may have been lost: who has the password of a sign-up that was not confirmed gets a new token.
    fn sign_up_again(
        &self,
        trail: &mut Trail<'_>,
        request: &SignupRequest,
        token: &Secret,
    ) -> Result<Option<Arc<User>>> {
        let digest = self.0.sealer.digest("name", &names::fold(&request.username));
        let Some(id) = self.store().user_named(digest)? else { return Ok(None) };
        let _one_at_a_time = self.lock(&id);
        let Some(before) = self.store().user(&id)? else { return Ok(None) };
        let hash = self.0.sealer.load_hash(&before.user_id, &before.password)?;
        if before.confirm_digest.is_none() || !self.matches(&request.password, &hash)? {
            return Ok(None);
        }
        trail.target.clone_from(&before.user_id);
        let mut user = User::clone(&before);
        user.confirm_digest = Some(self.0.sealer.digest("confirm", token.expose()));
        let user = Arc::new(user);
        self.commit(
            trail,
            vec![Change::PutUser { before: Some(before), after: Arc::clone(&user) }],
        )?;
        Ok(Some(user))
    }

    /// Confirms a sign-up, once.
    ///
    /// # Errors
    /// [`Code::NotAllowed`] for a token that is unknown or used.
    pub fn confirm_signup(&self, call: &Call, token: &Secret) -> Result<()> {
        self.run(call, Operation::ConfirmSignup, |trail| {
            let unknown = || SsoError::Refused(Code::NotAllowed);
            let digest = self.0.sealer.digest("confirm", token.expose());
            let user_id = self.store().user_to_confirm(digest)?.ok_or_else(unknown)?;
            trail.target.clone_from(&user_id);
            let settings = self.settings();
            let _one_at_a_time = self.lock(&user_id);
            let before = self.store().user(&user_id)?.ok_or_else(unknown)?;
            if before.confirm_digest != Some(digest) {
                return Err(unknown());
            }
            let mut user = User::clone(&before);
            user.sign_up_status = SignUp::Final;
            user.sign_up_confirm_time = Some(self.now());
            user.confirm_digest = None;
            let welcome = self.welcome(&settings, &mut user);
            self.commit(trail, vec![Change::PutUser { before: Some(before), after: user.into() }])?;
            self.send(call, welcome);
            Ok(())
        })
    }

    /// The welcome of a user who now can log in and was not welcomed. A mail that cannot be written is no reason to keep
    /// the user out.
    pub(super) fn welcome(&self, settings: &Settings, user: &mut User) -> Option<Mail> {
        let can_log_in =
            user.sign_up_status == SignUp::Final && user.approval_status == Approval::Approved;
        if user.was_welcomed || !can_log_in {
            return None;
        }
        user.was_welcomed = true;
        if !settings.signup.email_welcome_enabled {
            return None;
        }
        self.notice(settings, Template::SignupWelcome, user)
    }

    /// What is told to a user of whom a super-user may have decided something.
    pub(super) fn decided(
        &self,
        settings: &Settings,
        before: &User,
        user: &mut User,
    ) -> Option<Mail> {
        let is_rejected = user.approval_status == Approval::Rejected
            && before.approval_status != Approval::Rejected;
        if is_rejected && settings.signup.email_reject_enabled {
            return self.notice(settings, Template::SignupRejected, user);
        }
        self.welcome(settings, user)
    }

    fn notice(&self, settings: &Settings, template: Template, user: &User) -> Option<Mail> {
        let mail = self.email_of(user).and_then(|email| {
            email.map(|email| self.compose(settings, template, user, &email, None)).transpose()
        });
        mail.unwrap_or_else(|error| {
            let template = template.name();
            tracing::error!(user_id = user.user_id, %error, template, "a mail could not be written");
            None
        })
    }
}
