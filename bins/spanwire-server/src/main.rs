//! The spanwire server: arguments, one library call, an exit code.

mod args;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use spanwire_runtime::settings::{Settings, Sources};
use spanwire_runtime::{App, AppBuilder, ReloadSignal, StartError, StopSignal, telemetry};

use crate::args::{Args, Command};

/// Messages are short-lived allocations of all sizes; the system's allocator keeps more pages for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Wrong usage or input; 1 is for everything that failed otherwise.
const WRONG_INPUT: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(std::io::stderr(), &format!("{error}\n"));
            ExitCode::from(if error.is_input() { WRONG_INPUT } else { 1 })
        }
    }
}

fn run(args: &Args) -> Result<(), StartError> {
    let sources = Sources {
        file: args.data.join("spanwire.toml"),
        variables: variables().collect(),
        overrides: args.overrides(),
    };
    if let Some(command) = &args.command {
        let settings = sources.load().map_err(StartError::Settings)?.settings;
        return match command {
            Command::Check => check(&args.data, &settings, args),
            Command::Messages { task } => {
                let done =
                    spanwire_runtime::run_log_task(&args.data, &settings, &task.to_log_task())?;
                say(std::io::stdout(), &format!("{done}\n"));
                Ok(())
            }
        };
    }
    let builder = App::builder().sources(sources)?;
    telemetry::init_logging(builder.log_format(), std::env::var("RUST_LOG").ok().as_deref());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    let result = runtime.block_on(serve(args, builder));
    // Lookups of host names can hang for as long as the system lets them; they must not hold the exit up.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

async fn serve(args: &Args, builder: AppBuilder) -> Result<(), StartError> {
    // Before anybody can know that the server is there.
    let mut stop = StopSignal::install().map_err(StartError::Runtime)?;
    let mut reload = ReloadSignal::install().map_err(StartError::Runtime)?;
    let mut app = builder.data(&args.data).import(args.import.iter().cloned()).start().await?;
    if let Some(welcome) = app.take_welcome() {
        say(std::io::stdout(), &welcome);
    }
    loop {
        tokio::select! {
            () = stop.received() => break,
            () = reload.received() => {
                // What was reloaded, the log says; what is wrong, too.
                app.reload_and_log().await;
            }
        }
    }
    app.shutdown().await;
    Ok(())
}

fn check(data: &Path, settings: &Settings, args: &Args) -> Result<(), StartError> {
    let found = spanwire_runtime::check(data, settings, &args.import)?;
    say(std::io::stdout(), &format!("{found}\n"));
    Ok(())
}

/// Variables that are not text cannot be ours.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Whoever closed the other end does not want to read it.
fn say(mut to: impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}
