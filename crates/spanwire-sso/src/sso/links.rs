//! Credentials of channels that open sessions of users (reference sso 1.7).

use spanwire_crypto::Secret;
use spanwire_protocol::Timestamp;

use super::login::{Opened, may_log_in};
use super::{Sso, Trail};
use crate::call::Call;
use crate::error::{Result, SsoError, not_allowed};
use crate::id::SESSION_PREFIX;
use crate::operation::Operation;
use crate::rate::Allowance;
use crate::record::{Link, Session};
use crate::status::Code;
use crate::store::Change;

/// What somebody with the password of a security definition is.
#[derive(Clone, Debug)]
pub enum LinkedAuth {
    /// Nobody's user.
    Unlinked,
    /// A user, with this session.
    Opened(Opened),
    /// A user who has called too often.
    TooMany,
}

/// A link as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkView {
    /// Whose.
    pub user_id: String,
    /// Whether it works.
    pub is_active: bool,
    /// When it was made.
    pub creation_time: Timestamp,
    /// `basic_auth` or `jwt`.
    pub auth_type: String,
    /// The name of the security definition.
    pub auth_username: String,
}

impl Sso {
    /// The caller's links, or another user's for super-users.
    ///
    /// # Errors
    /// [`Code::NotAllowed`] for another user without being a super-user.
    pub fn links(
        &self,
        call: &Call,
        token: &Secret,
        user_id: Option<&str>,
    ) -> Result<Vec<LinkView>> {
        self.run(call, Operation::LinkedList, |trail| {
            let caller = self.caller(trail, token)?;
            let user_id = user_id.unwrap_or(&caller.user.user_id);
            if user_id != caller.user.user_id && !caller.user.is_super_user {
                return Err(not_allowed());
            }
            user_id.clone_into(&mut trail.target);
            let mut links = self.store().links_of(user_id)?;
            links.sort_by(|a, b| {
                (&a.auth_type, &a.auth_username).cmp(&(&b.auth_type, &b.auth_username))
            });
            Ok(links.into_iter().map(view).collect())
        })
    }

    /// Links a security definition to a user, for super-users. That there is one of this name is for the caller to know:
    /// `is_known`, which nobody else is told.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] for an unknown definition or type, and for one that is linked; [`Code::UserIdInvalid`].
    pub fn create_link(
        &self,
        call: &Call,
        token: &Secret,
        user_id: &str,
        auth_type: &str,
        auth_username: &str,
        is_active: bool,
        is_known: bool,
    ) -> Result<()> {
        self.run(call, Operation::LinkedCreate, |trail| {
            self.super_caller(trail, token)?;
            trail.target = user_id.chars().take(64).collect();
            let invalid = || SsoError::Refused(Code::InvalidInput);
            if !is_known || !matches!(auth_type, "basic_auth" | "jwt") {
                return Err(invalid());
            }
            // One at a time for each definition: it is one user's.
            let name = self.0.sealer.digest("link", &[auth_type, "\0", auth_username].concat());
            let _one_at_a_time = self.lock(user_id);
            let _one_of_this_definition = self.0.locks.names.lock(&name);
            self.store().user(user_id)?.ok_or(SsoError::Refused(Code::UserIdInvalid))?;
            if self.store().link(auth_type, auth_username)?.is_some() {
                return Err(invalid());
            }
            let link = Link {
                user_id: user_id.to_owned(),
                auth_type: auth_type.to_owned(),
                auth_username: auth_username.to_owned(),
                is_active,
                creation_time: self.now(),
            };
            self.commit(trail, vec![Change::PutLink(link)])
        })
    }

    /// Unlinks a definition, and ends the sessions it opened.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] when there is no such link.
    pub fn delete_link(
        &self,
        call: &Call,
        token: &Secret,
        user_id: &str,
        auth_type: &str,
        auth_username: &str,
    ) -> Result<()> {
        self.run(call, Operation::LinkedDelete, |trail| {
            self.super_caller(trail, token)?;
            trail.target = user_id.chars().take(64).collect();
            let _one_at_a_time = self.lock(user_id);
            let link =
                self.store().link(auth_type, auth_username)?.filter(|link| link.user_id == user_id);
            let link = link.ok_or(SsoError::Refused(Code::InvalidInput))?;
            self.unlink(trail, link)
        })
    }

    /// A security definition is gone, or has another name: nobody else's of its name is linked by that.
    ///
    /// # Errors
    /// Those of the store.
    pub fn forget_definition(
        &self,
        call: &Call,
        auth_type: &str,
        auth_username: &str,
    ) -> Result<()> {
        let Some(link) = self.store().link(auth_type, auth_username)? else { return Ok(()) };
        self.record(call, Operation::LinkedDelete.endpoint().audit, |trail| {
            trail.target.clone_from(&link.user_id);
            let _one_at_a_time = self.lock(&link.user_id);
            match self.store().link(auth_type, auth_username)? {
                Some(now) if now == link => self.unlink(trail, link),
                _ => Ok(()),
            }
        })
    }

