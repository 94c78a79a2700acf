//! `spanwire-server check`: everything that can be found out without starting.

use std::path::{Path, PathBuf};

use spanwire_builtins as builtins;
use spanwire_config::{Existing, Kind, ObjectSet, import};
use spanwire_service::Registry;

use crate::data::DataFolder;
use crate::error::StartError;
use crate::objects::StoredObjects;
use crate::settings::{Settings, unsafe_defaults};
use crate::wiring;

/// Validates settings, stored objects and files to import, and refuses what is unsafe in the production profile.
/// Returns what was checked. Nothing is created or changed; a running server's folder is locked and cannot be checked.
///
/// # Errors
/// Every mistake.
pub fn check(data: &Path, settings: &Settings, imports: &[PathBuf]) -> Result<String, StartError> {
    let mut objects = if data.join("secret.key").exists() {
        let data = DataFolder::open(data)?;
        StoredObjects::load(&*data.store, &data.keys)?.set
    } else {
        ObjectSet::new()
    };
    let registry = Registry::new();
    builtins::register(&registry);
    if !imports.is_empty() {
        let built_in = |kind: Kind, name: &str| {
            matches!(kind, Kind::Service | Kind::WsxGateway) && registry.contains(name)
        };
        let environment = |name: &str| std::env::var(name).ok();
        let read = import(imports, &environment, Existing::new(&objects, &built_in));
        objects.apply(read.map_err(StartError::Objects)?.objects);
    }
    wiring::register_services(&objects, &registry)?;
    wiring::shared_routes(&objects, settings)?;
    wiring::own_listeners(&objects, settings)?;
    let refused = unsafe_defaults(settings, &objects);
    if !refused.is_empty() {
        return Err(StartError::Settings(refused));
    }
    let profile = settings.effective_profile().as_str();
    Ok(format!("ok: {} managed objects, profile {profile}", objects.len()))
}
