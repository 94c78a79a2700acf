//! Changing fields of a user (reference sso 2.5.4, PATCH).

use serde_json::{Map, Value};
use spanwire_crypto::Secret;
use spanwire_protocol::Timestamp;

use super::users::{check_name, full_name};
use super::{LONGEST_NAME, Sso, lock, totp};
use crate::call::Call;
use crate::error::{Result, SsoError, not_allowed};
use crate::names;
use crate::operation::Operation;
use crate::policy;
use crate::record::{Approval, SignUp, User};
use crate::settings::Settings;
use crate::status::Code;
use crate::store::Change;

impl Sso {
    /// Changes the fields that are in `fields`; others are not looked at, and keys that are no fields are ignored. Without
    /// `user_id` it is the caller; with one, super-users only.
    ///
    /// Turning codes off takes a fresh session, or `totp_code` (W14).
    ///
    /// # Errors
    /// [`Code::MissingInput`], [`Code::InvalidInput`], [`Code::UsernameExists`], those of a use of the session.
    pub fn update_user(
        &self,
        call: &Call,
        token: &Secret,
        user_id: Option<&str>,
        fields: &Map<String, Value>,
    ) -> Result<()> {
        self.run(call, Operation::UpdateUser, |trail| {
            let caller = self.caller(trail, token)?;
            let is_super = caller.user.is_super_user;
            let target = match user_id {
                None => caller.user.user_id.clone(),
                Some(id) if is_super || id == caller.user.user_id => {
                    trail.op = "user.update_user_by_id";
                    id.to_owned()
                }
                Some(_) => return Err(SsoError::Refused(Code::InvalidInput)),
            };
            trail.target.clone_from(&target);
            let given: Vec<_> =
                FIELDS.iter().filter(|(name, _)| fields.contains_key(*name)).collect();
            if given.is_empty() {
                return Err(SsoError::Refused(Code::MissingInput));
            }
            if !is_super && given.iter().any(|(_, may)| *may == May::SuperUser) {
                return Err(SsoError::Refused(Code::InvalidInput));
            }
            trail.extra = given.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(",");
            let settings = self.settings();
            let is_own = target == caller.user.user_id;
            let code = fields.get("totp_code").and_then(Value::as_str);
            let spends_code = match is_own && needs_fresh(&settings, &caller.user, fields)? {
                true => self.check_fresh(call, &caller, code)?,
                false => false,
            };
            // Only what could leave no super-user waits for others that could.
            let decides = given.iter().any(|(name, _)| DECIDES.contains(name));
            let _super_users = decides.then(|| lock(&self.0.locks.super_users));
            let _one_at_a_time = self.lock(&target);
            let before = self.store().user(&target)?.ok_or_else(not_allowed)?;
            let mut user = User::clone(&before);
            for (name, _) in given {
                let value = fields.get(*name).unwrap_or(&Value::Null);
                self.set_field(&settings, &mut user, &caller.user.user_id, name, value)?;
            }
            if spends_code {
                self.spend_code(&settings, &mut user, code)?;
            }
            if decides {
                self.keep_a_super_user(&before, Some(&user))?;
            }
            if !is_super && user.username != before.username {
                may_rename(&settings, &before.username, &user.username)?;
            }
            let is_renamed = user.name_digest != before.name_digest;
            let _one_of_this_name = is_renamed.then(|| self.0.locks.names.lock(&user.name_digest));
            let is_moved = user.email_digest != before.email_digest;
            let _one_of_this_email = user
                .email_digest
                .filter(|_| is_moved)
                .map(|email| self.0.locks.emails.lock(&email));
            self.check_unique(
                &user,
                is_renamed,
                is_moved && settings.email_format_check == Some(true),
            )?;
            let notice = self.decided(&settings, &before, &mut user);
            self.commit(trail, vec![Change::PutUser { before: Some(before), after: user.into() }])?;
            self.send(call, notice);
            Ok(())
        })
    }

