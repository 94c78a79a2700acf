//! The envelope of every answer, and its HTTP status (reference sso 2.2).

use serde_json::{Map, Value, json};
use spanwire_protocol::{Codec, Payload, Timestamp};
use spanwire_service::{BoxFuture, Context, PayloadService, ServiceError};
use spanwire_sso::{Call, Code, Operation, Sso, SsoError, UserView};

use super::busy;

/// What comes of an operation: the data of its answer, or why there is none.
pub(super) type Outcome = Result<Map<String, Value>, SsoError>;

/// The answer of an operation.
pub(super) fn encode(
    sso: &Sso,
    ctx: &Context,
    call: &Call,
    operation: Operation,
    outcome: Outcome,
    codec: Codec,
) -> Result<Payload, ServiceError> {
    let mut answer = match outcome {
        Ok(mut data) => {
            data.entry("status").or_insert_with(|| "ok".into());
            data.entry("sub_status").or_insert_with(|| json!([]));
            data
        }
        Err(SsoError::Busy) => return Err(busy()),
        Err(error) => {
            let Some(code) = error.code() else { return Err(ServiceError::internal(error)) };
            // An unknown application is told before anything else, and is no failure of HTTP.
            let is_unknown_app = !sso.settings().apps.all.contains(&call.current_app);
            ctx.set_http_status(if is_unknown_app { 200 } else { 403 });
            let mut answer = Map::new();
            answer.insert("status".to_owned(), "error".into());
            answer.insert("sub_status".to_owned(), json!([masked(operation, code).as_str()]));
            answer
        }
    };
    answer.insert("cid".to_owned(), call.cid.as_str().into());
    Payload::from_serialize(codec, &answer).map_err(ServiceError::internal)
}

/// Existing applications know that a search says nothing of why.
fn masked(operation: Operation, code: Code) -> Code {
    match (operation, code) {
        (Operation::Search, Code::AppInvalid) => code,
        (Operation::Search, _) => Code::NotAllowed,
        _ => code,
    }
}

/// A time as Python writes it: no zone, no fraction when there is none.
pub(super) fn time(time: Timestamp) -> Value {
    let iso = time.to_iso();
    let text = iso.as_str();
    text.strip_suffix(".000000").unwrap_or(text).into()
}

/// The same for a time that never comes.
pub(super) fn expiry(time_of: Option<Timestamp>) -> Value {
    time_of.map_or_else(|| "9999-12-31T00:00:00".into(), time)
}

/// A user as the caller may see it. `is_row` is for search results, which have every key.
pub(super) fn user(user: &UserView, is_row: bool) -> Map<String, Value> {
    let mut all = json!({
        "username": user.username, "email": user.email, "display_name": user.display_name,
        "first_name": user.first_name, "middle_name": user.middle_name, "last_name": user.last_name,
        "is_totp_enabled": user.is_totp_enabled, "totp_label": user.totp_label,
    });
    let Value::Object(fields) = &mut all else { return Map::new() };
    if let Some(full) = &user.full {
        let more = json!({
            "user_id": full.user_id, "is_active": full.is_active, "is_internal": full.is_internal,
            "is_super_user": full.is_super_user, "is_approval_needed": full.is_approval_needed,
            "approval_status": full.approval_status.as_str(),
            "approval_status_mod_time": time(full.approval_status_mod_time),
            "approval_status_mod_by": full.approval_status_mod_by,
            "is_locked": full.is_locked, "locked_time": full.locked_time.map(time), "locked_by": full.locked_by,
            "creation_ctx": full.creation_ctx,
            "password_expiry": time(full.password_expiry), "password_is_set": full.password_is_set,
            "password_must_change": full.password_must_change, "password_last_set": time(full.password_last_set),
            "sign_up_status": full.sign_up_status.as_str(), "sign_up_time": time(full.sign_up_time),
            "apps": full.apps,
        });
        let rows = json!({
            "is_rate_limit_active": full.is_rate_limit_active, "rate_limit_def": full.rate_limit_def,
            "rate_limit_type": full.rate_limit_type, "rate_limit_check_parent_def": full.rate_limit_check_parent_def,
            "status": null, "is_current_super_user": false, "totp_key": null,
        });
        let parts = if is_row { vec![more, rows] } else { vec![more] };
        for part in parts {
            if let Value::Object(part) = part {
                fields.extend(part);
            }
        }
    }
    std::mem::take(fields)
}

/// Answers a verb that a path does not have.
pub(super) struct MethodNotAllowed;

impl PayloadService for MethodNotAllowed {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        ctx.set_http_status(405);
        let answer = json!({"status": "error", "sub_status": [Code::NotAllowed.as_str()], "cid": ctx.cid().to_string()});
        let answer =
            Payload::from_serialize(input.codec(), &answer).map_err(ServiceError::internal);
        Box::pin(std::future::ready(answer))
    }
}
