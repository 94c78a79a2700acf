//! Keys of authenticator apps.

use std::sync::Arc;

use spanwire_crypto::{Secret, totp};

use super::{LONGEST_NAME, Sso, Trail, minutes};
use crate::call::Call;
use crate::error::{Result, SsoError, not_allowed};
use crate::operation::Operation;
use crate::record::{Digest, User};
use crate::seal::Place;
use crate::status::Code;
use crate::store::Change;

impl Sso {
    /// Sets a key for the authenticator app of the caller, or of another user (super-users); tells it. A new one is made
    /// if `key` is empty. Whether logins need a code stays.
    ///
    /// For oneself it takes a session that was opened a short while ago, or a code of the app so far.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] for a key that is none, and for another user without being a super-user.
    pub fn reset_totp_key(
        &self,
        call: &Call,
        token: &Secret,
        user_id: Option<&str>,
        key: &str,
        label: &str,
        code: Option<&str>,
    ) -> Result<Secret> {
        self.run(call, Operation::ResetTotp, |trail| {
            let caller = self.caller(trail, token)?;
            let target = match user_id {
                None => caller.user.user_id.clone(),
                Some(_) if !caller.user.is_super_user => {
                    return Err(SsoError::Refused(Code::InvalidInput));
                }
                Some(user_id) => user_id.to_owned(),
            };
            let is_own = target == caller.user.user_id;
            if is_own {
                // A code that proves it is of no use afterwards: its key is another.
                self.check_fresh(call, &caller, code)?;
            }
            let _one_at_a_time = self.lock(&target);
            let user = self.store().user(&target)?.ok_or_else(not_allowed)?;
            self.put_totp_key(trail, &user, key, label, is_own.then_some(caller.session.digest))
        })
    }

    /// The same for operators.
    ///
    /// # Errors
    /// [`Code::UserIdInvalid`], [`Code::InvalidInput`].
    pub fn reset_totp_key_as_operator(
        &self,
        call: &Call,
        username: &str,
        key: &str,
        label: &str,
    ) -> Result<Secret> {
        self.record(call, Operation::ResetTotp.endpoint().audit, |trail| {
            let user = self.user_named(trail, username)?;
            let _one_at_a_time = self.lock(&user.user_id);
            let user =
                self.store().user(&user.user_id)?.ok_or(SsoError::Refused(Code::UserIdInvalid))?;
            self.put_totp_key(trail, &user, key, label, None)
        })
    }

    /// Other sessions end, like those of a former password; `keeps` is the caller's.
    fn put_totp_key(
        &self,
        trail: &mut Trail<'_>,
        before: &Arc<User>,
        key: &str,
        label: &str,
        keeps: Option<Digest>,
    ) -> Result<Secret> {
        trail.target.clone_from(&before.user_id);
        let key = match key {
            "" => totp::new_key()?,
            given => totp::canonical_key(given).ok_or(SsoError::Refused(Code::InvalidInput))?,
        };
        if label.chars().count() > LONGEST_NAME {
            return Err(SsoError::Refused(Code::InvalidInput));
        }
        let mut user = User::clone(before);
        user.totp_key = Some(self.0.sealer.seal(place(&user.user_id), key.expose()));
        user.totp_label = Some(self.0.sealer.seal(label_place(&user.user_id), label));
        let former =
            before.totp_key.as_ref().map(|former| self.0.sealer.open(place(&user.user_id), former));
        if !former.is_some_and(|former| former.is_ok_and(|former| former.matches(key.expose()))) {
            user.totp_last_step = None;
        }
        let mut changes = Vec::new();
        if before.is_totp_enabled
            && self.settings().password.revoke_sessions_on_change == Some(true)
        {
            changes.extend(self.end_sessions(&user, keeps)?);
        }
        changes.push(Change::PutUser { before: Some(Arc::clone(before)), after: user.into() });
        self.commit(trail, changes)?;
        Ok(key)
    }

    /// Whether a session is so young, or comes with such proof, that it may change how its user logs in (W14).
    /// `true` says that it was the code, which is to be spent.
    pub(super) fn check_fresh(
        &self,
        call: &Call,
        caller: &super::sessions::Current,
        code: Option<&str>,
    ) -> Result<bool> {
        let settings = self.settings();
        let age =
            self.now().as_microseconds().saturating_sub(caller.session.auth_time.as_microseconds());
        let limit = i64::try_from(minutes(settings.session.fresh_for)).unwrap_or(i64::MAX);
        // Linked credentials prove no presence of their user.
        if age / 1_000_000 < limit && caller.session.auth_type == "default" {
            return Ok(false);
        }
        if !caller.user.is_totp_enabled || code.is_none() {
            return Err(not_allowed());
        }
        self.check_code(&settings, call, &caller.user, code)?;
        Ok(true)
    }

    /// Whether a code of a user's authenticator app is right; it is spent by that.
    ///
    /// # Errors
    /// [`Code::NotAllowed`], as for a login.
    pub fn validate_code(&self, call: &Call, username: &str, code: &str) -> Result<()> {
        self.record(call, "totp_api.validate_code", |trail| {
            let user = self.user_named(trail, username).map_err(|_| not_allowed())?;
            let settings = self.settings();
            let needed = User { is_totp_enabled: true, ..User::clone(&user) };
            self.check_code(&settings, call, &needed, Some(code))?;
            let _one_at_a_time = self.lock(&user.user_id);
            let before = self.store().user(&user.user_id)?.ok_or_else(not_allowed)?;
            let mut user = User::clone(&before);
            self.spend_code(&settings, &mut user, Some(code))?;
            if user == *before {
                return Ok(());
            }
            self.commit(trail, vec![Change::PutUser { before: Some(before), after: user.into() }])
        })
    }
}

pub(super) fn place(user_id: &str) -> Place<'_> {
    Place { owner: user_id, column: "totp_key" }
}

pub(super) fn label_place(user_id: &str) -> Place<'_> {
    Place { owner: user_id, column: "totp_label" }
}
