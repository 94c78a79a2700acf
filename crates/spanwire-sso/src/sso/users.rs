//! Users: made, read, deleted.

use std::sync::Arc;

use serde_json::json;
use spanwire_crypto::{Secret, password, random, totp as codes};
use spanwire_protocol::Timestamp;

use super::totp;
use super::{LONGEST_NAME, Sso, Trail, after, days, lock};
use crate::call::{Call, NewUser};
use crate::directory::is_able_super_user;
use crate::error::{Result, SsoError, not_allowed};
use crate::id::{USER_PREFIX, new_id};
use crate::names;
use crate::operation::Operation;
use crate::rate;
use crate::record::{Approval, Field, Owner, SignUp, User};
use crate::seal::Place;
use crate::settings::Settings;
use crate::status::Code;
use crate::store::Change;

/// A user as whoever asks may see it. What is `None` inside [`UserView::full`] is not set.
#[derive(Clone, Debug, PartialEq)]
pub struct UserView {
    /// The user name.
    pub username: String,
    /// The address.
    pub email: Option<String>,
    /// Shown to people.
    pub display_name: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Middle name.
    pub middle_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Whether a login needs a code.
    pub is_totp_enabled: bool,
    /// What the authenticator app shows.
    pub totp_label: String,
    /// What only super-users see.
    pub full: Option<Box<FullView>>,
}

/// What only super-users see of a user.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the record of a user")]
pub struct FullView {
    pub user_id: String,
    pub is_active: bool,
    pub is_internal: bool,
    pub is_super_user: bool,
    pub is_approval_needed: bool,
    pub approval_status: Approval,
    pub approval_status_mod_time: Timestamp,
    pub approval_status_mod_by: String,
    pub is_locked: bool,
    pub locked_time: Option<Timestamp>,
    pub locked_by: Option<String>,
    pub creation_ctx: String,
    pub password_expiry: Timestamp,
    pub password_is_set: bool,
    pub password_must_change: bool,
    pub password_last_set: Timestamp,
    pub sign_up_status: SignUp,
    pub sign_up_time: Timestamp,
    pub is_rate_limit_active: Option<bool>,
    pub rate_limit_def: Option<String>,
    pub rate_limit_type: Option<String>,
    pub rate_limit_check_parent_def: Option<bool>,
    pub apps: Vec<String>,
}

impl Sso {
    /// The caller.
    ///
    /// # Errors
    /// Those of a use of the session.
    pub fn current_user(&self, call: &Call, token: &Secret) -> Result<UserView> {
        self.run(call, Operation::GetUser, |trail| {
            let current = self.caller(trail, token)?;
            self.view(&current.user, current.user.is_super_user)
        })
    }

    /// Another user, or oneself, for super-users.
    ///
    /// # Errors
    /// When the caller may not ask; [`Code::NotAllowed`] for an unknown one.
    pub fn user(&self, call: &Call, token: &Secret, user_id: &str) -> Result<UserView> {
        self.run(call, Operation::GetUser, |trail| {
            trail.op = "user.get_user_by_id";
            self.super_caller(trail, token)?;
            let user = self.store().user(user_id)?.ok_or_else(not_allowed)?;
            trail.target.clone_from(&user.user_id);
            self.view(&user, true)
        })
    }

    /// Creates a user, for super-users (reference sso 2.5.4).
    ///
    /// # Errors
    /// When the caller may not; [`Code::UsernameInvalid`], [`Code::UsernameExists`], those of passwords,
    /// [`Code::InvalidInput`].
    pub fn create_user(&self, call: &Call, token: &Secret, new: NewUser) -> Result<UserView> {
        self.run(call, Operation::CreateUser, |trail| {
            let caller = self.super_caller(trail, token)?;
            trail.target.clear();
            let auto = new.auto_approve;
            let by = if auto { "auto" } else { caller.user.user_id.as_str() };
            let new = NewUser { is_super_user: false, password_hash: None, ..new };
            let user = self.create(trail, &new, auto, by, true)?;
            self.view(&user, true)
        })
    }

