//! The spanwire command line: arguments, calls of the admin API, output, exit codes.
//!
//! Exit codes: 0 done, 1 the server refused, 2 wrong usage or input, 3 the server cannot be reached.

mod args;
mod client;
mod command;
mod confirm;
mod object;
mod output;
mod secret;
mod sse;

use std::process::ExitCode;

use crate::args::{Asked, Noun, Server, What};
use crate::client::{Client, Failure};
use crate::output::Output;

fn main() -> ExitCode {
    let matches = args::command().try_get_matches();
    let asked = match matches.and_then(|matches| args::read(&matches)) {
        Ok(asked) => asked,
        Err(error) => return misused(&error.format(&mut args::command())),
    };
    let Err(failure) = run(&asked) else { return ExitCode::SUCCESS };
    match &asked.what {
        What::Noun(Noun::Pubsub(verb)) if verb.is_compatible() => command::pubsub::failed(&failure),
        _ => output::warn(&failure.to_string()),
    }
    ExitCode::from(failure.exit_code())
}

/// Says what is wrong with the arguments, or prints the help that they ask for.
fn misused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        error.exit();
    }
    output::warn(&error.render().to_string());
    ExitCode::from(2)
}

fn run(asked: &Asked) -> Result<(), Failure> {
    if let What::Noun(Noun::Completions { shell }) = asked.what {
        return command::completions(shell);
    }
    let client = match &asked.what {
        What::Noun(Noun::Pubsub(verb)) if let Some(path) = verb.path() => {
            Client::open(&Server { data: path.clone(), url: None, token: None })?
        }
        _ => Client::open(&asked.global.server)?,
    };
    let output = Output::new(asked.global.output);
    match &asked.what {
        What::Objects(verb) => command::object::run(verb, &client, &output),
        What::Noun(noun) => match noun {
            Noun::Ping | Noun::Server(_) => command::server::info(&client, &output),
            Noun::Service(verb) => command::service::run(verb, &client, &output),
            Noun::Connection(verb) => command::connection::run(verb, &client, &output),
            Noun::Outconn(verb) => command::outconn::run(verb, &client, &output),
            Noun::Topic(verb) => command::topic::run(verb, &client, &output),
            Noun::Queue(verb) => command::queue::run(verb, &client, &output),
            Noun::Publish(args) => command::publish::run(args, &client, &output),
            Noun::Pubsub(verb) => command::pubsub::run(verb, &client, &output),
            Noun::History(verb) => command::history::run(verb, &client, &output),
            Noun::Enmasse(verb) => command::enmasse::run(verb, &client, &output),
            Noun::Config(verb) => command::config::run(verb, &client, &output),
            Noun::Sso(verb) => command::sso::run(verb, &client, &output),
            Noun::SecretKey(_) => command::server::rotate(&client, &output),
            Noun::Completions { .. } => Ok(()),
        },
    }
}
