//! `spanwire-server check`: everything that can be found out without starting.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use spanwire_builtins as builtins;
use spanwire_config::store::KeyValueConfigStore;
use spanwire_config::{Configuration, Existing, Kind, ObjectSet, import};
use spanwire_service::Registry;

use crate::data::DataFolder;
use crate::error::StartError;
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
        let store = Arc::new(KeyValueConfigStore::new(data.store));
        let stored = Configuration::open(store, data.keys).map_err(StartError::data)?;
        stored.snapshot().objects().clone()
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
    for object in objects.iter() {
        wiring::check(object, &objects, settings).map_err(|problem| StartError::Object {
            kind: object.kind().as_str(),
            name: object.name(),
            problem,
        })?;
    }
    let refused = unsafe_defaults(settings, &objects);
    if !refused.is_empty() {
        return Err(StartError::Settings(refused));
    }
    let profile = settings.effective_profile().as_str();
    Ok(format!("ok: {} managed objects, profile {profile}", objects.len()))
}