    /// Creates a user or a super-user, for operators: approved, and able to log in at once.
    ///
    /// # Errors
    /// As [`create_user`](Self::create_user).
    pub fn create_user_as_operator(
        &self,
        call: &Call,
        new: &NewUser,
        checks_password: bool,
    ) -> Result<UserView> {
        let op = if new.is_super_user { "user.create_super_user" } else { "user.create_user" };
        self.record(call, op, |trail| {
            let user = self.create(trail, new, true, "auto", checks_password)?;
            self.view(&user, true)
        })
    }

    fn create(
        &self,
        trail: &mut Trail<'_>,
        new: &NewUser,
        is_approved: bool,
        by: &str,
        checks_password: bool,
    ) -> Result<Arc<User>> {
        let settings = self.settings();
        let mut user = self.new_user(&settings, trail.call, new)?;
        user.sign_up_status = match &new.sign_up_status {
            None => SignUp::Final,
            Some(text) => SignUp::parse(text).ok_or(SsoError::Refused(Code::InvalidInput))?,
        };
        let needs_approval = settings.signup.is_approval_needed && !is_approved;
        user.approval_status =
            if needs_approval { Approval::BeforeDecision } else { Approval::Approved };
        by.clone_into(&mut user.approval_status_mod_by);
        self.give_password(&settings, &mut user, new, checks_password)?;
        self.insert(trail, user, false)
    }

    /// A user as the input says, without a password, who may do nothing yet.
    pub(super) fn new_user(&self, settings: &Settings, call: &Call, new: &NewUser) -> Result<User> {
        let username = new.username.trim().to_owned();
        if username.is_empty() || username.chars().any(char::is_control) {
            return Err(SsoError::Refused(Code::UsernameInvalid));
        }
        if username.chars().count() > LONGEST_NAME {
            return Err(SsoError::Refused(Code::UsernameTooLong));
        }
        let now = self.now();
        let user_id = new_id(USER_PREFIX)?;
        let key = match &new.totp_key {
            Some(key) if !key.expose().is_empty() => {
                codes::canonical_key(key.expose()).ok_or(SsoError::Refused(Code::InvalidInput))?
            }
            _ => codes::new_key()?,
        };
        let [display, first, middle, last] =
            [&new.display_name, &new.first_name, &new.middle_name, &new.last_name]
                .map(|it| names::given(it.as_deref()));
        for name in [&display, &first, &middle, &last].into_iter().flatten() {
            check_name(name)?;
        }
        let email = names::given(new.email.as_deref());
        self.check_email(settings, email.as_deref())?;
        let (email, email_digest) = self.email_fields(settings, &user_id, email.as_deref());
        let label = new.totp_label.as_deref().unwrap_or_default();
        let limit = new.rate_limit_def.as_deref().unwrap_or_default();
        let is_limit = limit.len() <= 4_096 && rate::is_valid(limit);
        if label.chars().count() > LONGEST_NAME || !(limit.is_empty() || is_limit) {
            return Err(SsoError::Refused(Code::InvalidInput));
        }
        if !new.apps.iter().all(|app| settings.apps.all.contains(app)) {
            return Err(SsoError::Refused(Code::AppInvalid));
        }
        let creation_ctx = json!({
            "remote_addr": call.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "user_agent": call.user_agent.chars().take(500).collect::<String>(), "has_remote_addr": !call.addresses.is_empty(), "has_user_agent": !call.user_agent.is_empty(),
            "current_app": call.current_app,
        });
        Ok(User {
            name_digest: self.0.sealer.digest("name", &names::fold(&username)),
            display_name: display.or_else(|| full_name(&[&first, &middle, &last])),
            first_name: first,
            middle_name: middle,
            last_name: last,
            username,
            is_active: true,
            is_internal: false,
            is_super_user: new.is_super_user,
            is_locked: new.is_locked,
            locked_time: new.is_locked.then_some(now),
            locked_by: None,
            creation_ctx: creation_ctx.to_string(),
            approval_status: Approval::BeforeDecision,
            approval_status_mod_time: now,
            approval_status_mod_by: "auto".to_owned(),
            password: String::new(),
            password_is_set: false,
            password_must_change: new.password_must_change,
            password_last_set: now,
            password_expiry: after(now, days(settings.password.expiry)),
            password_history: Vec::new(),
            sign_up_status: SignUp::BeforeConfirmation,
            sign_up_time: now,
            sign_up_confirm_time: None,
            confirm_digest: None,
            email,
            email_digest,
            is_rate_limit_active: new.is_rate_limit_active,
            rate_limit_type: new.is_rate_limit_active.map(|_| "EXACT".to_owned()),
            rate_limit_def: new.rate_limit_def.clone(),
            rate_limit_check_parent_def: None,
            is_totp_enabled: new.is_totp_enabled,
            totp_key: Some(self.0.sealer.seal(totp::place(&user_id), key.expose())),
            totp_label: Some(self.0.sealer.seal(totp::label_place(&user_id), label)),
            totp_last_step: None,
            apps: new.apps.clone(),
            was_welcomed: true,
            user_id,
        })
    }

