//! Load scenarios: the real server and a bare tokio-tungstenite echo, in turns, in the same run.
//!
//! Absolute rates depend on the machine, and here the load generator shares it with the servers. What counts is the
//! server's CPU time per operation, and its ratio to that of the bare echo. Everything stays on loopback.
#![expect(clippy::print_stdout, reason = "a command-line program talks through its output")]
#![expect(clippy::print_stderr, reason = "progress and errors go to the error stream")]

mod args;
mod bare;
mod child;
mod client;
mod config;
mod connect;
mod disk;
mod durable;
mod fanout;
mod frames;
mod idle;
mod idle_topics;
mod latency;
mod load;
mod machine;
mod outconn;
mod peer;
mod report;
mod resume;
mod rpc;
mod server;
mod sso;
mod stalled;
mod stored;
mod table;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Args, Command, Common};
use crate::report::Row;

/// What stops a run is told to a person; nobody looks into it.
type Failure = Box<dyn Error + Send + Sync>;
type Result<T, E = Failure> = std::result::Result<T, E>;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("spanwire-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    if let Command::BareEcho(bare) = args.command {
        // As the server's runtime: one thread for each core.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = runtime.block_on(bare::serve(bare, args.common.bare_read_buffer));
        runtime.shutdown_background();
        return result;
    }
    // One thread for the load: the servers keep most of the machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rows = runtime.block_on(until_signal(measure(&args.common, &args.command)))?;
    // A scenario without anything to compare with has said what it measured.
    if rows.is_empty() { Ok(()) } else { report::show(&rows, &args.common) }
}

/// Ends a run early on SIGINT and SIGTERM, so that the children are killed by their owners.
async fn until_signal<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        result = work => result,
        _ = interrupt.recv() => Err("interrupted".into()),
        _ = terminate.recv() => Err("terminated".into()),
    }
}

async fn measure(common: &Common, command: &Command) -> Result<Vec<Row>> {
    match command {
        Command::Rpc(points) => rpc::measure(common, points).await,
        Command::Connect(how) => connect::measure(common, how).await,
        Command::Idle(how) => idle::measure(common, how).await,
        Command::Config(how) => config::measure(common, how).await.map(|()| Vec::new()),
        Command::Outconn(how) => outconn::measure(common, how).await.map(|()| Vec::new()),
        Command::Sso(how) => sso::measure(common, how).await.map(|()| Vec::new()),
        Command::BareEcho(_) => Ok(Vec::new()),
        messages => measure_messages(common, messages).await.map(|()| Vec::new()),
    }
}

/// The publish/subscribe scenarios show their figures themselves, each as soon as it has them.
async fn measure_messages(common: &Common, command: &Command) -> Result<()> {
    match command {
        Command::Durable(how) => durable::measure(common, how, true).await,
        Command::Fanout(how) => fanout::measure(common, how, true).await,
        Command::Replay(how) => stored::measure(common, how, true, true).await,
        Command::Restart(how) => stored::measure(common, how, false, true).await,
        Command::IdleTopics(how) => idle_topics::measure(common, how, true).await,
        Command::Stalled(how) => stalled::measure(common, how, true).await,
        Command::Resume(how) => resume::measure(common, how, true).await,
        _ => all_by_default(common).await,
    }
}

async fn all_by_default(common: &Common) -> Result<()> {
    durable::measure(common, &args::by_default()?, true).await?;
    fanout::measure(common, &args::by_default()?, false).await?;
    stored::measure(common, &args::by_default()?, true, false).await?;
    idle_topics::measure(common, &args::by_default()?, false).await?;
    stalled::measure(common, &args::by_default()?, false).await?;
    resume::measure(common, &args::by_default()?, false).await
}
