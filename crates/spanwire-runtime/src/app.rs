//! Starting and stopping everything, in order.
//!
//! Start: data folder (its lock first), stored objects, imports (all or nothing), services, listeners, readiness. Stop:
//! readiness off, no new connections, running calls finish, close 1001, store.

mod builder;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use spanwire_channel::backend::Backend;
use spanwire_channel::clock;
use spanwire_channel::server::{ChannelServer, Routes};
use spanwire_channel::transport::{
    AddressLimits, HttpApp, Listener, ListenerSettings, TlsFiles, TrustedProxies,
};
use spanwire_service::Connections;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::builder::AppBuilder;
use crate::admin::{AdminApp, AdminState};
use crate::backend::{ChannelBackend, Host, Refusals};
use crate::data::DataFolder;
use crate::error::StartError;
use crate::settings::Settings;
use crate::wiring;

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

    /// Waits for SIGTERM or SIGINT.
    ///
    /// # Errors
    /// When the system refuses signal handlers.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn stop_requested(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
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

/// Listeners that are bound, and what runs on them.
struct Listening {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    channel_addresses: BTreeMap<String, SocketAddr>,
    servers: Vec<Arc<ChannelServer>>,
}

/// Binds everything first, so that a taken port leaves nothing running; then accepts.
fn listen(
    settings: &Settings,
    objects: &spanwire_config::ObjectSet,
    host: &Arc<Host>,
    admin: Option<AdminState>,
    stop: &CancellationToken,
    requests: &TaskTracker,
    connections: &TaskTracker,
) -> Result<Listening, StartError> {
    let limits = AddressLimits::new(settings.limit_settings());
    let trusted = TrustedProxies::parse(&settings.trusted_proxies);
    let trusted = Arc::new(trusted.map_err(|problem| StartError::Settings(vec![problem]))?);
    let with = |tls: Option<TlsFiles>| ListenerSettings {
        tls,
        proxy_protocol: settings.proxy_protocol,
        trusted_proxies: Arc::clone(&trusted),
        handshake_timeout: settings.limits.handshake_timeout,
        header_timeout: settings.limits.header_timeout,
        max_headers: settings.limits.headers,
        max_header_bytes: settings.limits.header_bytes,
        observer: Arc::new(Refusals(Arc::clone(&host.metrics))),
        ..ListenerSettings::new(Arc::clone(&limits))
    };
    let backend: Arc<dyn Backend> = Arc::new(ChannelBackend(Arc::clone(host)));
    let server = |routes: Routes| {
        Arc::new(ChannelServer::new(routes, Arc::clone(&backend), connections.clone()))
    };

    let main = Listener::bind(settings.listen, with(wiring::main_tls(settings)))?;
    let main_server = server(wiring::shared_routes(objects, settings)?);
    let mut own = Vec::new();
    for listener in wiring::own_listeners(objects, settings)? {
        let bound = Listener::bind(listener.address, with(listener.tls))?;
        own.push((bound, server(listener.routes), listener.channels));
    }
    let admin = match admin {
        None => None,
        Some(state) => {
            let tls = settings.admin_tls_certificate.clone().zip(settings.admin_tls_key.clone());
            let tls = tls.map(|(certificate, key)| TlsFiles { certificate, key });
            let plain = ListenerSettings { proxy_protocol: false, ..with(tls) };
            Some((
                Listener::bind(settings.admin_listen, plain)?,
                Arc::new(AdminApp::new(Arc::new(state))),
            ))
        }
    };

    let mut channel_addresses = BTreeMap::new();
    let mut servers = vec![Arc::clone(&main_server)];
    let address = main.local_address().map_err(StartError::data)?;
    spawn(main, main_server, stop, requests);
    for (listener, server, channels) in own {
        let address = listener.local_address().map_err(StartError::data)?;
        channel_addresses.extend(channels.into_iter().map(|name| (name, address)));
        servers.push(Arc::clone(&server));
        spawn(listener, server, stop, requests);
    }
    let mut admin_address = None;
    if let Some((listener, app)) = admin {
        admin_address = Some(listener.local_address().map_err(StartError::data)?);
        spawn(listener, app, stop, requests);
    }
    Ok(Listening { address, admin_address, channel_addresses, servers })
}

fn spawn(
    listener: Listener,
    app: Arc<impl HttpApp>,
    stop: &CancellationToken,
    requests: &TaskTracker,
) {
    requests.spawn(listener.serve(app, stop.clone(), requests.clone()));
}

fn addresses_file(listening: &Listening) -> serde_json::Value {
    let channels: BTreeMap<&str, String> = listening
        .channel_addresses
        .iter()
        .map(|(name, address)| (&**name, address.to_string()))
        .collect();
    let admin = listening.admin_address.map(|address| address.to_string());
    json!({"listen": listening.address.to_string(), "admin": admin, "channels": channels})
}
