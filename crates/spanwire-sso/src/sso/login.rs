//! Who somebody is.

use std::net::IpAddr;

use spanwire_crypto::{Secret, password, totp};
use spanwire_protocol::Timestamp;

use super::{Sso, Trail, after, days, minutes};
use crate::address::AddressRule;
use crate::call::{Call, Login};
use crate::error::{Result, SsoError, not_allowed, told_if};
use crate::id::{self, SESSION_PREFIX};
use crate::names;
use crate::operation::Operation;
use crate::policy;
use crate::record::{Approval, Session, SignUp, StateChange, User};
use crate::settings::Settings;
use crate::status::Code;
use crate::store::Change;

/// A session that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The token; shown once.
    pub token: Secret,
    /// What lists show instead.
    pub handle: String,
    /// Whose it is.
    pub user_id: String,
    /// The user name.
    pub username: String,
    /// When it began.
    pub creation_time: Timestamp,
    /// When it ends.
    pub expiration_time: Timestamp,
    /// Whether the password expires soon.
    pub warns_of_expiry: bool,
}

/// Somebody with a good session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The user.
    pub user_id: String,
    /// The user name.
    pub username: String,
    /// Whether everything is allowed.
    pub is_super_user: bool,
    /// What lists show instead of the token.
    pub handle: String,
    /// When the session ends.
    pub expiration_time: Timestamp,
}

impl Sso {
    /// Logs a user in (reference sso 2.5.1).
    ///
    /// # Errors
    /// [`Code::NotAllowed`] for unknown users, wrong passwords and wrong codes alike, after the same time; what else may be
    /// told only after the right password.
    pub fn login(&self, call: &Call, login: &Login) -> Result<Opened> {
        self.login_for(call, login, |_| None)
    }

    /// The same; once it is known who logs in, `minutes` says how long the session lasts, if not as the settings say.
    ///
    /// # Errors
    /// As [`login`](Self::login).
    pub fn login_for(
        &self,
        call: &Call,
        login: &Login,
        minutes: impl FnOnce(&str) -> Option<u32>,
    ) -> Result<Opened> {
        self.run(call, Operation::Login, |trail| self.log_in(trail, login, minutes))
    }

    /// Opens a session without a password, for operators. Nothing of what keeps the user out is looked past.
    ///
    /// # Errors
    /// [`Code::UserIdInvalid`], and why the user is kept out.
    pub fn login_as_operator(&self, call: &Call, username: &str) -> Result<Opened> {
        let settings = self.settings();
        let from = Call { current_app: settings.apps.default.clone(), ..call.clone() };
        self.record(&from, Operation::Login.endpoint().audit, |trail| {
            let user = self.user_named(trail, username)?;
            // Where an operator is says nothing about the user.
            self.check_state(&settings, &user, true)?;
            let _one_at_a_time = self.lock(&user.user_id);
            let (token, session) = self.new_session(&from, &user, self.now(), None, "default")?;
            let opened = self.opened(&token, &user, &session, false);
            self.commit(
                trail,
                vec![Change::PutSession { before: None, after: Box::new(session) }],
            )?;
            Ok(opened)
        })
    }

    fn log_in(
        &self,
        trail: &mut Trail<'_>,
        login: &Login,
        minutes: impl FnOnce(&str) -> Option<u32>,
    ) -> Result<Opened> {
        let settings = self.settings();
        let mut call = trail.call.clone();
        if let Some(metadata) = &login.metadata {
            take_metadata(&settings, &mut call, metadata)?;
        }
        if login.new_password.is_some() {
            "with a new password".clone_into(&mut trail.extra);
        }
        let user = self.check_password(trail, &login.username, &login.password)?;
        self.check_code(&settings, trail.call, &user, login.totp_code.as_deref())?;
        may_log_in(&settings, &user, &call.current_app)?;
        self.check_user(&settings, &call, &user, true)?;
        let minutes = minutes(&user.username);
        // What follows depends on the user as stored now, and changes it.
        let _one_at_a_time = self.lock(&user.user_id);
        let before = self.store().user(&user.user_id)?.ok_or_else(not_allowed)?;
        if before.password != user.password {
            // Hashed anew meanwhile, or changed.
            let hash = self.0.sealer.load_hash(&before.user_id, &before.password)?;
            if !self.matches(&login.password, &hash)? {
                return Err(not_allowed());
            }
        }
        may_log_in(&settings, &before, &call.current_app)?;
        self.check_user(&settings, &call, &before, true)?;
        let mut user = User::clone(&before);
        let now = self.now();
        let mut changes = Vec::new();
        if user.is_totp_enabled {
            self.spend_code(&settings, &mut user, login.totp_code.as_deref())?;
        }
        if user.password_must_change {
            let new = login.new_password.as_ref().filter(|new| !new.expose().is_empty());
            let told = settings.password.inform_if_must_be_changed;
            let new = new.ok_or_else(|| told_if(told, Code::PasswordMustSendNew))?;
            let told = settings.password.inform_if_invalid;
            self.check_new_password(&settings, &user, new).map_err(|error| match error {
                SsoError::Refused(code) if !told => SsoError::Hidden(code),
                error => error,
            })?;
            self.put_password(&settings, &mut user, new, false, None, now)?;
            if settings.password.revoke_sessions_on_change == Some(true) {
                changes.extend(self.end_sessions(&user, None)?);
            }
        } else {
            self.hash_again(&settings, &mut user, &login.password)?;
        }
        let warns_of_expiry = near_expiry(&settings, &user, now)?;
        if user != *before {
            let after = user.clone().into();
            changes.push(Change::PutUser { before: Some(before), after });
        }
        let (token, session) = self.new_session(&call, &user, now, minutes, "default")?;
        let opened = self.opened(&token, &user, &session, warns_of_expiry);
        changes.push(Change::PutSession { before: None, after: Box::new(session) });
        self.commit(trail, changes)?;
        Ok(opened)
    }

