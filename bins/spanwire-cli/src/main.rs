//! The spanwire command line: arguments, calls of the admin API, output, exit codes.
//!
//! Exit codes: 0 done, 1 the server refused, 2 wrong usage or input, 3 the server cannot be reached.

mod args;
mod client;
mod command;
mod output;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Noun};
use crate::client::{Client, Failure};
use crate::output::Output;

fn main() -> ExitCode {
    let args = Args::parse();
    let Err(failure) = run(&args) else { return ExitCode::SUCCESS };
    // Whoever closed stderr does not want to read it.
    let _ = writeln!(std::io::stderr(), "{failure}");
    ExitCode::from(failure.exit_code())
}

fn run(args: &Args) -> Result<(), Failure> {
    if let Noun::Completions { shell } = args.noun {
        return command::completions(shell);
    }
    let client = Client::open(&args.server)?;
    let output = Output::new(args.output);
    match &args.noun {
        Noun::Ping => command::ping(&client, &output),
        Noun::Service(verb) => command::service::run(verb, &client, &output),
        Noun::Connection(verb) => command::connection::run(verb, &client, &output),
        Noun::Completions { .. } => Ok(()),
    }
}
