//! Starting and stopping everything, in order.
//!
//! Start: data folder (its lock first), stored objects, imports (all or nothing), services, listeners, readiness. Stop:
//! readiness off, no new connections, running calls finish, close 1001, store.

mod builder;
mod listeners;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use spanwire_channel::clock;
use spanwire_channel::server::ChannelServer;
use spanwire_service::Connections;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::builder::AppBuilder;
use crate::backend::Host;
use crate::data::DataFolder;

/// A running server.
#[derive(Debug)]
pub struct App {
    host: Arc<Host>,
    data: Option<DataFolder>,
    welcome: Option<String>,
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    channel_addresses: BTreeMap<String, SocketAddr>,
    servers: Vec<Arc<ChannelServer>>,
    stop: CancellationToken,
    requests: TaskTracker,
    connections: TaskTracker,
    drain_timeout: Duration,
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
        self.address
    }

    /// Where the admin API is served; `None` without a data folder.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// WebSocket channels with listeners of their own, by name.
    #[must_use]
    pub fn channel_addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.channel_addresses
    }

    /// The live connections.
    #[must_use]
    pub fn connections(&self) -> &dyn Connections {
        &*self.host.connections
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

    /// Stops: readiness off, no new connections, running calls finish, connections close with 1001. Takes at most the
    /// drain timeout; what does not end by then is cut off.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the server stopping, without the bound.
    pub async fn shutdown(self) {
        tracing::info!("stopping");
        let ends = clock::instant() + self.drain_timeout;
        self.host.readiness.stopping.store(true, Ordering::Relaxed);
        for server in &self.servers {
            server.refuse_upgrades();
        }
        self.stop.cancel();
        // Calls get most of the time, close handshakes the rest.
        self.host.connections.drain(clock::instant() + self.drain_timeout.mul_f32(0.8));
        self.requests.close();
        self.connections.close();
        let ended = async {
            self.requests.wait().await;
            self.connections.wait().await;
        };
        if tokio::time::timeout_at(ends.into(), ended).await.is_err() {
            tracing::warn!(connections = self.connections.len(), "not everything ended in time");
        }
        if let Some(data) = &self.data {
            data.forget_addresses();
        }
        tracing::info!("stopped");
    }
}

/// SIGTERM and SIGINT, from the moment it is installed.
#[derive(Debug)]
pub struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignal {
    /// Takes the signals over; they no longer end the process. Needs to be called within a runtime.
    ///
    /// # Errors
    /// When the system refuses signal handlers.
    pub fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one of them; returns at once if one came since the installation.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
