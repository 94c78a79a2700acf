//! Sessions and linked credentials.

use serde_json::{Map, Value, json};
use spanwire_service::{Context, ServiceError};
use spanwire_sso::{Call, Operation, SessionView};

use super::answer::time;
use super::input::Input;
use super::{Services, Work, done};

pub(super) fn prepare(
    services: &Services,
    operation: Operation,
    ctx: &Context,
    call: Call,
    input: &Input,
) -> Result<Work, ServiceError> {
    let token = |key: &str| input.token(ctx, key);
    Ok(match operation {
        Operation::LinkedList => {
            let (token, user_id) = (token("ust")?, input.given("user_id")?);
            Box::new(move |sso| {
                let links = sso.links(&call, &token, user_id.as_deref())?;
                let rows = links.into_iter().map(|link| {
                    json!({
                        "is_active": link.is_active, "creation_time": time(link.creation_time),
                        "auth_type": link.auth_type, "auth_username": link.auth_username,
                    })
                });
                Ok(result(rows.collect()))
            })
        }
        Operation::LinkedCreate => {
            let (token, user_id) = (token("ust")?, input.text("user_id")?.unwrap_or_default());
            let auth_type = input.text("auth_type")?.unwrap_or_default();
            let auth_username = input.text("auth_username")?.unwrap_or_default();
            let is_active = input.flag("is_active")?.unwrap_or(true);
            let is_known = (services.is_known)(&auth_type, &auth_username);
            Box::new(move |sso| {
                sso.create_link(
                    &call,
                    &token,
                    &user_id,
                    &auth_type,
                    &auth_username,
                    is_active,
                    is_known,
                )
                .map(done)
            })
        }
        Operation::LinkedDelete => {
            let (token, user_id) = (token("ust")?, input.text("user_id")?.unwrap_or_default());
            let auth_type = input.text("auth_type")?.unwrap_or_default();
            let auth_username = input.text("auth_username")?.unwrap_or_default();
            Box::new(move |sso| {
                sso.delete_link(&call, &token, &user_id, &auth_type, &auth_username).map(done)
            })
        }
        Operation::SessionVerify => {
            let target = spanwire_sso::Secret::new(input.text("target_ust")?.unwrap_or_default());
            let current = token("current_ust")?;
            Box::new(move |sso| {
                let is_valid = sso.verify(&call, &target, &current)?;
                Ok([("is_valid".to_owned(), is_valid.into())].into_iter().collect())
            })
        }
        Operation::SessionRenew => {
            let token = token("ust")?;
            Box::new(move |sso| {
                let end = sso.renew(&call, &token)?;
                Ok([("expiration_time".to_owned(), time(end))].into_iter().collect())
            })
        }
        Operation::SessionGet => {
            let target = spanwire_sso::Secret::new(input.text("target_ust")?.unwrap_or_default());
            let current = token("current_ust")?;
            Box::new(move |sso| {
                let session = sso.get_session(&call, &target, &current)?;
                let fields = json!({
                    "creation_time": time(session.creation_time), "expiration_time": time(session.expiration_time),
                    "remote_addr": session.remote_addr, "user_agent": session.user_agent,
                });
                Ok(fields.as_object().cloned().unwrap_or_default())
            })
        }
        _ => {
            let own = input.secret("ust")?;
            let (target, current) = (input.secret("target_ust")?, input.secret("current_ust")?);
            let bearer = ctx.origin().http.as_ref().and_then(|http| http.bearer.clone());
            let (current, target) = match (own, target, current) {
                (Some(own), None, None) => (Some(own), None),
                (None, Some(target), Some(current)) => (Some(current), Some(target)),
                (None, target, None) => (bearer, target),
                _ => (None, None),
            };
            Box::new(move |sso| {
                let refusal = || spanwire_sso::SsoError::Refused(spanwire_sso::Code::InvalidInput);
                let current = current.ok_or_else(refusal)?;
                let sessions = sso.sessions(&call, &current, target.as_ref())?;
                Ok(result(sessions.into_iter().map(row).collect()))
            })
        }
    })
}

fn row(session: SessionView) -> Value {
    let changes = session.session_state_change_list.into_iter().map(|change| {
        let addresses: Vec<&str> = change.remote_addr.split(", ").collect();
        let remote_addr = match addresses.as_slice() {
            [one] => json!(one),
            several => json!(several),
        };
        json!({
            "remote_addr": remote_addr, "user_agent": change.user_agent,
            "timestamp_utc": time(change.timestamp_utc), "ctx_source": change.ctx_source, "idx": change.idx,
        })
    });
    json!({
        "auth_type": session.auth_type, "auth_principal": session.auth_principal,
        "creation_time": time(session.creation_time), "expiration_time": time(session.expiration_time),
        "remote_addr": session.remote_addr, "user_agent": session.user_agent,
        "session_state_change_list": changes.collect::<Vec<_>>(),
        // A handle: it opens nothing.
        "ust": session.handle, "ext_session_id": session.ext_session_id,
    })
}

fn result(rows: Vec<Value>) -> Map<String, Value> {
    [("result".to_owned(), Value::Array(rows))].into_iter().collect()
}