    fn set_field(
        &self,
        settings: &Settings,
        user: &mut User,
        by: &str,
        name: &str,
        value: &Value,
    ) -> Result<()> {
        let now = self.now();
        match name {
            "username" => {
                let text = text(value)?.filter(|it| !it.trim().is_empty()).ok_or_else(invalid)?;
                let text = text.trim();
                check_name(text)?;
                if text.chars().any(char::is_control) {
                    return Err(invalid());
                }
                user.name_digest = self.0.sealer.digest("name", &names::fold(text));
                text.clone_into(&mut user.username);
            }
            "email" => {
                let email = names::given(text(value)?.as_deref());
                self.check_email(settings, email.as_deref())?;
                let id = user.user_id.clone();
                (user.email, user.email_digest) =
                    self.email_fields(settings, &id, email.as_deref());
            }
            "display_name" | "first_name" | "middle_name" | "last_name" => {
                let given = names::given(text(value)?.as_deref());
                given.as_deref().map_or(Ok(()), check_name)?;
                match name {
                    "display_name" => user.display_name = given,
                    "first_name" => user.first_name = given,
                    "middle_name" => user.middle_name = given,
                    _ => user.last_name = given,
                }
                if name == "display_name" && user.display_name.is_none() {
                    user.display_name =
                        full_name(&[&user.first_name, &user.middle_name, &user.last_name]);
                }
            }
            "is_totp_enabled" => user.is_totp_enabled = boolean(value)?,
            "totp_label" => {
                let label = text(value)?.unwrap_or_default();
                if label.chars().count() > LONGEST_NAME {
                    return Err(invalid());
                }
                user.totp_label =
                    Some(self.0.sealer.seal(totp::label_place(&user.user_id), &label));
            }
            "is_locked" => {
                user.is_locked = boolean(value)?;
                (user.locked_time, user.locked_by) = (Some(now), Some(by.to_owned()));
            }
            "password_expiry" => {
                let time = text(value)?.and_then(|it| Timestamp::parse(it.trim()));
                user.password_expiry = time.ok_or_else(invalid)?;
            }
            "password_must_change" => user.password_must_change = boolean(value)?,
            "sign_up_status" => {
                let status = text(value)?.and_then(|it| SignUp::parse(&it)).ok_or_else(invalid)?;
                if status == SignUp::Final && user.sign_up_status != status {
                    (user.sign_up_confirm_time, user.confirm_digest) = (Some(now), None);
                }
                user.sign_up_status = status;
            }
            "approval_status" => {
                let status =
                    text(value)?.and_then(|it| Approval::parse(&it)).ok_or_else(invalid)?;
                decide(user, status, by, now);
            }
            "apps" => {
                let Value::Array(apps) = value else { return Err(invalid()) };
                let apps =
                    apps.iter().map(|app| app.as_str().map(str::to_owned).ok_or_else(invalid));
                user.apps = apps.collect::<Result<_>>()?;
                if !user.apps.iter().all(|app| settings.apps.all.contains(app)) {
                    return Err(SsoError::Refused(Code::AppInvalid));
                }
            }
            _ => return Err(invalid()),
        }
        Ok(())
    }
}

pub(super) fn decide(user: &mut User, status: Approval, by: &str, now: Timestamp) {
    user.approval_status = status;
    user.approval_status_mod_time = now;
    by.clone_into(&mut user.approval_status_mod_by);
}

fn text(value: &Value) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        _ => Err(invalid()),
    }
}

/// Yes or no, also in the words of a query.
fn boolean(value: &Value) -> Result<bool> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "on" | "1" | "yes" => Ok(true),
            "false" | "off" | "0" | "no" => Ok(false),
            _ => Err(invalid()),
        },
        _ => Err(invalid()),
    }
}

/// Whether a change of oneself takes a fresh login: taking the second factor away, or moving to where new passwords go.
fn needs_fresh(settings: &Settings, user: &User, fields: &Map<String, Value>) -> Result<bool> {
    let turns_off = match fields.get("is_totp_enabled") {
        Some(value) => !boolean(value)? && user.is_totp_enabled,
        None => false,
    };
    let moves = settings.email_change_needs_fresh_login == Some(true) && user.email.is_some();
    Ok(turns_off || moves && fields.contains_key("email"))
}

/// Whether a regular user may take another name: not one that is kept for others, and not to get away from a rule.
fn may_rename(settings: &Settings, before: &str, after: &str) -> Result<()> {
    let is_listed = |name: &str| {
        settings.user_address_list.keys().any(|it| names::fold(it) == names::fold(name))
    };
    if is_listed(before) || is_listed(after) {
        return Err(not_allowed());
    }
    policy::check_username(settings, after).map_err(SsoError::Refused)
}

fn invalid() -> SsoError {
    SsoError::Refused(Code::InvalidInput)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum May {
    Owner,
    SuperUser,
}

/// What could leave no super-user who can log in.
const DECIDES: [&str; 3] = ["is_locked", "sign_up_status", "approval_status"];

/// In the order in which they are set.
const FIELDS: &[(&str, May)] = &[
    ("username", May::Owner),
    ("email", May::Owner),
    ("first_name", May::Owner),
    ("middle_name", May::Owner),
    ("last_name", May::Owner),
    ("display_name", May::Owner),
    ("is_totp_enabled", May::Owner),
    ("totp_label", May::Owner),
    ("is_locked", May::SuperUser),
    ("password_expiry", May::SuperUser),
    ("password_must_change", May::SuperUser),
    ("sign_up_status", May::SuperUser),
    ("approval_status", May::SuperUser),
    ("apps", May::SuperUser),
];
