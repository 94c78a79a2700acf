//! Programs that end by themselves, within a bound.

use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use spanwire_tests::PATIENCE;
use spanwire_tests::server::{binary, command};

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its exit code; -1 when a signal ended it.
    pub(crate) code: i32,
    /// What it printed.
    pub(crate) out: String,
    /// What it complained about.
    pub(crate) err: String,
}

/// Runs a program to its end; one that goes on is killed, and the test fails.
pub(crate) async fn finish(program: Command) -> Finished {
    let shown = format!("{program:?}");
    let mut program = tokio::process::Command::from(program);
    let ended = tokio::time::timeout(PATIENCE, program.kill_on_drop(true).output()).await;
    let output = match ended {
        Ok(output) => output.unwrap(),
        Err(_elapsed) => panic!("{shown} does not end"),
    };
    Finished {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The server on a folder and on any ports, not yet started.
pub(crate) fn server(data: &Path, arguments: &[&str]) -> Command {
    let mut server = command(binary("spanwire-server"));
    server.arg("--data").arg(data);
    for (name, address) in [("--listen", "127.0.0.1:0"), ("--admin-listen", "127.0.0.1:0")] {
        if !arguments.contains(&name) {
            server.args([name, address]);
        }
    }
    server.args(arguments);
    server
}

/// Runs the server on a folder to its end: for starts that must fail, and for `check`.
pub(crate) async fn run_server(data: &Path, arguments: &[&str]) -> Finished {
    finish(server(data, arguments)).await
}

/// Starts the server on a folder, and kills it with the value that is returned.
pub(crate) fn start_server(data: &Path, arguments: &[&str]) -> tokio::process::Child {
    let mut server = server(data, arguments);
    server.stdout(Stdio::null()).stderr(Stdio::null());
    tokio::process::Command::from(server).kill_on_drop(true).spawn().unwrap()
}

/// Runs the command line to its end.
pub(crate) async fn spanwire(arguments: &[&str]) -> Finished {
    let mut program = command(binary("spanwire"));
    program.args(arguments);
    finish(program).await
}
