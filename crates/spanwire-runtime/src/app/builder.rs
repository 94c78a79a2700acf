//! A server to be configured, and its start.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use spanwire_channel::clock;
use spanwire_config::{Existing, Import, Kind, Object, ObjectSet, Problem, import, parse_str};
use spanwire_crypto::Secret;
use spanwire_service::{
    Connections, Context, PayloadService, Ports, Registry, Service, ServiceError, Source,
};
use spanwire_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{App, listeners};
use crate::admin::AdminState;
use crate::backend::{Host, Readiness};
use crate::connections::ConnectionTable;
use crate::data::DataFolder;
use crate::error::StartError;
use crate::hooks::Hooks;
use crate::objects::StoredObjects;
use crate::resolver::{Resolver, ReverseDns, SystemDns};
use crate::security::Definitions;
use crate::settings::Settings;
use crate::telemetry::{Calls, Metrics};
use crate::{demo, wiring};

/// A server to be configured. Without a data folder it keeps nothing, and has no admin listener.
pub struct AppBuilder {
    settings: Settings,
    data: Option<PathBuf>,
    imports: Vec<PathBuf>,
    texts: Vec<String>,
    registry: Registry,
    dns: Arc<dyn ReverseDns>,
}

impl Default for AppBuilder {
    /// Listens on any port of loopback, with the built-in services.
    fn default() -> Self {
        let registry = Registry::new();
        spanwire_builtins::register(&registry);
        let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            settings: Settings { listen: any_port, admin_listen: any_port, ..Settings::default() },
            data: None,
            imports: Vec::new(),
            texts: Vec::new(),
            registry,
            dns: Arc::new(SystemDns::default()),
        }
    }
}

impl AppBuilder {
    /// Replaces all settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Listens here; port 0 lets the system choose.
    #[must_use]
    pub fn listen(mut self, address: std::net::SocketAddr) -> Self {
        self.settings.listen = address;
        self
    }

    /// Keeps everything in this folder, and serves the admin API.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// Imports files of managed objects before the server is ready.
    #[must_use]
    pub fn import(mut self, files: impl IntoIterator<Item = PathBuf>) -> Self {
        self.imports.extend(files);
        self
    }

    /// Adds managed objects, written as in a file.
    #[must_use]
    pub fn objects(mut self, yaml: impl Into<String>) -> Self {
        self.texts.push(yaml.into());
        self
    }

    /// Adds a service.
    #[must_use]
    pub fn service(self, name: &str, service: impl Service) -> Self {
        self.registry.register(name, service);
        self
    }

