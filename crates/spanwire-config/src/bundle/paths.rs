//! Finding the files of a bundle by their paths, without a disk.

use std::collections::BTreeMap;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use super::BundledFile;
use crate::file::{Files, without_mark};

/// The files of a bundle.
pub(super) struct Bundled<'a> {
    /// By the paths that they were collected under, which tell links apart as the disk did.
    exact: BTreeMap<&'a str, &'a BundledFile>,
    /// By what those paths come to; the first counts.
    plain: BTreeMap<String, &'a BundledFile>,
}

impl<'a> Bundled<'a> {
    pub(super) fn new(files: &'a [BundledFile]) -> Self {
        let mut bundled = Self { exact: BTreeMap::new(), plain: BTreeMap::new() };
        for file in files {
            for path in std::iter::once(&file.path).chain(&file.also) {
                bundled.exact.entry(path).or_insert(file);
                bundled.plain.entry(plain(path)).or_insert(file);
            }
        }
        bundled
    }

    fn find(&self, path: &Path) -> Option<&'a BundledFile> {
        let path = portable(path);
        self.exact.get(path.as_str()).or_else(|| self.plain.get(&plain(&path))).copied()
    }
}

impl Files for Bundled<'_> {
    fn identity(&mut self, path: &Path) -> PathBuf {
        let path = self.find(path).map_or_else(|| plain(&portable(path)), |it| it.path.clone());
        path.into()
    }

    fn read(&mut self, path: &Path, _identity: &Path) -> Result<String, String> {
        let file = self.find(path).ok_or("is not in the bundle: collect the files again")?;
        Ok(without_mark(&file.text).to_owned())
    }
}

/// Returns a path as a text that means the same on every operating system.
pub(super) fn portable(path: &Path) -> String {
    let path = path.display().to_string();
    if MAIN_SEPARATOR == '/' { path } else { path.replace(MAIN_SEPARATOR, "/") }
}

/// Returns a path without `.`, and without `..` after a folder: `a/./b/../c` is `a/c`.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", Some(&last)) if last != ".." => {
                parts.pop();
            }
            // Nothing is above the root.
            ("..", None) if path.starts_with('/') => {}
            _ => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn paths_that_mean_the_same_are_the_same() {
        let cases = [
            ("a/b", "a/b"),
            ("./a//b/.", "a/b"),
            ("a/x/../b", "a/b"),
            ("a/../../b", "../b"),
            ("../../b", "../../b"),
            ("/a/../../b", "/b"),
            ("C:/x/../y", "C:/y"),
            ("", ""),
        ];
        for (path, expected) in cases {
            assert_eq!(plain(path), expected, "{path}");
        }
    }
}