    /// Whose name and password these are. Takes the time of one hash, whatever comes out.
    pub(super) fn check_password(
        &self,
        trail: &mut Trail<'_>,
        username: &str,
        password: &Secret,
    ) -> Result<std::sync::Arc<User>> {
        let from = trail.call.addresses.first().copied();
        let now = self.0.clock.instant();
        let digest = self.0.sealer.digest("name", &names::fold(username));
        let guesser = self.0.throttles.pair.guesser(digest, from);
        if self.0.throttles.pair.is_blocked(guesser, now)
            || !self.0.throttles.address.has_room(from, now)
        {
            return Err(SsoError::Hidden(Code::NotAllowed));
        }
        let found = match self.store().user_named(digest)? {
            Some(id) => self.store().user(&id)?,
            None => None,
        };
        let is_right = match found.as_ref().filter(|user| user.password_is_set) {
            Some(user) => {
                trail.target.clone_from(&user.user_id);
                self.matches(password, &self.0.sealer.load_hash(&user.user_id, &user.password)?)?
            }
            None => {
                let dummy = self.0.dummy.load();
                self.matches(password, &dummy.hash)?;
                false
            }
        };
        match found {
            Some(user) if is_right => {
                trail.actor.clone_from(&user.user_id);
                // With a code to come, only that is success.
                if !user.is_totp_enabled {
                    self.0.throttles.pair.succeeded(guesser);
                }
                Ok(user)
            }
            _ => {
                self.0.throttles.pair.failed(guesser, now);
                self.0.throttles.address.spend(from, now);
                Err(not_allowed())
            }
        }
    }

    /// Whether a password belongs to a hash, however its characters are composed.
    pub(super) fn matches(&self, candidate: &Secret, hash: &Secret) -> Result<bool> {
        if candidate.expose().len() > LONGEST_PASSWORD {
            return Ok(false);
        }
        let composed = Secret::new(names::password(candidate.expose()));
        if password::verify(&composed, hash)? {
            return Ok(true);
        }
        // Set elsewhere, as it was typed there.
        Ok(composed.expose() != candidate.expose() && password::verify(candidate, hash)?)
    }

    /// Whether the code is right, for a user who needs one. It is spent later, once nothing else is in the way.
    pub(super) fn check_code(
        &self,
        settings: &Settings,
        call: &Call,
        user: &User,
        code: Option<&str>,
    ) -> Result<()> {
        if !user.is_totp_enabled {
            return Ok(());
        }
        let from = call.addresses.first().copied();
        let now = self.0.clock.instant();
        let pair = self.0.throttles.pair.guesser(user.name_digest, from);
        // Codes are few: whoever has the password guesses them from everywhere.
        let everywhere = self.0.throttles.codes.guesser(&user.user_id, None);
        if self.0.throttles.codes.is_blocked(everywhere, now) {
            return Err(SsoError::Hidden(Code::NotAllowed));
        }
        let fail = || {
            self.0.throttles.pair.failed(pair, now);
            self.0.throttles.codes.failed(everywhere, now);
            self.0.throttles.address.spend(from, now);
        };
        let Some(code) = code.map(canonical_code).filter(|code| !code.is_empty()) else {
            self.0.throttles.pair.failed(pair, now);
            return Err(told_if(settings.login.inform_if_totp_missing, Code::TotpMissing));
        };
        match self.step_of(settings, user, &code)? {
            Some(_) => {
                self.0.throttles.pair.succeeded(pair);
                self.0.throttles.codes.succeeded(everywhere);
                Ok(())
            }
            None => {
                fail();
                Err(not_allowed())
            }
        }
    }

