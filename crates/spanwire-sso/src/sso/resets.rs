//! Passwords that were forgotten (reference sso 2.5.15): a mail with a token, a key for the token, a new password for both.

use std::sync::Arc;

use spanwire_crypto::Secret;

use super::{Sso, after, minutes};
use crate::call::Call;
use crate::error::{Result, SsoError};
use crate::id::{self, RESET_KEY_PREFIX};
use crate::mail::Template;
use crate::names;
use crate::operation::Operation;
use crate::record::{Approval, Reset, User};
use crate::settings::{SearchBy, Settings};
use crate::status::Code;
use crate::store::Change;

impl Sso {
    /// Sends a mail with a token to the user of a name or an address, if there is one who may have a new password. The
    /// caller is told nothing of that: answer before this is called, or whatever it returns.
    ///
    /// # Errors
    /// [`Code::AppInvalid`], and those of the store.
    pub fn begin_reset(&self, call: &Call, credential: &str) -> Result<()> {
        self.run(call, Operation::ResetBegin, |trail| {
            let settings = self.settings();
            let Some(user) = self.user_to_reset(&settings, credential)? else { return Ok(()) };
            trail.target.clone_from(&user.user_id);
            let _one_at_a_time = self.lock(&user.user_id);
            let Some(user) = self.store().user(&user.user_id)? else { return Ok(()) };
            let Some(email) = self.email_of(&user)? else { return Ok(()) };
            let may_have_one = user.approval_status == Approval::Approved
                && !user.is_locked
                && user.password_is_set;
            if !may_have_one || !self.may_send(call, &email) {
                return Ok(());
            }
            let token = id::new_token("")?;
            let now = self.now();
            let valid_for = settings.password_reset.valid_for.unwrap_or(60);
            let reset = Reset {
                digest: self.0.sealer.digest("reset", token.expose()),
                user_id: user.user_id.clone(),
                creation_time: now,
                expiration_time: after(now, minutes(valid_for)),
                key: None,
            };
            // Only the newest token works.
            let mut changes: Vec<_> = self
                .store()
                .resets_of(&user.user_id)?
                .into_iter()
                .map(Change::DeleteReset)
                .collect();
            changes.push(Change::PutReset(reset));
            let mail =
                self.compose(&settings, Template::PasswordReset, &user, &email, Some(&token))?;
            self.commit(trail, changes)?;
            self.hand_on(mail);
            Ok(())
        })
    }

    fn user_to_reset(&self, settings: &Settings, credential: &str) -> Result<Option<Arc<User>>> {
        let by = settings.password_reset.user_search_by;
        if matches!(by, SearchBy::Username | SearchBy::UsernameOrEmail) {
            let digest = self.0.sealer.digest("name", &names::fold(credential));
            if let Some(id) = self.store().user_named(digest)? {
                return self.store().user(&id);
            }
        }
        if matches!(by, SearchBy::Email | SearchBy::UsernameOrEmail) {
            let found = self.store().users_with_email(self.email_digest(credential))?;
            // Of several users with one address nobody can say which is meant.
            if let [id] = found.as_slice() {
                return self.store().user(id);
            }
        }
        Ok(None)
    }

    /// Takes the token from the mail, once; returns the key for the new password.
    ///
    /// # Errors
    /// [`Code::ResetNotPossible`] for a token that is wrong, used or too old, or whose user may not have a new password.
    pub fn access_reset(&self, call: &Call, token: &Secret) -> Result<Secret> {
        self.run(call, Operation::ResetAccess, |trail| {
            let settings = self.settings();
            let digest = self.0.sealer.digest("reset", token.expose());
            let reset = self.store().reset(digest)?.ok_or_else(impossible)?;
            trail.target.clone_from(&reset.user_id);
            let _one_at_a_time = self.lock(&reset.user_id);
            let now = self.now();
            let reset = self.store().reset(digest)?.ok_or_else(impossible)?;
            if reset.key.is_some() || reset.expiration_time <= now {
                return Err(impossible());
            }
            let user = self.store().user(&reset.user_id)?.ok_or_else(impossible)?;
            self.check_user(&settings, call, &user, false).map_err(|_| impossible())?;
            let key = id::new_token(RESET_KEY_PREFIX)?;
            let until =
                after(now, u64::from(settings.password_reset.password_change_session_duration));
            let key_digest = self.0.sealer.digest("reset-key", key.expose());
            let reset =
                Reset { key: Some((key_digest, until.min(reset.expiration_time))), ..reset };
            self.commit(trail, vec![Change::PutReset(reset)])?;
            Ok(self.0.sealer.wrap(&key))
        })
    }

    /// Sets the new password. A password that is not good enough leaves token and key usable.
    ///
    /// # Errors
    /// [`Code::ResetNotPossible`], the codes of passwords.
    pub fn complete_reset(
        &self,
        call: &Call,
        token: &Secret,
        key: &Secret,
        new: &Secret,
    ) -> Result<()> {
        self.run(call, Operation::ResetComplete, |trail| {
            let settings = self.settings();
            let digest = self.0.sealer.digest("reset", token.expose());
            let key =
                self.0.sealer.unwrap(key.expose(), RESET_KEY_PREFIX).ok_or_else(impossible)?;
            let key = self.0.sealer.digest("reset-key", key.expose());
            let is_good = |reset: &Reset| {
                reset.expiration_time > self.now()
                    && reset
                        .key
                        .is_some_and(|(expected, until)| expected == key && until > self.now())
            };
            let reset = self.store().reset(digest)?.filter(is_good).ok_or_else(impossible)?;
            trail.target.clone_from(&reset.user_id);
            let user = self.store().user(&reset.user_id)?.ok_or_else(impossible)?;
            self.check_user(&settings, call, &user, false).map_err(|_| impossible())?;
            self.check_new_password(&settings, &user, new)?;
            // The token goes with the same change that stores the password: of two at once, one finds it gone.
            self.finish_reset(trail, &reset, new)
        })
    }

    fn finish_reset(
        &self,
        trail: &mut super::Trail<'_>,
        reset: &Reset,
        new: &Secret,
    ) -> Result<()> {
        let settings = self.settings();
        let _one_at_a_time = self.lock(&reset.user_id);
        if self.store().reset(reset.digest)?.as_ref() != Some(reset) {
            return Err(impossible());
        }
        let before = self.store().user(&reset.user_id)?.ok_or_else(impossible)?;
        self.check_user(&settings, trail.call, &before, false).map_err(|_| impossible())?;
        let mut user = User::clone(&before);
        self.put_password(&settings, &mut user, new, false, None, self.now())?;
        let mut changes = Vec::new();
        if settings.password.revoke_sessions_on_change == Some(true) {
            changes.extend(self.end_sessions(&user, None)?);
        }
        changes
            .extend(self.store().resets_of(&reset.user_id)?.into_iter().map(Change::DeleteReset));
        changes.push(Change::PutUser { before: Some(before), after: user.into() });
        self.commit(trail, changes)
    }
}

fn impossible() -> SsoError {
    SsoError::Refused(Code::ResetNotPossible)
}