    pub(super) fn give_password(
        &self,
        settings: &Settings,
        user: &mut User,
        new: &NewUser,
        checks_password: bool,
    ) -> Result<()> {
        let must_change = new.password_must_change;
        let now = self.now();
        if let Some(hash) = &new.password_hash {
            password::check(hash).map_err(|_| SsoError::Refused(Code::PasswordInvalid))?;
            user.password =
                self.0.sealer.store_hash(&user.user_id, hash, settings.encrypt_password);
            user.password_is_set = true;
            return Ok(());
        }
        match new.password.as_ref().filter(|password| !password.expose().is_empty()) {
            Some(given) => {
                if checks_password {
                    self.check_new_password(settings, user, given)?;
                }
                self.put_password(settings, user, given, must_change, None, now)
            }
            None => self.put_password(settings, user, &random::password()?, must_change, None, now),
        }
    }

    /// Stores a new user, unless somebody has the name.
    pub(super) fn insert(
        &self,
        trail: &mut Trail<'_>,
        user: User,
        is_signup: bool,
    ) -> Result<Arc<User>> {
        let settings = self.settings();
        let _one_of_this_name = self.0.locks.names.lock(&user.name_digest);
        let _one_of_this_email = user.email_digest.map(|email| self.0.locks.emails.lock(&email));
        self.check_unique(&user, true, is_signup || settings.email_format_check == Some(true))?;
        trail.target.clone_from(&user.user_id);
        let user = Arc::new(user);
        self.commit(trail, vec![Change::PutUser { before: None, after: Arc::clone(&user) }])?;
        Ok(user)
    }

    /// Whether a user could be made, as far as that can be known without a password being hashed.
    ///
    /// # Errors
    /// As [`create_user_as_operator`](Self::create_user_as_operator).
    pub(crate) fn check_new_user(&self, call: &Call, new: &NewUser) -> Result<()> {
        let settings = self.settings();
        let user = self.new_user(&settings, call, new)?;
        if let Some(given) = &new.password {
            self.check_new_password(&settings, &user, given)?;
        }
        self.check_unique(&user, true, settings.email_format_check == Some(true))
    }

    /// Whether nobody else has the name, or the address, as far as they are to be looked at. The caller holds their locks.
    pub(super) fn check_unique(&self, user: &User, name: bool, email: bool) -> Result<()> {
        let is_other = |id: &String| *id != user.user_id;
        if name && self.store().user_named(user.name_digest)?.is_some_and(|id| is_other(&id)) {
            return Err(SsoError::Refused(Code::UsernameExists));
        }
        if email
            && let Some(email) = user.email_digest
            && self.store().users_with_email(email)?.iter().any(is_other)
        {
            return Err(SsoError::Refused(Code::EmailExists));
        }
        Ok(())
    }