    /// The step of a code that is right, and not used before.
    fn step_of(&self, settings: &Settings, user: &User, code: &str) -> Result<Option<u64>> {
        let Some(field) = &user.totp_key else { return Ok(None) };
        let key = self.0.sealer.open(super::totp::place(&user.user_id), field)?;
        let seconds = u64::try_from(self.now().as_microseconds() / 1_000_000).unwrap_or_default();
        let window = u64::from(settings.totp.window);
        let step = totp::matching_step(&key, code, totp::step(seconds), window);
        let is_spent = |step: u64| {
            settings.totp.reject_replay == Some(true)
                && user.totp_last_step.is_some_and(|last| step <= last)
        };
        Ok(step.filter(|step| !is_spent(*step)))
    }

    /// Remembers that a code was used.
    pub(super) fn spend_code(
        &self,
        settings: &Settings,
        user: &mut User,
        code: Option<&str>,
    ) -> Result<()> {
        let code = canonical_code(code.unwrap_or_default());
        let step = self.step_of(settings, user, &code)?.ok_or_else(not_allowed)?;
        if settings.totp.reject_replay == Some(true) {
            user.totp_last_step = Some(step);
        }
        Ok(())
    }

    /// What has to hold whenever a user logs in or uses a session (reference sso 2.3).
    pub(super) fn check_user(
        &self,
        settings: &Settings,
        call: &Call,
        user: &User,
        checks_password: bool,
    ) -> Result<()> {
        // Whom a rule is for is asked of few: most installations have none.
        let rule = match settings.user_address_list.is_empty() {
            true => None,
            false => {
                let name = names::fold(&user.username);
                settings.user_address_list.iter().find(|(listed, _)| names::fold(listed) == name)
            }
        };
        let is_let_in = match rule {
            Some((_, rule)) => {
                AddressRule::parse(rule).is_ok_and(|rule| rule.allows(&call.addresses))
            }
            None => !settings.login.reject_if_not_listed,
        };
        if !is_let_in {
            return Err(SsoError::Hidden(Code::NotAllowed));
        }
        self.check_state(settings, user, checks_password)
    }

    /// The same, wherever the user is.
    pub(super) fn check_state(
        &self,
        settings: &Settings,
        user: &User,
        checks_password: bool,
    ) -> Result<()> {
        let told = &settings.login;
        if user.is_locked {
            return Err(told_if(told.inform_if_locked, Code::Locked));
        }
        if user.sign_up_status != SignUp::Final {
            return Err(told_if(told.inform_if_not_confirmed, Code::NotConfirmed));
        }
        if user.approval_status != Approval::Approved {
            return Err(told_if(told.inform_if_not_approved, Code::NotApproved));
        }
        if checks_password && user.password_expiry <= self.now() {
            return Err(told_if(settings.password.inform_if_expired, Code::PasswordExpired));
        }
        Ok(())
    }

    /// What whoever opened a session is told of it.
    pub(super) fn opened(
        &self,
        token: &Secret,
        user: &User,
        session: &Session,
        warns_of_expiry: bool,
    ) -> Opened {
        Opened {
            token: self.0.sealer.wrap(token),
            handle: session.handle.clone(),
            user_id: user.user_id.clone(),
            username: user.username.clone(),
            creation_time: session.creation_time,
            expiration_time: session.expiration_time,
            warns_of_expiry,
        }
    }

    /// Opens a session.
    pub(super) fn new_session(
        &self,
        call: &Call,
        user: &User,
        now: Timestamp,
        expiry: Option<u32>,
        auth_type: &str,
    ) -> Result<(Secret, Session)> {
        let settings = self.settings();
        let token = id::new_token(SESSION_PREFIX)?;
        let own = expiry.unwrap_or_default();
        let expiry = if own > 0 { own } else { settings.session.expiry };
        let mut seconds = minutes(expiry);
        if let Some(most @ 1..) = settings.session.max_lifetime {
            seconds = seconds.min(minutes(most));
        }
        let change = state_change(call, now, "login", 1);
        let session = Session {
            digest: self.0.sealer.digest("session", token.expose()),
            handle: spanwire_crypto::random::hex_token(16)?.expose().to_owned(),
            user_id: user.user_id.clone(),
            creation_time: now,
            expiration_time: after(now, seconds),
            auth_time: now,
            auth_type: auth_type.to_owned(),
            auth_principal: user.username.clone(),
            remote_addr: change.remote_addr.clone(),
            user_agent: change.user_agent.clone(),
            app: call.current_app.clone(),
            minutes: own,
            ext_session_id: None,
            changes: vec![change],
        };
        Ok((token, session))
    }

