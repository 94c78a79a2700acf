//! `layers`: who may depend on whom.
//!
//! The table below is the architecture; a new crate gets its entry in the same commit. Arrows
//! point down only. A crate that needs something from above declares a trait, and the runtime
//! implements it. Optional dependencies count like any other.

mod purity;

use cargo_metadata::{DependencyKind, Package};

use crate::process::Failure;
use crate::workspace::Workspace;

/// How high a package stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    L0,
    L1,
    L2,
    L3,
    /// Thin binaries.
    Binary,
    /// Tests, benches, examples and this program: nothing depends on them.
    Top,
}

/// What a package may depend on among ours.
#[derive(Debug, Clone, Copy)]
enum May {
    /// These alone.
    Only(&'static [&'static str]),
    /// Whatever stands lower.
    Below,
}

/// The packages whose code does no I/O and reads neither clock nor randomness.
const SANS_IO: &[&str] = &["spanwire-protocol", "spanwire-session"];

const L0_CRATES: &[&str] = &["spanwire-protocol", "spanwire-store", "spanwire-crypto"];

const TABLE: &[(&str, Layer, May)] = &[
    ("spanwire-protocol", Layer::L0, May::Only(&[])),
    ("spanwire-store", Layer::L0, May::Only(&[])),
    ("spanwire-crypto", Layer::L0, May::Only(&[])),
    ("spanwire-session", Layer::L1, May::Only(L0_CRATES)),
    ("spanwire-service", Layer::L1, May::Only(L0_CRATES)),
    ("spanwire-config", Layer::L1, May::Only(L0_CRATES)),
    ("spanwire-pubsub", Layer::L1, May::Only(L0_CRATES)),
    ("spanwire-sso", Layer::L1, May::Only(L0_CRATES)),
    ("spanwire-channel", Layer::L2, May::Only(&["spanwire-protocol", "spanwire-session"])),
    (
        "spanwire-outconn",
        Layer::L2,
        May::Only(&["spanwire-protocol", "spanwire-crypto", "spanwire-session"]),
    ),
    (
        "spanwire-builtins",
        Layer::L2,
        May::Only(&["spanwire-protocol", "spanwire-service", "spanwire-pubsub", "spanwire-sso"]),
    ),
    ("spanwire-admin", Layer::L2, May::Only(&["spanwire-protocol", "spanwire-config"])),
    ("spanwire-runtime", Layer::L3, May::Below),
    ("spanwire-server", Layer::Binary, May::Only(&["spanwire-runtime"])),
    ("spanwire-cli", Layer::Binary, May::Only(&["spanwire-protocol", "spanwire-config"])),
    ("spanwire-gateway", Layer::Binary, May::Only(&["spanwire-runtime"])),
    ("spanwire-tests", Layer::Top, May::Below),
    ("spanwire-checker", Layer::Binary, May::Only(&[])),
    ("spanwire-fuzz-targets", Layer::Top, May::Below),
    ("spanwire-bench", Layer::Top, May::Below),
    ("xtask", Layer::Top, May::Only(&[])),
];

/// Examples are copied out of the tree, so they need no entry each.
const EXAMPLES: (Layer, May) = (Layer::Top, May::Below);

/// One declared dependency between two packages of the workspace.
#[derive(Debug, Clone, Copy)]
struct Edge<'a> {
    from: &'a str,
    to: &'a str,
    /// For tests and examples alone.
    dev: bool,
    /// `from` is below `examples/`.
    example: bool,
}

/// Checks every edge of the workspace and the sans-I/O crates, and reports all that is wrong.
pub(crate) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for package in workspace.packages() {
        let example = is_example(workspace, package);
        if !example && entry(&package.name).is_none() {
            wrong.push(unknown(&package.name));
        }
        wrong.extend(ours(workspace, package, example).filter_map(|edge| judge(edge).err()));
        if SANS_IO.contains(&package.name.as_str()) {
            wrong.extend(purity::check(workspace, package)?);
        }
    }
    wrong.sort();
    wrong.dedup();
    if wrong.is_empty() { Ok(()) } else { Err(Failure::Check(wrong.join("\n  "))) }
}

/// The libraries of L0, L1 and L2 that exist.
pub(crate) fn libraries(workspace: &Workspace) -> Vec<String> {
    let names = workspace.packages().iter().map(|package| package.name.as_str());
    let low = |name: &&str| entry(name).is_some_and(|(layer, _)| layer <= Layer::L2);
    names.filter(low).map(String::from).collect()
}

/// The package's dependencies on other packages of the tree.
fn ours<'a>(
    workspace: &'a Workspace,
    package: &'a Package,
    example: bool,
) -> impl Iterator<Item = Edge<'a>> {
    let member = |name: &str| workspace.packages().iter().any(|other| other.name == name);
    package
        .dependencies
        .iter()
        .filter(move |dependency| {
            dependency.name.starts_with("spanwire-") || member(&dependency.name)
        })
        // A crate's own tests may name the crate itself, to switch a feature on.
        .filter(|dependency| dependency.name != *package.name)
        .map(move |dependency| Edge {
            from: &package.name,
            to: &dependency.name,
            dev: dependency.kind == DependencyKind::Development,
            example,
        })
}

