//! Importing: files or a text in, valid objects or every mistake out.
//!
//! Nothing is applied here: an input is accepted as a whole or not at all.

use std::path::Path;

use crate::Kind;
use crate::environment::Environment;
use crate::file::{Disk, Loader};
use crate::normalise::normalise;
use crate::object::Object;
use crate::problem::{Problem, Warning};
use crate::set::ObjectSet;
use crate::validate;

/// Objects that are valid, each by itself and all together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Import {
    /// The objects, in the order in which they can be created.
    pub objects: Vec<Object>,
    /// What is probably not as it was meant.
    pub warnings: Vec<Warning>,
}

/// What the objects of an input may refer to and must not collide with.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Existing<'a> {
    /// The objects that are stored.
    pub objects: &'a ObjectSet,
    /// Tells what exists without being stored, such as services that are compiled in.
    pub built_in: &'a dyn Fn(Kind, &str) -> bool,
}

impl<'a> Existing<'a> {
    /// Names what exists.
    pub fn new(objects: &'a ObjectSet, built_in: &'a dyn Fn(Kind, &str) -> bool) -> Self {
        Self { objects, built_in }
    }

    /// Returns that nothing exists.
    #[must_use]
    pub fn nothing() -> Existing<'static> {
        const fn is_built_in(_: Kind, _: &str) -> bool {
            false
        }
        static EMPTY: ObjectSet = ObjectSet::new();
        Existing { objects: &EMPTY, built_in: &is_built_in }
    }

    /// Returns whether an object is stored or built in.
    #[must_use]
    pub fn contains(&self, kind: Kind, name: &str) -> bool {
        self.objects.get(kind, name).is_some() || (self.built_in)(kind, name)
    }
}

impl std::fmt::Debug for Existing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Existing").field("objects", &self.objects.len()).finish_non_exhaustive()
    }
}

/// Reads files of objects, YAML or JSON, and checks everything in them.
///
/// A file that is named or included more than once counts once. Files are read one after the other;
/// each may have [`crate::MAX_FILE`] bytes and nest [`crate::MAX_DEPTH`] levels deep.
///
/// # Errors
/// Every mistake in every file, in the order of files and lines; at least one, at most
/// [`crate::MAX_PROBLEMS`].
pub fn import<P: AsRef<Path>>(
    paths: &[P],
    env: Environment<'_>,
    existing: Existing<'_>,
) -> Result<Import, Vec<Problem>> {
    let mut disk = Disk;
    let mut loader = Loader::new(env, &mut disk);
    paths.iter().for_each(|path| loader.file(path.as_ref()));
    finish(loader, existing)
}

/// Checks a text in YAML or JSON as [`import`] does a file; `name` stands for the file in messages.
///
/// The text cannot include files.
///
/// # Errors
/// Every mistake, in the order of lines; at least one.
pub fn parse_str(
    name: &str,
    text: &str,
    env: Environment<'_>,
    existing: Existing<'_>,
) -> Result<Import, Vec<Problem>> {
    // A text names no files that could be read.
    let mut disk = Disk;
    let mut loader = Loader::new(env, &mut disk);
    loader.text(name, text);
    finish(loader, existing)
}

/// Checks what a loader collected.
pub(crate) fn finish(loader: Loader<'_>, existing: Existing<'_>) -> Result<Import, Vec<Problem>> {
    let Loader { mut report, objects, .. } = loader;
    let names = validate::check_names(&objects, &mut report);
    let (mut checked, mut invalid) = (Vec::new(), Vec::new());
    for raw in &objects {
        // What is left would only be left out of the report.
        if report.is_full() {
            break;
        }
        match normalise(raw, &mut report) {
            Some(valid) => checked.push(valid),
            None => invalid.push(raw),
        }
    }
    if !report.is_full() {
        validate::check(&checked, &invalid, &names, existing, &mut report);
    }

    if report.problems.is_empty() {
        let mut objects: Vec<_> = checked.into_iter().map(|checked| checked.object).collect();
        objects.sort_by_key(Object::kind);
        report.warnings.sort_by_key(|warning| warning.0.place());
        Ok(Import { objects, warnings: report.warnings })
    } else {
        report.problems.sort_by_key(Problem::place);
        Err(report.problems)
    }
}