    /// The caller holds the user's lock.
    fn unlink(&self, trail: &mut Trail<'_>, link: Link) -> Result<()> {
        let id = ext_id(&link);
        let mut changes = Vec::new();
        for session in self.store().sessions_of(&link.user_id)? {
            if session.ext_session_id.as_ref() == Some(&id) {
                changes.extend(self.end_session(session)?);
            }
        }
        changes.push(Change::DeleteLink(link));
        self.commit(trail, changes)
    }

    /// Whether a security definition is linked to a user.
    ///
    /// # Errors
    /// When the store fails.
    pub fn is_linked(&self, auth_type: &str, auth_username: &str) -> Result<bool> {
        Ok(self.store().link(auth_type, auth_username)?.is_some_and(|link| link.is_active))
    }

    /// Somebody proved to know the password of a security definition: renews the session of the user it is linked to, or
    /// opens one.
    ///
    /// # Errors
    /// Those of a use of a session: the user is locked, somewhere else, …
    pub fn on_linked_auth(
        &self,
        call: &Call,
        auth_type: &str,
        auth_username: &str,
    ) -> Result<LinkedAuth> {
        let link = self.store().link(auth_type, auth_username)?.filter(|link| link.is_active);
        let Some(link) = link else { return Ok(LinkedAuth::Unlinked) };
        let settings = self.settings();
        let app = match call.current_app.as_str() {
            "" => settings.apps.default.clone(),
            app => app.to_owned(),
        };
        let call = Call { current_app: app, ..call.clone() };
        self.record(&call, "session.on_external_auth_succeeded", |trail| {
            self.check_app(&call)?;
            trail.actor.clone_from(&link.user_id);
            trail.target.clone_from(&link.user_id);
            self.linked_session(trail, &link)
        })
    }

    fn linked_session(&self, trail: &mut Trail<'_>, link: &Link) -> Result<LinkedAuth> {
        let settings = self.settings();
        let _one_at_a_time = self.lock(&link.user_id);
        if self.store().link(&link.auth_type, &link.auth_username)?.as_ref() != Some(link) {
            return Err(not_allowed());
        }
        let user = self.store().user(&link.user_id)?.ok_or_else(not_allowed)?;
        may_log_in(&settings, &user, &trail.call.current_app)?;
        self.check_user(&settings, trail.call, &user, true)?;
        let needs_code = user.is_totp_enabled && settings.totp.is_bypassed_by_links != Some(true);
        if needs_code || user.password_must_change {
            return Err(not_allowed());
        }
        if let (Some(true), Some(limits)) = (user.is_rate_limit_active, &user.rate_limit_def) {
            let now = self.0.clock.instant();
            match self.0.rates.take(&user.user_id, limits, &trail.call.addresses, now) {
                Allowance::Yes => {}
                Allowance::TooMany => {
                    "too many calls".clone_into(&mut trail.extra);
                    return Ok(LinkedAuth::TooMany);
                }
                Allowance::NotFromThere => return Err(not_allowed()),
            }
        }
        let id = ext_id(link);
        let now = self.now();
        let former =
            self.store().session_of_link(&id)?.filter(|former| former.user_id == user.user_id);
        let mut changes = Vec::new();
        let session = match former {
            Some(former) if former.expiration_time > now => {
                let mut session = former.clone();
                session.expiration_time = self.renewed_end(&former, now)?;
                let left = former.expiration_time.as_microseconds() - now.as_microseconds();
                let whole = session.expiration_time.as_microseconds() - now.as_microseconds();
                if left >= whole / 2 {
                    // Not every call has to be written down.
                    let token = self.linked_token(&former);
                    return Ok(LinkedAuth::Opened(self.opened(&token, &user, &former, false)));
                }
                let change = Change::PutSession {
                    before: Some(Box::new(former)),
                    after: Box::new(session.clone()),
                };
                changes.push(change);
                session
            }
            former => {
                if let Some(former) = former {
                    changes.extend(self.end_session(former)?);
                }
                let (_, mut session) =
                    self.new_session(trail.call, &user, now, None, &link.auth_type)?;
                session.digest =
                    self.0.sealer.digest("session", self.linked_token(&session).expose());
                session.ext_session_id = Some(id);
                session.auth_principal.clone_from(&link.auth_username);
                changes.push(Change::PutSession { before: None, after: Box::new(session.clone()) });
                session
            }
        };
        self.commit(trail, changes)?;
        let token = self.linked_token(&session);
        Ok(LinkedAuth::Opened(self.opened(&token, &user, &session, false)))
    }

    /// The token of a session that linked credentials opened: whoever has them is given it again, and it is stored nowhere.
    fn linked_token(&self, session: &Session) -> Secret {
        let digest = self.0.sealer.digest("linked-session", &session.handle).to_hex();
        Secret::new([SESSION_PREFIX, digest.get(..32).unwrap_or_default()].concat())
    }
}

fn ext_id(link: &Link) -> String {
    format!("{}.{}", link.auth_type, link.auth_username)
}

fn view(link: Link) -> LinkView {
    LinkView {
        user_id: link.user_id,
        is_active: link.is_active,
        creation_time: link.creation_time,
        auth_type: link.auth_type,
        auth_username: link.auth_username,
    }
}
