//! Users: login, reading, changing, searching, passwords.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use spanwire_service::{Context, ServiceError};
use spanwire_sso::Secret;
use spanwire_sso::{Call, Login, LoginMetadata, NewUser, Operation, Page, PasswordChange, Search};

use super::answer::{self, Outcome};
use super::input::Input;
use super::{Services, Work, done};

/// Logs in; the only operation that asks another service how long a session lasts.
pub(super) async fn login(
    services: &Arc<Services>,
    ctx: &Context,
    call: Call,
    input: &Input,
) -> Result<Outcome, ServiceError> {
    let (username, password) = (input.required("username")?, input.required_secret("password")?);
    let metadata = LoginMetadata {
        remote_addr: input.given("remote_addr")?,
        user_agent: input.given("user_agent")?,
    };
    let login = Login {
        username,
        password,
        totp_code: input.text("totp_code")?,
        new_password: input.secret("new_password")?,
        metadata: Some(metadata),
    };
    let hook = ExpiryHook::of(services, ctx, &call);
    let work = move |sso: &spanwire_sso::Sso| {
        let opened =
            sso.login_for(&call, &login, |username| hook.and_then(|hook| hook.ask(username)))?;
        let mut answer = Map::new();
        answer.insert("ust".to_owned(), opened.token.expose().into());
        if opened.warns_of_expiry {
            answer.insert("status".to_owned(), "warning".into());
            answer.insert(
                "sub_status".to_owned(),
                json!([spanwire_sso::Code::PasswordExpiresSoon.as_str()]),
            );
        }
        Ok(answer)
    };
    services.run(true, work).await
}

/// The service that says how long a session lasts (reference sso 1.5). One that fails keeps nobody out.
struct ExpiryHook {
    service: String,
    ctx: Context,
    current_app: String,
    default_expiry: u32,
    /// Where the service runs, while a thread waits for it.
    runtime: tokio::runtime::Handle,
}

impl ExpiryHook {
    fn of(services: &Services, ctx: &Context, call: &Call) -> Option<Self> {
        let settings = services.sso.settings();
        (!settings.session.expiry_hook.is_empty()).then(|| Self {
            service: settings.session.expiry_hook.clone(),
            ctx: ctx.clone(),
            current_app: call.current_app.clone(),
            default_expiry: settings.session.expiry,
            runtime: tokio::runtime::Handle::current(),
        })
    }

    /// Blocks until the service has answered, at most for as long as the call may take.
    fn ask(&self, username: &str) -> Option<u32> {
        let input = json!({
            "current_app": self.current_app, "username": username, "default_expiry": self.default_expiry,
        });
        let asking = self.ctx.call(&self.service, &input);
        let answer: Result<Value, _> = self.runtime.block_on(asking);
        let expiry =
            answer.as_ref().ok().and_then(|answer| answer.get("expiry")).and_then(Value::as_u64);
        if expiry.is_none() {
            tracing::warn!(cid = %self.ctx.cid(), hook = self.service, "the hook for the length of sessions gave none");
        }
        u32::try_from(expiry?).ok()
    }
}

