//! Users behind WebSocket connections: they log in with their password or with a session they have, and what changes
//! about them reaches their open connections within a second.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spanwire_channel::backend::{Principal, PrincipalUser};
use spanwire_channel::clock;
use spanwire_channel::wsx::{ConnectionHandle, correlation_id};
use spanwire_crypto::Secret;
use spanwire_protocol::CloseFrame;
use spanwire_session::Login;
use spanwire_sso::{Authenticated, Call, SessionState, Sso, SsoError};
use tokio_util::sync::CancellationToken;

use super::SingleSignOn;

/// The connections of users. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sockets(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By the id of the connection.
    open: HashMap<String, Known>,
    /// Sessions that were opened for one connection, by handle: they end with it.
    own: HashSet<String>,
    /// Users about whom something changed since the last look.
    changed: HashSet<String>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("open", &self.open.len()).finish_non_exhaustive()
    }
}

/// Who is behind a connection, and because of which session.
#[derive(Clone)]
struct Known {
    connection: ConnectionHandle,
    user: PrincipalUser,
    /// When the session has to be looked at, in microseconds.
    until: i64,
}

impl SingleSignOn {
    /// Lets a user in: with user name, password and code, or with the token of a session as the secret.
    pub(crate) async fn log_in(
        &self,
        connection: &ConnectionHandle,
        login: Login,
        as_whom: Principal,
    ) -> Option<Principal> {
        let call = self.call_of(connection);
        let (username, secret) = (login.username, Secret::new(login.secret));
        let (sso, sockets) = (self.sso.clone(), self.sockets.clone());
        // Tokens are told from passwords by their form; a password of that form does not exist as a token.
        let is_token = secret.expose().starts_with("gAAAA");
        let checking = move || {
            let user = match is_token {
                true => sso.authenticate(&call, &secret).and_then(|user| match username.as_str() {
                    "" => Ok(user),
                    name if name == user.username => Ok(user),
                    _ => Err(SsoError::Refused(spanwire_sso::Code::NotAllowed)),
                }),
                false => open(&sso, &sockets, &call, username, secret, login.totp_code),
            };
            if let Err(error) = &user
                && error.code().is_none()
            {
                tracing::error!(%error, "a user could not be let in");
            }
            user.ok()
        };
        let user = match is_token {
            true => tokio::task::spawn_blocking(checking).await.ok()??,
            false => self.hashing.run(checking).await.ok()??,
        };
        let user = principal_user(user);
        if !self.takes_over(connection, &user) {
            return None;
        }
        Some(Principal {
            username: user.username.as_str().into(),
            user: Some(Arc::new(user)),
            ..as_whom
        })
    }

    /// A login on a connection that has a user is a renewal: of the same user, and from then on with the newer session.
    fn takes_over(&self, connection: &ConnectionHandle, user: &PrincipalUser) -> bool {
        let Some(former) = connection.principal().user else { return true };
        let ends = if former.user_id == user.user_id { &former.session } else { &user.session };
        let is_own = {
            let mut state = self.sockets.lock();
            if former.user_id == user.user_id {
                let known = Known { connection: connection.clone(), user: user.clone(), until: 0 };
                state.open.insert(connection.id().to_string(), known);
            }
            former.session != user.session && state.own.remove(ends)
        };
        if is_own {
            self.end(connection, former.user_id.clone(), ends.clone());
        }
        former.user_id == user.user_id
    }

    fn end(&self, connection: &ConnectionHandle, user_id: String, session: String) {
        let (sso, call) = (self.sso.clone(), self.call_of(connection));
        let ending = move || {
            if let Err(error) = sso.end_session_of(&call, &user_id, &session) {
                tracing::warn!(%error, "the session of a connection was not ended: it expires by itself");
            }
        };
        drop(tokio::task::spawn_blocking(ending));
    }

    fn call_of(&self, connection: &ConnectionHandle) -> Call {
        call(&self.sso, connection)
    }

    /// A user is behind a connection from now on. The session is looked at soon: something may have changed since.
    pub(crate) fn opened(&self, connection: &ConnectionHandle) {
        let Some(user) = connection.principal().user else { return };
        let known = Known { connection: connection.clone(), user: (*user).clone(), until: 0 };
        self.sockets.lock().open.insert(connection.id().to_string(), known);
    }

    /// A connection is gone, and with it the session that was opened for it.
    pub(crate) fn closed(&self, connection: &ConnectionHandle) {
        let Some(user) = connection.principal().user else { return };
        let is_own = {
            let mut state = self.sockets.lock();
            state.open.remove(connection.id().as_str());
            state.own.remove(&user.session)
        };
        if is_own {
            self.end(connection, user.user_id.clone(), user.session.clone());
        }
    }
}