    /// Adds a closure as a service.
    #[must_use]
    pub fn service_fn<F, I, O, Fut>(self, name: &str, function: F) -> Self
    where
        F: Fn(Context, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, ServiceError>> + Send + 'static,
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
    {
        self.registry.register_fn(name, function);
        self
    }

    /// Adds a service that takes its input unparsed.
    #[must_use]
    pub fn payload_service(self, name: &str, service: impl PayloadService) -> Self {
        self.registry.insert(name, Source::Native, Arc::new(service));
        self
    }

    /// Finds host names with another resolver than the system's.
    #[must_use]
    pub fn reverse_dns(mut self, dns: impl ReverseDns) -> Self {
        self.dns = Arc::new(dns);
        self
    }

    /// Starts the server. When this returns it is ready.
    ///
    /// # Errors
    /// When anything is wrong; then nothing runs and no object was stored.
    ///
    /// # Cancel safety
    /// Dropping the future stops the start; objects that were imported stay imported.
    pub async fn start(self) -> Result<App, StartError> {
        let started = clock::timestamp();
        let Self { settings, data, imports, texts, registry, dns } = self;
        let data = match data {
            // Opening reads what is stored, which takes time with a large store.
            Some(path) => {
                let open = tokio::task::spawn_blocking(move || DataFolder::open(&path));
                Some(open.await.map_err(StartError::data)??)
            }
            None => None,
        };
        let mut stored = match &data {
            Some(data) => StoredObjects::load(&*data.store, &data.keys)?,
            None => StoredObjects::default(),
        };
        let demo = match &data {
            Some(_) if stored.is_new() => Some(demo::create()?),
            _ => None,
        };
        let password = demo.as_ref().map(|demo| demo.password.clone());
        let demo = demo.map(|demo| demo.objects);
        let wanted = read_objects(&stored.set, demo, &texts, &imports, &registry)?;
        let mut objects = stored.set.clone();
        objects.apply(wanted.iter().cloned());
        wiring::register_services(&objects, &registry)?;
        let store = data.as_ref().map(|data| Arc::clone(&data.store));
        let host = host(&settings, &objects, registry, dns, store)?;
        let token = data.as_ref().map(|data| data.admin_token.clone());
        let admin = token
            .map(|token: Secret| AdminState::new(Arc::clone(&host), token, &settings, started));
        let (stop, requests, connections) =
            (CancellationToken::new(), TaskTracker::new(), TaskTracker::new());
        let bound = listeners::bind(&settings, &objects, &host, admin, &connections)?;

        // Everything that can be wrong was found by now: what is stored is what can be started with again.
        if let Some(data) = &data {
            let applied = stored.apply(wanted, &*data.store, &data.keys)?;
            let (created, updated, unchanged) =
                (applied.created, applied.updated, applied.unchanged);
            tracing::info!(created, updated, unchanged, "managed objects applied");
        }
        let addresses = bound.addresses.clone();
        let servers = bound.serve(&stop, &requests);
        maintain(&host, &stop, &requests);
        if let Some(data) = &data {
            data.write_addresses(&addresses.to_json())?;
        }
        let welcome = data.as_ref().zip(password).map(|(data, password)| {
            let tls = settings.tls_certificate.is_some();
            demo::welcome(data.path(), addresses.main, tls, &password)
        });
        let (listen, admin) = (addresses.main, addresses.admin.map(|address| address.to_string()));
        let profile = settings.effective_profile().as_str();
        tracing::info!(%listen, admin, profile, name = settings.name, "ready");
        for (channel, address) in &addresses.channels {
            tracing::info!(channel, %address, "channel has its own listener");
        }
        Ok(App {
            host,
            data,
            welcome,
            address: addresses.main,
            admin_address: addresses.admin,
            channel_addresses: addresses.channels,
            servers,
            stop,
            requests,
            connections,
            drain_timeout: settings.drain_timeout,
        })
    }
}

fn host(
    settings: &Settings,
    objects: &ObjectSet,
    registry: Registry,
    dns: Arc<dyn ReverseDns>,
    store: Option<Arc<Store>>,
) -> Result<Arc<Host>, StartError> {
    let metrics = Metrics::new().map_err(StartError::data)?;
    let connections = Arc::new(ConnectionTable::new(&settings.name));
    let ports = Ports::new(Arc::new(registry))
        .with_connections(Arc::clone(&connections) as Arc<dyn Connections>)
        .with_observer(Arc::new(Calls(Arc::clone(&metrics))));
    Ok(Arc::new(Host {
        hooks: Hooks::new(ports.clone()),
        ports,
        connections,
        definitions: Arc::new(Definitions::new(objects, settings.limits.failed_logins)),
        metrics,
        resolver: Resolver::start(dns),
        readiness: Arc::new(Readiness::new(store)),
    }))
}

/// Everything that is to be created or updated, or every mistake.
fn read_objects(
    stored: &ObjectSet,
    demo: Option<Vec<Object>>,
    texts: &[String],
    imports: &[PathBuf],
    registry: &Registry,
) -> Result<Vec<Object>, StartError> {
    let mut known = stored.clone();
    let mut wanted = demo.unwrap_or_default();
    known.apply(wanted.clone());
    let built_in = |kind: Kind, name: &str| {
        matches!(kind, Kind::Service | Kind::WsxGateway) && registry.contains(name)
    };
    let environment = |name: &str| std::env::var(name).ok();
    for text in texts {
        let read = parse_str("(objects)", text, &environment, Existing::new(&known, &built_in));
        take(read, &mut known, &mut wanted)?;
    }
    if !imports.is_empty() {
        let read = import(imports, &environment, Existing::new(&known, &built_in));
        take(read, &mut known, &mut wanted)?;
    }
    Ok(wanted)
}

fn take(
    read: Result<Import, Vec<Problem>>,
    known: &mut ObjectSet,
    wanted: &mut Vec<Object>,
) -> Result<(), StartError> {
    let read = read.map_err(StartError::Objects)?;
    for warning in &read.warnings {
        tracing::warn!("{warning}");
    }
    known.apply(read.objects.clone());
    wanted.extend(read.objects);
    Ok(())
}

/// Keeps histograms from growing between two looks at them.
fn maintain(host: &Arc<Host>, stop: &CancellationToken, tasks: &TaskTracker) {
    let (metrics, stop) = (Arc::clone(&host.metrics), stop.clone());
    tasks.spawn(async move {
        let mut interval = tokio::time::interval(MAINTENANCE);
        while stop.run_until_cancelled(interval.tick()).await.is_some() {
            metrics.maintain();
        }
    });
}

const MAINTENANCE: Duration = Duration::from_secs(5);

impl std::fmt::Debug for AppBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppBuilder")
            .field("settings", &self.settings)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}
