//! Changing passwords (reference sso 2.5.7).

use spanwire_crypto::{Secret, random};

use super::{Sso, Trail};
use crate::call::Call;
use crate::error::{Result, SsoError};
use crate::operation::Operation;
use crate::record::{Digest, User};
use crate::status::Code;
use crate::store::Change;

/// A change of a password.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    /// The new one.
    pub new: Secret,
    /// The one so far; needed for one's own.
    pub old: Option<Secret>,
    /// Days until it expires; super-users only, others' are not looked at.
    pub expiry_days: Option<u32>,
    /// Whether it has to be changed at the next login; the same.
    pub must_change: Option<bool>,
}

impl Sso {
    /// Changes the caller's password, or another user's (super-users, without the old one).
    ///
    /// # Errors
    /// [`Code::NotAllowed`] for a wrong old one, or a new one of one's own that is not good enough; the codes of passwords
    /// for super-users; [`Code::InvalidInput`] for another user without being a super-user.
    pub fn change_password(
        &self,
        call: &Call,
        token: &Secret,
        user_id: Option<&str>,
        change: &PasswordChange,
    ) -> Result<()> {
        self.run(call, Operation::ChangePassword, |trail| {
            let caller = self.caller(trail, token)?;
            let is_super = caller.user.is_super_user;
            let target = user_id.unwrap_or(&caller.user.user_id).to_owned();
            let is_own = target == caller.user.user_id;
            if !is_own && !is_super {
                return Err(SsoError::Refused(Code::InvalidInput));
            }
            if is_own {
                let old = change.old.clone().unwrap_or_else(|| Secret::new(String::new()));
                self.check_password(trail, &caller.user.username, &old)?;
            }
            trail.target.clone_from(&target);
            let change = if is_super {
                change.clone()
            } else {
                PasswordChange { expiry_days: None, must_change: None, ..change.clone() }
            };
            let changed = self.put_new_password(
                trail,
                &target,
                &change,
                is_own.then_some(caller.session.digest),
            );
            match changed {
                // Whoever only has a session does not learn what the rules are.
                Err(SsoError::Refused(code)) if is_own => Err(SsoError::Hidden(code)),
                other => other,
            }
        })
    }

    /// Changes a password, for operators. A random one is made without one; it is returned.
    ///
    /// # Errors
    /// [`Code::UserIdInvalid`], the codes of passwords.
    pub fn change_password_as_operator(
        &self,
        call: &Call,
        username: &str,
        new: Option<Secret>,
        expiry_days: Option<u32>,
        must_change: Option<bool>,
    ) -> Result<Secret> {
        self.record(call, "user.set_password", |trail| {
            let user = self.user_named(trail, username)?;
            let is_given = new.is_some();
            let new = new.map_or_else(random::password, Ok)?;
            let change = PasswordChange { new: new.clone(), old: None, expiry_days, must_change };
            if is_given {
                self.put_new_password(trail, &user.user_id, &change, None)?;
            } else {
                self.store_password(trail, &user.user_id, &change, None, false)?;
            }
            Ok(new)
        })
    }

    fn put_new_password(
        &self,
        trail: &mut Trail<'_>,
        user_id: &str,
        change: &PasswordChange,
        keeps: Option<Digest>,
    ) -> Result<()> {
        self.store_password(trail, user_id, change, keeps, true)
    }

    fn store_password(
        &self,
        trail: &mut Trail<'_>,
        user_id: &str,
        change: &PasswordChange,
        keeps: Option<Digest>,
        checks: bool,
    ) -> Result<()> {
        let settings = self.settings();
        let _one_at_a_time = self.lock(user_id);
        let before = self.store().user(user_id)?.ok_or(SsoError::Refused(Code::UserIdInvalid))?;
        if checks {
            self.check_new_password(&settings, &before, &change.new)?;
        }
        let mut user = User::clone(&before);
        let must_change =
            change.must_change.unwrap_or(before.password_must_change && keeps.is_none());
        self.put_password(
            &settings,
            &mut user,
            &change.new,
            must_change,
            change.expiry_days,
            self.now(),
        )?;
        let mut changes = Vec::new();
        if settings.password.revoke_sessions_on_change == Some(true) {
            changes.extend(self.end_sessions(&user, keeps)?);
        }
        // Whoever asked for a link before has a new password now.
        changes.extend(self.store().resets_of(user_id)?.into_iter().map(Change::DeleteReset));
        changes.push(Change::PutUser { before: Some(before), after: user.into() });
        self.commit(trail, changes)
    }

    /// Whether a password would be taken for a new user.
    ///
    /// # Errors
    /// The codes of passwords.
    pub fn validate_password(&self, password: &Secret) -> Result<()> {
        crate::policy::check_password(&self.settings(), password, &[]).map_err(SsoError::Refused)
    }
}
