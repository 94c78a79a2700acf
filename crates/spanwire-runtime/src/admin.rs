//! The server as the admin API sees it, and the listener's side of that API.
//!
//! Every change of the configuration goes through [`Administration::change`], whoever asks for it: stored, put to work,
//! told to those who watch, one at a time.

pub(crate) mod app;
mod backend;
mod pubsub;
mod sso;

use std::sync::Arc;

use spanwire_admin::Applied;
use spanwire_channel::clock;
use spanwire_config::{Author, Configuration, Edit, EditError, Kind, Outcome, Revision};
use spanwire_crypto::{KeyRing, Secret};
use spanwire_protocol::Timestamp;
use spanwire_protocol::admin::{Event, Reloaded};
use tokio_util::sync::CancellationToken;

use self::app::AdminApp;
use crate::backend::Host;
use crate::data::AddressFile;
use crate::reconciler::Reconciler;
use crate::settings::SettingsControl;

/// What administrators reach.
pub(crate) struct Administration {
    pub(crate) host: Arc<Host>,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) reconciler: Arc<Reconciler>,
    pub(crate) settings: SettingsControl,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) token: Secret,
    pub(crate) started: Timestamp,
    pub(crate) stop: CancellationToken,
    pub(crate) addresses: AddressFile,
    /// One change at a time, from the store to what runs.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

impl Administration {
    /// Makes a change and puts it to work. Runs to its end, also when nobody waits for it any more.
    pub(crate) async fn change(
        self: &Arc<Self>,
        edits: Vec<Edit>,
        author: Author,
    ) -> Result<Applied, EditError> {
        let this = Arc::clone(self);
        let changed = tokio::spawn(async move {
            let _one_at_a_time = this.changing.lock().await;
            let own = Arc::clone(&this);
            let work = move || own.change_now(edits, &author);
            tokio::task::spawn_blocking(work).await
        });
        match changed.await {
            Ok(Ok(result)) => result,
            _ => Err(broke_off()),
        }
    }

    fn change_now(&self, edits: Vec<Edit>, author: &Author) -> Result<Applied, EditError> {
        let now = clock::timestamp();
        let built_in = |kind: Kind, name: &str| is_built_in(&self.host, kind, name);
        let outcome = self.configuration.change(edits, author, now, &built_in)?;
        let mut closed_connections = 0;
        if let Some(number) = outcome.revision {
            closed_connections = self.reconciler.apply(&outcome.after, &outcome.changes).closed;
            self.addresses.write(|| self.reconciler.addresses());
            self.tell(number, &outcome, author, now);
        }
        Ok(Applied { outcome, closed_connections })
    }

    /// Writes a change to the log, and tells those who watch.
    fn tell(&self, number: u64, outcome: &Outcome, author: &Author, now: Timestamp) {
        for change in &outcome.changes {
            let (kind, name, version) = (change.kind.as_str(), change.name(), change.version);
            let action = match (&change.before, &change.after) {
                (None, _) => "created",
                (Some(_), None) => "deleted",
                (Some(_), Some(_)) => "updated",
            };
            let Author { who, from, reason } = author;
            tracing::info!(
                revision = number,
                kind,
                name,
                version,
                action,
                who,
                from,
                reason,
                "configuration changed"
            );
        }
        self.host.events.send(|| {
            let Author { who, from, reason } = author.clone();
            let changes = outcome.changes.clone();
            let revision = Revision { number, at: now, who, from, reason, changes };
            Event::Change(spanwire_admin::event(revision))
        });
    }

    /// Reads the settings again. Blocks.
    pub(crate) fn reload_settings(&self) -> Result<Reloaded, Vec<String>> {
        let reloaded = self.settings.reload(|settings| {
            self.reconciler.set_settings(settings)?;
            self.addresses.write(|| self.reconciler.addresses());
            Ok(())
        })?;
        let (changed, needs_restart) =
            (reloaded.changed.join(", "), reloaded.needs_restart.join(", "));
        tracing::info!(changed, needs_restart, "settings were read again");
        Ok(reloaded)
    }
}

/// For work that panicked; the log has why.
fn broke_off() -> EditError {
    let text = "the change ended unexpectedly: see the log".to_owned();
    EditError::Store(spanwire_config::store::ConfigStoreError::Store(text))
}

/// Whether something exists without being stored.
pub(crate) fn is_built_in(host: &Host, kind: Kind, name: &str) -> bool {
    matches!(kind, Kind::Service | Kind::WsxGateway) && host.ports.registry().is_compiled_in(name)
}

/// The application behind the admin listener.
pub(crate) fn application(administration: Arc<Administration>) -> AdminApp {
    AdminApp::new(spanwire_admin::router(Arc::new(backend::AdminBackend(administration))))
}

impl std::fmt::Debug for Administration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Administration").finish_non_exhaustive()
    }
}
