//! Users, for who operates the server.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use spanwire_admin::Failure;
use spanwire_channel::wsx::correlation_id;
use spanwire_crypto::Secret;
use spanwire_crypto::password::Scheme;
use spanwire_protocol::admin::sso::{NewSsoUser, SsoCommand, SsoSearch};
use spanwire_sso::import::ImportedUser;
use spanwire_sso::{Call, Code, NewUser, Page, Search, SessionView, Sso, SsoError, UserView};

/// Does what an operator wants. Blocks.
pub(super) fn run(sso: &Sso, operator: &str, command: SsoCommand) -> Result<Value, Failure> {
    let call = Call { cid: correlation_id().to_string(), ..Call::internal(operator) };
    let cid = call.cid.clone();
    work(sso, &call, command).map_err(|error| failure(&error, cid))
}

fn work(sso: &Sso, call: &Call, command: SsoCommand) -> Result<Value, SsoError> {
    Ok(match command {
        SsoCommand::CreateUser(new) => {
            user(&sso.create_user_as_operator(call, &new_user(new), true)?)
        }
        SsoCommand::ShowUser { username } => user(&sso.user_as_operator(call, &username)?),
        SsoCommand::DeleteUser { username } => done(sso.delete_user_as_operator(call, &username)?),
        SsoCommand::LockUser { username } => done(sso.lock_as_operator(call, &username, true)?),
        SsoCommand::UnlockUser { username } => done(sso.lock_as_operator(call, &username, false)?),
        SsoCommand::Login { username } => {
            let opened = sso.login_as_operator(call, &username)?;
            json!({
                "username": opened.username, "user_id": opened.user_id, "ust": opened.token.expose(),
                "creation_time": opened.creation_time, "expiration_time": opened.expiration_time,
            })
        }
        SsoCommand::Logout { ust } => done(sso.logout_as_operator(call, &Secret::new(ust))?),
        SsoCommand::ResetTotpKey { username, key, label } => {
            let key = sso.reset_totp_key_as_operator(call, &username, &key, &label)?;
            json!({"totp_key": key.expose()})
        }
        SsoCommand::ChangePassword { username, password, expiry, must_change } => {
            let is_given = password.is_some();
            let password = password.map(Secret::new);
            let set =
                sso.change_password_as_operator(call, &username, password, expiry, must_change)?;
            if is_given { json!({}) } else { json!({"password": set.expose()}) }
        }
        SsoCommand::Search(search) => page(&sso.search_as_operator(call, &wanted(search))?),
        SsoCommand::Sessions { username } => {
            sso.sessions_as_operator(call, &username)?.iter().map(session).collect()
        }
        SsoCommand::RevokeSessions { username } => {
            json!({"revoked": sso.end_sessions_as_operator(call, &username)?})
        }
        SsoCommand::Import { users, first_line, dry_run } => {
            let lines = (first_line..).zip(users);
            let reports = lines.map(|(line, user)| match serde_json::from_value::<ImportedUser>(user) {
                Ok(user) => json!(sso.import(call, line, user, dry_run)),
                Err(error) => {
                    // What is wrong, and not with which value.
                    let problem = error.to_string();
                    let problem = problem.split(", expected").next().unwrap_or_default();
                    let problem = problem.split(": ").next().unwrap_or_default();
                    json!({"line": line, "username": "", "result": "failed", "problem": problem})
                }
            });
            reports.collect()
        }
        SsoCommand::AuditList { after, limit, op, cid } => {
            let limit = limit.unwrap_or(100).min(1_000);
            let records = sso.audit(after, limit, |record| {
                op.as_ref().is_none_or(|op| record.op == *op)
                    && cid.as_ref().is_none_or(|cid| record.cid == *cid)
            });
            plain(&records?)
        }
        SsoCommand::AuditExport { username } => plain(&sso.audit_of(call, &username)?),
        SsoCommand::AuditVerify => {
            let verified = sso.verify_audit()?;
            json!({"records": verified.count, "problems": verified.problems})
        }
        SsoCommand::HashCalibrate { milliseconds } => calibrate(sso, milliseconds)?,
    })
}

