//! `spanwire config …`

use serde_json::{Value, json};
use spanwire_protocol::admin::{Reloaded, SettingInfo};

use crate::args::Config;
use crate::client::{Client, Failure, segment};
use crate::output::Output;

pub(crate) fn run(verb: &Config, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        Config::List => {
            let settings: Vec<SettingInfo> = client.get("settings")?;
            output.list(&settings, &["key", "value", "origin", "place", "after_restart"])
        }
        Config::Explain { key } => {
            let setting: SettingInfo = client.get(&format!("settings/{}", segment(key)))?;
            output.fields(&setting, &explained(&setting))
        }
        Config::Reload => {
            let reloaded: Reloaded = client.post("settings/reload", Vec::new())?;
            output.result(&reloaded, lines(&reloaded))
        }
    }
}

/// What a setting is, in the order in which one asks.
fn explained(setting: &SettingInfo) -> Vec<(&'static str, Value)> {
    let mut fields = vec![("key", json!(setting.key)), ("value", setting.value.clone())];
    if let Some(value) = &setting.after_restart {
        fields.push(("after_restart", value.clone()));
    }
    fields.extend([
        ("origin", json!(setting.origin)),
        ("place", json!(setting.place)),
        ("default", setting.default.clone()),
        ("reloadable", json!(setting.reloadable)),
        ("variable", json!(setting.variable)),
        ("meaning", json!(setting.meaning)),
    ]);
    fields
}

fn lines(reloaded: &Reloaded) -> Vec<String> {
    let changed = reloaded.changed.iter().map(|key| format!("{key} has a new value"));
    let waiting =
        reloaded.needs_restart.iter().map(|key| format!("{key} has a new value after a restart"));
    let mut lines: Vec<String> = changed.chain(waiting).collect();
    if lines.is_empty() {
        lines.push("nothing changed".to_owned());
    }
    lines
}
