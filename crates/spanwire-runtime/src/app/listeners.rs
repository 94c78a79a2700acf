//! Every listener of a server: bound first, so that a taken port leaves nothing running, then serving.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use spanwire_channel::backend::Backend;
use spanwire_channel::server::{ChannelServer, Routes};
use spanwire_channel::transport::{
    AddressLimits, HttpApp, Listener, ListenerSettings, TlsFiles, TrustedProxies,
};
use spanwire_config::ObjectSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{AdminApp, AdminState};
use crate::backend::{ChannelBackend, Host, Refusals};
use crate::error::StartError;
use crate::settings::Settings;
use crate::wiring;

/// Listeners that are bound and do not accept yet.
pub(super) struct Bound {
    channels: Vec<(Listener, Arc<ChannelServer>)>,
    admin: Option<(Listener, Arc<AdminApp>)>,
    pub(super) addresses: Addresses,
}

/// Where a server listens.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub(super) main: SocketAddr,
    pub(super) admin: Option<SocketAddr>,
    pub(super) channels: BTreeMap<String, SocketAddr>,
}

impl Addresses {
    /// The content of `listen.json` (DESIGN 4).
    pub(super) fn to_json(&self) -> serde_json::Value {
        let channels: BTreeMap<&str, String> =
            self.channels.iter().map(|(name, address)| (&**name, address.to_string())).collect();
        let admin = self.admin.map(|address| address.to_string());
        json!({"listen": self.main.to_string(), "admin": admin, "channels": channels})
    }
}

/// Binds everything that settings and objects ask for.
pub(super) fn bind(
    settings: &Settings,
    objects: &ObjectSet,
    host: &Arc<Host>,
    admin: Option<AdminState>,
    connections: &TaskTracker,
) -> Result<Bound, StartError> {
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
    let mut addresses = Addresses { main: local(&main)?, admin: None, channels: BTreeMap::new() };
    let mut channels = vec![(main, server(wiring::shared_routes(objects, settings)?))];
    for own in wiring::own_listeners(objects, settings)? {
        let listener = Listener::bind(own.address, with(own.tls))?;
        let address = local(&listener)?;
        addresses.channels.extend(own.channels.into_iter().map(|name| (name, address)));
        channels.push((listener, server(own.routes)));
    }
    let admin = match admin {
        None => None,
        Some(state) => {
            let tls = settings.admin_tls_certificate.clone().zip(settings.admin_tls_key.clone());
            let tls = tls.map(|(certificate, key)| TlsFiles { certificate, key });
            let settings_of_admin = ListenerSettings { proxy_protocol: false, ..with(tls) };
            let listener = Listener::bind(settings.admin_listen, settings_of_admin)?;
            addresses.admin = Some(local(&listener)?);
            Some((listener, Arc::new(AdminApp::new(Arc::new(state)))))
        }
    };
    Ok(Bound { channels, admin, addresses })
}

impl Bound {
    /// Starts accepting, and returns what serves channels.
    pub(super) fn serve(
        self,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Vec<Arc<ChannelServer>> {
        let mut servers = Vec::new();
        for (listener, server) in self.channels {
            servers.push(Arc::clone(&server));
            spawn(listener, server, stop, tasks);
        }
        if let Some((listener, app)) = self.admin {
            spawn(listener, app, stop, tasks);
        }
        servers
    }
}

fn spawn(
    listener: Listener,
    app: Arc<impl HttpApp>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) {
    tasks.spawn(listener.serve(app, stop.clone(), tasks.clone()));
}

fn local(listener: &Listener) -> Result<SocketAddr, StartError> {
    listener.local_address().map_err(StartError::data)
}
