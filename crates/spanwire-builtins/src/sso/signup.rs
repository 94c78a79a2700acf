//! Signing up, with the services that check and are told; passwords that were forgotten.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use spanwire_protocol::Payload;
use spanwire_service::{BoxFuture, Context, PayloadService, ServiceError};
use spanwire_sso::{Call, Code, Operation, Secret, SignupRequest, Sso, VALIDATOR};

use super::Services;
use super::answer::Outcome;
use super::input::Input;

pub(super) async fn signup(
    services: &Arc<Services>,
    ctx: &Context,
    call: Call,
    input: &Input,
) -> Result<Outcome, ServiceError> {
    let request = request(input)?;
    let settings = services.sso.settings();
    let validators = &settings.user_validation.service;
    let checks = validators.iter().any(|name| name == VALIDATOR);
    let own: Vec<_> = validators.iter().filter(|name| *name != VALIDATOR).cloned().collect();
    if !own.is_empty() {
        let (first, checked) = (call.clone(), request.clone());
        let allowed = services
            .run(false, move |sso| sso.check_signup(&first, &checked).map(super::done))
            .await?;
        if let Err(error) = allowed {
            return Ok(Err(error));
        }
    }
    for validator in own {
        if !is_valid(ctx, &validator, &call, &request).await {
            // What it says is for the log of the application: strangers are told no.
            let refused = call.clone();
            let refuse = move |sso: &Sso| {
                Err(sso.record_refusal(&refused, Operation::Signup, Code::NotAllowed))
            };
            return services.run(false, refuse).await;
        }
    }
    let (username, email) = (request.username.clone(), request.email.clone());
    let app_list = request.app_list.clone();
    let signing = call.clone();
    // Made with the same token that mails have; hooks get what the answer has.
    let outcome = services
        .run(true, move |sso| {
            let signed = sso.signup(&signing, &request, checks)?;
            let fields = json!({
                "user_id": signed.user_id, "approval_status": signed.approval_status.as_str(),
                "confirm_token": signed.confirm_token.expose(), "shows_token": signed.shows_token,
            });
            Ok(fields.as_object().cloned().unwrap_or_default())
        })
        .await?;
    let signed = match outcome {
        Ok(signed) => signed,
        Err(error) => return Ok(Err(error)),
    };
    let told = json!({
        "username": username, "email": email, "current_app": call.current_app, "app_list": app_list,
        "user_id": signed.get("user_id"), "sign_up_status": "before_confirmation",
        "approval_status": signed.get("approval_status"), "sign_up_confirm_token": signed.get("confirm_token"),
    });
    let (telling, cid) = (ctx.clone(), call.cid.clone());
    // The user is there, whether the caller waits or not.
    tokio::spawn(async move {
        for callback in &settings.signup.callback_service_list {
            let answer: Result<Value, _> = telling.call(callback, &told).await;
            if let Err(error) = answer {
                tracing::error!(cid, callback, %error, "a service could not be told of a sign-up");
            }
        }
    });
    let shows_token = signed.get("shows_token") == Some(&Value::Bool(true));
    let token = signed.get("confirm_token").filter(|_| shows_token).cloned();
    Ok(Ok(token.map(|token| ("confirm_token".to_owned(), token)).into_iter().collect()))
}

fn request(input: &Input) -> Result<SignupRequest, ServiceError> {
    Ok(SignupRequest {
        username: input.text("username")?.unwrap_or_default(),
        password: Secret::new(input.text("password")?.unwrap_or_default()),
        email: input.given("email")?,
        app_list: input.texts("app_list")?.unwrap_or_default(),
    })
}

/// Asks a service of the application whether a user may sign up.
async fn is_valid(ctx: &Context, service: &str, call: &Call, request: &SignupRequest) -> bool {
    let input = json!({
        "username": request.username, "email": request.email, "password": request.password.expose(),
        "current_app": call.current_app, "app_list": request.app_list, "sign_up_status": "before_confirmation",
    });
    let answer: Result<Value, _> = ctx.call(service, &input).await;
    match answer {
        Ok(answer) => answer.get("is_valid") == Some(&Value::Bool(true)),
        Err(error) => {
            tracing::error!(cid = call.cid, service, %error, "a service could not check a sign-up");
            false
        }
    }
}

/// Always says yes, at once; the work goes on by itself, so that time says nothing either.
pub(super) fn begin_reset(services: &Arc<Services>, call: Call, input: &Input) -> Outcome {
    if !services.sso.settings().apps.all.contains(&call.current_app) {
        // Nothing is looked up for an unknown application.
        return services.sso.begin_reset(&call, "").map(super::done);
    }
    let credential = input.text("credential").ok().flatten().unwrap_or_default();
    match Arc::clone(&services.mailing).try_acquire_owned() {
        Ok(turn) => {
            let (sso, call) = (services.sso.clone(), call);
            drop(tokio::task::spawn_blocking(move || {
                let _turn = turn;
                if let Err(error) = sso.begin_reset(&call, &credential) {
                    tracing::error!(cid = call.cid, %error, "a password reset could not be begun");
                }
            }));
        }
        Err(_) => {
            tracing::warn!(cid = call.cid, "too many password resets at a time: one was not begun")
        }
    }
    Ok(Map::new())
}

/// The built-in check as a service, for applications that call it from their own.
pub(super) struct Validator(pub(super) Arc<Services>);

impl PayloadService for Validator {
    fn call(&self, _: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        Box::pin(async move {
            let codec = input.codec();
            let request = request(&Input::read(&input)?)?;
            let check = move |sso: &Sso| {
                let checked = sso.validate_signup(&request);
                let codes: Vec<_> = checked
                    .err()
                    .and_then(|error| error.code())
                    .map(|code| code.as_str())
                    .into_iter()
                    .collect();
                Ok([
                    ("is_valid".to_owned(), codes.is_empty().into()),
                    ("sub_status".to_owned(), json!(codes)),
                ]
                .into_iter()
                .collect())
            };
            let answer = self.0.run(false, check).await?.map_err(ServiceError::internal)?;
            Payload::from_serialize(codec, &answer).map_err(ServiceError::internal)
        })
    }
}
