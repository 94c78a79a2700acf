//! Services by name.

use std::collections::HashMap;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::error::ServiceError;
use crate::invoke::ServiceObserver;
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
}

impl Source {
    /// The word used in lists.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Native => "native",
            Self::Http => "http",
        }
    }
}

/// All services of a host. Changes take effect with the next call; calls under way finish on what they started with.
#[derive(Default)]
pub struct Registry {
    services: RwLock<HashMap<Arc<str>, Arc<Entry>>>,
}

/// One service, and who counts its calls once there was one.
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
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
        let name: Arc<str> = name.into();
        let observer = OnceLock::new();
        let entry = Arc::new(Entry { name: Arc::clone(&name), source, service, observer });
        self.services.write().unwrap_or_else(PoisonError::into_inner).insert(name, entry);
    }

    /// Removes a service; tells whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.services.write().unwrap_or_else(PoisonError::into_inner).remove(name).is_some()
    }

    /// Whether there is a service of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// All names with their sources, sorted by name.
    #[must_use]
    pub fn list(&self) -> Vec<(Arc<str>, Source)> {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> =
            services.values().map(|entry| (Arc::clone(&entry.name), entry.source)).collect();
        list.sort_by(|(a, _), (b, _)| a.cmp(b));
        list
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Entry>> {
        self.services.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}
