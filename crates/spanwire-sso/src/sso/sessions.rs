//! Sessions: checked at each use, renewed, listed, ended.

use std::sync::Arc;

use spanwire_crypto::Secret;
use spanwire_protocol::Timestamp;

use super::login::{Authenticated, state_change};
use super::{Sso, Trail, after, minutes};
use crate::call::Call;
use crate::error::{Result, SsoError, not_allowed};
use crate::id::SESSION_PREFIX;
use crate::operation::Operation;
use crate::record::{Session, StateChange, User};
use crate::status::Code;
use crate::store::Change;

/// A session as lists show it.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionView {
    /// Stands for the session; opens nothing.
    pub handle: String,
    /// Whose it is.
    pub user_id: String,
    /// `default`, `basic_auth` or `jwt`.
    pub auth_type: String,
    /// The user name it was opened with.
    pub auth_principal: String,
    /// When it began.
    pub creation_time: Timestamp,
    /// When it ends.
    pub expiration_time: Timestamp,
    /// From where.
    pub remote_addr: String,
    /// With what.
    pub user_agent: String,
    /// Of linked credentials.
    pub ext_session_id: Option<String>,
    /// What it was used for.
    pub session_state_change_list: Vec<StateChange>,
}

/// How a session stands that somebody holds on to by its handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// It is good.
    Good(Authenticated),
    /// It is over.
    Over,
}

/// A session that was found good, and whose it is.
pub(crate) struct Current {
    pub(crate) session: Session,
    pub(crate) user: Arc<User>,
}

impl Current {
    pub(crate) fn authenticated(&self) -> Authenticated {
        Authenticated {
            user_id: self.user.user_id.clone(),
            username: self.user.username.clone(),
            is_super_user: self.user.is_super_user,
            handle: self.session.handle.clone(),
            expiration_time: self.session.expiration_time,
        }
    }
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        Self {
            handle: session.handle,
            user_id: session.user_id,
            auth_type: session.auth_type,
            auth_principal: session.auth_principal,
            creation_time: session.creation_time,
            expiration_time: session.expiration_time,
            remote_addr: session.remote_addr,
            user_agent: session.user_agent,
            ext_session_id: session.ext_session_id,
            session_state_change_list: session.changes,
        }
    }
}

impl Sso {
    /// Who has a session, without a record: for channels that check it at each call.
    ///
    /// # Errors
    /// As for every use of a session.
    pub fn authenticate(&self, call: &Call, token: &Secret) -> Result<Authenticated> {
        self.check_app(call)?;
        Ok(self.session_of(call, token)?.authenticated())
    }

