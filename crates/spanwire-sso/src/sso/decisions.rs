//! What super-users decide: approval, locks.

use spanwire_crypto::Secret;

use super::update::decide;
use super::{Sso, Trail, lock};
use crate::call::Call;
use crate::error::{Result, SsoError};
use crate::operation::Operation;
use crate::record::{Approval, User};
use crate::status::Code;
use crate::store::Change;

impl Sso {
    /// Approves a user; doing it again changes nothing. The last of approval and confirmation sends the welcome.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] for callers who are no super-users; [`Code::UserIdInvalid`].
    pub fn approve(&self, call: &Call, token: &Secret, user_id: &str) -> Result<()> {
        self.decide(call, Operation::Approve, token, user_id, Approval::Approved)
    }

    /// Rejects a user, whose sessions are of no use from then on; a mail says so if the settings want one.
    ///
    /// # Errors
    /// As [`approve`](Self::approve); [`Code::InvalidOperation`] for the last super-user.
    pub fn reject(&self, call: &Call, token: &Secret, user_id: &str) -> Result<()> {
        self.decide(call, Operation::Reject, token, user_id, Approval::Rejected)
    }

    fn decide(
        &self,
        call: &Call,
        operation: Operation,
        token: &Secret,
        user_id: &str,
        status: Approval,
    ) -> Result<()> {
        self.run(call, operation, |trail| {
            let caller = self.caller(trail, token)?;
            if !caller.user.is_super_user {
                return Err(SsoError::Refused(Code::InvalidInput));
            }
            let by = caller.user.user_id.clone();
            self.change(trail, user_id, |user| {
                if user.approval_status != status {
                    decide(user, status, &by, self.now());
                }
            })
        })
    }

    /// Locks a user out.
    ///
    /// # Errors
    /// When the caller is no super-user; [`Code::UserIdInvalid`]; [`Code::InvalidOperation`] for the last super-user.
    pub fn lock_user(&self, call: &Call, token: &Secret, user_id: &str) -> Result<()> {
        self.lock_or_unlock(call, Operation::Lock, token, user_id, true)
    }

    /// Lets a locked user in again.
    ///
    /// # Errors
    /// As [`lock_user`](Self::lock_user).
    pub fn unlock_user(&self, call: &Call, token: &Secret, user_id: &str) -> Result<()> {
        self.lock_or_unlock(call, Operation::Unlock, token, user_id, false)
    }

    fn lock_or_unlock(
        &self,
        call: &Call,
        operation: Operation,
        token: &Secret,
        user_id: &str,
        is_locked: bool,
    ) -> Result<()> {
        self.run(call, operation, |trail| {
            let caller = self.super_caller(trail, token)?;
            let by = caller.user.user_id.clone();
            self.put_lock(trail, user_id, is_locked, &by)
        })
    }

    /// Locks or unlocks a user, for operators.
    ///
    /// # Errors
    /// [`Code::UserIdInvalid`], [`Code::InvalidOperation`].
    pub fn lock_as_operator(&self, call: &Call, username: &str, is_locked: bool) -> Result<()> {
        let operation = if is_locked { Operation::Lock } else { Operation::Unlock };
        self.record(call, operation.endpoint().audit, |trail| {
            let user = self.user_named(trail, username)?;
            self.put_lock(trail, &user.user_id, is_locked, &call.operator)
        })
    }

    fn put_lock(
        &self,
        trail: &mut Trail<'_>,
        user_id: &str,
        is_locked: bool,
        by: &str,
    ) -> Result<()> {
        self.change(trail, user_id, |user| {
            user.is_locked = is_locked;
            (user.locked_time, user.locked_by) = (Some(self.now()), Some(by.to_owned()));
        })
    }

    /// Changes a user on whom other super-users may depend.
    fn change(
        &self,
        trail: &mut Trail<'_>,
        user_id: &str,
        change: impl FnOnce(&mut User),
    ) -> Result<()> {
        trail.target = user_id.chars().take(64).collect();
        let settings = self.settings();
        let _super_users = lock(&self.0.locks.super_users);
        let _one_at_a_time = self.lock(user_id);
        let before = self.store().user(user_id)?.ok_or(SsoError::Refused(Code::UserIdInvalid))?;
        let mut user = User::clone(&before);
        change(&mut user);
        self.keep_a_super_user(&before, Some(&user))?;
        let notice = self.decided(&settings, &before, &mut user);
        if user != *before {
            self.commit(trail, vec![Change::PutUser { before: Some(before), after: user.into() }])?;
        }
        self.send(trail.call, notice);
        Ok(())
    }
}
