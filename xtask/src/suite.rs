//! `test`: every check, in an order that fails early and compiles little twice; `long`: the same
//! end-to-end tests with full counts.
//!
//! All workspace commands select `--workspace` with the examples or tests in: the features of
//! shared dependencies are then the same in each, and one command uses what another has built.

use crate::process::{Failure, Invocation, Steps};
use crate::tools::{self, Tools};
use crate::workspace::Workspace;
use crate::{fuzz, layers, pages};

/// Seconds that `long` gives to each fuzz target.
const LONG_FUZZ_SECONDS: u32 = 600;

pub(crate) fn test(workspace: &Workspace) -> Result<(), Failure> {
    let mut steps = Steps::new();
    steps.step("fmt", || workspace.cargo("fmt --all --check").run())?;
    steps.step("layers", || layers::check(workspace))?;
    steps.step("clippy", || {
        workspace.cargo("clippy --workspace --all-targets --locked -- -D warnings").run()
    })?;
    steps.step("docs", || {
        let doc = workspace.cargo("doc --workspace --no-deps --locked");
        doc.env("RUSTDOCFLAGS", "-D warnings").run()
    })?;
    steps.step("generated pages", || pages::compare(workspace))?;
    steps.step("deny", || deny(workspace))?;
    let tools = steps.step("tools", || tools::install(workspace))?;
    steps.step("build", || build(workspace, Profile::Dev))?;
    steps.step("tests", || {
        let tests = if has_nextest(workspace) {
            workspace.cargo("nextest run --workspace --locked")
        } else {
            workspace.cargo("test --workspace --locked --tests --lib --bins")
        };
        for_end_to_end(tests, workspace, Profile::Dev, &tools).run()
    })?;
    steps.step("doctests", || workspace.cargo("test --doc --workspace --locked").run())?;
    steps.step("each crate alone", || each_alone(workspace))?;
    steps.summary();
    Ok(())
}

pub(crate) fn long(workspace: &Workspace) -> Result<(), Failure> {
    let mut steps = Steps::new();
    let tools = steps.step("tools", || tools::install(workspace))?;
    steps.step("build", || build(workspace, Profile::Release))?;
    steps.step("end-to-end tests", || {
        let runner = if has_nextest(workspace) { "nextest run" } else { "test" };
        let tests = workspace.cargo(runner);
        let tests = tests.args(["--release", "--locked", "-p", "spanwire-tests"]);
        let tests = tests.env("SPANWIRE_LONG", "1");
        for_end_to_end(tests, workspace, Profile::Release, &tools).run()
    })?;
    steps.step("fuzz", || fuzz::run(workspace, LONG_FUZZ_SECONDS))?;
    steps.summary();
    Ok(())
}

/// Licences, banned crates and sources. Advisories need the network and are not part of it.
fn deny(workspace: &Workspace) -> Result<(), Failure> {
    if workspace.cargo("deny --version").succeeds() {
        workspace.cargo("deny --offline check bans licenses sources").run()
    } else {
        println!("skipped: cargo-deny is not installed (cargo install cargo-deny)");
        Ok(())
    }
}

/// The binaries and examples, which the end-to-end tests start as real processes.
fn build(workspace: &Workspace, profile: Profile) -> Result<(), Failure> {
    let build = workspace.cargo("build --workspace --bins --examples --locked");
    build.args(profile.flag()).run()
}

/// Tells the test process where the binaries and the foreign clients are.
fn for_end_to_end(
    tests: Invocation,
    workspace: &Workspace,
    profile: Profile,
    tools: &Tools,
) -> Invocation {
    tests
        .env("SPANWIRE_BIN_DIR", workspace.target().join(profile.folder()))
        .env("SPANWIRE_TOOLS", tools.folder())
}

/// Each library crate compiles with nothing but what it asks for itself.
fn each_alone(workspace: &Workspace) -> Result<(), Failure> {
    for name in layers::libraries(workspace) {
        println!("{name}");
        workspace.cargo("check --quiet --locked --no-default-features -p").arg(&name).run()?;
    }
    Ok(())
}

fn has_nextest(workspace: &Workspace) -> bool {
    workspace.cargo("nextest --version").succeeds()
}

#[derive(Debug, Clone, Copy)]
enum Profile {
    Dev,
    Release,
}

impl Profile {
    fn flag(self) -> Option<&'static str> {
        match self {
            Self::Dev => None,
            Self::Release => Some("--release"),
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}