    /// How the session of a handle stands, for those who keep a connection open because of it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn session_state(&self, call: &Call, user_id: &str, handle: &str) -> Result<SessionState> {
        let (session, user) = match self.session_by_handle(user_id, handle) {
            Err(SsoError::Refused(_)) => return Ok(SessionState::Over),
            found => found?,
        };
        match self.check_user(&self.settings(), call, &user, true) {
            Ok(()) => Ok(SessionState::Good(Current { session, user }.authenticated())),
            Err(SsoError::Refused(_) | SsoError::Hidden(_)) => Ok(SessionState::Over),
            Err(error) => Err(error),
        }
    }

    /// Renews the session of a handle as its owner would, for those who keep a connection open because of it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn renew_session_of(
        &self,
        call: &Call,
        user_id: &str,
        handle: &str,
    ) -> Result<SessionState> {
        let renewed = self.record(call, Operation::SessionRenew.endpoint().audit, |trail| {
            let (session, user) = self.session_by_handle(user_id, handle)?;
            trail.actor.clone_from(&user.user_id);
            trail.target.clone_from(&user.user_id);
            self.check_user(&self.settings(), call, &user, true)?;
            let _one_at_a_time = self.lock(user_id);
            let before = self.store().session(session.digest)?;
            let before = before.ok_or(SsoError::Refused(Code::NoSuchSession))?;
            let session = Session {
                expiration_time: self.renewed_end(&before, self.now())?,
                ..before.clone()
            };
            let after = Box::new(session.clone());
            self.commit(trail, vec![Change::PutSession { before: Some(Box::new(before)), after }])?;
            Ok(Current { session, user }.authenticated())
        });
        match renewed {
            Ok(user) => Ok(SessionState::Good(user)),
            Err(SsoError::Refused(_) | SsoError::Hidden(_)) => Ok(SessionState::Over),
            Err(error) => Err(error),
        }
    }

    /// Ends the session of a handle, as a logout does. It is no error if there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn end_session_of(&self, call: &Call, user_id: &str, handle: &str) -> Result<()> {
        self.record(call, Operation::Logout.endpoint().audit, |trail| {
            let _one_at_a_time = self.lock(user_id);
            let (session, user) = match self.session_by_handle(user_id, handle) {
                Err(SsoError::Refused(_)) => return Ok(()),
                found => found?,
            };
            trail.actor.clone_from(&user.user_id);
            trail.target.clone_from(&user.user_id);
            let changes = self.end_session(session)?;
            self.commit(trail, changes)
        })
    }

    fn session_by_handle(&self, user_id: &str, handle: &str) -> Result<(Session, Arc<User>)> {
        let none = || SsoError::Refused(Code::NoSuchSession);
        let user = self.store().user(user_id)?.ok_or_else(none)?;
        let now = self.now();
        let is_it = |session: &Session| session.handle == handle && now < session.expiration_time;
        let session =
            self.store().sessions_of(user_id)?.into_iter().find(is_it).ok_or_else(none)?;
        Ok((session, user))
    }

    /// The session of a token, if it is good now.
    pub(crate) fn session_of(&self, call: &Call, token: &Secret) -> Result<Current> {
        let current = self.find_session(token)?;
        self.check_user(&self.settings(), call, &current.user, true)?;
        Ok(current)
    }

    /// The session of a token that has not ended, whatever its user may do.
    pub(crate) fn find_session(&self, token: &Secret) -> Result<Current> {
        let none = || SsoError::Refused(Code::NoSuchSession);
        let plain = self.0.sealer.unwrap(token.expose(), SESSION_PREFIX).ok_or_else(none)?;
        let digest = self.0.sealer.digest("session", plain.expose());
        let session = self.store().session(digest)?.ok_or_else(none)?;
        if session.expiration_time <= self.now() {
            return Err(none());
        }
        let user = self.store().user(&session.user_id)?.ok_or_else(none)?;
        Ok(Current { session, user })
    }

    /// The caller's session; slides its end if that is wanted.
    pub(crate) fn caller(&self, trail: &mut Trail<'_>, token: &Secret) -> Result<Current> {
        let current = self.session_of(trail.call, token)?;
        trail.actor.clone_from(&current.user.user_id);
        trail.target.clone_from(&current.user.user_id);
        if self.settings().session.sliding {
            return self.slide(trail.call, current);
        }
        Ok(current)
    }

    /// The same for what only super-users may.
    pub(crate) fn super_caller(&self, trail: &mut Trail<'_>, token: &Secret) -> Result<Current> {
        let current = self.caller(trail, token)?;
        if current.user.is_super_user { Ok(current) } else { Err(not_allowed()) }
    }

    /// Moves the end of a session without a record. Once in a minute is enough.
    fn slide(&self, call: &Call, current: Current) -> Result<Current> {
        let now = self.now();
        let end = self.renewed_end(&current.session, now)?;
        let is_worth_it =
            end.as_microseconds() - current.session.expiration_time.as_microseconds() > 60_000_000;
        if !is_worth_it {
            return Ok(current);
        }
        let _one_at_a_time = self.lock(&current.user.user_id);
        let Some(before) = self.store().session(current.session.digest)? else {
            return Err(SsoError::Refused(Code::NoSuchSession));
        };
        let session = Session { expiration_time: end, ..before.clone() };
        let mut trail = Trail {
            call,
            op: "session.renew",
            actor: current.user.user_id.clone(),
            target: current.user.user_id.clone(),
            extra: "sliding".to_owned(),
            is_recorded: false,
        };
        let after = Box::new(session.clone());
        self.commit(
            &mut trail,
            vec![Change::PutSession { before: Some(Box::new(before)), after }],
        )?;
        Ok(Current { session, user: current.user })
    }

    /// Until when a session is renewed now; an error once no renewal helps.
    pub(super) fn renewed_end(&self, session: &Session, now: Timestamp) -> Result<Timestamp> {
        let settings = self.settings();
        let expiry = if session.minutes > 0 { session.minutes } else { settings.session.expiry };
        let mut end = after(now, minutes(expiry));
        if let Some(most @ 1..) = settings.session.max_lifetime {
            let last = after(session.auth_time, minutes(most));
            if last <= now {
                return Err(SsoError::Refused(Code::NoSuchSession));
            }
            end = end.min(last);
        }
        Ok(end)
    }

    /// Renews the caller's session (reference sso 2.5.11); tells until when it is good.
    ///
    /// # Errors
    /// Those of a use of the session; [`Code::NoSuchSession`] past its longest life.
    pub fn renew(&self, call: &Call, token: &Secret) -> Result<Timestamp> {
        self.run(call, Operation::SessionRenew, |trail| {
            let current = self.session_of(call, token)?;
            trail.actor.clone_from(&current.user.user_id);
            trail.target.clone_from(&current.user.user_id);
            let _one_at_a_time = self.lock(&current.user.user_id);
            let before = self.store().session(current.session.digest)?;
            let before = before.ok_or(SsoError::Refused(Code::NoSuchSession))?;
            let now = self.now();
            let mut session = before.clone();
            session.expiration_time = self.renewed_end(&before, now)?;
            let idx = session.changes.last().map_or(0, |last| last.idx) + 1;
            session.changes.push(state_change(call, now, "renew", idx));
            let excess = session.changes.len().saturating_sub(MOST_CHANGES);
            session.changes.drain(..excess);
            let end = session.expiration_time;
            let change =
                Change::PutSession { before: Some(Box::new(before)), after: Box::new(session) };
            self.commit(trail, vec![change])?;
            Ok(end)
        })
    }

    /// Ends a session. It is no error if there is none.
    ///
    /// # Errors
    /// [`Code::AppInvalid`], and those of the store.
    pub fn logout(&self, call: &Call, token: &Secret) -> Result<()> {
        self.run(call, Operation::Logout, |trail| {
            // A user who is locked, or somewhere else, logs out all the same.
            let current = match self.find_session(token) {
                Ok(current) => current,
                Err(SsoError::Refused(_)) => return Ok(()),
                Err(error) => return Err(error),
            };
            trail.actor.clone_from(&current.user.user_id);
            trail.target.clone_from(&current.user.user_id);
            let _one_at_a_time = self.lock(&current.user.user_id);
            // It may have been renewed, or have ended, since.
            let Some(session) = self.store().session(current.session.digest)? else {
                return Ok(());
            };
            let changes = self.end_session(session)?;
            self.commit(trail, changes)
        })
    }

    /// The same for operators.
    ///
    /// # Errors
    /// Those of the store.
    pub fn logout_as_operator(&self, call: &Call, token: &Secret) -> Result<()> {
        let app = self.settings().apps.default.clone();
        self.logout(&Call { current_app: app, ..call.clone() }, token)
    }

    /// Whether a session is good, for super-users. The target's own rules hold for its session; where the super-user is
    /// does not matter to them.
    ///
    /// # Errors
    /// When the caller may not ask.
    pub fn verify(&self, call: &Call, target: &Secret, current: &Secret) -> Result<bool> {
        self.run(call, Operation::SessionVerify, |trail| {
            self.super_caller(trail, current)?;
            if target.expose().is_empty() {
                return Err(SsoError::Refused(Code::NoSuchSession));
            }
            trail.target.clear();
            let found = match self.find_session(target) {
                Ok(found) => found,
                Err(SsoError::Refused(_)) => return Ok(false),
                Err(error) => return Err(error),
            };
            trail.target.clone_from(&found.user.user_id);
            match self.check_state(&self.settings(), &found.user, true) {
                Ok(()) => Ok(true),
                Err(SsoError::Refused(_) | SsoError::Hidden(_)) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    /// A session, for super-users.
    ///
    /// # Errors
    /// When the caller may not ask; [`Code::NoSuchSession`].
    pub fn get_session(
        &self,
        call: &Call,
        target: &Secret,
        current: &Secret,
    ) -> Result<SessionView> {
        self.run(call, Operation::SessionGet, |trail| {
            self.super_caller(trail, current)?;
            trail.target.clear();
            let found = self.find_session(target)?;
            trail.target.clone_from(&found.user.user_id);
            self.check_state(&self.settings(), &found.user, true)?;
            Ok(found.session.into())
        })
    }

    /// The caller's sessions, or those of the user whose session a super-user names.
    ///
    /// # Errors
    /// When the caller may not ask; [`Code::NoSuchSession`].
    pub fn sessions(
        &self,
        call: &Call,
        current: &Secret,
        target: Option<&Secret>,
    ) -> Result<Vec<SessionView>> {
        self.run(call, Operation::SessionList, |trail| {
            let user_id = match target {
                None => self.caller(trail, current)?.user.user_id.clone(),
                Some(target) => {
                    self.super_caller(trail, current)?;
                    let found = self.find_session(target)?;
                    trail.target.clone_from(&found.user.user_id);
                    found.user.user_id.clone()
                }
            };
            self.sessions_now(&user_id)
        })
    }

    /// The sessions of a user, for operators.
    ///
    /// # Errors
    /// [`Code::UserIdInvalid`].
    pub fn sessions_as_operator(&self, call: &Call, username: &str) -> Result<Vec<SessionView>> {
        self.record(call, Operation::SessionList.endpoint().audit, |trail| {
            let user = self.user_named(trail, username)?;
            self.sessions_now(&user.user_id)
        })
    }

    /// Ends all sessions of a user, for operators; tells how many there were.
    ///
    /// # Errors
    /// [`Code::UserIdInvalid`].
    pub fn end_sessions_as_operator(&self, call: &Call, username: &str) -> Result<usize> {
        self.record(call, "session.revoke", |trail| {
            let user = self.user_named(trail, username)?;
            let _one_at_a_time = self.lock(&user.user_id);
            let count = self.sessions_now(&user.user_id)?.len();
            let changes = self.end_sessions(&user, None)?;
            self.commit(trail, changes)?;
            Ok(count)
        })
    }

    fn sessions_now(&self, user_id: &str) -> Result<Vec<SessionView>> {
        let now = self.now();
        let mut sessions = self.store().sessions_of(user_id)?;
        sessions.retain(|session| now < session.expiration_time);
        sessions.sort_by(|a, b| (a.creation_time, &a.handle).cmp(&(b.creation_time, &b.handle)));
        Ok(sessions.into_iter().map(SessionView::from).collect())
    }
}

/// Changes that a session keeps.
const MOST_CHANGES: usize = 100;
