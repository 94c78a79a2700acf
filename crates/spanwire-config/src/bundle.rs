//! Files of objects collected on one machine to be imported on another.
//!
//! [`collect`] follows the includes of files as an import does and keeps every text that was read and
//! every variable that was named. [`import_bundle`] imports that, and touches neither the disk nor
//! the environment of the process: whoever may send a bundle must not thereby read the server's
//! files. The result, with all problems and their places, is that of [`crate::import()`] where the
//! files are.
//!
//! **Limits:** the texts of a bundle have at most [`MAX_FILE`] bytes together, and so have all values
//! that its variables put into them. There are at most [`MAX_FILES`] files.

mod paths;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::paths::{Bundled, portable};
use crate::environment::Environment;
use crate::file::{Disk, Files, Loader, MAX_FILE, MAX_FILES};
use crate::import::{Existing, Import, finish};
use crate::problem::{Problem, Report, Source};

/// Files of objects, with all that they include and take from the environment.
///
/// It contains secrets: those in the files and those in the variables. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Bundle {
    /// The paths that were named, in their order; others are read if these include them.
    pub roots: Vec<String>,
    /// The files, each once.
    pub files: Vec<BundledFile>,
    /// The variables that the files name and that are set.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// A file of a [`Bundle`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BundledFile {
    /// The path as it was first named: as given, or joined to the folder of the including file.
    ///
    /// Includes find it under any path that means the same, such as `a/../b` for `b`.
    pub path: String,
    /// Other paths by which it was named, such as those of symbolic links.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// The text of the file.
    pub text: String,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("roots", &self.roots)
            .field("files", &self.files)
            .field("environment", &self.environment.keys())
            .finish()
    }
}

impl fmt::Debug for BundledFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundledFile")
            .field("path", &self.path)
            .field("also", &self.also)
            .field("bytes", &self.text.len())
            .finish()
    }
}

/// Reads files and what they include, and the variables that they name.
///
/// Whether the objects are valid, and whether a variable is missing, is found out by
/// [`import_bundle`].
///
/// # Errors
/// A file could not be read, or the texts have more than [`MAX_FILE`] bytes together. Then these are
/// all problems that an import finds before it looks at objects, in the order of files and lines.
pub fn collect<P: AsRef<Path>>(paths: &[P], env: Environment<'_>) -> Result<Bundle, Vec<Problem>> {
    let environment = RefCell::new(BTreeMap::new());
    let recorded = |name: &str| {
        let value = env(name)?;
        environment.borrow_mut().insert(name.to_owned(), value.clone());
        Some(value)
    };
    let mut recorder = Recorder::default();
    let mut loader = Loader::new(&recorded, &mut recorder);
    paths.iter().for_each(|path| loader.file(path.as_ref()));
    let Loader { report, .. } = loader;
    if recorder.is_incomplete {
        let mut problems = report.problems;
        problems.sort_by_key(Problem::place);
        return Err(problems);
    }
    Ok(Bundle {
        roots: paths.iter().map(|path| portable(path.as_ref())).collect(),
        files: recorder.into_files(),
        environment: environment.into_inner(),
    })
}

/// Imports the files of a bundle as [`crate::import()`] does those of the disk.
///
/// # Errors
/// Every mistake in every file, in the order of files and lines. Files that a bundle does not
/// contain, or contains twice, and bundles beyond the limits are mistakes as well.
pub fn import_bundle(bundle: &Bundle, existing: Existing<'_>) -> Result<Import, Vec<Problem>> {
    check(bundle)?;
    // A short text can name a long value many times.
    let budget = Cell::new(Some(MAX_FILE));
    let env = |name: &str| {
        let value = bundle.environment.get(name)?;
        let left = budget.get().and_then(|left| left.checked_sub(value.len()));
        budget.set(left);
        left.map(|_| value.clone())
    };
    let mut files = Bundled::new(&bundle.files);
    let mut loader = Loader::new(&env, &mut files);
    for root in &bundle.roots {
        loader.file(Path::new(root));
    }
    if budget.get().is_none() {
        let message = format!(
            "values from the environment make up more than {} MiB: import the files in parts",
            MAX_FILE >> 20
        );
        return Err(problem(None, message));
    }
    finish(loader, existing)
}

/// Checks what holds of every bundle that was collected.
fn check(bundle: &Bundle) -> Result<(), Vec<Problem>> {
    let bytes: usize = bundle.files.iter().map(|file| file.text.len()).sum();
    if bytes > MAX_FILE {
        return Err(problem(None, too_large()));
    }
    if bundle.files.len() > MAX_FILES {
        let message = format!("a bundle has at most {MAX_FILES} files: put them together");
        return Err(problem(None, message));
    }
    let mut seen = BTreeSet::new();
    for file in &bundle.files {
        if !seen.insert(&file.path) {
            let message = "is in the bundle twice: collect the files again".to_owned();
            return Err(problem(Some(file.path.clone()), message));
        }
    }
    Ok(())
}

fn problem(file: Option<String>, message: String) -> Vec<Problem> {
    let mut report = Report::default();
    report.problem(&Source { file, ..Source::default() }, 0, message);
    report.problems
}

/// The disk; what is read from it is kept.
#[derive(Default)]
struct Recorder {
    files: Vec<(PathBuf, BundledFile)>,
    /// The paths by which files were named, by what stands for the file.
    named: BTreeMap<PathBuf, Vec<String>>,
    bytes: usize,
    is_incomplete: bool,
}

impl Recorder {
    fn into_files(mut self) -> Vec<BundledFile> {
        for (identity, file) in &mut self.files {
            file.also = self.named.remove(identity).unwrap_or_default();
            file.also.retain(|path| *path != file.path);
        }
        self.files.into_iter().map(|(_, file)| file).collect()
    }

    fn try_read(&mut self, path: &Path, identity: &Path) -> Result<String, String> {
        let text = Disk.read(path, identity)?;
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > MAX_FILE {
            return Err(too_large());
        }
        let file = BundledFile { path: portable(path), also: Vec::new(), text: text.clone() };
        self.files.push((identity.to_owned(), file));
        Ok(text)
    }
}

impl Files for Recorder {
    fn identity(&mut self, path: &Path) -> PathBuf {
        let identity = Disk.identity(path);
        let named = self.named.entry(identity.clone()).or_default();
        let path = portable(path);
        if !named.contains(&path) {
            named.push(path);
        }
        identity
    }

    fn read(&mut self, path: &Path, identity: &Path) -> Result<String, String> {
        let text = self.try_read(path, identity);
        self.is_incomplete |= text.is_err();
        text
    }
}

fn too_large() -> String {
    format!("the files have more than {} MiB together: import them in parts", MAX_FILE >> 20)
}

#[cfg(test)]
mod tests;
