//! Services that come from the configuration: behind HTTP, and gateways.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use spanwire_config::{Object, ObjectSet};
use spanwire_service::Registry;
use spanwire_service::http::HttpClient;

use crate::wiring::{self, Configured};

/// What is registered for which object.
#[derive(Default)]
pub(super) struct Services {
    names: HashMap<u64, String>,
    /// One for each file of certificate authorities: it holds the connections.
    clients: HashMap<Authorities, HttpClient>,
}

/// A file of certificate authorities as it was at a time; none is the well-known ones.
type Authorities = Option<(PathBuf, Option<SystemTime>)>;

/// A service under its name; `None` where there shall be none.
pub(super) type Wanted = Option<(String, Configured)>;

impl Services {
    /// Makes the service of an object; registers nothing.
    pub(super) fn build(&mut self, object: &Object, objects: &ObjectSet) -> Result<Wanted, String> {
        let service = match object {
            Object::Service(service) if service.is_active => {
                let mut client = |file: Option<&Path>| self.client(file);
                wiring::http_service(service, objects, &mut client)?
            }
            Object::WsxGateway(gateway) if gateway.is_active => wiring::gateway(gateway),
            _ => return Ok(None),
        };
        Ok(Some((object.name(), service)))
    }

    /// Registers services, and returns the names under which the same objects were registered before: they stay until
    /// [`Services::forget`], for those who still call by them.
    pub(super) fn replace(
        &mut self,
        wanted: BTreeMap<u64, Wanted>,
        registry: &Registry,
    ) -> BTreeSet<String> {
        let mut former = BTreeSet::new();
        for (id, service) in wanted {
            former.extend(self.names.remove(&id));
            if let Some((name, (source, service))) = service {
                registry.configure(&name, source, service);
                self.names.insert(id, name);
            }
        }
        former
    }

    /// Takes former names away that stand for nothing any more.
    pub(super) fn forget(&self, former: &BTreeSet<String>, registry: &Registry) {
        if former.is_empty() {
            return;
        }
        // Two objects may have swapped their names.
        let taken: BTreeSet<&String> = self.names.values().collect();
        for name in former.iter().filter(|name| !taken.contains(name)) {
            registry.unconfigure(name);
        }
    }

    fn client(&mut self, file: Option<&Path>) -> Result<HttpClient, String> {
        let modified = |file: &Path| std::fs::metadata(file).and_then(|it| it.modified()).ok();
        let key = file.map(|file| (file.to_owned(), modified(file)));
        if let Some(client) = self.clients.get(&key) {
            return Ok(client.clone());
        }
        let client = HttpClient::new(file).map_err(|error| error.to_string())?;
        self.clients.insert(key, client.clone());
        Ok(client)
    }
}