    /// Deletes a user with all that is the user's, for super-users; never oneself, nor the last super-user.
    ///
    /// # Errors
    /// When the caller may not; [`Code::InvalidOperation`], also for an unknown one.
    pub fn delete_user(&self, call: &Call, token: &Secret, user_id: &str) -> Result<()> {
        self.run(call, Operation::DeleteUser, |trail| {
            let caller = self.super_caller(trail, token)?;
            trail.target = user_id.to_owned();
            if caller.user.user_id == user_id || self.store().user(user_id)?.is_none() {
                return Err(SsoError::Refused(Code::InvalidOperation));
            }
            self.delete(trail, user_id)
        })
    }

    /// The same for operators.
    ///
    /// # Errors
    /// [`Code::UserIdInvalid`], [`Code::InvalidOperation`].
    pub fn delete_user_as_operator(&self, call: &Call, username: &str) -> Result<()> {
        self.record(call, "user.delete_user_by_username", |trail| {
            let user = self.user_named(trail, username)?;
            self.delete(trail, &user.user_id)
        })
    }

    fn delete(&self, trail: &mut Trail<'_>, user_id: &str) -> Result<()> {
        let _super_users = lock(&self.0.locks.super_users);
        let _one_at_a_time = self.lock(user_id);
        let user = self.store().user(user_id)?.ok_or(SsoError::Refused(Code::UserIdInvalid))?;
        self.keep_a_super_user(&user, None)?;
        let mut changes = self.end_sessions(&user, None)?;
        let owner = Owner::User(user.user_id.clone());
        let attributes = self.store().attributes(&owner)?;
        changes.extend(
            attributes.into_iter().map(|it| Change::DeleteAttribute(owner.clone(), it.name)),
        );
        changes.extend(self.store().links_of(user_id)?.into_iter().map(Change::DeleteLink));
        changes.extend(self.store().resets_of(user_id)?.into_iter().map(Change::DeleteReset));
        changes.push(Change::DeleteUser(user));
        self.commit(trail, changes)
    }

    /// Refuses a change after which no super-user could log in. The caller holds the lock of super-users.
    pub(super) fn keep_a_super_user(&self, before: &User, after: Option<&User>) -> Result<()> {
        let is_lost = is_able_super_user(before) && !after.is_some_and(is_able_super_user);
        if is_lost && self.0.directory.super_users() <= 1 {
            return Err(SsoError::Refused(Code::InvalidOperation));
        }
        Ok(())
    }

    /// The user of a name, for operators: also one who was not approved.
    pub(super) fn user_named(&self, trail: &mut Trail<'_>, username: &str) -> Result<Arc<User>> {
        let digest = self.0.sealer.digest("name", &names::fold(username));
        let unknown = || SsoError::Refused(Code::UserIdInvalid);
        let id = self.store().user_named(digest)?.ok_or_else(unknown)?;
        let user = self.store().user(&id)?.ok_or_else(unknown)?;
        trail.target.clone_from(&user.user_id);
        Ok(user)
    }

    /// One user, for operators.
    ///
    /// # Errors
    /// [`Code::UserIdInvalid`].
    pub fn user_as_operator(&self, call: &Call, username: &str) -> Result<UserView> {
        self.record(call, "user.get_user_by_username", |trail| {
            let user = self.user_named(trail, username)?;
            self.view(&user, true)
        })
    }

    pub(super) fn check_email(&self, settings: &Settings, email: Option<&str>) -> Result<()> {
        let Some(email) = email else { return Ok(()) };
        if email.chars().count() > LONGEST_NAME {
            return Err(SsoError::Refused(Code::EmailTooLong));
        }
        if settings.email_format_check == Some(true) && !names::is_email(email) {
            return Err(SsoError::Refused(Code::EmailInvalid));
        }
        Ok(())
    }