fn is_example(workspace: &Workspace, package: &Package) -> bool {
    workspace.folder(package).starts_with("examples/")
}

/// Whether the edge is lawful; the error names the edge and the rule.
fn judge(edge: Edge<'_>) -> Result<(), String> {
    let Edge { from, to, dev, example } = edge;
    let from_entry = if example { Some(EXAMPLES) } else { entry(from) };
    let (from_layer, may) = from_entry.ok_or_else(|| unknown(from))?;
    let (to_layer, _) = entry(to).ok_or_else(|| unknown(to))?;
    if dev {
        if to_layer <= from_layer {
            return Ok(());
        }
        return Err(format!(
            "{from} -> {to} (dev): a dev-dependency may not point up ({from_layer:?} to {to_layer:?})"
        ));
    }
    match may {
        May::Only(names) if names.contains(&to) => Ok(()),
        May::Only([]) => {
            Err(format!("{from} -> {to}: {from} ({from_layer:?}) depends on nothing of ours"))
        }
        May::Only(names) => Err(format!(
            "{from} -> {to}: {from} ({from_layer:?}) may depend only on {}",
            names.join(", ")
        )),
        May::Below if to_layer < from_layer => Ok(()),
        May::Below => {
            Err(format!("{from} -> {to}: arrows point down only ({from_layer:?} to {to_layer:?})"))
        }
    }
}

fn entry(name: &str) -> Option<(Layer, May)> {
    TABLE.iter().find(|(known, ..)| *known == name).map(|(_, layer, may)| (*layer, *may))
}

fn unknown(name: &str) -> String {
    format!("{name}: no entry in the table of xtask/src/layers.rs; every package has its layer")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(from: &str, to: &str, dev: bool) -> Result<(), String> {
        let prefixed = |name: &str| match name {
            "xtask" | "made-up" => name.to_owned(),
            _ => format!("spanwire-{name}"),
        };
        let (from, to) = (prefixed(from), prefixed(to));
        judge(Edge { from: &from, to: &to, dev, example: from == "made-up" })
    }

    #[test]
    fn lawful_edges_pass() {
        for (from, to) in [
            ("session", "protocol"),
            ("pubsub", "store"),
            ("sso", "crypto"),
            ("channel", "session"),
            ("outconn", "protocol"),
            ("builtins", "sso"),
            ("admin", "config"),
            ("runtime", "channel"),
            ("runtime", "crypto"),
            ("server", "runtime"),
            ("gateway", "runtime"),
            ("cli", "protocol"),
            ("tests", "runtime"),
            ("tests", "server"),
            ("made-up", "runtime"),
        ] {
            assert_eq!(verdict(from, to, false), Ok(()), "{from} -> {to}");
        }
    }

    #[test]
    fn other_edges_are_named_with_their_rule() {
        for (from, to, rule) in [
            ("protocol", "crypto", "depends on nothing of ours"),
            ("store", "protocol", "depends on nothing of ours"),
            ("pubsub", "sso", "may depend only on"),
            ("session", "service", "may depend only on"),
            ("channel", "outconn", "may depend only on"),
            ("channel", "pubsub", "may depend only on"),
            ("admin", "pubsub", "may depend only on"),
            ("builtins", "runtime", "may depend only on"),
            ("runtime", "server", "arrows point down only"),
            ("server", "channel", "may depend only on"),
            ("cli", "runtime", "may depend only on"),
            ("tests", "bench", "arrows point down only"),
            ("made-up", "tests", "arrows point down only"),
            ("xtask", "protocol", "depends on nothing of ours"),
        ] {
            let error = verdict(from, to, false).unwrap_err();
            assert!(error.contains(rule), "{error}");
            assert!(error.contains(&format!("{from} -> spanwire-{to}: ")), "{error}");
        }
    }

    #[test]
    fn dev_dependencies_point_down_or_sideways_never_up() {
        for (from, to) in [("session", "protocol"), ("channel", "outconn"), ("admin", "store")] {
            assert_eq!(verdict(from, to, true), Ok(()), "{from} -> {to}");
        }
        for (from, to) in [("protocol", "session"), ("pubsub", "runtime"), ("runtime", "tests")] {
            let error = verdict(from, to, true).unwrap_err();
            assert!(error.contains("may not point up"), "{error}");
        }
    }

    #[test]
    fn a_crate_without_an_entry_is_refused_on_either_end() {
        for (from, to) in [("runtime", "teapot"), ("teapot", "protocol")] {
            let error = verdict(from, to, false).unwrap_err();
            assert!(error.starts_with("spanwire-teapot: no entry in the table"), "{error}");
        }
    }

    #[test]
    fn the_table_itself_points_down_and_names_known_crates() {
        for (name, layer, may) in TABLE {
            let May::Only(names) = may else { continue };
            for lower in *names {
                assert!(entry(lower).is_some_and(|(l, _)| l < *layer), "{name} -> {lower}");
            }
        }
    }
}
