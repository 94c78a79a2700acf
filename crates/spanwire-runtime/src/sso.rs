//! Single sign-on at work: its core on the server's store, its services, its mails, and what ends by itself.
//!
//! | file | what is there |
//! |---|---|
//! | `routes` | the REST paths of existing clients |
//! | `mailer` | sending mails, or leaving them in a folder |
//! | `sockets` | users behind WebSocket connections |

mod mailer;
mod routes;
mod sockets;

use std::sync::Arc;
use std::time::Duration;

use spanwire_builtins::sso::Hashing;
use spanwire_channel::backend::RestCall;
use spanwire_crypto::KeyRing;
use spanwire_service::{Registry, ServiceError};
use spanwire_sso::store::KeyValueUserStore;
use spanwire_sso::{Call, LinkedAuth, Observer, Sso};
use spanwire_store::{KeyValue, MemoryStore};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::mailer::Mailer;
pub(crate) use self::routes::channels;
use self::sockets::Sockets;
use crate::error::StartError;
use crate::security::Definitions;
use crate::settings::Settings;

/// Single sign-on of a server.
#[derive(Debug)]
pub(crate) struct SingleSignOn {
    pub(crate) sso: Sso,
    pub(crate) sockets: Sockets,
    hashing: Hashing,
    mails: std::sync::Mutex<Option<mpsc::Receiver<spanwire_sso::mail::Mail>>>,
}

/// Hands on what happens. It may be called anywhere, so it never waits.
#[derive(Debug)]
struct Told {
    sockets: Sockets,
    mails: mpsc::Sender<spanwire_sso::mail::Mail>,
}

impl Observer for Told {
    fn changed(&self, user_id: &str) {
        self.sockets.changed(user_id);
    }

    fn mail(&self, mail: spanwire_sso::mail::Mail) {
        if self.mails.try_send(mail).is_err() {
            tracing::error!("a mail was not sent: too many wait already");
        }
    }
}

impl SingleSignOn {
    /// On this store, or in memory without one; `None` if the settings want none. Registers the services. Blocks.
    pub(crate) fn open(
        settings: &Settings,
        kept: Option<(Arc<dyn KeyValue>, Arc<KeyRing>)>,
        registry: &Registry,
        definitions: &Arc<Definitions>,
    ) -> Result<Option<Self>, StartError> {
        if !settings.sso.enabled {
            return Ok(None);
        }
        let (store, keys) = match kept {
            Some(kept) => kept,
            None => {
                let keys = KeyRing::ephemeral().map_err(StartError::data)?;
                (Arc::new(MemoryStore::new()) as Arc<dyn KeyValue>, Arc::new(keys))
            }
        };
        let store = Arc::new(KeyValueUserStore::new(store));
        let sso = Sso::open(store, keys, settings.sso_settings()).map_err(StartError::data)?;
        let sockets = Sockets::default();
        let (sender, mails) = mpsc::channel(MOST_MAILS);
        sso.observe(Told { sockets: sockets.clone(), mails: sender });
        let definitions = Arc::clone(definitions);
        let is_known = move |auth_type: &str, name: &str| {
            auth_type == "basic_auth" && definitions.is_basic(name)
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let parallel = settings.sso.hash.parallel.unwrap_or(processors / 2);
        let hashing = Hashing::start(parallel).map_err(StartError::data)?;
        spanwire_builtins::sso::register(
            registry,
            sso.clone(),
            hashing.clone(),
            Arc::new(is_known),
        );
        Ok(Some(Self { sso, sockets, hashing, mails: std::sync::Mutex::new(Some(mails)) }))
    }

    /// Takes other settings.
    pub(crate) fn set_settings(&self, settings: &Settings) {
        if let Err(error) = self.sso.set_settings(settings.sso_settings()) {
            tracing::error!(%error, "settings of single sign-on were not taken");
        }
    }

    /// What goes on until the server stops: mails, and the end of what has expired.
    pub(crate) fn run(&self, stop: &CancellationToken, tasks: &TaskTracker) {
        let mails = self.mails.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(mails) = mails {
            tasks.spawn(Mailer::new(self.sso.clone()).run(mails, stop.clone()));
        }
        tasks.spawn(sockets::watch(self.sockets.clone(), self.sso.clone(), stop.clone()));
        let (sso, stop) = (self.sso.clone(), stop.clone());
        tasks.spawn(async move {
            let mut interval = tokio::time::interval(CLEAN_UP_EVERY);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while stop.run_until_cancelled(interval.tick()).await.is_some() {
                let sso = sso.clone();
                match tokio::task::spawn_blocking(move || sso.clean_up()).await {
                    Ok(Ok(0)) => {}
                    Ok(Ok(count)) => {
                        tracing::info!(count, "removed what had expired of users and sessions")
                    }
                    Ok(Err(error)) => {
                        tracing::error!(%error, "what expired of users could not be removed")
                    }
                    Err(_) => tracing::error!("the removal of what expired ended unexpectedly"),
                }
            }
        });
    }

    /// Credentials of this name are gone, or have another name.
    pub(crate) fn forget_definition(&self, name: &str) {
        let call = Call::internal("configuration");
        if let Err(error) = self.sso.forget_definition(&call, "basic_auth", name) {
            tracing::error!(%error, "credentials that are gone are still linked to a user");
        }
    }

    /// A call with linked credentials, whose user is to have a session; `None` for credentials that are linked to nobody.
    pub(crate) fn linked(&self, call: &RestCall) -> Option<LinkedCall> {
        let name = Arc::clone(&call.principal.security_name);
        // A store that cannot be read lets nobody in who depends on it.
        if name.is_empty() || !self.sso.is_linked("basic_auth", &name).unwrap_or(true) {
            return None;
        }
        let settings = self.sso.settings();
        let header = |name: &str| call.headers.get(name).and_then(|it| it.to_str().ok());
        let from = Call {
            cid: call.cid.to_string(),
            user_agent: header("user-agent").unwrap_or_default().to_owned(),
            ..Call::new(
                header(&settings.apps.http_header).unwrap_or_default(),
                [call.peer.address.ip().to_canonical()],
            )
        };
        Some(LinkedCall { sso: self.sso.clone(), from, name })
    }
}

/// A call with linked credentials.
pub(crate) struct LinkedCall {
    sso: Sso,
    from: Call,
    name: Arc<str>,
}

impl LinkedCall {
    /// The token of the user's session, for the answer.
    pub(crate) async fn token(self) -> Result<Option<spanwire_crypto::Secret>, ServiceError> {
        let Self { sso, from, name } = self;
        let opening = move || sso.on_linked_auth(&from, "basic_auth", &name);
        let opened = tokio::task::spawn_blocking(opening).await.map_err(ServiceError::internal)?;
        match opened {
            Ok(LinkedAuth::Opened(opened)) => Ok(Some(opened.token)),
            Ok(LinkedAuth::Unlinked) => Ok(None),
            Ok(LinkedAuth::TooMany) => {
                let status = spanwire_protocol::Status(429);
                Err(ServiceError::new(status, "Error 429 Too Many Requests"))
            }
            Err(error) if error.code().is_some() => Err(ServiceError::forbidden()),
            Err(error) => Err(ServiceError::internal(error)),
        }
    }
}

/// Mails that wait to be sent.
const MOST_MAILS: usize = 10_000;
const CLEAN_UP_EVERY: Duration = Duration::from_secs(300);
