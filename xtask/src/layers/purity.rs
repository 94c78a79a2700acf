//! Whether a crate can reach a clock, randomness, the system or a runtime.
//!
//! Two checks, neither a proof alone: the dependency tree with default features, and a plain text
//! search of the source. Code under `#[cfg(test)]`, files of tests and comments are not searched.

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::Package;

use crate::process::Failure;
use crate::workspace::Workspace;

const FORBIDDEN_CRATES: &[&str] =
    &["tokio", "async-std", "smol", "hyper", "mio", "socket2", "rand", "getrandom"];

const FORBIDDEN_PATHS: &[(&str, &str)] = &[
    ("Instant::now", "take `now` as an argument"),
    ("SystemTime::now", "take `now` as an argument"),
    ("std::net", "no sockets; core::net has the addresses"),
    ("std::fs", "no files"),
    ("std::env", "no environment"),
];

/// Everything wrong with the package.
pub(super) fn check(workspace: &Workspace, package: &Package) -> Result<Vec<String>, Failure> {
    let tree = workspace
        .cargo("tree --locked --edges normal,no-proc-macro --prefix depth --package")
        .arg(package.name.as_str())
        .stdout()?;
    let mut wrong: Vec<String> = forbidden_paths(&tree)
        .into_iter()
        .map(|path| format!("{path}: a sans-I/O crate reaches no runtime, socket or randomness"))
        .collect();
    for file in rust_files(&workspace.root().join(workspace.folder(package)).join("src"))? {
        let text = fs::read_to_string(&file).map_err(Failure::io(file.display()))?;
        let shown = file.strip_prefix(workspace.root()).unwrap_or(&file).display();
        wrong.extend(
            forbidden_lines(&text)
                .into_iter()
                .map(|(line, found, instead)| format!("{shown}:{line}: {found}: {instead}")),
        );
    }
    Ok(wrong)
}

/// The ways `a -> b -> c` to forbidden crates, from lines like `2mio v1.0.0`.
fn forbidden_paths(tree: &str) -> Vec<String> {
    let mut way: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for line in tree.lines() {
        let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let Some((depth, rest)) = line.split_at_checked(digits) else {
            continue;
        };
        let (Ok(depth), Some(name)) = (depth.parse::<usize>(), rest.split(' ').next()) else {
            continue;
        };
        way.truncate(depth);
        way.push(name);
        if FORBIDDEN_CRATES.contains(&name) {
            found.push(way.join(" -> "));
        }
    }
    found
}

/// Line number, what is there and what to do instead.
fn forbidden_lines(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let code = line.trim_start();
        if code.starts_with("//") {
            continue;
        }
        if code.starts_with("#[cfg(test)]") {
            // `mod tests;` hides itself; anything longer hides the rest of the file, because
            // tests stand last.
            let item = lines.find(|(_, line)| !line.trim_start().starts_with("#["));
            if item.is_none_or(|(_, item)| !item.trim_end().ends_with(';')) {
                break;
            }
            continue;
        }
        for (path, instead) in FORBIDDEN_PATHS {
            if code.contains(path) {
                found.push((index + 1, *path, *instead));
            }
        }
    }
    found
}

/// Every source file below the folder that is not a test's.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(&folder).map_err(Failure::io(folder.display()))? {
            let path = item.map_err(Failure::io(folder.display()))?.path();
            if path.file_stem().is_some_and(|stem| stem == "tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_forbidden_crate_is_named() {
        let tree = "0spanwire-session v0.1.0 (/x)\n1serde v1.0.0\n1uuid v1.0.0\n\
                    2getrandom v0.4.0\n3libc v0.2.0\n1bytes v1.0.0 (*)\n";
        assert_eq!(forbidden_paths(tree), ["spanwire-session -> uuid -> getrandom"]);
        assert_eq!(forbidden_paths("0a v1.0.0\n1rand_core v0.9.0\n"), [""; 0]);
    }

    #[test]
    fn forbidden_names_are_found_with_their_line() {
        let lines = |text| -> Vec<usize> {
            forbidden_lines(text).into_iter().map(|(line, ..)| line).collect()
        };
        assert_eq!(lines("fn a() {\n    let n = Instant::now();\n}"), [2]);
        assert_eq!(lines("use std::net::IpAddr;\nuse std::fs;"), [1, 2]);
        assert_eq!(lines("//! let now = Instant::now();\n/// std::env"), [0; 0]);
        assert_eq!(lines("use core::net::IpAddr;"), [0; 0]);
    }

    #[test]
    fn test_code_is_not_searched() {
        let rest = "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert_eq!(forbidden_lines(rest), []);
        let declared = "#[cfg(test)]\n#[path = \"x.rs\"]\nmod tests;\nuse std::fs;\n";
        assert_eq!(forbidden_lines(declared), [(4, "std::fs", "no files")]);
    }
}
