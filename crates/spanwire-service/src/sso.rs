//! Single sign-on for services: the same operations that REST and WebSocket clients call, with the same checks and records.
//!
//! Whoever called this service is whom the address and the program are recorded of.

use serde::Serialize;
use serde_json::{Map, Value, json};
use spanwire_protocol::Status;
use thiserror::Error;

use crate::context::Context;
use crate::error::ServiceError;

/// The operations, for one application. Made by [`Context::sso`].
#[derive(Debug)]
pub struct Sso<'a> {
    ctx: &'a Context,
    app: String,
    purpose: Option<String>,
}

/// An operation failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SsoError {
    /// It was refused, with this status code of the API.
    #[error("{0}")]
    Refused(String),
    /// It could not be asked for, or there is no single sign-on here.
    #[error(transparent)]
    Failed(#[from] ServiceError),
}

impl From<SsoError> for ServiceError {
    /// 403 for what was refused; the code is for the log.
    fn from(error: SsoError) -> Self {
        match error {
            SsoError::Refused(code) => Self::forbidden().with_source(code),
            SsoError::Failed(error) => error,
        }
    }
}

impl Context {
    /// Single sign-on, in the name of an application that the settings know.
    ///
    /// ```no_run
    /// # async fn example(ctx: spanwire_service::Context) -> Result<(), spanwire_service::ServiceError> {
    /// let sso = ctx.sso("CRM");
    /// let ust = sso.login("joe", "correct horse battery staple", None).await?;
    /// let user = sso.user(&ust).await?;
    /// assert_eq!(user["username"], "joe");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sso(&self, app: &str) -> Sso<'_> {
        Sso { ctx: self, app: app.to_owned(), purpose: None }
    }
}

impl Sso<'_> {
    /// For which purpose, for the audit.
    #[must_use]
    pub fn purpose(mut self, purpose: &str) -> Self {
        self.purpose = Some(purpose.to_owned());
        self
    }

    /// Any operation by the name of its service, such as `zato.sso.user.search`; `input` is an object as over REST. The
    /// application is added.
    ///
    /// # Errors
    /// [`SsoError::Refused`] with the first status code.
    ///
    /// # Cancel safety
    /// Dropping the future does not undo the operation: it is carried out as a whole or not at all.
    pub async fn call(
        &self,
        service: &str,
        input: &(impl Serialize + Sync),
    ) -> Result<Value, SsoError> {
        let input = serde_json::to_value(input).map_err(ServiceError::internal)?;
        let Value::Object(mut fields) = input else {
            return Err(ServiceError::bad_request("the input is an object").into());
        };
        fields.insert("current_app".to_owned(), self.app.as_str().into());
        if let Some(purpose) = &self.purpose {
            fields.insert("purpose".to_owned(), purpose.as_str().into());
        }
        let answer: Map<String, Value> = self.ctx.call(service, &fields).await?;
        if answer.get("status").and_then(Value::as_str) != Some("error") {
            return Ok(Value::Object(answer));
        }
        let code = answer.get("sub_status").and_then(|codes| codes.get(0)).and_then(Value::as_str);
        Err(SsoError::Refused(code.unwrap_or_default().to_owned()))
    }

    /// Logs a user in; returns the session's token.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    pub async fn login(
        &self,
        username: &str,
        password: &str,
        totp_code: Option<&str>,
    ) -> Result<String, SsoError> {
        let input = json!({"username": username, "password": password, "totp_code": totp_code});
        let answer = self.call("zato.sso.user.login", &input).await?;
        text(&answer, "ust")
    }

    /// Ends a session; it is no error if there is none.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    pub async fn logout(&self, ust: &str) -> Result<(), SsoError> {
        self.call("zato.sso.user.logout", &json!({ "ust": ust })).await.map(drop)
    }

    /// Whose session it is, as that user may see it.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    pub async fn user(&self, ust: &str) -> Result<Value, SsoError> {
        self.call("zato.sso.user.get", &json!({ "ust": ust })).await
    }

    /// Whether a session is good; `current_ust` is a super-user's.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    pub async fn verify(&self, target_ust: &str, current_ust: &str) -> Result<bool, SsoError> {
        let input = json!({"target_ust": target_ust, "current_ust": current_ust});
        let answer = self.call("zato.sso.session.verify", &input).await?;
        Ok(answer.get("is_valid") == Some(&Value::Bool(true)))
    }

    /// Renews a session; returns until when it is good.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    pub async fn renew(&self, ust: &str) -> Result<String, SsoError> {
        let answer = self.call("zato.sso.session.renew", &json!({ "ust": ust })).await?;
        text(&answer, "expiration_time")
    }
}

fn text(answer: &Value, key: &str) -> Result<String, SsoError> {
    let text = answer.get(key).and_then(Value::as_str);
    let missing = || ServiceError::new(Status::INTERNAL, Status::INTERNAL.default_text());
    text.map(str::to_owned).ok_or_else(|| missing().into())
}
