//! `gen`: reference pages that are the output of a program, kept in the tree.

use std::fs;
use std::path::Path;

use crate::process::Failure;
use crate::workspace::Workspace;

/// One generated page: the standard output of `cargo run <args>`.
#[derive(Debug)]
struct Page {
    /// Relative to the root.
    path: &'static str,
    args: &'static [&'static str],
}

/// Every generated page.
const PAGES: &[Page] = &[
    Page {
        path: "docs/reference/settings.md",
        args: &["--package", "spanwire-runtime", "--example", "reference", "--", "settings"],
    },
    Page {
        path: "docs/reference/metrics.md",
        args: &["--package", "spanwire-runtime", "--example", "reference", "--", "metrics"],
    },
    Page {
        path: "docs/reference/objects.md",
        args: &["--package", "spanwire-runtime", "--example", "reference", "--", "objects"],
    },
    Page {
        path: "docs/reference/openapi.json",
        args: &["--package", "spanwire-runtime", "--example", "reference", "--", "openapi"],
    },
    Page {
        path: "docs/reference/objects.schema.json",
        args: &["--package", "spanwire-runtime", "--example", "reference", "--", "objects-schema"],
    },
    Page {
        path: "docs/reference/sso-openapi.json",
        args: &["--package", "spanwire-runtime", "--example", "reference", "--", "sso-openapi"],
    },
];

/// Writes the pages.
pub(crate) fn write(workspace: &Workspace) -> Result<(), Failure> {
    for page in PAGES {
        let path = workspace.root().join(page.path);
        let text = text_of(workspace, page)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Failure::io(folder.display()))?;
        }
        fs::write(&path, text).map_err(Failure::io(page.path))?;
        println!("{}", page.path);
    }
    Ok(())
}

/// Compares the pages with what would be written.
pub(crate) fn compare(workspace: &Workspace) -> Result<(), Failure> {
    let mut stale = Vec::new();
    for page in PAGES {
        if !holds(&workspace.root().join(page.path), &text_of(workspace, page)?) {
            stale.push(page.path);
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(Failure::Check(format!("out of date, run `cargo xtask gen`: {}", stale.join(", "))))
}

fn text_of(workspace: &Workspace, page: &Page) -> Result<String, Failure> {
    workspace.cargo("run --quiet --locked").args(page.args).stdout()
}

/// Whether the file has exactly this text; a missing file has none.
fn holds(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|current| current == text)
}
