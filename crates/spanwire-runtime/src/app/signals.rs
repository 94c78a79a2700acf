//! Signals that mean something to a server.

use tokio::signal::unix::{Signal, SignalKind, signal};

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

/// SIGHUP, from the moment it is installed: the settings shall be read again.
#[derive(Debug)]
pub struct ReloadSignal(Signal);

impl ReloadSignal {
    /// Takes the signal over; it no longer ends the process. Needs to be called within a runtime.
    ///
    /// # Errors
    /// When the system refuses signal handlers.
    pub fn install() -> std::io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one. Several that come while nobody waits are one.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn received(&mut self) {
        self.0.recv().await;
    }
}
