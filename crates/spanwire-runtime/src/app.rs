//! Starting and stopping everything, in order.
//!
//! Start: data folder (its lock first), stored objects, imports (all or nothing), services, listeners, readiness. Stop:
//! readiness off, no new connections, running calls finish, close 1001, store.

mod builder;
mod signals;
mod start;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use spanwire_channel::clock;
use spanwire_protocol::admin::Reloaded;
use spanwire_service::Connections;

pub use self::builder::AppBuilder;
pub use self::signals::{ReloadSignal, StopSignal};
use crate::admin::Administration;
use crate::backend::Host;
use crate::data::{AddressFile, DataFolder};
use crate::reconciler::{Reconciler, Tasks};

/// A running server.
#[derive(Debug)]
pub struct App {
    host: Arc<Host>,
    reconciler: Arc<Reconciler>,
    administration: Option<Arc<Administration>>,
    address_file: AddressFile,
    welcome: Option<String>,
    tasks: Tasks,
    /// Holds the lock of the folder.
    _data: Option<DataFolder>,
}

impl App {
    /// A server to be configured.
    #[must_use]
    pub fn builder() -> AppBuilder {
        AppBuilder::default()
    }

    /// Where channels and health are served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.reconciler.addresses().main
    }

    /// Where the admin API is served; `None` without a data folder.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.reconciler.addresses().admin
    }

    /// WebSocket channels with listeners of their own, by name.
    #[must_use]
    pub fn channel_addresses(&self) -> BTreeMap<String, SocketAddr> {
        self.reconciler.addresses().channels.clone()
    }

    /// Reads the settings again, and puts to work what can be without a restart. Open connections stay.
    ///
    /// # Errors
    /// Every mistake, or why the settings cannot be put to work; then nothing has changed.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the reload.
    pub async fn reload(&self) -> Result<Reloaded, Vec<String>> {
        let Some(administration) = self.administration.clone() else {
            return Err(vec!["a server without a data folder has no settings to read".to_owned()]);
        };
        let reload = tokio::task::spawn_blocking(move || administration.reload_settings());
        reload.await.unwrap_or_else(|error| Err(vec![error.to_string()]))
    }

    /// Single sign-on, for programs that make users themselves; `None` if the settings want none. Its calls block.
    #[must_use]
    pub fn sso(&self) -> Option<&spanwire_sso::Sso> {
        self.host.sso.as_ref().map(|sso| &sso.sso)
    }

    /// The live connections.
    #[must_use]
    pub fn connections(&self) -> &dyn Connections {
        &*self.host.connections
    }

    /// Reads the settings again as [`App::reload`], and writes to the log what is wrong with them.
    pub async fn reload_and_log(&self) {
        for problem in self.reload().await.err().unwrap_or_default() {
            tracing::error!(problem, "settings were not read again, the former ones stay");
        }
    }

    /// What to print, once, when the data folder was made just now.
    pub fn take_welcome(&mut self) -> Option<String> {
        self.welcome.take()
    }

    /// Waits for SIGTERM or SIGINT. One that comes before this is called ends the process, as it would without a
    /// server: see [`StopSignal`] for not missing any.
    ///
    /// # Errors
    /// When the system refuses signal handlers.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn stop_requested(&self) -> std::io::Result<()> {
        StopSignal::install()?.received().await;
        Ok(())
    }

    /// Stops: readiness off, no new connections, running calls finish, connections close with 1001, the message log is
    /// closed. Takes at most the drain timeout, and a second more if the log needs it; what does not end by then is cut off.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the server stopping, without the bound.
    pub async fn shutdown(self) {
        tracing::info!("stopping");
        let drain_timeout = self.reconciler.settings().drain_timeout;
        let begun = clock::instant();
        // The message log gets the rest.
        let ends = begun + drain_timeout.mul_f32(0.9);
        self.host.readiness.stopping.store(true, Ordering::Relaxed);
        // A change that is being applied holds it up for a moment.
        let reconciler = Arc::clone(&self.reconciler);
        let refusing = tokio::task::spawn_blocking(move || reconciler.refuse_upgrades());
        if tokio::time::timeout_at(ends.into(), refusing).await.is_err() {
            tracing::warn!("a change was still being applied");
        }
        self.tasks.stop.cancel();
        self.host.pubsub.end_waits();
        // Calls get most of the time, close handshakes the rest.
        self.host.connections.drain(begun + drain_timeout.mul_f32(0.8));
        self.tasks.requests.close();
        self.tasks.connections.close();
        let ended = async {
            self.tasks.requests.wait().await;
            self.tasks.connections.wait().await;
        };
        if tokio::time::timeout_at(ends.into(), ended).await.is_err() {
            tracing::warn!(
                connections = self.tasks.connections.len(),
                "not everything ended in time"
            );
        }
        // Calls that are being answered may need them until now.
        if tokio::time::timeout(OUTCONNS_CLOSE, self.host.outconns.stop_all()).await.is_err() {
            tracing::warn!("not every outgoing connection was closed in time");
        }
        let closed = (begun + drain_timeout).max(clock::instant() + SHORTEST_CLOSE);
        self.host.pubsub.close(closed).await;
        // Services hold on to the broker, and that to its log, which has to be closed as well.
        self.host.ports.registry().clear();
        self.address_file.forget();
        tracing::info!("stopped");
    }
}

/// How long the close of outgoing connections is waited for.
const OUTCONNS_CLOSE: Duration = Duration::from_secs(1);

/// What the message log gets of the time of a stop, at least.
const SHORTEST_CLOSE: Duration = Duration::from_secs(1);
