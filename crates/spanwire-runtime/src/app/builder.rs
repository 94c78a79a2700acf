//! A server to be configured.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use spanwire_service::{Context, PayloadService, Registry, Service, ServiceError, Source};

use super::{App, start};
use crate::error::StartError;
use crate::resolver::{ReverseDns, SystemDns};
use crate::settings::{Loaded, LogFormat, Settings, Sources};

/// A server to be configured. Without a data folder it keeps nothing, and has no admin listener.
pub struct AppBuilder {
    pub(super) settings: Loaded,
    pub(super) sources: Option<Sources>,
    pub(super) data: Option<PathBuf>,
    pub(super) imports: Vec<PathBuf>,
    pub(super) texts: Vec<String>,
    pub(super) registry: Registry,
    pub(super) dns: Arc<dyn ReverseDns>,
}

impl Default for AppBuilder {
    /// Listens on any port of loopback, with the built-in services.
    fn default() -> Self {
        let registry = Registry::new();
        spanwire_builtins::register(&registry);
        let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            settings: Loaded {
                settings: Settings {
                    listen: any_port,
                    admin_listen: any_port,
                    ..Settings::default()
                },
                ..Loaded::default()
            },
            sources: None,
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
        self.settings = Loaded { settings, ..Loaded::default() };
        self
    }

    /// Replaces all settings by those of a file, of variables and of arguments, which can be read again while the
    /// server runs.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn sources(mut self, sources: Sources) -> Result<Self, StartError> {
        self.settings = sources.load().map_err(StartError::Settings)?;
        self.sources = Some(sources);
        Ok(self)
    }

    /// How log lines are to look; see [`crate::telemetry::init_logging`].
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        self.settings.settings.log_format
    }

    /// Listens here; port 0 lets the system choose.
    #[must_use]
    pub fn listen(mut self, address: std::net::SocketAddr) -> Self {
        self.settings.settings.listen = address;
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
    /// An object that is stored and cannot be put to work now, such as a channel whose port is taken, is shown as
    /// failed and tried again; one that comes with this start refuses it.
    ///
    /// # Errors
    /// When anything is wrong; then nothing runs and no object was stored.
    ///
    /// # Cancel safety
    /// Dropping the future stops the start; objects that were imported stay imported.
    pub async fn start(self) -> Result<App, StartError> {
        start::start(self).await
    }
}

impl std::fmt::Debug for AppBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppBuilder")
            .field("settings", &self.settings)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}