    /// Hashes a password that is known to be right, if it is hashed in another way than it would be now.
    fn hash_again(&self, settings: &Settings, user: &mut User, password: &Secret) -> Result<()> {
        let hash = self.0.sealer.load_hash(&user.user_id, &user.password)?;
        let is_wrapped = !user.password.starts_with('$');
        if settings.scheme().made(&hash) && is_wrapped == settings.encrypt_password {
            return Ok(());
        }
        let password = Secret::new(names::password(password.expose()));
        let hash = settings.scheme().hash(&password)?;
        user.password = self.0.sealer.store_hash(&user.user_id, &hash, settings.encrypt_password);
        Ok(())
    }

    /// What is wrong with a new password of a user, if anything is.
    pub(super) fn check_new_password(
        &self,
        settings: &Settings,
        user: &User,
        new: &Secret,
    ) -> Result<()> {
        let mut words = vec![user.username.as_str()];
        words.extend(
            [&user.display_name, &user.first_name, &user.last_name]
                .into_iter()
                .flatten()
                .map(String::as_str),
        );
        policy::check_password(settings, new, &words).map_err(SsoError::Refused)?;
        let kept = settings.password.history.unwrap_or_default();
        if kept > 0 && user.password_is_set {
            let earlier = std::iter::once(&user.password)
                .chain(user.password_history.iter().take(kept.saturating_sub(1)));
            for hash in earlier {
                if self.matches(new, &self.0.sealer.load_hash(&user.user_id, hash)?)? {
                    return Err(SsoError::Refused(Code::PasswordInvalid));
                }
            }
        }
        Ok(())
    }

    /// Gives a user a new password.
    pub(super) fn put_password(
        &self,
        settings: &Settings,
        user: &mut User,
        new: &Secret,
        must_change: bool,
        expiry_days: Option<u32>,
        now: Timestamp,
    ) -> Result<()> {
        let hash = settings.scheme().hash(&Secret::new(names::password(new.expose())))?;
        let stored = self.0.sealer.store_hash(&user.user_id, &hash, settings.encrypt_password);
        let former = std::mem::replace(&mut user.password, stored);
        let kept = settings.password.history.unwrap_or_default().saturating_sub(1);
        if user.password_is_set {
            user.password_history.insert(0, former);
        }
        user.password_history.truncate(kept);
        user.password_is_set = true;
        user.password_must_change = must_change;
        user.password_last_set = now;
        let expiry = expiry_days.filter(|days| *days > 0).unwrap_or(settings.password.expiry);
        user.password_expiry = after(now, days(expiry));
        Ok(())
    }
}

/// Whether the password expires soon; an error if that keeps its user out.
fn near_expiry(settings: &Settings, user: &User, now: Timestamp) -> Result<bool> {
    let threshold = after(now, days(settings.password.about_to_expire_threshold));
    let is_near = user.password_expiry < threshold;
    let rules = &settings.password;
    if is_near && (!rules.inform_if_about_to_expire || !rules.log_in_if_about_to_expire) {
        return Err(SsoError::Refused(Code::PasswordExpiresSoonRefused));
    }
    Ok(is_near)
}

/// Whether users may log in from an application, and this one.
pub(super) fn may_log_in(settings: &Settings, user: &User, app: &str) -> Result<()> {
    let is_users = user.apps.is_empty() || user.apps.iter().any(|it| it == app);
    if settings.apps.login_allowed.iter().any(|it| it == app) && is_users {
        return Ok(());
    }
    Err(told_if(settings.apps.inform_if_app_invalid, Code::AppInvalid))
}

/// Takes what an application says of where a user comes from, if it may say so.
fn take_metadata(
    settings: &Settings,
    call: &mut Call,
    metadata: &crate::call::LoginMetadata,
) -> Result<()> {
    if metadata.remote_addr.is_none() && metadata.user_agent.is_none() {
        return Ok(());
    }
    if !settings.apps.login_metadata_allowed.contains(&call.current_app) {
        return Err(SsoError::Refused(Code::MetadataNotAllowed));
    }
    if let Some(addresses) = &metadata.remote_addr {
        let all = addresses
            .split(',')
            .map(|it| it.trim().parse::<IpAddr>())
            .collect::<std::result::Result<_, _>>();
        call.addresses = all.map_err(|_| SsoError::Refused(Code::InvalidInput))?;
    }
    if let Some(agent) = &metadata.user_agent {
        call.user_agent.clone_from(agent);
    }
    Ok(())
}

pub(super) fn state_change(call: &Call, now: Timestamp, source: &str, idx: u64) -> StateChange {
    StateChange {
        remote_addr: call.remote_addr(", "),
        user_agent: call.user_agent.chars().take(LONGEST_AGENT).collect(),
        timestamp_utc: now,
        ctx_source: source.to_owned(),
        idx,
    }
}

/// As people type codes: with spaces around and between.
fn canonical_code(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

const LONGEST_AGENT: usize = 500;
/// Bytes; more than any setting allows.
const LONGEST_PASSWORD: usize = 16 * 1_024;
