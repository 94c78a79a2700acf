//! `fuzz`: every target in `tests/fuzz` for a bounded time.
//!
//! Seeds are committed in `tests/fuzz/seeds/<target>` and only read. What the fuzzer adds goes to
//! `target/fuzz-corpus/<target>`, and a failing input to `tests/fuzz/artifacts` (not in git).

use std::fs;

use crate::process::Failure;
use crate::workspace::Workspace;

/// Seconds for each target unless told otherwise.
pub(crate) const DEFAULT_SECONDS: u32 = 60;

const FUZZ_DIR: &str = "tests/fuzz";

/// Builds and runs each target for `seconds`.
pub(crate) fn run(workspace: &Workspace, seconds: u32) -> Result<(), Failure> {
    if !workspace.cargo("+nightly --version").succeeds() {
        return Err(Failure::Missing(
            "the nightly toolchain is not installed (rustup toolchain install nightly)".into(),
        ));
    }
    if !workspace.cargo("+nightly fuzz --version").succeeds() {
        return Err(Failure::Missing(
            "cargo-fuzz is not installed (cargo install cargo-fuzz)".into(),
        ));
    }
    if !workspace.root().join(FUZZ_DIR).join("Cargo.toml").is_file() {
        return Err(Failure::Check(format!("{FUZZ_DIR} has no fuzz targets")));
    }
    let list = workspace.cargo("+nightly fuzz list --fuzz-dir").arg(FUZZ_DIR).stdout()?;
    for target in list.split_whitespace() {
        run_target(workspace, target, seconds)?;
    }
    Ok(())
}

fn run_target(workspace: &Workspace, target: &str, seconds: u32) -> Result<(), Failure> {
    println!("==> {target} for {seconds} s");
    let corpus = workspace.target().join("fuzz-corpus").join(target);
    fs::create_dir_all(&corpus).map_err(Failure::io(corpus.display()))?;
    let seeds = workspace.root().join(FUZZ_DIR).join("seeds").join(target);
    workspace
        .cargo("+nightly fuzz run --fuzz-dir")
        .args([FUZZ_DIR, "--target-dir"])
        .arg(workspace.target().join("fuzz"))
        .arg(target)
        .arg(&corpus)
        .args(seeds.is_dir().then_some(&seeds))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .args(["-rss_limit_mb=512", "-timeout=5"])
        .run()
}
