//! The verbs of managed objects.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use spanwire_config::Kind;
use spanwire_config::spec::KindSpec;
use spanwire_protocol::admin::{Changed, ManagedObject, ObjectVersion};

use super::{deletes, report};
use crate::args::Change;
use crate::client::{Client, Failure, Query, object, objects, parse};
use crate::confirm::Consent;
use crate::object::{Noun, Target, Verb, columns};
use crate::output::Output;
use crate::secret;

pub(crate) fn run(verb: &Verb, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        Verb::List { noun, kinds, part, state } => {
            let query =
                Query::default().maybe("q", part.as_deref()).maybe("state", state.as_deref());
            list(noun, kinds, &query, client, output)
        }
        Verb::Show(target) => {
            let (kind, object) = find(target, client)?;
            output.fields(&object, &shown(kind, &object))
        }
        Verb::Create { kind, fields, password, change } => {
            let mut fields = fields.clone();
            if let Some(source) = password {
                fields.insert("password".to_owned(), secret::read(*source)?.into());
            }
            create(*kind, &fields, change, client, output)
        }
        Verb::Edit { kind, name, patch, change } => {
            edit(*kind, name, patch, "updated", change, client, output)
        }
        Verb::Rename { target, new, change } => {
            let (kind, _) = find(target, client)?;
            let mut patch = Map::new();
            patch.insert("name".to_owned(), new.as_str().into());
            let done = format!("renamed from '{}'", target.name);
            edit(kind, &target.name, &patch, &done, change, client, output)
        }
        Verb::ChangePassword { name, source, change } => {
            let password = secret::read(*source)?;
            let query = Query::default().change(change);
            let path = format!("{}/password{query}", object(Kind::Security, name));
            client.tell(&path, &json!({ "password": password }))?;
            output.done(&format!("the password of security '{name}' is changed"))
        }
        Verb::Delete { target, change, yes } => delete(target, change, *yes, client, output),
        Verb::History(target) => history(target, client, output),
        Verb::Revert { target, version, change, yes } => {
            revert(target, *version, change, *yes, client, output)
        }
    }
}

fn list(
    noun: &Noun,
    kinds: &[Kind],
    query: &Query,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    let mut all: Vec<ManagedObject> = Vec::new();
    for kind in kinds {
        all.extend(client.list(&objects(*kind), query)?);
    }
    if let [_, _, ..] = kinds {
        all.sort_by_cached_key(|object| {
            let name = object.fields.get("name").and_then(Value::as_str);
            (name.map(str::to_owned), object.meta.kind.clone())
        });
    }
    output.table(&all, columns(noun))
}

/// The keys in the order of their description, then what the server says.
fn shown(kind: Kind, object: &ManagedObject) -> Vec<(&str, Value)> {
    let known = KindSpec::of(kind).fields().map(|field| field.key);
    let known: Vec<&str> = known.filter(|key| object.fields.contains_key(*key)).collect();
    let others = object.fields.keys().map(String::as_str).filter(|key| !known.contains(key));
    let keys = known.iter().copied().chain(others);
    let mut fields: Vec<(&str, Value)> =
        keys.map(|key| (key, object.fields.get(key).cloned().unwrap_or_default())).collect();
    let meta = &object.meta;
    fields.extend([
        ("kind", json!(meta.kind)),
        ("id", json!(meta.id)),
        ("version", json!(meta.version)),
        ("revision", json!(meta.revision)),
        ("changed_at", json!(meta.changed_at)),
        ("changed_by", json!(meta.changed_by)),
        ("state", json!(meta.state)),
        ("since", json!(meta.since)),
    ]);
    fields.extend(meta.error.as_ref().map(|error| ("error", json!(error))));
    fields
}

fn create(
    kind: Kind,
    fields: &Map<String, Value>,
    change: &Change,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    let path = format!("{}{}", objects(kind), Query::default().change(change));
    if change.dry_run {
        let (changed, _) = client.create(&path, fields)?;
        return report::changed(&changed, output);
    }
    let (object, is_new) = client.create(&path, fields)?;
    let done = if is_new { "created" } else { "exists as it is" };
    report::stored(kind, &object, done, output)
}

