//! `bench`: the load scenarios against a release build of the server.

use crate::process::Failure;
use crate::workspace::Workspace;

/// Builds the server alone, as it ships, so that no feature asked for by the bench package gets
/// into what is measured; then runs the scenarios.
pub(crate) fn bench(workspace: &Workspace, args: &[&str]) -> Result<(), Failure> {
    workspace.cargo("build --release --locked -p spanwire-server").run()?;
    workspace
        .cargo("run --release --locked -p spanwire-bench --")
        .args(args)
        .env("SPANWIRE_BIN_DIR", workspace.target().join("release"))
        .run()
}
