//! `spanwire-checker FILE…`: prints what the histories hold and what they break.
//!
//! Exit codes: 0 clean, 1 violations, 2 wrong usage or unreadable.

#![expect(clippy::print_stdout, reason = "a command-line program talks through its output")]
#![expect(clippy::print_stderr, reason = "a command-line program talks through its output")]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use spanwire_checker::{History, check};

/// Decides from client-side histories whether publish/subscribe kept its promise.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Histories of one run, as JSON Lines; they are merged.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How many violations to print.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let history = match History::open(&arguments.files) {
        Ok(history) => history,
        Err(error) => {
            eprint!("spanwire-checker: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprint!(": {cause}");
                source = cause.source();
            }
            eprintln!();
            return ExitCode::from(2);
        }
    };
    let report = check(&history);
    println!("{}", report.counts);
    for violation in report.violations.iter().take(arguments.limit) {
        println!("{violation}");
    }
    if report.is_clean() {
        println!("clean");
        return ExitCode::SUCCESS;
    }
    println!("{} violations", report.violations.len());
    ExitCode::from(1)
}