/// Logs in with a password; the session is the connection's own.
fn open(
    sso: &Sso,
    sockets: &Sockets,
    call: &Call,
    username: String,
    password: Secret,
    totp_code: String,
) -> Result<Authenticated, SsoError> {
    let login = spanwire_sso::Login {
        username,
        password,
        totp_code: Some(totp_code).filter(|code| !code.is_empty()),
        ..spanwire_sso::Login::default()
    };
    let opened = sso.login(call, &login)?;
    let user = sso.authenticate(call, &opened.token)?;
    sockets.lock().own.insert(opened.handle);
    Ok(user)
}

fn call(sso: &Sso, connection: &ConnectionHandle) -> Call {
    let settings = sso.settings();
    Call {
        cid: correlation_id().to_string(),
        user_agent: connection.client().name.clone(),
        ..Call::new(&settings.apps.default, [connection.peer().address.ip().to_canonical()])
    }
}

fn principal_user(user: Authenticated) -> PrincipalUser {
    PrincipalUser {
        user_id: user.user_id,
        username: user.username,
        is_super_user: user.is_super_user,
        session: user.handle,
    }
}

impl Sockets {
    /// Something about a user changed.
    pub(super) fn changed(&self, user_id: &str) {
        let mut state = self.lock();
        if !state.open.is_empty() {
            state.changed.insert(user_id.to_owned());
        }
    }

    /// Looks at the sessions of users about whom something changed, and at those that should have ended; closes the
    /// connections whose session is over, and has the others know their user as it is now. Blocks.
    fn check(&self, sso: &Sso, now: i64) {
        let due: Vec<(String, Known, bool)> = {
            let mut state = self.lock();
            let changed = std::mem::take(&mut state.changed);
            let is_due =
                |known: &Known| known.until <= now || changed.contains(&known.user.user_id);
            let due = state.open.iter().filter(|(_, known)| is_due(known));
            due.map(|(id, known)| {
                (id.clone(), known.clone(), state.own.contains(&known.user.session))
            })
            .collect()
        };
        for (id, known, is_own) in due {
            let (call, user) = (call(sso, &known.connection), &known.user);
            // A session that nobody but the connection has lives as long as it.
            let state = match is_own && known.until != 0 && known.until <= now {
                true => sso.renew_session_of(&call, &user.user_id, &user.session),
                false => sso.session_state(&call, &user.user_id, &user.session),
            };
            match state {
                Ok(SessionState::Good(user)) => self.still_good(&id, &known, user, is_own),
                Ok(SessionState::Over) => self.over(&id, &known),
                Err(error) => {
                    tracing::error!(%error, "the session of a connection could not be looked at");
                    self.lock().changed.insert(known.user.user_id.clone());
                }
            }
        }
    }

    fn still_good(&self, id: &str, known: &Known, user: Authenticated, is_own: bool) {
        let until = user.expiration_time.as_microseconds();
        // In time for a renewal; one that moves nothing any more is not tried again.
        let in_time = until - RENEW_BEFORE;
        let until = if is_own && in_time > known.until { in_time } else { until };
        let user = principal_user(user);
        if user != known.user {
            known.connection.change_user(Arc::new(user.clone()));
        }
        let mut state = self.lock();
        if let Some(now) = state.open.get_mut(id).filter(|now| now.user.session == user.session) {
            (now.user, now.until) = (user, until);
        }
    }

    fn over(&self, id: &str, known: &Known) {
        {
            let mut state = self.lock();
            // It may have been renewed with another session meanwhile.
            if state.open.get(id).is_none_or(|now| now.user.session != known.user.session) {
                return;
            }
            state.open.remove(id);
        }
        tracing::info!(connection = id, "the session of single sign-on is over");
        known.connection.disconnect(CloseFrame::NOT_LET_IN);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a moment brings: records that go to the store, sockets whose session is over.
fn look(sockets: &Sockets, sso: &Sso, now: i64) {
    sso.flush_audit();
    if !sockets.lock().open.is_empty() {
        sockets.check(sso, now);
    }
}

/// Looks at what changed until the server stops.
pub(super) async fn watch(sockets: Sockets, sso: Sso, stop: CancellationToken) {
    let mut interval = tokio::time::interval(LOOK_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(interval.tick()).await.is_some() {
        if sockets.lock().open.is_empty() && !sso.has_unstored_records() {
            continue;
        }
        let (sockets, sso) = (sockets.clone(), sso.clone());
        let now = clock::timestamp().as_microseconds();
        if tokio::task::spawn_blocking(move || look(&sockets, &sso, now)).await.is_err() {
            tracing::error!("a look at the sessions of connections ended unexpectedly");
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// In microseconds.
const RENEW_BEFORE: i64 = 10_000_000;