/// How many iterations take so long: measured with few, reckoned, and measured again.
fn calibrate(sso: &Sso, milliseconds: u32) -> Result<Value, SsoError> {
    let wanted = Duration::from_millis(milliseconds.clamp(1, 1_000).into());
    let salt_size = sso.settings().hash.salt_size;
    let measure = |rounds| Scheme::Pbkdf2Sha512 { rounds, salt_size }.measure(3);
    let mut rounds = 20_000_u32;
    for _ in 0..2 {
        let took = measure(rounds)?;
        let factor = wanted.as_secs_f64() / took.as_secs_f64().max(1e-6);
        let reckoned = (f64::from(rounds) * factor).clamp(1_000.0, 20_000_000.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is within bounds"
        )]
        let reckoned = reckoned as u32;
        // In thousands: more digits would only look exact.
        rounds = reckoned / 1_000 * 1_000;
    }
    let took = measure(rounds)?;
    Ok(json!({"rounds": rounds, "milliseconds": (took.as_secs_f64() * 10_000.0).round() / 10.0}))
}

fn new_user(new: NewSsoUser) -> NewUser {
    NewUser {
        username: new.username,
        password: Some(Secret::new(new.password)),
        is_super_user: new.is_super_user,
        email: new.email,
        display_name: new.display_name,
        first_name: new.first_name,
        middle_name: new.middle_name,
        last_name: new.last_name,
        auto_approve: true,
        ..NewUser::default()
    }
}

fn wanted(search: SsoSearch) -> Search {
    Search {
        username: search.username,
        email: search.email,
        display_name: search.name,
        sign_up_status: search.sign_up_status,
        approval_status: search.approval_status,
        is_name_exact: false,
        cur_page: search.page.unwrap_or(1).into(),
        page_size: search.page_size.map(Into::into),
        ..Search::default()
    }
}

fn user(user: &UserView) -> Value {
    let mut shown = json!({
        "username": user.username, "email": user.email, "display_name": user.display_name,
        "first_name": user.first_name, "middle_name": user.middle_name, "last_name": user.last_name,
        "is_totp_enabled": user.is_totp_enabled, "totp_label": user.totp_label,
    });
    if let (Some(full), Value::Object(fields)) = (&user.full, &mut shown) {
        let more = json!({
            "user_id": full.user_id, "is_super_user": full.is_super_user, "is_locked": full.is_locked,
            "approval_status": full.approval_status, "sign_up_status": full.sign_up_status,
            "sign_up_time": full.sign_up_time, "password_expiry": full.password_expiry,
            "password_must_change": full.password_must_change, "apps": full.apps,
        });
        fields.extend(more.as_object().cloned().unwrap_or_default());
    }
    shown
}

fn page(page: &Page) -> Value {
    json!({
        "total": page.total, "num_pages": page.num_pages, "cur_page": page.cur_page,
        "users": page.result.iter().map(user).collect::<Vec<_>>(),
    })
}

fn session(session: &SessionView) -> Value {
    json!({
        "session": session.handle, "auth_type": session.auth_type, "auth_principal": session.auth_principal,
        "creation_time": session.creation_time, "expiration_time": session.expiration_time,
        "remote_addr": session.remote_addr, "user_agent": session.user_agent,
    })
}

fn plain(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn done((): ()) -> Value {
    json!({})
}

fn failure(error: &SsoError, cid: String) -> Failure {
    let (status, message) = match error.code() {
        Some(code @ Code::UserIdInvalid) => (404, format!("{code}: there is no such user")),
        Some(code @ Code::UsernameExists) => (409, format!("{code}: a user of this name exists")),
        Some(code) => (422, format!("{code}: {}", meaning(code))),
        None => {
            tracing::error!(cid, %error, "a command for users failed");
            (500, "the command failed: see the log".to_owned())
        }
    };
    Failure { status, message, cid: Some(cid) }
}

fn meaning(code: Code) -> &'static str {
    match code {
        Code::UsernameInvalid => "the user name is empty, or contains what it may not",
        Code::UsernameTooLong => "the user name is too long",
        Code::EmailInvalid => "this is no e-mail address",
        Code::EmailExists => "somebody has this e-mail address",
        Code::PasswordInvalid => "the password contains what none may, or was used before",
        Code::PasswordTooShort => "the password is too short: see sso.password.min_length",
        Code::PasswordTooLong => "the password is too long: see sso.password.max_length",
        Code::PasswordNotComplexEnough => "the password is too easy to guess",
        Code::InvalidOperation => "this would leave no super-user who can log in",
        Code::InvalidInput => "a value is none that is accepted",
        _ => "this cannot be done to this user now",
    }
}
