//! Foreign programs: Python with the PyPI clients or with schemathesis, Node.js with `ws`, curl. `cargo xtask tools` installs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::{command, workspace};

fn folder() -> PathBuf {
    let folder = std::env::var_os("SPANWIRE_TOOLS")
        .map_or_else(|| PathBuf::from("target/tools"), PathBuf::from);
    let folder = if folder.is_absolute() { folder } else { workspace().join(folder) };
    assert!(folder.exists(), "{} is missing: run cargo xtask tools", folder.display());
    folder
}

/// Python, with the clients from PyPI.
#[must_use]
pub fn python(script: &str, arguments: &[&str]) -> Command {
    let mut python = command(folder().join("venv/bin/python"));
    python.env("SQLALCHEMY_SILENCE_UBER_WARNING", "1");
    python.arg(workspace().join("tests/clients").join(script)).args(arguments);
    python
}

/// schemathesis, which makes requests from an OpenAPI document. It leaves files in the folder where it runs.
#[must_use]
pub fn schemathesis(folder_to_run_in: &Path) -> Command {
    // Not its script, whose first line names the interpreter by a path that may be too long.
    let mut python = command(folder().join("fuzz/bin/python"));
    python.args(["-c", "from schemathesis.cli import schemathesis; schemathesis()"]);
    python.current_dir(folder_to_run_in);
    python
}

/// Node.js, with `ws`.
#[must_use]
pub fn node(script: &str, arguments: &[&str]) -> Command {
    let mut node = command("node");
    node.env("NODE_PATH", folder().join("node/node_modules"));
    node.arg(workspace().join("tests/clients").join(script)).args(arguments);
    node
}

/// Runs a program to its end and returns what it printed; it must succeed.
#[must_use]
pub fn run(mut program: Command) -> String {
    let output = program.output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program:?} failed:\n{out}\n{err}");
    out.into_owned()
}
