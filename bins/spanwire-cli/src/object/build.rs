//! The commands of a noun, built from the description of its kinds.

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, Args, Command, value_parser};
use spanwire_config::Kind;
use spanwire_config::spec::KindSpec;

use super::field::{at_create, at_edit, long, option};
use super::noun::Noun;
use crate::args::{Change, GLOBAL};

/// Returns a noun with all of its verbs.
pub(crate) fn command(noun: &'static Noun) -> Command {
    Command::new(noun.word)
        .about(noun.about)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(list(noun))
        .subcommands(more_verbs(noun))
}

/// Returns the verbs besides `list`, for a noun that lists more than its objects.
pub(crate) fn more_verbs(noun: &'static Noun) -> Vec<Command> {
    let mut verbs = vec![
        on_one(noun, "show", "One object with all of its keys"),
        per_type(noun, "create", "Make a new object", create),
        per_type(noun, "edit", "Change keys of an object; others stay", edit),
    ];
    if !noun.has(Kind::PubsubSubscription) {
        let new = Arg::new("new").value_name("NEW").required(true).help("The new name");
        let rename = on_one(noun, "rename", "Give an object another name; references follow");
        verbs.push(change(rename.arg(new)));
    }
    if noun.has(Kind::Security) {
        verbs.push(change_password(noun));
    }
    let version = Arg::new("to-version")
        .value_name("VERSION")
        .required(true)
        .value_parser(value_parser!(u64))
        .help("The version, as in the history");
    verbs.extend([
        change(on_one(noun, "delete", "Delete an object").arg(yes())),
        on_one(noun, "history", "The versions of an object, newest first"),
        change(
            on_one(noun, "revert", "Make an object what it was in a version")
                .arg(version)
                .arg(yes()),
        ),
    ]);
    verbs
}

/// Returns the verb `list`.
pub(crate) fn list(noun: &'static Noun) -> Command {
    let states = ["running", "inactive", "failed"];
    let command = Command::new("list")
        .about("The objects, by name")
        .arg(text("name", "PART", "Only those with this in their name"))
        .arg(
            text("state", "STATE", "Only those in this state")
                .value_parser(PossibleValuesParser::new(states)),
        );
    with_type(noun, command)
}

/// A verb about one object, which `--type` tells from one of another kind with that name.
fn on_one(noun: &'static Noun, verb: &'static str, about: &'static str) -> Command {
    with_type(noun, Command::new(verb).about(about).arg(name()))
}

fn with_type(noun: &'static Noun, command: Command) -> Command {
    if !noun.has_types() {
        return command;
    }
    let words = noun.kinds.iter().map(|(word, _)| *word);
    let arg = text("type", "TYPE", "Of this type").value_parser(PossibleValuesParser::new(words));
    command.arg(arg)
}

/// A verb whose options depend on the kind; with several kinds, the type is a word of its own.
fn per_type(
    noun: &'static Noun,
    verb: &'static str,
    about: &'static str,
    fill: fn(Kind, Command) -> Command,
) -> Command {
    let command = Command::new(verb).about(about);
    match noun.kinds {
        [(_, kind)] => fill(*kind, command),
        kinds => command.subcommand_required(true).arg_required_else_help(true).subcommands(
            kinds.iter().map(|(word, kind)| {
                let doc = KindSpec::of(*kind).doc;
                fill(*kind, Command::new(*word).about(doc.strip_suffix('.').unwrap_or(doc)))
            }),
        ),
    }
}

fn create(kind: Kind, command: Command) -> Command {
    let mut command = room(kind, command);
    if kind != Kind::PubsubSubscription {
        command = command.arg(name());
    }
    command = command.next_help_heading("Keys");
    for field in at_create(kind) {
        command = command.arg(option(field, field.required));
    }
    command = command.next_help_heading(None::<&str>);
    if kind == Kind::Security {
        let prompt = Arg::new("prompt-password")
            .long("prompt-password")
            .action(ArgAction::SetTrue)
            .conflicts_with("password-stdin")
            .help("Ask for the password; without one the server makes an unusable one");
        command = command.arg(password_stdin()).arg(prompt);
    }
    change(command)
}

fn edit(kind: Kind, command: Command) -> Command {
    let mut command = room(kind, command).arg(name()).next_help_heading("Keys");
    for field in at_edit(kind) {
        command = command.arg(option(field, false));
    }
    // Keys are known by the names of their options, and by their own.
    let optional = at_edit(kind).filter(|field| !field.required);
    let keys = optional.map(|field| PossibleValue::new(long(field.key)).alias(field.key));
    let unset = text("unset", "KEY", "Take a key back to what holds without it; may be repeated")
        .action(ArgAction::Append)
        .hide_possible_values(true)
        .value_parser(PossibleValuesParser::new(keys));
    change(command.next_help_heading(None::<&str>).arg(unset))
}

fn change_password(noun: &'static Noun) -> Command {
    on_one(noun, "change-password", "Change the password; it is asked for twice")
        .arg(password_stdin())
        .arg(text("reason", "TEXT", "Why, for the history"))
}

/// Makes room for a key `url` where `--url` is an option of every command.
fn room(kind: Kind, command: Command) -> Command {
    if at_create(kind).all(|field| field.key != "url") {
        return command;
    }
    let help = "The admin address of a server; --url is the key here";
    command.arg(
        Arg::new("url")
            .long("server-url")
            .value_name("URL")
            .requires("token")
            .help(help)
            .help_heading(GLOBAL),
    )
}

/// Adds the options of a change, which bring a description of their own along.
fn change(command: Command) -> Command {
    let about = command.get_about().cloned().unwrap_or_default();
    Change::augment_args(command).about(about)
}

fn name() -> Arg {
    Arg::new("name").value_name("NAME").required(true).help("The name")
}

fn yes() -> Arg {
    Arg::new("yes").long("yes").action(ArgAction::SetTrue).help("Do not ask")
}

fn password_stdin() -> Arg {
    Arg::new("password-stdin")
        .long("password-stdin")
        .action(ArgAction::SetTrue)
        .help("Read the password from the first line of stdin")
}

fn text(long: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(long).long(long).value_name(value).help(help)
}
