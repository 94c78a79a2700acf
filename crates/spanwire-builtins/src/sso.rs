//! Single sign-on as services: the API of reference sso 2.5, over REST, WebSockets and from other services.
//!
//! | file | what is there |
//! |---|---|
//! | `input` | reading what existing clients send |
//! | `answer` | the envelope, statuses, times |
//! | `hashing` | the threads that hash passwords |
//! | `openapi` | the description of all of it |
//! | `accounts`, `sessions`, `attributes`, `signup` | the services |
//!
//! Every operation of the table in `spanwire_sso::operation` is one service. They block, so each runs on a thread that may.

mod accounts;
mod answer;
mod attributes;
mod expiring;
mod hashing;
mod input;
pub mod openapi;
mod sessions;
mod signup;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use spanwire_protocol::{Payload, Status};
use spanwire_service::{BoxFuture, Context, PayloadService, Registry, ServiceError, Source};
use spanwire_sso::{Call, Operation, Sso, SsoError};
use tokio::sync::Semaphore;

use self::answer::Outcome;
pub use self::hashing::{Full, Hashing};
use self::input::Input;

/// Whether there is a security definition of this type and name.
pub type IsKnown = Arc<dyn Fn(&str, &str) -> bool + Send + Sync>;

/// What the services share.
pub struct Services {
    sso: Sso,
    is_known: IsKnown,
    hashing: Hashing,
    mailing: Arc<Semaphore>,
}

/// The service that a REST path answers verbs with that it does not have.
pub const NOT_ALLOWED: &str = "zato.sso.method-not-allowed";

/// The service that returns the API's description.
pub const OPENAPI: &str = "zato.sso.openapi";

/// Registers the services.
pub fn register(registry: &Registry, sso: Sso, hashing: Hashing, is_known: IsKnown) {
    let services = Arc::new(Services {
        sso,
        is_known,
        hashing,
        mailing: Arc::new(Semaphore::new(MAILS_AT_A_TIME)),
    });
    for endpoint in spanwire_sso::operation::ENDPOINTS {
        let bound = Bound { services: Arc::clone(&services), operation: endpoint.operation };
        registry.insert(endpoint.service, Source::Builtin, Arc::new(bound));
    }
    let validator = signup::Validator(Arc::clone(&services));
    registry.insert(spanwire_sso::VALIDATOR, Source::Builtin, Arc::new(validator));
    let expiring = expiring::Handler(Arc::clone(&services));
    registry.insert(spanwire_sso::EXPIRY_HANDLER, Source::Builtin, Arc::new(expiring));
    registry.insert(OPENAPI, Source::Builtin, Arc::new(openapi::Document));
    registry.insert(NOT_ALLOWED, Source::Builtin, Arc::new(answer::MethodNotAllowed));
}

/// One operation as a service.
struct Bound {
    services: Arc<Services>,
    operation: Operation,
}

impl PayloadService for Bound {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        Box::pin(async move {
            let codec = input.codec();
            let input = Input::read(&input)?;
            let call = call_of(&ctx, self.operation, &input)?;
            let services = &self.services;
            let outcome = match self.operation {
                Operation::Signup => signup::signup(services, &ctx, call.clone(), &input).await?,
                Operation::ResetBegin => signup::begin_reset(services, call.clone(), &input),
                Operation::Login => accounts::login(services, &ctx, call.clone(), &input).await?,
                operation => {
                    let work = prepare(services, operation, &ctx, call.clone(), &input)?;
                    services.run(operation.endpoint().hashes, work).await?
                }
            };
            answer::encode(&services.sso, &ctx, &call, self.operation, outcome, codec)
        })
    }
}

type Work = Box<dyn FnOnce(&Sso) -> Outcome + Send>;

/// Reads the input of an operation, and says what there is to do.
fn prepare(
    services: &Services,
    operation: Operation,
    ctx: &Context,
    call: Call,
    input: &Input,
) -> Result<Work, ServiceError> {
    use Operation as Op;
    match operation {
        Op::Logout
        | Op::ConfirmSignup
        | Op::GetUser
        | Op::CreateUser
        | Op::UpdateUser
        | Op::DeleteUser
        | Op::Approve
        | Op::Reject
        | Op::Lock
        | Op::Unlock
        | Op::ChangePassword
        | Op::ResetTotp
        | Op::Search
        | Op::ResetAccess
        | Op::ResetComplete => accounts::prepare(operation, ctx, call, input),
        Op::LinkedList
        | Op::LinkedCreate
        | Op::LinkedDelete
        | Op::SessionVerify
        | Op::SessionRenew
        | Op::SessionGet
        | Op::SessionList => sessions::prepare(services, operation, ctx, call, input),
        _ => attributes::prepare(operation, ctx, call, input),
    }
}

impl Services {
    /// Runs what blocks on a thread that may; what hashes, on those for it.
    async fn run<F>(&self, hashes: bool, work: F) -> Result<Outcome, ServiceError>
    where
        F: FnOnce(&Sso) -> Outcome + Send + 'static,
    {
        let sso = self.sso.clone();
        let work = move || work(&sso);
        if hashes {
            return Ok(self.hashing.run(work).await.unwrap_or(Err(SsoError::Busy)));
        }
        // It runs to its end even if nobody waits any more: what it does is done as a whole.
        tokio::task::spawn_blocking(work).await.map_err(ServiceError::internal)
    }
}

/// What the core is told of a call.
fn call_of(ctx: &Context, operation: Operation, input: &Input) -> Result<Call, ServiceError> {
    let current_app = match operation.is_app_optional() {
        true => input.text("current_app")?.unwrap_or_default(),
        false => input.required("current_app")?,
    };
    let peer = ctx.peer_address();
    let address = peer.parse::<std::net::SocketAddr>().map(|it| it.ip().to_canonical()).ok();
    let user_agent = match &ctx.origin().http {
        Some(http) => http.user_agent.clone(),
        None => ctx.client_name().unwrap_or_default().to_owned(),
    };
    Ok(Call {
        cid: ctx.cid().to_string(),
        current_app,
        addresses: address.into_iter().collect(),
        user_agent,
        purpose: input.text("purpose")?.unwrap_or_default(),
        operator: String::new(),
    })
}

/// A success without data.
fn done((): ()) -> Map<String, Value> {
    Map::new()
}

/// Too many: answer at once, so that nobody waits in vain.
fn busy() -> ServiceError {
    ServiceError::new(Status::UNAVAILABLE, "The server is busy: try again")
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("sso", &self.sso).finish_non_exhaustive()
    }
}

const MAILS_AT_A_TIME: usize = 32;
