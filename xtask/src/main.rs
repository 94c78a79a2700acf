//! Development commands of the workspace, run as `cargo xtask <command>`.
//!
//! What the README tells a contributor to run and what CI runs is the same command, `test`. Every
//! command calls ordinary programs (cargo, python3, npm) and stops at the first that fails. Exit
//! codes: 0 done, 1 a check failed, 2 wrong arguments or a needed program is missing.
#![expect(clippy::print_stdout, reason = "a command-line program talks through its output")]
#![expect(clippy::print_stderr, reason = "errors and usage go to the error stream")]

mod fuzz;
mod layers;
mod measure;
mod pages;
mod process;
mod suite;
mod tools;
mod workspace;

use std::process::ExitCode;

use crate::process::Failure;
use crate::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask <command>

  test             all that CI checks: format, layers, lints, docs, licences, tests
  long             end-to-end tests with full counts in release profile, then long fuzzing; hours
  layers           who may depend on whom, and what the sans-I/O crates may contain
  gen [--check]    write the generated reference pages; with --check only compare them
  tools            install the foreign clients that tests run, under target/tools
  fuzz [seconds]   run every fuzz target for so many seconds (60)
  bench [args...]  load scenarios; arguments go to spanwire-bench
  help             this text

exit codes: 0 done, 1 a check failed, 2 wrong arguments or a program is missing
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            if matches!(failure, Failure::Usage(_)) {
                eprint!("\n{USAGE}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(args: &[&str]) -> Result<(), Failure> {
    match args {
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        ["test"] => suite::test(&Workspace::load()?),
        ["long"] => suite::long(&Workspace::load()?),
        ["layers"] => layers::check(&Workspace::load()?),
        ["gen"] => pages::write(&Workspace::load()?),
        ["gen", "--check"] => pages::compare(&Workspace::load()?),
        ["tools"] => tools::install(&Workspace::load()?).map(|_| ()),
        ["fuzz"] => fuzz::run(&Workspace::load()?, fuzz::DEFAULT_SECONDS),
        ["fuzz", seconds] => match seconds.parse() {
            Ok(seconds @ 1..) => fuzz::run(&Workspace::load()?, seconds),
            Ok(_) | Err(_) => {
                Err(Failure::Usage(format!("fuzz takes a number of seconds, not `{seconds}`")))
            }
        },
        ["bench", rest @ ..] => measure::bench(&Workspace::load()?, rest),
        [] => Err(Failure::Usage("no command".into())),
        [command, ..] => {
            Err(Failure::Usage(format!("no command `{command}` with these arguments")))
        }
    }
}
