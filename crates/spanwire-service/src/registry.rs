//! Services by name.

use std::collections::HashMap;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::error::ServiceError;
use crate::invoke::ServiceObserver;
use crate::outgoing::Remote;
use crate::service::{Closure, PayloadService, Service, Typed};

/// Where a service comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Shipped with spanwire.
    Builtin,
    /// Compiled in by an embedder.
    Native,
    /// An HTTP endpoint elsewhere.
    Http,
    /// A list of services that clients may call, from the configuration.
    Gateway,
    /// Behind an outgoing connection.
    Remote,
}

impl Source {
    /// The word used in lists.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Native => "native",
            Self::Http => "http",
            Self::Gateway => "gateway",
            Self::Remote => "remote",
        }
    }
}

/// All services of a host. Changes take effect with the next call; calls under way finish on what they started with.
///
/// A configured service stands before one of the same name that is compiled in, for as long as it is there.
#[derive(Default)]
pub struct Registry {
    services: RwLock<Services>,
}

#[derive(Default)]
struct Services {
    compiled_in: HashMap<Arc<str>, Arc<Entry>>,
    configured: HashMap<Arc<str>, Arc<Entry>>,
}

/// One service, and who counts its calls once there was one.
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
    /// The name it is counted under: the names of services elsewhere are chosen by callers, and have no end.
    pub(crate) counted_as: Arc<str>,
    pub(crate) source: Source,
    pub(crate) service: Arc<dyn PayloadService>,
    pub(crate) observer: OnceLock<Arc<dyn ServiceObserver>>,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a typed service; one of the same name is replaced.
    pub fn register<S: Service>(&self, name: &str, service: S) {
        self.insert(name, Source::Native, Arc::new(Typed(service)));
    }

    /// Adds a closure as a service; one of the same name is replaced.
    pub fn register_fn<F, I, O, Fut>(&self, name: &str, function: F)
    where
        F: Fn(Context, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, ServiceError>> + Send + 'static,
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + 'static,
    {
        self.register(name, Closure(function, PhantomData));
    }

    /// Adds a service that takes its input unparsed; one of the same name is replaced.
    pub fn insert(&self, name: &str, source: Source, service: Arc<dyn PayloadService>) {
        let entry = Entry::new(name, source, service);
        self.write().compiled_in.insert(Arc::clone(&entry.name), entry);
    }

    /// Removes a service that is compiled in; tells whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.write().compiled_in.remove(name).is_some()
    }

    /// Removes all services. They may hold on to what reaches the registry: a host that stops lets go of all of it.
    pub fn clear(&self) {
        let mut services = self.write();
        let gone =
            (std::mem::take(&mut services.compiled_in), std::mem::take(&mut services.configured));
        drop(services);
        drop(gone);
    }

    /// Adds a service that comes from the configuration; one of the same name is replaced.
    pub fn configure(&self, name: &str, source: Source, service: Arc<dyn PayloadService>) {
        let entry = Entry::new(name, source, service);
        self.write().configured.insert(Arc::clone(&entry.name), entry);
    }

    /// Removes a service that came from the configuration; tells whether there was one.
    pub fn unconfigure(&self, name: &str) -> bool {
        self.write().configured.remove(name).is_some()
    }

    /// Whether a service of this name is compiled in.
    #[must_use]
    pub fn is_compiled_in(&self, name: &str) -> bool {
        self.read().compiled_in.contains_key(name)
    }

    /// Whether there is a service of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// All names with their sources, sorted by name.
    #[must_use]
    pub fn list(&self) -> Vec<(Arc<str>, Source)> {
        let services = self.read();
        let compiled_in = services.compiled_in.values();
        let compiled_in =
            compiled_in.filter(|entry| !services.configured.contains_key(&entry.name));
        let all = services.configured.values().chain(compiled_in);
        let mut list: Vec<_> = all.map(|entry| (Arc::clone(&entry.name), entry.source)).collect();
        list.sort_by(|(a, _), (b, _)| a.cmp(b));
        list
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Entry>> {
        let services = self.read();
        services.configured.get(name).or_else(|| services.compiled_in.get(name)).cloned()
    }

    fn read(&self) -> RwLockReadGuard<'_, Services> {
        self.services.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Services> {
        self.services.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(name: &str, source: Source, service: Arc<dyn PayloadService>) -> Arc<Self> {
        let name: Arc<str> = name.into();
        let counted_as = Arc::clone(&name);
        Arc::new(Self { name, counted_as, source, service, observer: OnceLock::new() })
    }

    /// A service behind an outgoing connection.
    pub(crate) fn remote(name: &str, remote: Remote) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            counted_as: format!("{}:*", remote.connection()).into(),
            source: Source::Remote,
            service: Arc::new(remote),
            observer: OnceLock::new(),
        })
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_service_stands_before_one_that_is_compiled_in() {
        let registry = Registry::new();
        registry.register_fn("a", |_, (): ()| async { Ok("compiled in") });
        registry.register_fn("b", |_, (): ()| async { Ok(()) });
        let other = Registry::new();
        other.register_fn("x", |_, (): ()| async { Ok("configured") });
        let service = Arc::clone(&other.find("x").unwrap().service);
        registry.configure("a", Source::Http, Arc::clone(&service));
        registry.configure("c", Source::Http, service);
        let listed = |registry: &Registry| {
            let list = registry.list().into_iter();
            list.map(|(name, source)| format!("{name} {}", source.as_str())).collect::<Vec<_>>()
        };
        assert_eq!(listed(&registry), ["a http", "b native", "c http"]);
        assert!(registry.unconfigure("a") && registry.unconfigure("c"));
        assert!(!registry.unconfigure("b") && registry.is_compiled_in("b"));
        assert_eq!(listed(&registry), ["a native", "b native"]);
    }
}