pub(super) fn prepare(
    operation: Operation,
    ctx: &Context,
    call: Call,
    input: &Input,
) -> Result<Work, ServiceError> {
    let token = || input.token(ctx, "ust");
    Ok(match operation {
        Operation::Logout => {
            let token = token()?;
            Box::new(move |sso| sso.logout(&call, &token).map(done))
        }
        Operation::ConfirmSignup => {
            let token = Secret::new(input.text("confirm_token")?.unwrap_or_default());
            Box::new(move |sso| sso.confirm_signup(&call, &token).map(done))
        }
        Operation::GetUser => {
            let (token, user_id) = (token()?, input.given("user_id")?);
            Box::new(move |sso| {
                let user = match user_id {
                    None => sso.current_user(&call, &token),
                    Some(user_id) => sso.user(&call, &token, &user_id),
                };
                Ok(answer::user(&user?, false))
            })
        }
        Operation::CreateUser => {
            let (token, new) = (token()?, new_user(input)?);
            Box::new(move |sso| Ok(answer::user(&sso.create_user(&call, &token, new)?, false)))
        }
        Operation::UpdateUser => {
            let (token, user_id, fields) =
                (token()?, input.given("user_id")?, input.fields().clone());
            Box::new(move |sso| {
                sso.update_user(&call, &token, user_id.as_deref(), &fields).map(done)
            })
        }
        Operation::DeleteUser => {
            let (token, user_id) = (token()?, input.required("user_id")?);
            Box::new(move |sso| sso.delete_user(&call, &token, &user_id).map(done))
        }
        Operation::Approve => {
            let (token, user_id) = (token()?, input.required("user_id")?);
            Box::new(move |sso| sso.approve(&call, &token, &user_id).map(done))
        }
        Operation::Reject => {
            let (token, user_id) = (token()?, input.required("user_id")?);
            Box::new(move |sso| sso.reject(&call, &token, &user_id).map(done))
        }
        Operation::Lock => {
            let (token, user_id) = (token()?, input.required("user_id")?);
            Box::new(move |sso| sso.lock_user(&call, &token, &user_id).map(done))
        }
        Operation::Unlock => {
            let (token, user_id) = (token()?, input.required("user_id")?);
            Box::new(move |sso| sso.unlock_user(&call, &token, &user_id).map(done))
        }
        Operation::ChangePassword => {
            let (token, user_id, change) =
                (token()?, input.given("user_id")?, password_change(input)?);
            Box::new(move |sso| {
                sso.change_password(&call, &token, user_id.as_deref(), &change).map(done)
            })
        }
        Operation::ResetTotp => {
            let (token, user_id, code) =
                (token()?, input.given("user_id")?, input.given("totp_code")?);
            let (key, label) = (input.required("totp_key")?, input.required("totp_label")?);
            Box::new(move |sso| {
                let key = sso.reset_totp_key(
                    &call,
                    &token,
                    user_id.as_deref(),
                    &key,
                    &label,
                    code.as_deref(),
                )?;
                Ok([("totp_key".to_owned(), key.expose().into())].into_iter().collect())
            })
        }
        Operation::Search => {
            let (token, search) = (token()?, search(input)?);
            Box::new(move |sso| Ok(page(&sso.search(&call, &token, &search)?)))
        }
        Operation::ResetAccess => {
            let token = Secret::new(input.text("token")?.unwrap_or_default());
            Box::new(move |sso| {
                let key = sso.access_reset(&call, &token)?;
                Ok([("reset_key".to_owned(), key.expose().into())].into_iter().collect())
            })
        }
        _ => {
            let secret = |key: &str| input.text(key).map(|it| Secret::new(it.unwrap_or_default()));
            let (token, key, password) =
                (secret("token")?, secret("reset_key")?, secret("password")?);
            Box::new(move |sso| sso.complete_reset(&call, &token, &key, &password).map(done))
        }
    })
}

fn new_user(input: &Input) -> Result<NewUser, ServiceError> {
    Ok(NewUser {
        username: input.text("username")?.unwrap_or_default(),
        password: input.secret("password")?,
        password_must_change: input.flag("password_must_change")?.unwrap_or_default(),
        email: input.text("email")?,
        display_name: input.text("display_name")?,
        first_name: input.text("first_name")?,
        middle_name: input.text("middle_name")?,
        last_name: input.text("last_name")?,
        is_locked: input.flag("is_locked")?.unwrap_or_default(),
        sign_up_status: input.given("sign_up_status")?,
        is_rate_limit_active: input.flag("is_rate_limit_active")?,
        rate_limit_def: input.given("rate_limit_def")?,
        is_totp_enabled: input.flag("is_totp_enabled")?.unwrap_or_default(),
        totp_key: input.secret("totp_key")?,
        totp_label: input.text("totp_label")?,
        auto_approve: input.flag("auto_approve")?.unwrap_or_default(),
        apps: input.texts("app_list")?.unwrap_or_default(),
        ..NewUser::default()
    })
}

fn password_change(input: &Input) -> Result<PasswordChange, ServiceError> {
    // Less than a day is what the settings say.
    let days = input.integer("password_expiry")?.and_then(|days| u32::try_from(days).ok());
    Ok(PasswordChange {
        new: input.required_secret("new_password")?,
        old: input.secret("old_password")?,
        expiry_days: days,
        must_change: input.flag("must_change")?,
    })
}

fn search(input: &Input) -> Result<Search, ServiceError> {
    let name_op = input.given("name_op")?.unwrap_or_default();
    Ok(Search {
        user_id: input.given("user_id")?,
        username: input.given("username")?,
        email: input.given("email")?,
        display_name: input.text("display_name")?,
        first_name: input.text("first_name")?,
        middle_name: input.text("middle_name")?,
        last_name: input.text("last_name")?,
        sign_up_status: input.given("sign_up_status")?,
        approval_status: input.given("approval_status")?,
        any_name: name_op.eq_ignore_ascii_case("or"),
        is_name_exact: input.flag("is_name_exact")?.unwrap_or(true),
        cur_page: input.integer("cur_page")?.unwrap_or(1),
        page_size: input.integer("page_size")?,
    })
}

fn page(page: &Page) -> Map<String, Value> {
    let rows: Vec<Value> = page.result.iter().map(|user| answer::user(user, true).into()).collect();
    let has_next = page.cur_page < page.num_pages;
    let fields = json!({
        "total": page.total, "num_pages": page.num_pages, "page_size": page.page_size, "cur_page": page.cur_page,
        "has_next_page": has_next, "has_prev_page": page.cur_page > 1,
        "next_page": has_next.then_some(page.cur_page + 1), "prev_page": page.cur_page - 1,
        "result": rows,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
