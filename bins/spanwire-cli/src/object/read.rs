//! From arguments to what is asked for.

use clap::error::ErrorKind;
use clap::{ArgMatches, Error, FromArgMatches};
use serde_json::{Map, Value};
use spanwire_config::Kind;

use super::field::{at_create, at_edit, given, long};
use super::noun::Noun;
use crate::args::Change;
use crate::secret::Source;

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Verb {
    List { noun: &'static Noun, kinds: Vec<Kind>, part: Option<String>, state: Option<String> },
    Show(Target),
    Create { kind: Kind, fields: Map<String, Value>, password: Option<Source>, change: Change },
    Edit { kind: Kind, name: String, patch: Map<String, Value>, change: Change },
    Rename { target: Target, new: String, change: Change },
    ChangePassword { name: String, source: Source, change: Change },
    Delete { target: Target, change: Change, yes: bool },
    History(Target),
    Revert { target: Target, version: u64, change: Change, yes: bool },
}

/// An object by its name, of one of these kinds.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) noun: &'static Noun,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) name: String,
}

/// Reads the verb of a noun and its options; `None` if it is not one about objects.
pub(crate) fn read(noun: &'static Noun, matches: &ArgMatches) -> Result<Option<Verb>, Error> {
    let Some((verb, matches)) = matches.subcommand() else {
        return Ok(None);
    };
    let verb = match verb {
        // A service that is called may be none of the objects.
        "list" if noun.has(Kind::Service) => return Ok(None),
        "list" => {
            let (part, state) = (text(matches, "name"), text(matches, "state"));
            Verb::List { noun, kinds: kinds(noun, matches), part, state }
        }
        "show" => Verb::Show(target(noun, matches)),
        "create" => create(noun, matches)?,
        "edit" => edit(noun, matches)?,
        "rename" => {
            let new = text(matches, "new").unwrap_or_default();
            Verb::Rename { target: target(noun, matches), new, change: change(matches)? }
        }
        "change-password" => Verb::ChangePassword {
            name: text(matches, "name").unwrap_or_default(),
            source: if matches.get_flag("password-stdin") { Source::Stdin } else { Source::Prompt },
            change: Change { dry_run: false, reason: text(matches, "reason") },
        },
        "delete" => {
            let yes = matches.get_flag("yes");
            Verb::Delete { target: target(noun, matches), change: change(matches)?, yes }
        }
        "history" => Verb::History(target(noun, matches)),
        "revert" => {
            let version = matches.get_one("to-version").copied().unwrap_or_default();
            let yes = matches.get_flag("yes");
            Verb::Revert { target: target(noun, matches), version, change: change(matches)?, yes }
        }
        _ => return Ok(None),
    };
    Ok(Some(verb))
}

fn create(noun: &'static Noun, matches: &ArgMatches) -> Result<Verb, Error> {
    let (kind, matches) = typed(noun, matches)?;
    let mut fields = given(at_create(kind), matches);
    if kind != Kind::PubsubSubscription {
        fields.insert("name".to_owned(), text(matches, "name").unwrap_or_default().into());
    }
    let password = if kind != Kind::Security {
        None
    } else if matches.get_flag("password-stdin") {
        Some(Source::Stdin)
    } else {
        matches.get_flag("prompt-password").then_some(Source::Prompt)
    };
    Ok(Verb::Create { kind, fields, password, change: change(matches)? })
}

fn edit(noun: &'static Noun, matches: &ArgMatches) -> Result<Verb, Error> {
    let (kind, matches) = typed(noun, matches)?;
    let mut patch = given(at_edit(kind), matches);
    for word in matches.get_many::<String>("unset").into_iter().flatten() {
        let key = word.replace('-', "_");
        if patch.get(&key).is_some_and(|value| !value.is_null()) {
            let message = format!("--{} is given and unset", long(&key));
            return Err(Error::raw(ErrorKind::ArgumentConflict, message));
        }
        patch.insert(key, Value::Null);
    }
    if patch.is_empty() {
        let message = "nothing is to be changed: give a key, as --help lists them";
        return Err(Error::raw(ErrorKind::MissingRequiredArgument, message));
    }
    let name = text(matches, "name").unwrap_or_default();
    Ok(Verb::Edit { kind, name, patch, change: change(matches)? })
}

/// Returns the kind, and the matches of the verb, which are one word deeper if the noun has types.
fn typed<'a>(
    noun: &'static Noun,
    matches: &'a ArgMatches,
) -> Result<(Kind, &'a ArgMatches), Error> {
    let (word, matches) = match matches.subcommand() {
        Some((word, matches)) => (Some(word), matches),
        None => (None, matches),
    };
    match noun.typed(word).as_slice() {
        [kind] => Ok((*kind, matches)),
        _ => Err(Error::new(ErrorKind::MissingSubcommand)),
    }
}

fn target(noun: &'static Noun, matches: &ArgMatches) -> Target {
    let name = text(matches, "name").unwrap_or_default();
    Target { noun, kinds: kinds(noun, matches), name }
}

fn kinds(noun: &'static Noun, matches: &ArgMatches) -> Vec<Kind> {
    let word = if noun.has_types() { text(matches, "type") } else { None };
    noun.typed(word.as_deref())
}

fn change(matches: &ArgMatches) -> Result<Change, Error> {
    Change::from_arg_matches(matches)
}

fn text(matches: &ArgMatches, id: &str) -> Option<String> {
    matches.get_one::<String>(id).cloned()
}