fn edit(
    kind: Kind,
    name: &str,
    patch: &Map<String, Value>,
    done: &str,
    change: &Change,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    let path = format!("{}{}", object(kind, name), Query::default().change(change));
    if change.dry_run {
        let changed: Changed = client.patch(&path, patch)?;
        return report::changed(&changed, output);
    }
    let earlier: Option<ManagedObject> = client.find(&object(kind, name))?;
    let object: ManagedObject = client.patch(&path, patch)?;
    let is_same = earlier.is_some_and(|earlier| earlier.meta.version == object.meta.version);
    report::stored(kind, &object, if is_same { "is as it was" } else { done }, output)
}

fn delete(
    target: &Target,
    change: &Change,
    yes: bool,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    let consent = Consent::new(yes || change.dry_run)?;
    let (kind, _) = find(target, client)?;
    consent.get(&format!("delete {kind} '{}'?", target.name))?;
    let query = Query::default().change(change);
    let changed = client.delete(&format!("{}{query}", object(kind, &target.name)))?;
    report::changed(&parse(&changed)?, output)
}

fn history(target: &Target, client: &Client, output: &Output) -> Result<(), Failure> {
    let (_, versions) = find_history(target, client)?;
    if output.is_json() {
        return output.list(&versions, &[]);
    }
    let rows: Vec<Value> = versions
        .iter()
        .map(|it| {
            let keys: Vec<&str> = it.diff.iter().map(|change| change.field.as_str()).collect();
            json!({"version": it.version, "revision": it.revision, "at": it.at, "who": it.who,
                   "from": it.from, "action": it.action, "keys": keys, "reason": it.reason})
        })
        .collect();
    output.list(&rows, &["version", "revision", "at", "who", "from", "action", "keys", "reason"])
}

fn revert(
    target: &Target,
    version: u64,
    change: &Change,
    yes: bool,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    let kind = match target.kinds.as_slice() {
        [kind] => *kind,
        _ => find_history(target, client)?.0,
    };
    let ask = |change: &Change| -> Result<Changed, Failure> {
        let query = Query::default().change(change);
        let path = format!("{}/revert{query}", object(kind, &target.name));
        Ok(client.create(&path, &json!({ "version": version }))?.0)
    };
    deletes::consent(yes, change, ask)?;
    let changed = ask(change)?;
    report::changed(&changed, output)?;
    // Whether it runs again is known of the object alone.
    if let (false, Some(change)) = (changed.dry_run, changed.changes.first())
        && let Ok(Some(object)) = client.find(&object(kind, &change.name))
    {
        report::failed(kind, &object);
    }
    Ok(())
}

/// Finds the one object that a command is about.
fn find(target: &Target, client: &Client) -> Result<(Kind, ManagedObject), Failure> {
    one(target, client, &|kind| object(kind, &target.name))
}

/// Finds the history of the one object that a command is about, which may be gone.
fn find_history(target: &Target, client: &Client) -> Result<(Kind, Vec<ObjectVersion>), Failure> {
    one(target, client, &|kind| format!("{}/history", object(kind, &target.name)))
}

/// Asks for each kind that is meant; exactly one must have something of that name.
fn one<T: DeserializeOwned>(
    target: &Target,
    client: &Client,
    path: &dyn Fn(Kind) -> String,
) -> Result<(Kind, T), Failure> {
    if let [kind] = target.kinds.as_slice() {
        return Ok((*kind, client.get(&path(*kind))?));
    }
    let mut found = Vec::new();
    for kind in &target.kinds {
        found.extend(client.find(&path(*kind))?.map(|it| (*kind, it)));
    }
    let (word, name) = (target.noun.word, &target.name);
    let first = found.pop();
    match (first, found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => {
            let types: Vec<&str> = target.noun.kinds.iter().map(|(word, _)| *word).collect();
            let types = types.join(" or --type ");
            Err(Failure::Input(format!("several {word}s are named '{name}': say --type {types}")))
        }
        (None, _) => Err(Failure::refusal(404, &format!("there is no {word} '{name}' (404)"))),
    }
}