    pub(super) fn email_fields(
        &self,
        settings: &Settings,
        user_id: &str,
        email: Option<&str>,
    ) -> (Option<Field>, Option<crate::record::Digest>) {
        let Some(email) = email else { return (None, None) };
        let field = match settings.encrypt_email {
            true => self.0.sealer.seal(email_place(user_id), email),
            false => Field::Plain(email.to_owned()),
        };
        let is_indexed = settings.email_index || !settings.encrypt_email;
        (Some(field), is_indexed.then(|| self.email_digest(email)))
    }

    pub(super) fn email_digest(&self, email: &str) -> crate::record::Digest {
        self.0.sealer.digest("email", &names::fold(email))
    }

    pub(super) fn email_of(&self, user: &User) -> Result<Option<Secret>> {
        user.email
            .as_ref()
            .map(|field| self.0.sealer.open(email_place(&user.user_id), field))
            .transpose()
    }

    /// What somebody sees of a user.
    pub(super) fn view(&self, user: &User, is_full: bool) -> Result<UserView> {
        // One field that cannot be read takes nothing from the others: it is shown as it is stored.
        let shown = |place, field: &Field| match self.0.sealer.open(place, field) {
            Ok(text) => text.expose().to_owned(),
            Err(error) => {
                tracing::error!(user_id = user.user_id, %error, "a field of a user cannot be read");
                match field {
                    Field::Plain(text) | Field::Sealed(text) => text.clone(),
                }
            }
        };
        let label =
            user.totp_label.as_ref().map(|label| shown(totp::label_place(&user.user_id), label));
        Ok(UserView {
            username: user.username.clone(),
            email: user.email.as_ref().map(|email| shown(email_place(&user.user_id), email)),
            display_name: user.display_name.clone(),
            first_name: user.first_name.clone(),
            middle_name: user.middle_name.clone(),
            last_name: user.last_name.clone(),
            is_totp_enabled: user.is_totp_enabled,
            totp_label: label.unwrap_or_default(),
            full: is_full.then(|| Box::new(FullView::of(user))),
        })
    }
}

impl FullView {
    fn of(user: &User) -> Self {
        Self {
            user_id: user.user_id.clone(),
            is_active: user.is_active,
            is_internal: user.is_internal,
            is_super_user: user.is_super_user,
            is_approval_needed: user.approval_status != Approval::Approved,
            approval_status: user.approval_status,
            approval_status_mod_time: user.approval_status_mod_time,
            approval_status_mod_by: user.approval_status_mod_by.clone(),
            is_locked: user.is_locked,
            locked_time: user.locked_time,
            locked_by: user.locked_by.clone(),
            creation_ctx: user.creation_ctx.clone(),
            password_expiry: user.password_expiry,
            password_is_set: user.password_is_set,
            password_must_change: user.password_must_change,
            password_last_set: user.password_last_set,
            sign_up_status: user.sign_up_status,
            sign_up_time: user.sign_up_time,
            is_rate_limit_active: user.is_rate_limit_active,
            rate_limit_def: user.rate_limit_def.clone(),
            rate_limit_type: user.rate_limit_type.clone(),
            rate_limit_check_parent_def: user.rate_limit_check_parent_def,
            apps: user.apps.clone(),
        }
    }
}

pub(super) fn email_place(user_id: &str) -> Place<'_> {
    Place { owner: user_id, column: "email" }
}

/// First, middle and last name in a row.
pub(super) fn full_name(parts: &[&Option<String>]) -> Option<String> {
    let parts: Vec<&str> = parts.iter().filter_map(|part| part.as_deref()).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

pub(super) fn check_name(name: &str) -> Result<()> {
    match name.chars().count() <= LONGEST_NAME && !name.contains('\0') {
        true => Ok(()),
        false => Err(SsoError::Refused(Code::InvalidInput)),
    }
}
