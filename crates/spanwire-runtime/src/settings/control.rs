//! The settings in force while the server runs: where each comes from, and reading them again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde_json::{Value as Json, json};
use spanwire_protocol::admin::{Reloaded, SettingInfo, SettingOrigin};

use super::load::flat;
use super::{Loaded, Settings, Sources, reference};

/// Settings with their origins.
#[derive(Debug)]
pub(crate) struct SettingsControl {
    sources: Option<Sources>,
    state: ArcSwap<State>,
    /// One reload at a time.
    reloading: Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// In force.
    current: Loaded,
    /// As read last; differs from `current` where a restart is needed.
    read: Loaded,
}

impl SettingsControl {
    /// Without sources nothing can be read again.
    pub(crate) fn new(current: Loaded, sources: Option<Sources>) -> Self {
        let state = ArcSwap::from_pointee(State { read: current.clone(), current });
        Self { sources, state, reloading: Mutex::new(()) }
    }

    /// Every setting, by key.
    pub(crate) fn list(&self) -> Vec<SettingInfo> {
        let state = self.state.load();
        let (now, read) = (flat(&state.current.settings), flat(&state.read.settings));
        let default = flat(&Settings::default());
        let shown = |values: &BTreeMap<String, toml::Value>, key: &str| {
            values.get(key).map_or(Json::Null, |value| json!(value))
        };
        let info = |setting: reference::Setting| {
            let key = setting.key;
            let mut value = shown(&now, &key);
            if key == "profile" && value.is_null() {
                // It follows from the listeners.
                value = state.current.settings.effective_profile().as_str().into();
            }
            let origin = state.read.origins.get(&key).cloned();
            let (origin, place) = match origin {
                Some((origin, place)) => (origin, Some(place)),
                None if shown(&now, &key) == shown(&default, &key) => {
                    (SettingOrigin::Default, None)
                }
                // An embedding program set it.
                None => (SettingOrigin::Argument, None),
            };
            let after = shown(&read, &key);
            SettingInfo {
                after_restart: (after != shown(&now, &key)).then_some(after),
                default: shown(&default, &key),
                value,
                origin,
                place,
                reloadable: setting.reloadable,
                variable: setting.variable,
                meaning: setting.meaning.to_owned(),
                key,
            }
        };
        reference().into_iter().map(info).collect()
    }

    /// Reads the settings again, and hands what can be taken without a restart to `apply`.
    ///
    /// # Errors
    /// Every mistake, or why they cannot be put to work; then nothing has changed.
    pub(crate) fn reload(
        &self,
        apply: impl FnOnce(Settings) -> Result<(), String>,
    ) -> Result<Reloaded, Vec<String>> {
        let Some(sources) = &self.sources else {
            return Err(vec![
                "this server was started by a program, not from a file of settings".to_owned(),
            ]);
        };
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.state.load_full();
        let read = sources.load()?;
        let before = &state.current.settings;
        let wanted = Settings {
            name: before.name.clone(),
            profile: before.profile,
            log_format: before.log_format,
            ..read.settings.clone()
        };
        let (old, new, asked) = (flat(before), flat(&wanted), flat(&read.settings));
        let keys = || reference().into_iter().map(|setting| setting.key);
        let changed: Vec<String> = keys().filter(|key| old.get(key) != new.get(key)).collect();
        let needs_restart = keys().filter(|key| new.get(key) != asked.get(key)).collect();
        if !changed.is_empty() {
            apply(wanted.clone()).map_err(|problem| vec![problem])?;
        }
        let origins = read.origins.clone();
        self.state.store(Arc::new(State { current: Loaded { settings: wanted, origins }, read }));
        Ok(Reloaded { changed, needs_restart })
    }
}
